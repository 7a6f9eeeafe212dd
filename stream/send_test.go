package stream

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/braid-mptcp/braid/seq"
)

func TestSendTakesWhatFits(t *testing.T) {
	s := NewSend(nil, 1000)
	if n := s.Write(fill(1, 600, 0)); n != 600 {
		t.Fatalf("took %d", n)
	}
	if n := s.Write(fill(601, 600, 0)); n != 400 {
		t.Fatalf("took %d of what is left", n)
	}
	if n := s.Write([]byte{1}); n != 0 || s.Free() != 0 || s.Len() != 1000 || s.End() != 1001 {
		t.Fatalf("full: took %d, free %d, len %d, end %d", n, s.Free(), s.Len(), s.End())
	}
	if !s.Release(301) || s.Free() != 300 || s.Kept() != 301 {
		t.Fatalf("released 300: free %d, kept from %d", s.Free(), s.Kept())
	}
	if s.Release(301) || s.Release(100) {
		t.Fatal("released twice")
	}
	s.SetLimit(100)
	if s.Free() != 0 || s.Limit() != 100 {
		t.Fatalf("smaller limit: free %d", s.Free())
	}
	b := make([]byte, 700)
	if s.Copy(b, 301); !bytes.Equal(b, fill(301, 700, 0)) {
		t.Fatal("a smaller limit lost bytes")
	}
}

// Ack makes room, Release gives back memory: what is acknowledged may still be
// kept.
func TestSendAckAndRelease(t *testing.T) {
	pool := new(Pool)
	s := NewSend(pool, 4*blockSize)
	s.Write(fill(1, 4*blockSize, 0))
	if !s.Ack(2*blockSize+1) || s.Free() != 2*blockSize {
		t.Fatalf("acknowledged half: free %d", s.Free())
	}
	b := make([]byte, 100)
	if s.Copy(b, 1); !bytes.Equal(b, fill(1, 100, 0)) {
		t.Fatal("acknowledged bytes are gone before they were released")
	}
	if before := pool.InUse(); s.Release(2*blockSize+1) || pool.InUse() >= before {
		t.Fatalf("released what was acknowledged: made room, or freed no memory (%d)", pool.InUse())
	}
	if !s.Release(s.End()) || pool.InUse() != 0 {
		t.Fatalf("released all: %d bytes in use", pool.InUse())
	}
	if s.Ack(s.End() + 1000) {
		t.Fatal("acknowledged what was never written")
	}
	s.Write(fill(s.End(), 10, 0))
	s.Clear()
	if s.Len() != 0 || s.Kept() != s.End() || pool.InUse() != 0 {
		t.Fatalf("cleared: len %d, %d bytes in use", s.Len(), pool.InUse())
	}
}

// Punch frees whole blocks in the middle and leaves its neighbours.
func TestSendPunch(t *testing.T) {
	pool := new(Pool)
	s := NewSend(pool, 8*blockSize)
	s.Write(fill(1, 8*blockSize, 0))
	before := pool.InUse()
	s.Punch(seq.Range{Lo: blockSize + 100, Hi: 4*blockSize - 1})
	if got := (before - pool.InUse()) / blockSize; got != 1 {
		t.Errorf("freed %d blocks, want the one wholly inside", got)
	}
	s.Punch(seq.Range{Lo: 2 * blockSize, Hi: 3 * blockSize}) // again
	if got := (before - pool.InUse()) / blockSize; got != 1 {
		t.Errorf("freed %d blocks after the same again", got)
	}
	for _, rg := range []seq.Range{{Lo: 1, Hi: 2 * blockSize}, {Lo: 3 * blockSize, Hi: 8*blockSize + 1}} {
		b := make([]byte, rg.Len())
		if s.Copy(b, rg.Lo); !bytes.Equal(b, fill(rg.Lo, rg.Len(), 0)) {
			t.Errorf("bytes of %v are gone", rg)
		}
	}
	s.Punch(seq.Range{Lo: -100, Hi: 1})
	s.Punch(seq.Range{Lo: 1 << 40, Hi: 1<<40 + 10*blockSize})
	s.Release(s.End())
	if pool.InUse() != 0 {
		t.Errorf("%d bytes in use in the end", pool.InUse())
	}
}

