package stream

import "github.com/braid-mptcp/braid/seq"

// Recv holds bytes that arrived, in any order, until they are read in order.
// The first byte of the stream has position 1. The first copy of a byte wins;
// later ones are dropped unread (RFC 8684 section 3.3.1).
type Recv struct {
	blocks blocks
	read   seq.Pos // next byte to be read
	next   seq.Pos // first byte not there: all before it are
	ahead  seq.Set // what is there beyond next
	limit  int
	edge   seq.Pos // right edge of the window last offered; never moves left

	// Lenient lets Insert take as much as limit beyond the window: for data
	// that its sender would be slow to send again.
	Lenient bool
}

// NewRecv makes a buffer that offers a window of limit bytes.
func NewRecv(pool *Pool, limit int) Recv {
	return Recv{blocks: blocks{pool: pool}, read: 1, next: 1, limit: limit, edge: 1 + seq.Pos(limit)}
}

// Next is the first position not received: RCV.NXT, or at data level the Data ACK.
func (r *Recv) Next() seq.Pos { return r.next }

// Readable is how many bytes Read would give.
func (r *Recv) Readable() int { return int(r.next - r.read) }

// Ahead is how many bytes wait for earlier ones.
func (r *Recv) Ahead() int { return r.ahead.Len() }

// Limit is the window in bytes offered to an empty buffer.
func (r *Recv) Limit() int { return r.limit }

// Grow raises the limit to n; it is never lowered, since an offered window
// must not be taken back (RFC 9293 section 3.8.6).
func (r *Recv) Grow(n int) { r.limit = max(r.limit, n) }

// Edge is the end of the window: read position plus limit, moved on only when
// that gains at least step bytes or half the buffer (silly window avoidance,
// RFC 9293 section 3.8.6.2.2).
func (r *Recv) Edge(step int) seq.Pos {
	if edge := r.read + seq.Pos(r.limit); edge-r.edge >= seq.Pos(min(step, r.limit/2)) {
		r.edge = edge
	}
	return r.edge
}

// WouldGain is by how many bytes the window offered last has fallen behind.
func (r *Recv) WouldGain() int { return int(r.read + seq.Pos(r.limit) - r.edge) }

// Insert takes the bytes from position p on, as far as they are new and lie
// within the window, and returns how many that were.
func (r *Recv) Insert(p seq.Pos, data []byte) int {
	most := r.edge
	if r.Lenient {
		most += seq.Pos(r.limit)
	}
	want := seq.Range{Lo: max(p, r.next), Hi: min(p+seq.Pos(len(data)), most)}
	if want.Empty() {
		return 0
	}
	if want.Lo == r.next && r.ahead.Empty() { // the usual case
		r.blocks.write(want.Lo, data[want.Lo-p:want.Hi-p])
		r.next = want.Hi
		return want.Len()
	}
	n := 0
	for rest := want; !rest.Empty(); {
		gap, next := r.ahead.NextGap(rest)
		if !gap.Empty() {
			r.blocks.write(gap.Lo, data[gap.Lo-p:gap.Hi-p])
			n += gap.Len()
		}
		rest.Lo = next
	}
	r.ahead.Add(want)
	if first := r.ahead.Ranges()[0]; first.Lo == r.next {
		r.next = first.Hi
		r.ahead.Remove(first)
	}
	return n
}

// Has reports whether all bytes of rg have arrived (read ones included).
func (r *Recv) Has(rg seq.Range) bool {
	rg.Lo = max(rg.Lo, r.next)
	return rg.Empty() || r.ahead.Contains(rg)
}

// Read moves bytes out, in order.
func (r *Recv) Read(b []byte) int {
	n := min(len(b), r.Readable())
	r.blocks.read(r.read, b[:n])
	r.read += seq.Pos(n)
	if r.read == r.next && r.ahead.Empty() {
		r.blocks.release() // an idle connection holds no memory
	} else {
		r.blocks.free(r.read)
	}
	return n
}

// Slice gives the longest run of bytes at p that lie together in memory, at
// most n; they must have arrived and not been read.
func (r *Recv) Slice(p seq.Pos, n int) []byte {
	b := r.blocks.at(p)
	return b[:min(n, len(b))]
}

// Skip gives up everything below p, read or not, arrived or not.
func (r *Recv) Skip(p seq.Pos) {
	if p <= r.read {
		return
	}
	r.read = p
	r.next = max(r.next, p)
	r.ahead.Remove(seq.Range{Lo: r.ahead.First(p), Hi: r.next})
	if first := r.ahead.First(r.next); first == r.next && !r.ahead.Empty() {
		rg := r.ahead.Ranges()[0]
		r.next = rg.Hi
		r.ahead.Remove(rg)
	}
	r.blocks.free(p)
	r.edge = max(r.edge, p+seq.Pos(r.limit))
}

// Clear drops everything unread.
func (r *Recv) Clear() {
	r.read = r.next
	r.ahead = seq.Set{}
	r.blocks.release()
}

// Holds reports whether any byte of rg is waiting here.
func (r *Recv) Holds(rg seq.Range) bool {
	found := false
	r.Each(func(have seq.Range) { found = found || !have.Intersect(rg).Empty() })
	return found
}

// Each calls f for every run of bytes that waits to be read, in order.
func (r *Recv) Each(f func(seq.Range)) {
	if r.read < r.next {
		f(seq.Range{Lo: r.read, Hi: r.next})
	}
	for _, rg := range r.ahead.Ranges() {
		f(rg)
	}
}

// Offered is how many bytes of the window last offered are still free.
func (r *Recv) Offered() int { return max(0, int(r.edge-r.next)) }
