package stream

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/braid-mptcp/braid/seq"
)

// fill makes n bytes that tell their position and which copy they belong to.
func fill(p seq.Pos, n int, copy byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = content(p+seq.Pos(i)) + copy
	}
	return b
}

func content(p seq.Pos) byte { return byte(p*7 + p>>8*3 + p>>16) }

// wantRead reads n bytes that must be the first copy of position p on.
func wantRead(t *testing.T, r *Recv, p seq.Pos, n int) {
	t.Helper()
	b := make([]byte, n+1)
	if got := r.Read(b[:n]); got != n {
		t.Fatalf("read %d bytes, want %d", got, n)
	}
	if want := fill(p, n, 0); !bytes.Equal(b[:n], want) {
		t.Fatalf("bytes from %d on differ", p)
	}
}

func TestRecvInOrder(t *testing.T) {
	r := NewRecv(nil, 100_000)
	if n := r.Insert(1, fill(1, 50_000, 0)); n != 50_000 {
		t.Fatalf("took %d", n)
	}
	if r.Next() != 50_001 || r.Readable() != 50_000 || r.Ahead() != 0 {
		t.Fatalf("next %d, readable %d, ahead %d", r.Next(), r.Readable(), r.Ahead())
	}
	wantRead(t, &r, 1, 20_000)
	wantRead(t, &r, 20_001, 30_000)
	if n := r.Read(make([]byte, 10)); n != 0 {
		t.Fatalf("read %d bytes of nothing", n)
	}
}

// Whatever the order, bytes come out once and in theirs.
func TestRecvOutOfOrder(t *testing.T) {
	r := NewRecv(nil, 100_000)
	for _, p := range []seq.Pos{60_001, 20_001, 80_001, 40_001} {
		if n := r.Insert(p, fill(p, 20_000, 0)); n != 20_000 {
			t.Fatalf("at %d: took %d", p, n)
		}
		if r.Readable() != 0 {
			t.Fatal("readable with a hole at the start")
		}
	}
	if r.Ahead() != 80_000 {
		t.Fatalf("ahead %d", r.Ahead())
	}
	if n := r.Insert(1, fill(1, 20_000, 0)); n != 20_000 || r.Readable() != 100_000 || r.Ahead() != 0 {
		t.Fatalf("took %d, readable %d, ahead %d", n, r.Readable(), r.Ahead())
	}
	wantRead(t, &r, 1, 100_000)
}

// The first insertion into an empty buffer may be far ahead of what comes next.
func TestRecvBelowFirstBlock(t *testing.T) {
	for _, p := range []seq.Pos{blockSize, blockSize + 1, 5 * blockSize, 5*blockSize + 77} {
		r := NewRecv(nil, 1<<20)
		r.Insert(p, fill(p, 100, 0))
		r.Insert(1, fill(1, int(p)-1, 0))
		wantRead(t, &r, 1, int(p)+99)

		// The same where the stream is further on, and the buffer empty again.
		at := r.Next()
		r.Insert(at+p, fill(at+p, 100, 0))
		r.Insert(at+p-50, fill(at+p-50, 50, 0))
		r.Insert(at, fill(at, int(p)-50, 0))
		wantRead(t, &r, at, int(p)+100)
	}
}

// The first copy of a byte wins (RFC 8684 section 3.3.1), also where copies
// overlap in part.
func TestRecvFirstCopyWins(t *testing.T) {
	r := NewRecv(nil, 1000)
	r.Insert(101, fill(101, 100, 0))
	if n := r.Insert(151, append(fill(151, 50, 1), fill(201, 50, 0)...)); n != 50 {
		t.Fatalf("took %d of an overlap, want 50", n)
	}
	if n := r.Insert(101, fill(101, 150, 1)); n != 0 {
		t.Fatalf("took %d of what was there", n)
	}
	if n := r.Insert(1, append(fill(1, 100, 0), fill(101, 300, 1)...)); n != 250 {
		t.Fatalf("took %d around what was there, want 250", n)
	}
	if r.Readable() != 400 {
		t.Fatalf("readable %d", r.Readable())
	}
	b := make([]byte, 400)
	r.Read(b)
	if !bytes.Equal(b[:250], fill(1, 250, 0)) || !bytes.Equal(b[250:], fill(251, 150, 1)) {
		t.Fatal("a later copy replaced an earlier one")
	}
	if n := r.Insert(1, fill(1, 400, 1)); n != 0 {
		t.Fatalf("took %d bytes that were read already", n)
	}
}

