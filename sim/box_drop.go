package sim

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// Drop loses the packets it picks: SYNs with MP_CAPABLE, the third ACK, the
// second and third data segment, each tenth ACK, SYNs with data or a Fast Open
// option, or whatever When says.
type Drop struct{ Pick }

// Handle implements Middlebox.
func (b *Drop) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if !b.pick(dir, pkt) {
		out.Send(dir, pkt)
	}
}

// RefuseHoles follows the sequence numbers of every connection and loses data
// that does not continue what it has let pass, as boxes do that inspect
// content. It takes effect where something was lost or reordered before it:
// put it behind the line.
type RefuseHoles struct {
	Way     Way
	Refused int

	seg   wire.Segment
	flows flows[[2]passed]
}

// passed is how far a stream has got without a hole.
type passed struct {
	started bool
	next    uint32
}

// Handle implements Middlebox.
func (b *RefuseHoles) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if !b.Way.allows(dir) || wire.ParseSegment(pkt, &b.seg, false) != nil {
		out.Send(dir, pkt)
		return
	}
	s := &b.seg
	p := &b.flows.of(dir, s).own[dir]
	if !p.started || s.Flags.Has(wire.SYN) {
		p.started, p.next = true, s.Seq
	}
	if s.Len() > 0 && int32(s.Seq-p.next) > 0 {
		b.Refused++
		return
	}
	if end := s.Seq + uint32(s.Len()); int32(end-p.next) > 0 {
		p.next = end
	}
	out.Send(dir, pkt)
}

// GuardACKs does not let an ACK pass for data that it has not seen pass
// itself: it is lost or, with Correct, cut back to what the box has seen.
// Such ACKs come about where a part of the data took another way.
type GuardACKs struct {
	Correct bool
	Guarded int

	seg   wire.Segment
	flows flows[struct{}]
}

// Handle implements Middlebox.
func (b *GuardACKs) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if wire.ParseSegment(pkt, &b.seg, false) != nil {
		out.Send(dir, pkt)
		return
	}
	f := b.flows.of(dir, &b.seg)
	rev := dir.Reverse()
	if b.seg.Flags.Has(wire.ACK) && f.pos(rev, b.seg.Ack) > f.end[rev] {
		b.Guarded++
		if !b.Correct {
			return
		}
		v := viewOf(pkt)
		v.setAck(f.number(rev, f.end[rev]))
		v.finish()
	}
	out.Send(dir, pkt)
}
