package balance

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// queue holds the requests that wait for a member with room, first come first
// served. A pool that replaces another after a reload goes on with its queue.
type queue struct {
	waiting  atomic.Int32 // how many, to be read without the lock
	refused  atomic.Uint64
	timedOut atomic.Uint64

	mu     sync.Mutex
	pool   *Pool     // whose members are to be had
	any    []*waiter // who take any member
	sticky []*waiter // who want a certain one
}

type waiter struct {
	request Request
	got     chan *Member // takes one
}

// wait waits for a member, with a slot of it.
func (q *queue) wait(ctx context.Context, p *Pool, r Request) (*Member, error) {
	w := &waiter{r, make(chan *Member, 1)}
	if !q.enter(w, p.cfg.MaxPending) {
		// Those who wait may all want certain members.
		if m := p.tryAcquire(r); m != nil {
			return m, nil
		}
		q.refused.Add(1)
		return nil, ErrQueueFull
	}
	// Room that came free before the waiting was seen has woken nobody.
	q.wake()
	timeout := time.NewTimer(p.cfg.QueueTimeout)
	defer timeout.Stop()
	select {
	case m := <-w.got:
		return answer(m)
	case <-ctx.Done():
		return q.leave(w, ctx.Err())
	case <-timeout.C:
		m, err := q.leave(w, ErrQueueTimeout)
		if err != nil {
			q.timedOut.Add(1)
		}
		return m, err
	}
}

// answer turns what a waiter got into a result.
func answer(m *Member) (*Member, error) {
	if m == nil {
		return nil, ErrClosed
	}
	return m, nil
}

func (q *queue) enter(w *waiter, limit int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.any)+len(q.sticky) >= limit {
		return false
	}
	list := q.listOf(w)
	*list = append(*list, w)
	q.count()
	return true
}

func (q *queue) listOf(w *waiter) *[]*waiter {
	if w.request.Affinity == "" {
		return &q.any
	}
	return &q.sticky
}

func (q *queue) count() { q.waiting.Store(int32(len(q.any) + len(q.sticky))) }

// leave ends waiting for reason err, unless w has got a member meanwhile.
func (q *queue) leave(w *waiter, err error) (*Member, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.listOf(w)
	i := slices.Index(*list, w)
	if i < 0 {
		return answer(<-w.got)
	}
	*list = slices.Delete(*list, i, i+1)
	q.count()
	return nil, err
}

// wake hands out the room there is. It is called whenever there may be more of
// it, after the fact.
func (q *queue) wake() {
	if q.waiting.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	// When the first that takes any member finds none, neither do those
	// behind it.
	for len(q.any) > 0 && q.serve(q.any[0]) {
		q.any[0] = nil
		q.any = q.any[1:]
	}
	q.sticky = slices.DeleteFunc(q.sticky, q.serve)
	q.count()
}

// serve gives w a member, if it can; the lock is held.
func (q *queue) serve(w *waiter) bool {
	m := q.pool.tryAcquire(w.request)
	if m != nil {
		w.got <- m
	}
	return m != nil
}

// hand gives the queue to the pool that takes over; nil sends all away.
func (q *queue) hand(p *Pool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p != nil {
		q.pool = p
		return
	}
	for _, w := range slices.Concat(q.any, q.sticky) {
		w.got <- nil
	}
	q.any, q.sticky = nil, nil
	q.count()
}
