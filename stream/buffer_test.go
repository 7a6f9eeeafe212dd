package stream

import (
	"testing"

	"github.com/braid-mptcp/braid/seq"
)

// packet reads the bytes of position p into in, behind a header.
func packet(in *Buffer, p seq.Pos, n int) Piece {
	const header = 60
	copy(in.Mem[header:], fill(p, n, 0))
	return Piece{in.Mem[header:][:n], in}
}

// A Buffer full of one stream's bytes is kept until they are read, and then used
// again; until then the next packet goes elsewhere.
func TestBufferKept(t *testing.T) {
	pool := new(Pool)
	r := NewRecv(pool, 1<<20)
	first := pool.Buffer(4 * blockSize)
	in := first
	r.InsertPiece(1, packet(in, 1, 3*blockSize))
	if in = in.Renew(); in == first {
		t.Fatal("memory that is kept is to be overwritten")
	}
	if got, want := pool.InUse(), len(first.Mem); got != want {
		t.Errorf("%d bytes in use, want %d", got, want)
	}
	wantRead(t, &r, 1, 3*blockSize-1)
	if again := pool.Buffer(len(first.Mem)); again == first {
		t.Fatal("a buffer with a byte to be read is free")
	}
	wantRead(t, &r, 3*blockSize, 1)
	if got := pool.InUse(); got != 0 {
		t.Errorf("%d bytes in use after the last was read", got)
	}
	if again := pool.Buffer(len(first.Mem)); again != first {
		t.Error("a buffer that was read is not used again")
	}
}

// A few bytes do not hold a large Buffer: what a window of them takes in memory
// would have no bound.
func TestBufferNotKept(t *testing.T) {
	pool := new(Pool)
	r := NewRecv(pool, 1<<20)
	for _, tc := range []struct{ size, n int }{
		{4 * blockSize, 1},
		{4 * blockSize, 2*blockSize - 1}, // not half of it
		{blockSize, blockSize / 2},       // there would be too many
	} {
		in, p := pool.Buffer(tc.size), r.Next()
		r.InsertPiece(p, packet(in, p, tc.n))
		if in.Renew() != in {
			t.Errorf("%d bytes in a buffer of %d are kept", tc.n, tc.size)
		}
		clear(in.Mem)
		wantRead(t, &r, p, tc.n)
	}
}

// One Buffer may be kept for several runs of bytes, on both sides of some that
// came before.
func TestBufferKeptTwice(t *testing.T) {
	pool := new(Pool)
	r := NewRecv(pool, 1<<20)
	r.Insert(1+blockSize, fill(1+blockSize, 100, 0))
	in := pool.Buffer(2*blockSize + 200)
	r.InsertPiece(1, packet(in, 1, 2*blockSize+100))
	in.Renew()
	if r.Readable() != 2*blockSize+100 {
		t.Fatalf("readable %d", r.Readable())
	}
	wantRead(t, &r, 1, blockSize+50)
	if again := pool.Buffer(len(in.Mem)); again == in {
		t.Fatal("free with bytes to be read")
	}
	wantRead(t, &r, blockSize+51, blockSize+50)
	if got := pool.InUse(); got != 0 {
		t.Errorf("%d bytes in use after the last was read", got)
	}
}

// What is dropped unread is free too.
func TestBufferDropped(t *testing.T) {
	for name, drop := range map[string]func(*Recv){
		"skipped": func(r *Recv) { r.Skip(1 << 19) },
		"cleared": func(r *Recv) { r.Clear() },
	} {
		pool := new(Pool)
		r := NewRecv(pool, 1<<20)
		in := pool.Buffer(2 * blockSize)
		for p := seq.Pos(1); p < 1<<18; p += 3 * blockSize { // with holes
			r.InsertPiece(p, packet(in, p, 3*blockSize/2))
			in = in.Renew()
		}
		if drop(&r); pool.InUse() != 0 {
			t.Errorf("%s: %d bytes in use", name, pool.InUse())
		}
	}
}