// What lies outside the window is not taken.
func TestRecvWindow(t *testing.T) {
	r := NewRecv(nil, 1000)
	if n := r.Insert(1, fill(1, 1500, 0)); n != 1000 {
		t.Fatalf("took %d, want the window of 1000", n)
	}
	if n := r.Insert(1001, fill(1001, 1, 0)); n != 0 {
		t.Fatal("took a byte into a closed window")
	}
	wantRead(t, &r, 1, 600)
	if n := r.Insert(1001, fill(1001, 1000, 0)); n != 0 {
		t.Fatal("took bytes that were not offered yet")
	}
	if got := r.Edge(1); got != 1601 {
		t.Fatalf("edge %d, want 1601", got)
	}
	if n := r.Insert(1001, fill(1001, 1000, 0)); n != 600 {
		t.Fatalf("took %d, want 600", n)
	}
	r.Lenient = true
	if n := r.Insert(1601, fill(1601, 5000, 0)); n != 1000 {
		t.Fatalf("took %d beyond the window, want 1000", n)
	}
	wantRead(t, &r, 601, 2000)
}

// The edge moves by steps, or by half the buffer, and never back (RFC 9293
// section 3.8.6.2.2).
func TestRecvEdge(t *testing.T) {
	r := NewRecv(nil, 1000)
	r.Insert(1, fill(1, 1000, 0))
	for _, tc := range []struct {
		read, step int
		want       seq.Pos
		gain       int
	}{
		{99, 100, 1001, 99},
		{1, 100, 1101, 0},
		{399, 1460, 1101, 399},
		{101, 1460, 1601, 0},
	} {
		wantRead(t, &r, r.Next()-seq.Pos(r.Readable()), tc.read)
		if got := r.Edge(tc.step); got != tc.want {
			t.Errorf("after %d bytes more, in steps of %d: edge %d, want %d", tc.read, tc.step, got, tc.want)
		}
		if got := r.WouldGain(); got != tc.gain {
			t.Errorf("after %d bytes more: gain %d, want %d", tc.read, got, tc.gain)
		}
	}
	r.Grow(5000)
	if got := r.Edge(100); got != 5601 {
		t.Errorf("grown: edge %d, want 5601", got)
	}
	r.Grow(10)
	if r.Limit() != 5000 || r.Edge(1) != 5601 {
		t.Errorf("a smaller limit: %d, edge %d", r.Limit(), r.Edge(1))
	}
}

// Memory is held only where there are bytes.
func TestRecvMemory(t *testing.T) {
	pool := new(Pool)
	r := NewRecv(pool, 1<<24)
	inUse := func(what string, want int) {
		t.Helper()
		if got := pool.InUse() / blockSize; got != want {
			t.Errorf("%s: %d blocks, want %d", what, got, want)
		}
	}
	inUse("new", 0)
	r.Insert(1<<23, []byte{1})
	inUse("one byte far ahead", 1)
	r.Insert(1, fill(1, 10*blockSize, 0))
	inUse("ten blocks and a little", 12)
	wantRead(t, &r, 1, 5*blockSize)
	inUse("half of them read", 7)
	wantRead(t, &r, 1+5*blockSize, 5*blockSize)
	inUse("all that can be", 2)
	r.Clear()
	inUse("cleared", 0)
	r.Insert(r.Next(), fill(r.Next(), 100, 0))
	wantRead(t, &r, r.Next()-100, 100)
	inUse("empty", 0)
	at := r.Next()
	r.Insert(at, fill(at, 10*blockSize, 0))
	r.Skip(at + 9*blockSize)
	inUse("skipped", 2)
	for _, blk := range r.blocks.list[len(r.blocks.list):cap(r.blocks.list)] {
		if blk != nil {
			t.Fatal("a block is held that was given back")
		}
	}
}

// recvModel is Recv done the simplest way: a byte for each position.
type recvModel struct {
	base             seq.Pos // position of have[0]
	have             []int   // -1: not there
	read, next, edge seq.Pos
	limit            int
}

func (m *recvModel) advance() {
	for m.next < m.base+seq.Pos(len(m.have)) && m.have[m.next-m.base] >= 0 {
		m.next++
	}
}

