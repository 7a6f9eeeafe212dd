package host

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/braid-mptcp/braid/stack"
)

// shard is one stack with its lock, timer and devices. A connection lives on
// one shard for ever.
type shard struct {
	cfg        Config
	goroutines sync.WaitGroup // a reader for each device, and the pusher

	// mu guards everything below and the stack, its listeners and its
	// connections. Between enter and leave whoever holds it drives the stack.
	mu        sync.Mutex
	stack     *stack.Stack
	closed    bool
	draining  bool // somebody waits for idle
	devices   []*device
	routes    map[netip.Addr]*device // by source address
	listeners map[*stack.Listener]*Listener
	conns     map[*Conn]struct{} // those whose core has not finished
	idle      sync.Cond          // there may be less to wait for
	pusher    pusher

	timer   *time.Timer
	timerAt time.Time // when the timer is to fire; zero: it is not running
}

func newShard(cfg Config) *shard {
	s := &shard{
		cfg:       cfg,
		stack:     stack.New(cfg.Stack),
		routes:    make(map[netip.Addr]*device),
		listeners: make(map[*stack.Listener]*Listener),
		conns:     make(map[*Conn]struct{}),
	}
	s.idle.L = &s.mu
	s.pusher.work.L = &s.mu
	return s
}

// enter takes the lock and reads the clock, once for all that is done until
// leave.
func (s *shard) enter() time.Time {
	s.mu.Lock()
	return time.Now()
}

// leave hands out the stack's events, sends what it has to send, arms the
// timer and releases the lock. Every change of the stack ends with it.
//
// Packets are written to the devices after the lock is released, since a
// device may take its time: the kernel handles a packet written to a TUN
// interface within the write. Meanwhile another goroutine can drive the stack.
// The order of packets is kept nevertheless, because the devices' own locks
// are taken before the shard's is released. That makes a pipeline of two
// stages, protocol and device. While the pusher is at work, the second is its.
func (s *shard) leave(now time.Time) {
	for {
		b := batches.Get().(*batch)
		dry := s.pusher.active && !s.closed || b.fill(s, now)
		s.settle(now, b)
		if dry {
			return
		}
		now = s.enter()
	}
}

// settle does for leave what comes after packets were taken out.
func (s *shard) settle(now time.Time, b *batch) {
	s.handleEvents(now, b)
	s.arm(now)
	draining := s.draining
	b.lockDevices()
	s.mu.Unlock()
	b.wake()
	b.send()
	if len(b.pieces) > 0 || draining {
		s.mu.Lock()
		b.release()
		s.idle.Broadcast()
		s.mu.Unlock()
	}
	batches.Put(b)
}

// arm makes sure that the timer fires no later than the stack needs it. A
// timer that fires too early only calls Advance in vain, so it is not moved
// back: retransmission timers move back with every acknowledgement.
func (s *shard) arm(now time.Time) {
	next := s.stack.NextTimeout()
	if s.closed || next.IsZero() || !s.timerAt.IsZero() && !next.Before(s.timerAt) {
		return
	}
	s.timerAt = next
	if s.timer == nil {
		s.timer = time.AfterFunc(next.Sub(now), s.onTimer)
		return
	}
	s.timer.Reset(next.Sub(now))
}

func (s *shard) onTimer() {
	now := s.enter()
	s.timerAt = time.Time{}
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.stack.Advance(now)
	s.leave(now)
}

// handleEvents passes the stack's events on to connections and listeners.
// Whom to wake goes into b.
func (s *shard) handleEvents(now time.Time, b *batch) {
	for {
		e, ok := s.stack.NextEvent()
		if !ok {
			return
		}
		if s.cfg.Observe != nil {
			s.cfg.Observe(now, e)
		}
		if e.Kind == stack.Acceptable {
			if l := s.listeners[e.Listener]; l != nil {
				b.waking = append(b.waking, &l.accept)
			}
			continue
		}
		switch c, ok := e.Conn.User.(*Conn); {
		case ok:
			c.handleEvent(e.Kind, b)
		case e.Kind == stack.Closed:
			// It ended before it was accepted, and will not say so again.
			e.Conn.User = ended{}
		}
	}
}

// ended is the User of a connection that ended before it had a Conn.
type ended struct{}

// forget takes out a connection whose core has finished.
func (s *shard) forget(c *Conn) { delete(s.conns, c) }

// partTime is how long the subflows of connections that have ended may take to
// end too: a round trip or two, for their FINs. A peer whose FIN found nobody
// would send it again, and be answered by a reset.
const partTime = 500 * time.Millisecond

// drain closes the listeners and waits for the connections to end.
func (s *shard) drain(ctx context.Context) error {
	now := s.enter()
	s.draining = true
	for _, l := range s.listeners {
		l.closeLocked(now)
	}
	s.leave(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waitUntil(ctx, func() bool { return len(s.conns) == 0 })
	if len(s.conns) > 0 {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	s.waitUntil(ctx, func() bool { return s.stack.Stats().Subflows == 0 })
	return nil
}

// waitUntil waits, with the lock held, until there is no more to wait for, ctx
// is done or the shard is closed.
func (s *shard) waitUntil(ctx context.Context, done func() bool) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.idle.Broadcast()
	})
	defer stop()
	for !done() && ctx.Err() == nil && !s.closed {
		s.idle.Wait()
	}
}

func (s *shard) close() error {
	now := s.enter()
	if s.closed {
		s.mu.Unlock()
		return ErrHostClosed
	}
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	for _, l := range s.listeners {
		l.closeLocked(now)
	}
	for c := range s.conns {
		c.abortLocked(now, net.ErrClosed)
	}
	s.idle.Broadcast()
	s.pusher.work.Signal()
	devices := s.devices
	s.devices = nil
	s.leave(now) // the last packets: peers learn that we are gone
	var err error
	for _, d := range devices {
		if closeErr := d.dev.Close(); err == nil {
			err = closeErr
		}
	}
	s.goroutines.Wait()
	return err
}
