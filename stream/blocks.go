package stream

import "github.com/braid-mptcp/braid/seq"

// blocks is a window of memory that slides over the positions of a stream.
type blocks struct {
	pool  *Pool
	first seq.Pos   // position of list[0][0], a multiple of blockSize
	list  []*Buffer // nil where nothing was put yet
}

// at gives the memory at p up to the end of its block, making it if needed.
func (b *blocks) at(p seq.Pos) Piece {
	if len(b.list) == 0 {
		b.first = p &^ (blockSize - 1)
	}
	if p < b.first { // only when bytes came out of order into an empty buffer
		b.prepend(int((b.first-p-1)/blockSize) + 1)
	}
	i := int((p - b.first) / blockSize)
	for len(b.list) <= i {
		b.list = append(b.list, nil)
	}
	if b.list[i] == nil {
		b.list[i] = b.pool.Buffer(blockSize)
	}
	in := b.list[i]
	return Piece{in.Mem[(p-b.first)%blockSize:], in}
}

// prepend makes the window begin n blocks earlier.
func (b *blocks) prepend(n int) {
	old := len(b.list)
	for range n {
		b.list = append(b.list, nil)
	}
	copy(b.list[n:], b.list[:old])
	clear(b.list[:n])
	b.first -= seq.Pos(n) * blockSize
}

// write copies data to position p.
func (b *blocks) write(p seq.Pos, data []byte) {
	for len(data) > 0 {
		n := copy(b.at(p).Data, data)
		data, p = data[n:], p+seq.Pos(n)
	}
}

// read copies from position p into dst; all of it must have been written.
func (b *blocks) read(p seq.Pos, dst []byte) {
	for len(dst) > 0 {
		n := copy(dst, b.at(p).Data)
		dst, p = dst[n:], p+seq.Pos(n)
	}
}

// free gives back all memory below p.
func (b *blocks) free(p seq.Pos) {
	n := min(int((p-b.first)/blockSize), len(b.list))
	if n <= 0 {
		return
	}
	drop(b.list[:n])
	m := copy(b.list, b.list[n:])
	clear(b.list[m:])
	b.list = b.list[:m]
	b.first += seq.Pos(n) * blockSize
}

// punch gives back the blocks that lie wholly inside rg.
func (b *blocks) punch(rg seq.Range) {
	lo := int((max(rg.Lo, b.first) - b.first + blockSize - 1) / blockSize)
	hi := min(int((rg.Hi-b.first)/blockSize), len(b.list))
	if lo < hi {
		drop(b.list[lo:hi])
	}
}

// drop lets go of blocks.
func drop(list []*Buffer) {
	for i, blk := range list {
		if blk != nil {
			blk.Release()
			list[i] = nil
		}
	}
}

// release gives back everything but a short list, so that a connection that is
// idle now and then does not allocate one each time.
func (b *blocks) release() {
	drop(b.list)
	if b.list = b.list[:0]; cap(b.list) > keptList {
		b.list = nil
	}
}

const keptList = 64
