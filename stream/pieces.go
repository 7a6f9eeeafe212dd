package stream

import "github.com/braid-mptcp/braid/seq"

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

func (k *keptPiece) release(pool *Pool) {
	if pool != nil {
		pool.kept -= len(k.In.Mem)
	}
	k.In.Release()
}

// pieces are what a stream keeps in the Buffers it came in, in the order of
// their positions.
type pieces struct {
	list []keptPiece
	head int // list[:head] is done with
}

func (ps *pieces) live() []keptPiece { return ps.list[ps.head:] }

// add keeps p at position at, which no other piece covers.
func (ps *pieces) add(pool *Pool, at seq.Pos, p Piece) {
	p.In.Hold()
	if pool != nil {
		pool.kept += len(p.In.Mem)
	}
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
func (ps *pieces) free(pool *Pool, p seq.Pos) {
	for ps.head < len(ps.list) && ps.list[ps.head].hi() <= p {
		ps.list[ps.head].release(pool)
		ps.list[ps.head] = keptPiece{}
		ps.head++
	}
	if ps.head == len(ps.list) {
		ps.list, ps.head = ps.list[:0], 0
	}
}

// release lets go of everything, and of the list if that grew long.
func (ps *pieces) release(pool *Pool) {
	live := ps.live()
	for i := range live {
		live[i].release(pool)
	}
	clear(live)
	if ps.list, ps.head = ps.list[:0], 0; cap(ps.list) > keptList {
		ps.list = nil
	}
}
