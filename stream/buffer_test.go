package stream

import (
	"bytes"
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

// What is taken stays readable until it is released, whatever comes next.
func TestRecvTake(t *testing.T) {
	pool := new(Pool)
	r := NewRecv(pool, 1<<20)
	const n = 5 * blockSize
	in := pool.Buffer(2*blockSize + 200)
	r.InsertPiece(1, packet(in, 1, 2*blockSize)) // kept
	in.Renew()
	r.Insert(r.Next(), fill(r.Next(), n-2*blockSize, 0)) // copied
	taken := r.Take(nil, n-100)
	if r.Readable() != 100 {
		t.Fatalf("readable %d, want what was not taken", r.Readable())
	}
	wantRead(t, &r, n-99, 100)
	if got := pool.InUse(); got < n-2*blockSize-100 {
		t.Errorf("%d bytes in use while %d are being looked at", got, n-100)
	}
	for range 10 { // would overwrite what is free
		r.Insert(r.Next(), fill(r.Next(), n, 9))
		r.Take(nil, n)
	}
	p := seq.Pos(1)
	for _, piece := range taken {
		if !bytes.Equal(piece.Data, fill(p, piece.Len(), 0)) {
			t.Fatalf("bytes from %d on differ", p)
		}
		p += seq.Pos(piece.Len())
	}
	if p != n-99 {
		t.Errorf("took up to %d, want %d", p, n-99)
	}
	free := len(pool.packets)
	if Release(taken); len(pool.packets) != free+1 {
		t.Error("the packet's buffer is not free again")
	}
}

// Memory is reserved as far as there is room, and becomes bytes of the stream
// where they are put in.
func TestSendReserve(t *testing.T) {
	pool := new(Pool)
	s := NewSend(pool, 3*blockSize)
	s.Write(fill(1, 100, 0))
	write := func(n, want int) {
		t.Helper()
		at, got := s.End(), 0
		room := s.Reserve(nil, n)
		s.Release(at) // all before may go meanwhile
		for _, piece := range room {
			got += copy(piece.Data, fill(at+seq.Pos(got), piece.Len(), 0))
		}
		if got != want || !s.Commit(got) || s.End() != at+seq.Pos(want) {
			t.Fatalf("reserved %d, end at %d", got, s.End())
		}
		Release(room)
		b := make([]byte, got)
		if s.Copy(b, at); !bytes.Equal(b, fill(at, got, 0)) {
			t.Fatalf("bytes from %d on differ", at)
		}
	}
	write(2*blockSize, 2*blockSize)
	write(10*blockSize, blockSize) // what came last is still there
	write(blockSize, blockSize)
	room := s.Reserve(nil, blockSize)
	if s.Clear(); s.Commit(blockSize) {
		t.Error("what was cleared takes bytes")
	}
	if pool.InUse() == 0 {
		t.Error("memory that is being written to is free")
	}
	if Release(room); pool.InUse() != 0 {
		t.Errorf("%d bytes in use in the end", pool.InUse())
	}
}

// Pieces of the send buffer outlive their release by it.
func TestSendPieces(t *testing.T) {
	pool := new(Pool)
	s := NewSend(pool, 10*blockSize)
	s.Write(fill(1, 3*blockSize, 0))
	pieces := s.Pieces(nil, 101, 2*blockSize)
	s.Release(s.End())
	s.Write(fill(s.End(), 10*blockSize, 5))
	p := seq.Pos(101)
	for _, piece := range pieces {
		if !bytes.Equal(piece.Data, fill(p, piece.Len(), 0)) {
			t.Fatalf("bytes from %d on differ", p)
		}
		p += seq.Pos(piece.Len())
	}
	if p != 101+2*blockSize {
		t.Errorf("pieces up to %d", p)
	}
	Release(pieces)
	if s.Clear(); pool.InUse() != 0 {
		t.Errorf("%d bytes in use in the end", pool.InUse())
	}
}
