package sim

import (
	"bytes"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// Edit replaces Cut bytes of a stream from position At on (1 is the first byte
// behind the SYN) by Put. Cut must be less than a segment, or one is left with
// nothing that the receiver would acknowledge.
type Edit struct {
	At  seq.Pos
	Cut int
	Put []byte
}

func (e *Edit) end() seq.Pos { return e.At + seq.Pos(e.Cut) }

// Rewrite changes payload as application level gateways do for FTP or SIP:
// at given positions, or wherever bytes are found within one segment. Where
// the length changes, the sequence numbers behind it are shifted, and ACKs and
// SACK blocks shifted back, so that both ends have a consistent TCP
// connection. Retransmissions, however cut, get the same changes.
type Rewrite struct {
	// Pick chooses the segments in which Find is looked for, counting only
	// those in which it is found, and with Way the streams Edits are for.
	Pick
	Edits     []Edit // in order, not overlapping
	Find, Put []byte

	flows   flows[[2][]Edit] // edits of each stream
	payload []byte
	buf     []byte
}

// Handle implements Middlebox.
func (b *Rewrite) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if wire.ParseSegment(pkt, &b.seg, false) != nil {
		out.Send(dir, pkt)
		return
	}
	s := &b.seg
	known := seq.Pos(0) // how much of the stream has passed already
	if f := b.flows.table[keyOf(dir, s)]; f != nil {
		known = f.end[dir]
	}
	f := b.flows.of(dir, s)
	b.start(f, dir, s)
	b.search(f, dir, pkt, known)

	v := viewOf(pkt)
	b.shiftACK(f, dir.Reverse(), &v)
	from := f.pos(dir, s.Seq)
	edits := f.own[dir]
	v.setSeq(f.number(dir, forward(edits, from)))
	if len(s.Payload) == 0 || !touches(edits, from, len(s.Payload)) {
		v.finish()
		out.Send(dir, pkt)
		return
	}
	b.payload = apply(b.payload[:0], edits, from, s.Payload)
	v = v.rebuild(b.buf, v.options, b.payload)
	b.buf = v.pkt
	out.Send(dir, v.pkt)
}

// start gives a new stream the edits at given positions.
func (b *Rewrite) start(f *flow[[2][]Edit], dir Dir, s *wire.Segment) {
	if f.own[dir] == nil && s.Flags.Has(wire.SYN) && b.Way.allows(dir) {
		f.own[dir] = append(f.own[dir], b.Edits...)
	}
}

// search adds an edit for each place where b.Find begins behind the position
// known. What has passed before must not be changed any more.
func (b *Rewrite) search(f *flow[[2][]Edit], dir Dir, pkt []byte, known seq.Pos) {
	if len(b.Find) == 0 || !bytes.Contains(b.seg.Payload, b.Find) {
		return
	}
	from := f.pos(dir, b.seg.Seq)
	chosen := false
	for i := 0; ; {
		next := bytes.Index(b.seg.Payload[i:], b.Find)
		if next < 0 {
			return
		}
		i += next
		at := from + seq.Pos(i)
		i += len(b.Find)
		if at < known {
			continue
		}
		if !chosen && !b.pick(dir, pkt) {
			return
		}
		chosen = true
		e := Edit{At: at, Cut: len(b.Find), Put: b.Put}
		where := slices.IndexFunc(f.own[dir], func(o Edit) bool { return o.At > at })
		if where < 0 {
			where = len(f.own[dir])
		}
		f.own[dir] = slices.Insert(f.own[dir], where, e)
	}
}

// shiftACK makes an acknowledgment of a changed stream one of the original.
func (b *Rewrite) shiftACK(f *flow[[2][]Edit], stream Dir, v *view) {
	if !v.flags().Has(wire.ACK) || len(f.own[stream]) == 0 {
		return
	}
	original := func(number uint32) uint32 {
		// Changed positions are as near to the end as original ones.
		p := backward(f.own[stream], f.pos(stream, number))
		return f.number(stream, min(p, f.end[stream])) // of a cut only what was sent
	}
	v.setAck(original(v.ack()))
	mapSACK(v.options, original)
}

// forward gives the position in the changed stream of an original one. The
// new bytes of an edit go with the first byte it replaces.
func forward(edits []Edit, p seq.Pos) seq.Pos {
	shift := 0
	for i := range edits {
		e := &edits[i]
		switch {
		case p <= e.At:
			return p + seq.Pos(shift)
		case p < e.end():
			return e.At + seq.Pos(shift+len(e.Put))
		}
		shift += len(e.Put) - e.Cut
	}
	return p + seq.Pos(shift)
}

// backward is the inverse of forward; what lies within new bytes has not got
// as far as the first byte they replace. Bytes that were cut without
// replacement count as received with those before them.
func backward(edits []Edit, q seq.Pos) seq.Pos {
	shift := 0
	for i := range edits {
		e := &edits[i]
		switch at := e.At + seq.Pos(shift); {
		case q < at || q == at && len(e.Put) > 0:
			return q - seq.Pos(shift)
		case q < at+seq.Pos(len(e.Put)):
			return e.At
		}
		shift += len(e.Put) - e.Cut
	}
	return q - seq.Pos(shift)
}

// touches reports whether an edit changes any of n bytes from p on.
func touches(edits []Edit, p seq.Pos, n int) bool {
	for i := range edits {
		if e := &edits[i]; e.At < p+seq.Pos(n) && p < max(e.end(), e.At+1) {
			return true
		}
	}
	return false
}

// apply appends the changed form of the bytes from position p on.
func apply(b []byte, edits []Edit, p seq.Pos, payload []byte) []byte {
	for i := range edits {
		e := &edits[i]
		if e.At >= p+seq.Pos(len(payload)) {
			break
		}
		if e.At >= p {
			b = append(b, payload[:e.At-p]...)
			b = append(b, e.Put...)
			payload, p = payload[e.At-p:], e.At
		}
		if n := min(max(int(e.end()-p), 0), len(payload)); n > 0 {
			payload, p = payload[n:], p+seq.Pos(n)
		}
	}
	return append(b, payload...)
}
