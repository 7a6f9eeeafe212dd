package host

import (
	"sync"
	"time"
)

// pusher is a goroutine that sends for others. While it is in the kernel with
// some packets, a writer of many bytes copies the next into the send buffer; and
// whoever changes the stack meanwhile leaves it to the pusher what that gives to
// send, and need not wait for the devices. Guarded by the shard's lock.
type pusher struct {
	started bool
	active  bool // it will look for packets again before it rests
	work    sync.Cond
}

// pushLeast is how many bytes a turn of Write must have put into the send buffer
// for the pusher to be woken, which takes as long as it takes to send some 20 KiB.
const pushLeast = 64 << 10

// leaveToPusher is leave, but the pusher sends.
func (s *shard) leaveToPusher(now time.Time) {
	if p := &s.pusher; !p.active && !s.closed {
		p.active = true
		if !p.started {
			p.started = true
			s.goroutines.Go(s.push)
		}
		p.work.Signal()
	}
	s.leave(now)
}

// push sends until the shard is closed.
func (s *shard) push() {
	s.mu.Lock()
	for !s.closed {
		if !s.pusher.active {
			s.pusher.work.Wait()
			continue
		}
		b := batches.Get().(*batch)
		now := time.Now()
		dry := b.fill(s, now)
		s.pusher.active = !dry || len(b.out) > 0 // what comes while it writes is its own too
		s.settle(now, b)
		s.mu.Lock()
	}
	s.mu.Unlock()
}
