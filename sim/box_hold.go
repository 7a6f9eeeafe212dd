package sim

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// Hold keeps the packets it picks for a time, so that those sent behind them
// arrive first: a third ACK that comes after the first data, for example.
type Hold struct {
	Pick
	For time.Duration

	queue [2]fifo
	pool  pool
}

// Handle implements Middlebox.
func (b *Hold) Handle(now time.Time, dir Dir, pkt []byte, out Outlet) {
	if !b.pick(dir, pkt) {
		out.Send(dir, pkt)
		return
	}
	pk := b.pool.get(pkt, wire.Offload{})
	pk.at = now.Add(b.For)
	b.queue[dir].push(pk)
}

// Next implements TimedMiddlebox.
func (b *Hold) Next() time.Time {
	var next time.Time
	for i := range b.queue {
		if pk := b.queue[i].head; pk != nil {
			next = earlier(next, pk.at)
		}
	}
	return next
}

// Advance implements TimedMiddlebox.
func (b *Hold) Advance(now time.Time, out Outlet) {
	for i := range b.queue {
		for q := &b.queue[i]; q.head != nil && !q.head.at.After(now); {
			pk := q.pop()
			out.Send(Dir(i), pk.data)
			b.pool.put(pk)
		}
	}
}
