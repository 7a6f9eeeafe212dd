package stream

import "github.com/braid-mptcp/braid/seq"

// blockSize is a compromise: small enough that a connection with a few bytes
// waiting costs little, large enough that bulk copies are long.
const blockSize = 16 << 10

type block [blockSize]byte

// maxFree bounds what a Pool keeps for reuse: 32 MiB.
const maxFree = 2048

// Pool keeps blocks for reuse, for all connections of one stack. A nil *Pool
// works and keeps nothing. Blocks are not cleared: a buffer never gives out
// bytes that were not put in.
type Pool struct {
	free []*block
	used int // given out and not yet given back

	buffers []*Buffer // with no holder
	kept    int       // bytes of Buffers that streams keep
}

// InUse is the memory in bytes that streams hold now.
func (p *Pool) InUse() int { return p.used*blockSize + p.kept }

func (p *Pool) get() *block {
	if p == nil {
		return new(block)
	}
	p.used++
	if len(p.free) == 0 {
		return new(block)
	}
	b := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	return b
}

func (p *Pool) put(b *block) {
	if p == nil || b == nil {
		return
	}
	p.used--
	if len(p.free) < maxFree {
		p.free = append(p.free, b)
	}
}

// blocks is a window of memory that slides over the positions of a stream.
type blocks struct {
	pool  *Pool
	first seq.Pos  // position of list[0][0], a multiple of blockSize
	list  []*block // nil where nothing was put yet
}

// at gives the memory at p up to the end of its block, making it if needed.
func (b *blocks) at(p seq.Pos) []byte {
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
		b.list[i] = b.pool.get()
	}
	return b.list[i][(p-b.first)%blockSize:]
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
		n := copy(b.at(p), data)
		data, p = data[n:], p+seq.Pos(n)
	}
}

// read copies from position p into dst; all of it must have been written.
func (b *blocks) read(p seq.Pos, dst []byte) {
	for len(dst) > 0 {
		n := copy(dst, b.at(p))
		dst, p = dst[n:], p+seq.Pos(n)
	}
}

// free gives back all memory below p.
func (b *blocks) free(p seq.Pos) {
	n := min(int((p-b.first)/blockSize), len(b.list))
	if n <= 0 {
		return
	}
	for _, blk := range b.list[:n] {
		b.pool.put(blk)
	}
	m := copy(b.list, b.list[n:])
	clear(b.list[m:])
	b.list = b.list[:m]
	b.first += seq.Pos(n) * blockSize
}

// punch gives back the blocks that lie wholly inside rg.
func (b *blocks) punch(rg seq.Range) {
	lo := int((max(rg.Lo, b.first) - b.first + blockSize - 1) / blockSize)
	hi := min(int((rg.Hi-b.first)/blockSize), len(b.list))
	for i := lo; i < hi; i++ {
		b.pool.put(b.list[i])
		b.list[i] = nil
	}
}

// release gives back everything but a short list, so that a connection that is
// idle now and then does not allocate one each time.
func (b *blocks) release() {
	for _, blk := range b.list {
		b.pool.put(blk)
	}
	clear(b.list)
	if b.list = b.list[:0]; cap(b.list) > keptList {
		b.list = nil
	}
}

const keptList = 64
