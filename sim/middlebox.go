package sim

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// Middlebox is a box on a link that sees every packet of both directions and
// does as it likes with them. What it does not hand to the Outlet is gone.
//
// What the boxes of this package are for, by the cases in which a network
// interferes with Multipath TCP:
//
//	options removed from some packets                  Strip
//	options changed: version, flags, tokens, HMACs     Alter
//	packets lost at the worst moment, or all of a kind Drop
//	packets late, behind those sent after them         Hold
//	a server that echoes the options of the SYN        Echo
//	payload rewritten, with and without a new length   Rewrite
//	segments split, options copied or on one piece     Resegment
//	segments joined, one set of options lost           Coalesce
//	initial sequence numbers rewritten                 ShiftISN
//	addresses and ports translated, flows forgotten    NAT
//	one address, many hosts: balancers, anycast, ECMP  Balance
//	a proxy that acknowledges early, and loses data    EarlyACK
//	a proxy that answers SYNs itself                   SYNProxy
//	boxes that follow the sequence numbers             RefuseHoles, GuardACKs
//	window and ECN fields changed                      ShrinkWindow, SetECN
//	forged packets                                     Forge, Link.Inject
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
