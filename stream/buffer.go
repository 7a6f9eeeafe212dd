package stream

import "github.com/braid-mptcp/braid/seq"

// Buffer is memory that packets are read into. Where a packet brings many bytes
// of a stream, the stream keeps the Buffer instead of a copy. Whoever reads
// packets begins as its one holder; each run of bytes kept is another. The last
// to let go gives it back to its Pool.
type Buffer struct {
	Mem     []byte // all of it
	pool    *Pool
	holders int
}

// maxFreeBuffers bounds the Buffers a Pool keeps for reuse: 8 MiB of the
// largest packets.
const maxFreeBuffers = 128

// Buffer gives memory of n bytes, which must be the same for all Buffers of a
// Pool that are to be used again.
func (p *Pool) Buffer(n int) *Buffer {
	for len(p.buffers) > 0 {
		b := p.buffers[len(p.buffers)-1]
		p.buffers = p.buffers[:len(p.buffers)-1]
		if len(b.Mem) == n {
			b.holders = 1
			return b
		}
	}
	return &Buffer{Mem: make([]byte, n), pool: p, holders: 1}
}

// Renew gives a Buffer for the next packet after a stream was offered this one:
// the same, unless it was kept.
func (b *Buffer) Renew() *Buffer {
	if b.holders == 1 {
		return b
	}
	b.holders--
	return b.pool.Buffer(len(b.Mem))
}

// keep makes one more holder.
func (b *Buffer) keep() {
	b.holders++
	b.pool.kept += len(b.Mem)
}

// release lets go of what keep took.
func (b *Buffer) release() {
	b.pool.kept -= len(b.Mem)
	if b.holders--; b.holders == 0 && len(b.pool.buffers) < maxFreeBuffers {
		b.pool.buffers = append(b.pool.buffers, b)
	}
}

// Piece is bytes that arrived. In is the Buffer they lie in; nil where the
// memory is the caller's again after the call.
type Piece struct {
	Data []byte
	In   *Buffer
}

// Len is the number of bytes.
func (p Piece) Len() int { return len(p.Data) }

// Cut gives the bytes from lo up to hi.
func (p Piece) Cut(lo, hi int) Piece { return Piece{p.Data[lo:hi], p.In} }

// worthKeeping reports whether p is better kept than copied: it fills half its
// Buffer, so that a receive window of such pieces holds at most twice its size
// in memory, and it is no less than a block, so that they are few.
func (p Piece) worthKeeping() bool {
	return p.In != nil && len(p.Data) >= blockSize && 2*len(p.Data) >= len(p.In.Mem)
}

// keptPiece is a Piece at its position in a stream.
type keptPiece struct {
	lo seq.Pos
	Piece
}

func (k *keptPiece) hi() seq.Pos { return k.lo + seq.Pos(len(k.Data)) }

// pieces are what a stream keeps in Buffers, in the order of their positions.
type pieces struct {
	list []keptPiece
	head int // list[:head] is done with
}

func (ps *pieces) live() []keptPiece { return ps.list[ps.head:] }

// add keeps p at position at, which no other piece covers.
func (ps *pieces) add(at seq.Pos, p Piece) {
	p.In.keep()
	if ps.head > 0 && len(ps.list) == cap(ps.list) {
		n := copy(ps.list, ps.live())
		clear(ps.list[n:])
		ps.list, ps.head = ps.list[:n], 0
	}
	ps.list = append(ps.list, keptPiece{})
	i := len(ps.list) - 1
	for ; i > ps.head && ps.list[i-1].lo > at; i-- {
		ps.list[i] = ps.list[i-1]
	}
	ps.list[i] = keptPiece{at, p}
}

// at gives the bytes kept at p, or none, and where the next piece begins if
// there is one before limit.
func (ps *pieces) at(p, limit seq.Pos) (Piece, seq.Pos) {
	live := ps.live()
	for i := range live {
		k := &live[i]
		switch {
		case k.lo > p:
			return Piece{}, min(k.lo, limit)
		case p < k.hi():
			return k.Cut(int(p-k.lo), k.Len()), limit
		}
	}
	return Piece{}, limit
}

// free lets go of the pieces that lie wholly below p.
func (ps *pieces) free(p seq.Pos) {
	for ps.head < len(ps.list) && ps.list[ps.head].hi() <= p {
		ps.list[ps.head].In.release()
		ps.list[ps.head] = keptPiece{}
		ps.head++
	}
	if ps.head == len(ps.list) {
		ps.list, ps.head = ps.list[:0], 0
	}
}

// release lets go of everything, and of the list if that grew long.
func (ps *pieces) release() {
	live := ps.live()
	for i := range live {
		live[i].In.release()
	}
	clear(live)
	if ps.list, ps.head = ps.list[:0], 0; cap(ps.list) > keptList {
		ps.list = nil
	}
}
