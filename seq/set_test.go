package seq

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSetAdd(t *testing.T) {
	for _, tc := range []struct {
		name string
		add  []Range
		want []Range
	}{
		{"one", []Range{{5, 10}}, []Range{{5, 10}}},
		{"empty", []Range{{5, 5}, {7, 6}}, nil},
		{"apart", []Range{{5, 10}, {20, 30}}, []Range{{5, 10}, {20, 30}}},
		{"before", []Range{{20, 30}, {5, 10}}, []Range{{5, 10}, {20, 30}}},
		{"touching behind", []Range{{5, 10}, {10, 12}}, []Range{{5, 12}}},
		{"touching before", []Range{{10, 12}, {5, 10}}, []Range{{5, 12}}},
		{"inside", []Range{{5, 10}, {6, 8}}, []Range{{5, 10}}},
		{"around", []Range{{6, 8}, {5, 10}}, []Range{{5, 10}}},
		{"the same", []Range{{5, 10}, {5, 10}}, []Range{{5, 10}}},
		{"closing a gap", []Range{{5, 10}, {20, 30}, {10, 20}}, []Range{{5, 30}}},
		{"over several", []Range{{5, 10}, {20, 30}, {40, 50}, {60, 70}, {8, 45}}, []Range{{5, 50}, {60, 70}}},
		{"between", []Range{{5, 10}, {20, 30}, {12, 15}}, []Range{{5, 10}, {12, 15}, {20, 30}}},
		{"negative", []Range{{-10, -5}, {-5, 5}}, []Range{{-10, 5}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s Set
			for _, r := range tc.add {
				s.Add(r)
			}
			if got := s.Ranges(); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestSetRemove(t *testing.T) {
	for _, tc := range []struct {
		name   string
		remove Range
		want   []Range
	}{
		{"nothing", Range{12, 18}, []Range{{5, 10}, {20, 30}, {40, 50}}},
		{"empty", Range{7, 7}, []Range{{5, 10}, {20, 30}, {40, 50}}},
		{"one whole", Range{20, 30}, []Range{{5, 10}, {40, 50}}},
		{"more than one whole", Range{15, 35}, []Range{{5, 10}, {40, 50}}},
		{"left part", Range{20, 25}, []Range{{5, 10}, {25, 30}, {40, 50}}},
		{"right part", Range{25, 30}, []Range{{5, 10}, {20, 25}, {40, 50}}},
		{"middle", Range{22, 24}, []Range{{5, 10}, {20, 22}, {24, 30}, {40, 50}}},
		{"across", Range{7, 45}, []Range{{5, 7}, {45, 50}}},
		{"all", Range{0, 100}, nil},
		{"touching", Range{10, 20}, []Range{{5, 10}, {20, 30}, {40, 50}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s Set
			for _, r := range []Range{{5, 10}, {20, 30}, {40, 50}} {
				s.Add(r)
			}
			s.Remove(tc.remove)
			if got := s.Ranges(); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// model is a set of positions kept the simplest way there is.
type model struct {
	has  [modelSize]bool
	base Pos // position of has[0]
}

const modelSize = 64

func (m *model) set(r Range, v bool) {
	for p := max(r.Lo, m.base); p < r.Hi && p < m.base+modelSize; p++ {
		m.has[p-m.base] = v
	}
}

func (m *model) runs(r Range, v bool) []Range {
	var runs []Range
	for p := max(r.Lo, m.base); p < r.Hi && p < m.base+modelSize; p++ {
		switch n := len(runs); {
		case m.has[p-m.base] != v:
		case n > 0 && runs[n-1].Hi == p:
			runs[n-1].Hi++
		default:
			runs = append(runs, Range{p, p + 1})
		}
	}
	return runs
}

// Random sequences of changes, with every question asked after each, agree with
// the model; around zero and where 32-bit and 64-bit numbers would wrap.
func TestSetAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := model{base: []Pos{0, -30, 1<<31 - 30, 1<<32 - 30, 1<<62 - 30}[seed%5]}
		all := Range{m.base, m.base + modelSize}
		some := func() Range {
			lo := m.base + Pos(r.IntN(modelSize))
			return Range{lo, min(lo+Pos(r.IntN(12)), all.Hi)}
		}
		var s Set
		for step := range 200 {
			rg := some()
			if r.IntN(3) > 0 {
				s.Add(rg)
				m.set(rg, true)
			} else {
				s.Remove(rg)
				m.set(rg, false)
			}
			if got, want := s.Ranges(), m.runs(all, true); !slices.Equal(got, want) {
				t.Fatalf("seed %d step %d: got %v, want %v", seed, step, got, want)
			}
			checkQuestions(t, &s, &m, all, some())
		}
	}
}

func checkQuestions(t *testing.T, s *Set, m *model, all, rg Range) {
	t.Helper()
	runs := m.runs(all, true)
	n := 0
	for _, r := range runs {
		n += r.Len()
	}
	if got := s.Len(); got != n {
		t.Fatalf("%v: Len %d, want %d", s.Ranges(), got, n)
	}
	if got := s.Empty(); got != (n == 0) {
		t.Fatalf("%v: Empty %v", s.Ranges(), got)
	}
	first, last := Pos(-1), Pos(-1)
	if len(runs) > 0 {
		first, last = runs[0].Lo, runs[len(runs)-1].Hi
	}
	if got := s.First(-1); got != first {
		t.Fatalf("%v: First %d, want %d", s.Ranges(), got, first)
	}
	if got := s.Last(-1); got != last {
		t.Fatalf("%v: Last %d, want %d", s.Ranges(), got, last)
	}
	gaps := m.runs(rg, false)
	if got := s.Contains(rg); got != (len(gaps) == 0) {
		t.Fatalf("%v: Contains(%v) %v", s.Ranges(), rg, got)
	}
	var missing []Range
	s.Missing(rg, func(r Range) { missing = append(missing, r) })
	if !slices.Equal(missing, gaps) {
		t.Fatalf("%v: Missing(%v) %v, want %v", s.Ranges(), rg, missing, gaps)
	}
	gap, next := s.NextGap(rg)
	want := Range{rg.Hi, rg.Hi}
	if len(gaps) > 0 {
		want = gaps[0]
	}
	if !rg.Empty() && (gap != want || next != want.Hi) {
		t.Fatalf("%v: NextGap(%v) %v, %d; want %v", s.Ranges(), rg, gap, next, want)
	}
	found, ok := s.Find(rg.Lo)
	i := slices.IndexFunc(runs, func(r Range) bool { return r.Contains(rg.Lo) })
	if ok != (i >= 0) || ok && found != runs[i] {
		t.Fatalf("%v: Find(%d) %v, %v", s.Ranges(), rg.Lo, found, ok)
	}
}

// A set that only grows at its end, and loses at its start, allocates nothing.
func TestSetAllocatesNothing(t *testing.T) {
	var s Set
	p := Pos(0)
	step := func() {
		s.Add(Range{p + 10, p + 20})
		s.Add(Range{p + 30, p + 40})
		s.Add(Range{p, p + 10})
		s.Remove(Range{p, p + 40})
		p += 40
	}
	step()
	if n := testing.AllocsPerRun(1000, step); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
