package sim

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// ShrinkWindow lowers the window field of the packets it picks to at most Max,
// in the unit of the field: the scale is not looked at.
type ShrinkWindow struct {
	Pick
	Max uint16
}

// Handle implements Middlebox.
func (b *ShrinkWindow) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if b.pick(dir, pkt) && b.seg.Window > b.Max {
		v := viewOf(pkt)
		v.setWindow(b.Max)
		v.finish()
	}
	out.Send(dir, pkt)
}

// The ECN field of the IP header (RFC 3168 section 5).
const (
	NotECT = 0
	ECT1   = 1
	ECT0   = 2
	CE     = 3
)

// SetECN overwrites the ECN field of the packets it picks among those that
// have one set: with NotECT it bleaches, with CE it reports congestion.
type SetECN struct {
	Pick
	To uint8
}

// Handle implements Middlebox.
func (b *SetECN) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if b.read(dir, pkt) && b.seg.TOS&3 != NotECT && b.choose() {
		v := viewOf(pkt)
		tos := b.seg.TOS&^3 | b.To&3
		if pkt[0]>>4 == 4 {
			pkt[1] = tos
		} else { // RFC 8200 section 3: it lies across two bytes
			pkt[0] = pkt[0]&0xf0 | tos>>4
			pkt[1] = pkt[1]&0x0f | tos<<4
		}
		v.finish()
	}
	out.Send(dir, pkt)
}

// ShiftISN gives every connection other initial sequence numbers, as firewalls
// do that mistrust those of the hosts, and shifts all that follows in both
// directions. FixSACK says whether it knows of SACK; many do not, and the
// blocks then point outside the window.
type ShiftISN struct {
	Seed    uint64
	FixSACK bool

	seg   wire.Segment
	flows flows[isnShift]
}

// isnShift is how much is added to the numbers of each stream.
type isnShift struct {
	drawn bool
	by    [2]uint32
}

// Handle implements Middlebox.
func (b *ShiftISN) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if wire.ParseSegment(pkt, &b.seg, false) != nil {
		out.Send(dir, pkt)
		return
	}
	f := b.flows.of(dir, &b.seg)
	if f.opened && !f.own.drawn {
		rng := newRand(b.Seed, uint64(len(b.flows.table)))
		f.own = isnShift{true, [2]uint32{rng.Uint32(), rng.Uint32()}}
	}
	if f.own.drawn {
		v := viewOf(pkt)
		b.shift(&v, f.own.by[dir], f.own.by[dir.Reverse()])
		v.finish()
	}
	out.Send(dir, pkt)
}

// shift changes one segment: what it sends, and what it says of the other
// stream.
func (b *ShiftISN) shift(v *view, own, other uint32) {
	v.setSeq(v.seq() + own)
	if !v.flags().Has(wire.ACK) {
		return
	}
	v.setAck(v.ack() - other)
	if b.FixSACK {
		mapSACK(v.options, func(edge uint32) uint32 { return edge - other })
	}
}

// Forge lets a function see the packets it picks and send segments of its own
// behind them, in either direction: a forged ADD_ADDR, a reset, stale data. s
// refers to the packet; its content may be used and changed.
type Forge struct {
	Pick
	Make func(now time.Time, dir Dir, s *wire.Segment, send func(dir Dir, s *wire.Segment))
}

// Handle implements Middlebox.
func (b *Forge) Handle(now time.Time, dir Dir, pkt []byte, out Outlet) {
	if !b.pick(dir, pkt) {
		out.Send(dir, pkt)
		return
	}
	s := b.seg
	s.Payload = append([]byte(nil), s.Payload...)
	out.Send(dir, pkt)
	b.Make(now, dir, &s, func(dir Dir, s *wire.Segment) {
		out.Send(dir, wire.AppendSegment(nil, s))
	})
}
