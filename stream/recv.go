package stream

import "github.com/braid-mptcp/braid/seq"

// Recv holds bytes that arrived, in any order, until they are read in order.
// The first byte of the stream has position 1. The first copy of a byte wins;
// later ones are dropped unread (RFC 8684 section 3.3.1).
//
// Large pieces stay in the Buffers they came in; the rest is copied.
type Recv struct {
	kept   pieces
	blocks blocks  // where kept has nothing
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

// Insert is InsertPiece for bytes in memory that stays the caller's.
func (r *Recv) Insert(p seq.Pos, data []byte) int { return r.InsertPiece(p, Piece{Data: data}) }

// InsertPiece takes the bytes from position p on, as far as they are new and
// lie within the window, and returns how many that were.
func (r *Recv) InsertPiece(p seq.Pos, data Piece) int {
	most := r.edge
	if r.Lenient {
		most += seq.Pos(r.limit)
	}
	want := seq.Range{Lo: max(p, r.next), Hi: min(p+seq.Pos(data.Len()), most)}
	if want.Empty() {
		return 0
	}
	if want.Lo == r.next && r.ahead.Empty() { // the usual case
		r.put(want.Lo, data.Cut(int(want.Lo-p), int(want.Hi-p)))
		r.next = want.Hi
		return want.Len()
	}
	n := 0
	for rest := want; !rest.Empty(); {
		gap, next := r.ahead.NextGap(rest)
		if !gap.Empty() {
			r.put(gap.Lo, data.Cut(int(gap.Lo-p), int(gap.Hi-p)))
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

// put keeps or copies bytes that are new.
func (r *Recv) put(p seq.Pos, data Piece) {
	if data.worthKeeping() {
		r.kept.add(r.blocks.pool, p, data)
		return
	}
	r.blocks.write(p, data.Data)
}

// Has reports whether all bytes of rg have arrived (read ones included).
func (r *Recv) Has(rg seq.Range) bool {
	rg.Lo = max(rg.Lo, r.next)
	return rg.Empty() || r.ahead.Contains(rg)
}

// Read moves bytes out, in order.
func (r *Recv) Read(b []byte) int {
	n := min(len(b), r.Readable())
	for got := 0; got < n; {
		k := copy(b[got:n], r.Slice(r.read, n-got))
		r.read += seq.Pos(k)
		got += k
	}
	r.freeRead()
	return n
}

// Take is Read without the copy: it appends to dst the pieces in which up to n
// bytes lie. Whoever takes them releases them.
func (r *Recv) Take(dst []Piece, n int) []Piece {
	end := r.read + seq.Pos(min(n, r.Readable()))
	for r.read < end {
		p := r.Piece(r.read, int(end-r.read))
		p.In.Hold()
		dst = append(dst, p)
		r.read += seq.Pos(p.Len())
	}
	r.freeRead()
	return dst
}

// freeRead lets go of what has been read.
func (r *Recv) freeRead() {
	if r.read == r.next && r.ahead.Empty() {
		r.release() // an idle connection holds no memory
	} else {
		r.free(r.read)
	}
}

// Piece gives the longest run of bytes at p that lie together in memory, at
// most n; they must have arrived and not been read.
func (r *Recv) Piece(p seq.Pos, n int) Piece {
	data, next := r.kept.at(p, p+seq.Pos(n))
	if data.In == nil {
		data = r.blocks.at(p)
	}
	return data.Cut(0, min(data.Len(), int(next-p)))
}

// Slice is Piece without its Buffer.
func (r *Recv) Slice(p seq.Pos, n int) []byte { return r.Piece(p, n).Data }

// free gives back the memory below p.
func (r *Recv) free(p seq.Pos) {
	r.kept.free(r.blocks.pool, p)
	r.blocks.free(p)
}

func (r *Recv) release() {
	r.kept.release(r.blocks.pool)
	r.blocks.release()
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
	r.free(p)
	r.edge = max(r.edge, p+seq.Pos(r.limit))
}

// Clear drops everything unread.
func (r *Recv) Clear() {
	r.read = r.next
	r.ahead = seq.Set{}
	r.release()
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
