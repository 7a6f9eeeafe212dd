package host

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(shard)
		w := new(waiter)
		w.init(s)
		start := time.Now()
		waitUntil := func(done func(now time.Time) bool) time.Duration {
			s.mu.Lock()
			defer s.mu.Unlock()
			for now := time.Now(); !done(now); now = time.Now() {
				w.wait(now)
			}
			return time.Since(start)
		}
		w.deadline = start.Add(time.Second)
		if got := waitUntil(w.expired); got != time.Second {
			t.Errorf("waited %v, want 1 s", got)
		}
		// Later than the timer that is running from the first wait.
		w.deadline = start.Add(10 * time.Second)
		results := make(chan time.Duration, 2)
		go func() { results <- waitUntil(w.expired) }()
		go func() { results <- waitUntil(w.expired) }()
		synctest.Wait()
		s.mu.Lock()
		w.setDeadline(start.Add(20 * time.Second))
		s.mu.Unlock()
		for range 2 {
			if got := <-results; got != 20*time.Second {
				t.Errorf("waited %v, want 20 s", got)
			}
		}
		w.stop()
		if w.expired(start) || !w.expired(start.Add(20*time.Second)) {
			t.Error("a deadline passes at its time")
		}
		w.deadline = time.Time{}
		if w.expired(start.Add(time.Hour)) {
			t.Error("no deadline passes")
		}
	})
}
