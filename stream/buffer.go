package stream

// Buffer is memory that more than one may need at the same time: a stream, the
// device that its bytes come from or go to, the application that copies them.
// Each of them holds it; the last to let go gives it back to its Pool.
//
// What is done with a Buffer, but for reading and writing the bytes in it, is
// done by whoever owns the stack.
type Buffer struct {
	Mem     []byte // all of it
	pool    *Pool
	holders int
}

// Hold makes one more holder.
func (b *Buffer) Hold() { b.holders++ }

// Release lets go of b.
func (b *Buffer) Release() {
	if b.holders--; b.holders == 0 {
		b.pool.put(b)
	}
}

// Renew gives a Buffer for the next packet to a holder who offered this one to
// a stream: the same, unless the stream holds it.
func (b *Buffer) Renew() *Buffer {
	if b.holders == 1 {
		return b
	}
	b.holders--
	return b.pool.Buffer(len(b.Mem))
}

// Piece is a run of bytes. In is the Buffer they lie in; nil where the memory
// is the caller's again after the call.
type Piece struct {
	Data []byte
	In   *Buffer
}

// Len is the number of bytes.
func (p Piece) Len() int { return len(p.Data) }

// Cut gives the bytes from lo up to hi.
func (p Piece) Cut(lo, hi int) Piece { return Piece{p.Data[lo:hi], p.In} }

// Release lets go of the Buffers of all pieces and forgets them.
func Release(pieces []Piece) {
	for i := range pieces {
		pieces[i].In.Release()
	}
	clear(pieces)
}

// blockSize is a compromise: small enough that a connection with a few bytes
// waiting costs little, large enough that bulk copies are long.
const blockSize = 16 << 10

// What a Pool keeps for reuse: 32 MiB of blocks, and 8 MiB of the largest
// packets.
const (
	maxFreeBlocks  = 2048
	maxFreePackets = 128
)

// Pool keeps Buffers for reuse, for all connections of one stack. A nil *Pool
// works and keeps nothing. Buffers are not cleared: a stream never gives out
// bytes that were not put in.
type Pool struct {
	blocks  []*Buffer // of blockSize, nobody holds them
	packets []*Buffer // of other sizes, likewise
	used    int       // blocks given out and not yet given back
	kept    int       // bytes of other Buffers that streams keep
}

// InUse is the memory in bytes that streams hold now.
func (p *Pool) InUse() int { return p.used*blockSize + p.kept }

// Buffer gives memory of n bytes to its first holder. Packets of one Pool should
// have Buffers of one size: those of another are not used again.
func (p *Pool) Buffer(n int) *Buffer {
	if p != nil {
		free := &p.packets
		if n == blockSize {
			free, p.used = &p.blocks, p.used+1
		}
		for len(*free) > 0 {
			b := (*free)[len(*free)-1]
			*free = (*free)[:len(*free)-1]
			if len(b.Mem) == n {
				b.holders = 1
				return b
			}
		}
	}
	return &Buffer{Mem: make([]byte, n), pool: p, holders: 1}
}

func (p *Pool) put(b *Buffer) {
	if p == nil {
		return
	}
	if len(b.Mem) != blockSize {
		if len(p.packets) < maxFreePackets {
			p.packets = append(p.packets, b)
		}
		return
	}
	p.used--
	if len(p.blocks) < maxFreeBlocks {
		p.blocks = append(p.blocks, b)
	}
}