// Asking for bytes that are not there is a mistake of ours, and shows.
func TestSendCopyOutside(t *testing.T) {
	for _, rg := range []seq.Range{{Lo: 50, Hi: 60}, {Lo: 95, Hi: 105}, {Lo: 195, Hi: 202}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v: no panic", rg)
				}
			}()
			s := NewSend(nil, 1000)
			s.Write(fill(1, 200, 0))
			s.Release(101)
			s.Copy(make([]byte, rg.Len()), rg.Lo)
		}()
	}
}

// Random writing, copying and releasing over many blocks.
func TestSendAgainstModel(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 4))
		limit := 1 + r.IntN(5*blockSize)
		pool := new(Pool)
		s := NewSend(pool, limit)
		una, end := seq.Pos(1), seq.Pos(1)
		for step := range 500 {
			switch r.IntN(3) {
			case 0:
				n := r.IntN(2 * blockSize)
				want := min(n, limit-int(end-una))
				if got := s.Write(fill(end, n, 0)); got != want {
					t.Fatalf("seed %d step %d: took %d of %d, want %d", seed, step, got, n, want)
				}
				end += seq.Pos(want)
			case 1:
				p := una + seq.Pos(r.IntN(int(end-una)+1))
				b := make([]byte, r.IntN(int(end-p)+1))
				if s.Copy(b, p); !bytes.Equal(b, fill(p, len(b), 0)) {
					t.Fatalf("seed %d step %d: %d bytes at %d differ", seed, step, len(b), p)
				}
			case 2:
				una += seq.Pos(r.IntN(int(end-una) + 1))
				s.Release(una)
			}
			if s.Len() != int(end-una) || s.End() != end {
				t.Fatalf("seed %d step %d: len %d, end %d; want %d, %d", seed, step, s.Len(), s.End(), end-una, end)
			}
			if most := s.Len() + 2*blockSize; pool.InUse() > most {
				t.Fatalf("seed %d step %d: %d bytes of memory for %d", seed, step, pool.InUse(), s.Len())
			}
		}
	}
}

// A pool keeps so much and no more, and hands out what it keeps.
func TestPool(t *testing.T) {
	pool := new(Pool)
	var out []*Buffer
	for range maxFreeBlocks + 10 {
		out = append(out, pool.Buffer(blockSize))
	}
	if got := pool.InUse(); got != (maxFreeBlocks+10)*blockSize {
		t.Errorf("%d bytes in use", got)
	}
	for _, b := range out {
		b.Release()
	}
	if pool.InUse() != 0 || len(pool.blocks) != maxFreeBlocks {
		t.Errorf("%d bytes in use, %d blocks kept, want %d", pool.InUse(), len(pool.blocks), maxFreeBlocks)
	}
	if b := pool.Buffer(blockSize); b != out[maxFreeBlocks-1] {
		t.Error("a kept block is not used again")
	}
	var none *Pool
	none.Buffer(blockSize).Release()
	if len(none.Buffer(blockSize).Mem) != blockSize {
		t.Error("no block without a pool")
	}
}

// Buffers that fill and empty allocate nothing.
func TestStreamAllocatesNothing(t *testing.T) {
	pool := new(Pool)
	s, r := NewSend(pool, 1<<20), NewRecv(pool, 1<<20)
	b := make([]byte, 50_000)
	step := func() {
		s.Write(b)
		at := s.End() - seq.Pos(len(b))
		s.Copy(b, at)
		r.Edge(1)
		r.Insert(at+25_000, b[25_000:])
		r.Insert(at, b[:25_000])
		r.Read(b)
		s.Release(s.End())
	}
	step()
	if n := testing.AllocsPerRun(100, step); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
