package seq

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Numbers wrap where they will, positions do not (RFC 9293 section 3.4).
func TestUnwrap32(t *testing.T) {
	for _, tc := range []struct {
		near      Pos
		isn, wire uint32
		want      Pos
	}{
		{0, 0, 0, 0},
		{0, 0xffffffff, 0xffffffff, 0},
		{0, 0xffffffff, 0, 1},
		{1, 0xffffffff, 0xfffffffe, -1},
		{100, 1000, 1100, 100},
		{1 << 32, 1000, 1000, 1 << 32},
		{1<<32 - 1, 1000, 1000, 1 << 32},
		{1<<32 + 1, 1000, 999, 1<<32 - 1},
		{1<<40 + 5, 7, 7 + 9, 1<<40 + 9},
		{0, 0, 1<<31 - 1, 1<<31 - 1},
		{0, 0, 1 << 31, -1 << 31}, // half the space away: taken for old
		{0, 0, 1<<31 + 1, -1<<31 + 1},
		{1 << 31, 0, 0, 0},
		{1<<31 + 1, 0, 0, 1 << 32}, // nearer ahead by two than behind
	} {
		if got := Unwrap32(tc.near, tc.isn, tc.wire); got != tc.want {
			t.Errorf("Unwrap32(%d, %#x, %#x) = %d, want %d", tc.near, tc.isn, tc.wire, got, tc.want)
		}
	}
}

// Whatever the start and however far along, a position within 2^31 of the one
// it is judged by comes back.
func TestUnwrap32IsInverse(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		isn := r.Uint32()
		p := Pos(r.Int64N(1 << r.IntN(62)))
		near := p + Pos(r.Int64N(1<<32)) - 1<<31 + 1
		if got := Unwrap32(near, isn, Wrap32(p, isn)); got != p {
			t.Fatalf("position %d from %#x near %d: got %d", p, isn, near, got)
		}
	}
}

func TestUnwrap64(t *testing.T) {
	for _, tc := range []struct {
		idsn, wire uint64
		want       Pos
	}{
		{0, 0, 0},
		{math.MaxUint64, math.MaxUint64, 0},
		{math.MaxUint64, 0, 1},
		{math.MaxUint64 - 5, 10, 16},
		{10, 5, -5},
		{0, 1<<63 - 1, math.MaxInt64},
	} {
		got := Unwrap64(tc.idsn, tc.wire)
		if got != tc.want {
			t.Errorf("Unwrap64(%#x, %#x) = %d, want %d", tc.idsn, tc.wire, got, tc.want)
		}
		if back := Wrap64(got, tc.idsn); back != tc.wire {
			t.Errorf("Wrap64(%d, %#x) = %#x, want %#x", got, tc.idsn, back, tc.wire)
		}
	}
}

func TestRange(t *testing.T) {
	for _, tc := range []struct {
		r, o  Range
		len   int
		both  Range
		has   Pos
		holds bool
	}{
		{Range{10, 20}, Range{15, 30}, 10, Range{15, 20}, 10, true},
		{Range{10, 20}, Range{0, 15}, 10, Range{10, 15}, 20, false},
		{Range{10, 20}, Range{12, 13}, 10, Range{12, 13}, 19, true},
		{Range{10, 20}, Range{20, 30}, 10, Range{20, 20}, 9, false},
		{Range{10, 10}, Range{0, 30}, 0, Range{10, 10}, 10, false},
		{Range{20, 10}, Range{0, 30}, 0, Range{20, 10}, 15, false},
		{Range{-5, 5}, Range{-10, 0}, 10, Range{-5, 0}, -5, true},
	} {
		if got := tc.r.Len(); got != tc.len {
			t.Errorf("%v.Len() = %d, want %d", tc.r, got, tc.len)
		}
		if got := tc.r.Empty(); got != (tc.len == 0) {
			t.Errorf("%v.Empty() = %v", tc.r, got)
		}
		if got := tc.r.Intersect(tc.o); got != tc.both {
			t.Errorf("%v.Intersect(%v) = %v, want %v", tc.r, tc.o, got, tc.both)
		}
		if got := tc.r.Contains(tc.has); got != tc.holds {
			t.Errorf("%v.Contains(%d) = %v, want %v", tc.r, tc.has, got, tc.holds)
		}
	}
}
