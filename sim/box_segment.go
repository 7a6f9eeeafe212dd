package sim

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// Resegment splits the data segments it picks into smaller ones, as old
// segmentation offload and some normalisers do.
type Resegment struct {
	Pick
	Size int // the most payload of a piece, in bytes
	// Repeat copies the MPTCP options to every piece. Otherwise only the first
	// piece has them, and padding in their place on the others.
	Repeat bool

	emit    func(piece []byte)
	pieces  int
	dir     Dir
	out     Outlet
	scratch []byte
}

// Handle implements Middlebox.
func (b *Resegment) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if !b.read(dir, pkt) || len(b.seg.Payload) <= b.Size || !b.choose() {
		out.Send(dir, pkt)
		return
	}
	if b.emit == nil {
		b.emit = b.piece
		b.scratch = make([]byte, bufferSizes[len(bufferSizes)-1])
	}
	b.pieces, b.dir, b.out = 0, dir, out
	wire.Split(pkt, b.Size, b.scratch, b.emit)
}

func (b *Resegment) piece(pkt []byte) {
	if b.pieces > 0 && !b.Repeat {
		v := viewOf(pkt)
		for option := range eachOption(v.options) {
			if option[0] == optionMPTCP {
				blank(option)
			}
		}
		v.finish()
	}
	b.pieces++
	b.out.Send(b.dir, pkt)
}

// Coalesce joins pairs of data segments that follow each other into one, which
// keeps the options of only one of them. It is for one connection at a time.
type Coalesce struct {
	Pick
	Max      int           // the most payload of the joined segment, in bytes
	Hold     time.Duration // how long a segment waits for the next
	KeepLast bool          // the options of the second survive, not those of the first

	held [2]heldSegment
	buf  []byte
	join []byte
}

// heldSegment is a segment that waits for one to be joined with.
type heldSegment struct {
	pkt  []byte // empty when nothing waits
	key  flowKey
	next uint32 // the sequence number behind it
	size int    // of its payload
	due  time.Time
}

// Handle implements Middlebox.
func (b *Coalesce) Handle(now time.Time, dir Dir, pkt []byte, out Outlet) {
	joinable := b.read(dir, pkt) && len(b.seg.Payload) > 0 && !b.seg.Flags.Has(wire.SYN)
	h := &b.held[dir]
	if len(h.pkt) > 0 {
		if joinable && keyOf(dir, &b.seg) == h.key && b.seg.Seq == h.next && h.size+len(b.seg.Payload) <= b.Max && b.choose() {
			b.joined(dir, h, pkt, out)
			return
		}
		b.release(dir, out)
	}
	if !joinable || b.seg.Flags.Has(wire.FIN) || len(b.seg.Payload) >= b.Max {
		out.Send(dir, pkt)
		return
	}
	h.pkt = append(h.pkt[:0], pkt...)
	h.key, h.size, h.due = keyOf(dir, &b.seg), len(b.seg.Payload), now.Add(b.Hold)
	h.next = b.seg.Seq + uint32(h.size)
}

// joined sends the segment that waited and the one that came as one.
func (b *Coalesce) joined(dir Dir, h *heldSegment, pkt []byte, out Outlet) {
	first, second := viewOf(h.pkt), viewOf(pkt)
	b.join = append(append(b.join[:0], first.payload...), second.payload...)
	options := first.options
	if b.KeepLast {
		options = second.options
	}
	v := second.rebuild(b.buf, options, b.join) // the newer ACK and window
	v.setSeq(first.seq())
	v.finish()
	b.buf = v.pkt
	h.pkt = h.pkt[:0]
	out.Send(dir, v.pkt)
}

func (b *Coalesce) release(dir Dir, out Outlet) {
	if h := &b.held[dir]; len(h.pkt) > 0 {
		out.Send(dir, h.pkt)
		h.pkt = h.pkt[:0]
	}
}

// Next implements TimedMiddlebox.
func (b *Coalesce) Next() time.Time {
	var next time.Time
	for i := range b.held {
		if len(b.held[i].pkt) > 0 {
			next = earlier(next, b.held[i].due)
		}
	}
	return next
}

// Advance implements TimedMiddlebox.
func (b *Coalesce) Advance(now time.Time, out Outlet) {
	for dir := range b.held {
		if !b.held[dir].due.After(now) {
			b.release(Dir(dir), out)
		}
	}
}