func (m *recvModel) insert(p seq.Pos, data []byte) int {
	n := 0
	for i, b := range data {
		q := p + seq.Pos(i)
		if q >= m.next && q < m.edge && m.have[q-m.base] < 0 {
			m.have[q-m.base] = int(b)
			n++
		}
	}
	m.advance()
	return n
}

func (m *recvModel) present(rg seq.Range) (all, any bool) {
	all = true
	for p := rg.Lo; p < rg.Hi; p++ {
		switch {
		case p < m.read:
		case m.have[p-m.base] >= 0:
			any = true
		default:
			all = false
		}
	}
	return all, any
}

func TestRecvAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 3))
		base := []seq.Pos{1, 1<<31 - 20_000, 1<<32 - 20_000, 1 << 61}[seed%4]
		limit := 1 + r.IntN(3*blockSize)
		got := NewRecv(new(Pool), limit)
		got.Skip(base)
		m := recvModel{base: base, have: make([]int, 20*blockSize), read: base, next: base, edge: base + seq.Pos(limit), limit: limit}
		for i := range m.have {
			m.have[i] = -1
		}
		for step := range 200 {
			if m.read-base > seq.Pos(len(m.have)-10*blockSize) {
				break
			}
			stepRecv(t, r, &got, &m, seed, step)
		}
		if got.Clear(); got.blocks.pool.InUse() != 0 {
			t.Fatalf("seed %d: %d bytes in use in the end", seed, got.blocks.pool.InUse())
		}
	}
}

// stepRecv does one thing to both and compares.
func stepRecv(t *testing.T, r *rand.Rand, got *Recv, m *recvModel, seed uint64, step int) {
	t.Helper()
	near := func() seq.Pos { return max(m.base, m.read-50+seq.Pos(r.IntN(m.limit+100))) }
	fail := func(what string, g, w any) {
		t.Helper()
		t.Fatalf("seed %d step %d: %s: got %v, want %v", seed, step, what, g, w)
	}
	switch r.IntN(8) {
	default:
		p, n := near(), r.IntN(2*blockSize)
		if r.IntN(3) == 0 {
			p = m.next
		}
		data := fill(p, n, byte(step))
		in := got.blocks.pool.Buffer(2 * blockSize)
		piece := Piece{in.Mem[:copy(in.Mem, data)], in}
		if r.IntN(3) == 0 {
			piece.In = nil
		}
		if g, w := got.InsertPiece(p, piece), m.insert(p, data); g != w {
			fail("InsertPiece", g, w)
		}
		if in.Renew() == in {
			clear(in.Mem) // as the next packet would
		}
	case 4, 5:
		b := make([]byte, r.IntN(2*blockSize))
		n := min(len(b), int(m.next-m.read))
		if g := got.Read(b); g != n {
			fail("Read", g, n)
		}
		for i := range n {
			if w := m.have[m.read-m.base]; int(b[i]) != w {
				fail("byte", b[i], w)
			}
			m.read++
		}
	case 6:
		step := 1 + r.IntN(3000)
		if edge := m.read + seq.Pos(m.limit); edge-m.edge >= seq.Pos(min(step, m.limit/2)) {
			m.edge = edge
		}
		if g := got.Edge(step); g != m.edge {
			fail("Edge", g, m.edge)
		}
	case 7:
		if r.IntN(4) > 0 {
			break
		}
		p := m.read + seq.Pos(r.IntN(m.limit))
		got.Skip(p)
		if p > m.read {
			m.read, m.next, m.edge = p, max(m.next, p), max(m.edge, p+seq.Pos(m.limit))
			m.advance()
		}
	}
	if got.Next() != m.next || got.Readable() != int(m.next-m.read) {
		fail("next and readable", []any{got.Next(), got.Readable()}, []any{m.next, m.next - m.read})
	}
	lo := near()
	rg := seq.Range{Lo: lo, Hi: lo + seq.Pos(r.IntN(200))}
	all, any := m.present(rg)
	if g := got.Has(rg); g != all {
		fail("Has", g, all)
	}
	if g := got.Holds(rg); g != any {
		fail("Holds", g, any)
	}
	if n := int(m.next - m.read); n > 0 {
		p := m.read + seq.Pos(r.IntN(n))
		if b := got.Slice(p, int(m.next-p)); len(b) == 0 || int(b[0]) != m.have[p-m.base] || len(b) > int(m.next-p) {
			fail("Slice", len(b), m.have[p-m.base])
		}
	}
}
