package sim

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// Middlebox is a box on a link that sees every packet of both directions and
// does as it likes with them. What it does not hand to the Outlet is gone.
type Middlebox interface {
	// Handle takes a packet on its way in direction dir. The box may change
	// pkt and must not keep it.
	Handle(now time.Time, dir Dir, pkt []byte, out Outlet)
}

// TimedMiddlebox is a Middlebox that keeps packets and lets go of them by
// itself.
type TimedMiddlebox interface {
	Middlebox
	// Next gives when Advance is to be called, the zero time if never.
	Next() time.Time
	// Advance lets go of what is due.
	Advance(now time.Time, out Outlet)
}

// Outlet is where a middlebox puts what leaves it. It is good only during the
// call it was given in.
type Outlet struct {
	link  *Link
	now   time.Time
	stage int
}

// Send lets a packet leave the box in a direction: the one it came in to pass
// it on, the other to answer its sender. The packet may be used again when
// Send returns.
func (o Outlet) Send(dir Dir, pkt []byte) {
	next := o.stage + 1
	if dir == BA {
		next = o.stage - 1
	}
	o.link.at(o.now, dir, next, pkt, wire.Offload{})
}
