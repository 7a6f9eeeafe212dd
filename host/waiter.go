package host

import (
	"sync"
	"time"
)

// waiter is where goroutines wait for one thing, such as data to read, until a
// deadline at most. Everything in it is guarded by the shard's lock.
//
// Deadlines cost next to nothing while nobody waits: setting one stores it, and
// the timer is started by the first goroutine that has to wait. A timer left
// from an earlier deadline wakes in vain, which does no harm.
type waiter struct {
	cond     sync.Cond
	deadline time.Time
	timer    *time.Timer
	timerAt  time.Time // when the timer is to fire; zero: it is not running
}

func (w *waiter) init(s *shard) { w.cond.L = &s.mu }

// setDeadline lets waiting goroutines see the new deadline.
func (w *waiter) setDeadline(t time.Time) {
	w.deadline = t
	w.cond.Broadcast()
}

// expired reports whether the deadline has passed.
func (w *waiter) expired(now time.Time) bool {
	return !w.deadline.IsZero() && !now.Before(w.deadline)
}

// wait waits until somebody calls Broadcast or the deadline passes. It returns
// with the lock held again; the caller looks again at what it waits for.
func (w *waiter) wait(now time.Time) {
	if !w.deadline.IsZero() {
		w.startTimer(now, w.deadline)
	}
	w.cond.Wait()
}

// startTimer makes sure that waiting goroutines are woken at t.
func (w *waiter) startTimer(now, t time.Time) {
	if !w.timerAt.IsZero() && !t.Before(w.timerAt) {
		return // it fires before, and whoever waits starts it anew
	}
	w.timerAt = t
	if w.timer == nil {
		w.timer = time.AfterFunc(t.Sub(now), w.fire)
		return
	}
	w.timer.Reset(t.Sub(now))
}

func (w *waiter) fire() {
	w.cond.L.Lock()
	defer w.cond.L.Unlock()
	w.timerAt = time.Time{}
	w.cond.Broadcast()
}

// stop lets go of the timer and wakes everybody for the last time.
func (w *waiter) stop() {
	if w.timer != nil {
		w.timer.Stop()
		w.timerAt = time.Time{}
	}
	w.cond.Broadcast()
}
