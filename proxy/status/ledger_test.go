package status

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/braid-mptcp/braid"
)

func TestBounds(t *testing.T) {
	if len(Bounds)+1 != buckets || Bounds[0] != 50*time.Microsecond || Bounds[1] != 70*time.Microsecond ||
		Bounds[2] != 100*time.Microsecond || Bounds[len(Bounds)-1] != 50*time.Second {
		t.Errorf("bounds %v", Bounds)
	}
	if !slices.IsSorted(Bounds[:]) {
		t.Errorf("bounds %v are not in order", Bounds)
	}
}

// TestBucketOf compares the quick search with a plain one.
func TestBucketOf(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	check := func(d time.Duration) {
		want := slices.IndexFunc(Bounds[:], func(b time.Duration) bool { return d <= b })
		if want < 0 {
			want = len(Bounds)
		}
		if got := bucketOf(d); got != want {
			t.Fatalf("%v: bucket %d, want %d", d, got, want)
		}
	}
	for _, b := range Bounds {
		check(b - 1)
		check(b)
		check(b + 1)
	}
	check(0)
	check(-5)
	check(math.MaxInt64)
	for range 100000 {
		check(time.Duration(rng.Uint64() >> (1 + rng.IntN(63))))
	}
}

func TestQuantile(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var h histogram
	var all []time.Duration
	for range 20000 {
		d := time.Duration(math.Exp(rng.NormFloat64()) * float64(3*time.Millisecond))
		h.observe(d)
		all = append(all, d)
	}
	slices.Sort(all)
	s := h.snapshot()
	if s.Count() != uint64(len(all)) {
		t.Fatalf("%d of %d counted", s.Count(), len(all))
	}
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99} {
		got, want := s.Quantile(q), all[int(q*float64(len(all)))]
		if ratio := float64(got) / float64(want); ratio < 0.8 || ratio > 1.25 {
			t.Errorf("quantile %v: got %v, want about %v", q, got, want)
		}
	}
	if got := new(Histogram).Quantile(0.5); got != 0 {
		t.Errorf("nothing has the median %v", got)
	}
	var long histogram
	long.observe(time.Hour)
	if s := long.snapshot(); s.Quantile(0.99) != Bounds[len(Bounds)-1] {
		t.Errorf("an hour is taken for %v", s.Quantile(0.99))
	}
	if d := s.Sub(s); d.Count() != 0 || d.Sum != 0 {
		t.Errorf("a histogram without itself: %+v", d)
	}
	if d := s.Add(s); d.Count() != 2*s.Count() || d.Sum != 2*s.Sum {
		t.Errorf("twice a histogram: %d of %d", d.Count(), s.Count())
	}
}

func TestSeries(t *testing.T) {
	l := NewLedger(nil)
	s := l.Series("web", "app")
	if l.Series("web", "app") != s || l.Series("web", "") == s {
		t.Error("series are not told apart by listener and pool")
	}
	for _, code := range []int{200, 204, 302, 404, 499, 503, 101, 0, -1, 999} {
		s.Add(&Request{Code: code, Duration: time.Millisecond, Wait: time.Microsecond, BytesIn: 10, BytesOut: 100})
	}
	s.Add(&Request{Code: 200, Connect: time.Second, Reused: true, Retried: true, BytesIn: -1})
	got := l.Totals().Requests
	if len(got) != 2 || got[1].Pool != "app" {
		t.Fatalf("got %+v", got)
	}
	r := got[1]
	if want := [6]uint64{3, 1, 3, 1, 2, 1}; r.Codes != want || r.Count() != 11 {
		t.Errorf("codes %v, want %v", r.Codes, want)
	}
	if r.BytesIn != 100 || r.BytesOut != 1000 || r.Reused != 1 || r.Retried != 1 || r.Duration.Count() != 11 ||
		r.Wait.Count() != 10 || r.Connect.Count() != 1 || r.Connect.Sum != time.Second {
		t.Errorf("got %+v", r)
	}
}

func TestLedgerCounts(t *testing.T) {
	l := NewLedger(nil)
	l.Refuse("tls")
	l.Refuse("tls")
	l.Reloaded(true)
	l.Reloaded(false)
	l.Reloaded(false)
	tot := l.Totals()
	if tot.Refused["tls"] != 2 || tot.Reloads["ok"] != 1 || tot.Reloads["failed"] != 2 {
		t.Errorf("got %+v", tot)
	}
	tot.Refused["tls"] = 99
	if l.Totals().Refused["tls"] != 2 {
		t.Error("Totals shares its maps with the ledger")
	}
}

// TestLedgerAtOnce is for the race detector.
func TestLedgerAtOnce(t *testing.T) {
	l := namedLedger()
	var wg sync.WaitGroup
	const workers, rounds = 8, 200
	for range workers {
		wg.Go(func() {
			for i := range rounds {
				a := l.Open(nil, true)
				a.mu.Lock()
				a.note(&braid.Info{Multipath: true, Subflows: []braid.SubflowInfo{carrying(1, server1, client1, 1, uint64(i))}})
				a.mu.Unlock()
				l.Series("web", []string{"a", "b", "c"}[i%3]).Add(&Request{Code: 200, Duration: time.Millisecond})
				l.Refuse("limit")
				if i%50 == 0 {
					l.Totals()
				}
			}
		})
	}
	wg.Wait()
	tot := l.Totals()
	n := uint64(0)
	for i := range tot.Requests {
		n += tot.Requests[i].Count()
	}
	if n != workers*rounds || tot.Connections != n || tot.Multipath != n || tot.Refused["limit"] != n || tot.Paths[0].Multipath.BytesIn != n {
		t.Errorf("%d requests, totals %+v", n, tot)
	}
}

// TestRequestAllocatesNothing holds what is called for every request.
func TestRequestAllocatesNothing(t *testing.T) {
	l := NewLedger(nil)
	r := &Request{Code: 200, Duration: 3 * time.Millisecond, Wait: time.Millisecond, BytesIn: 400, BytesOut: 900, Reused: true}
	l.Series("web", "app")
	if n := testing.AllocsPerRun(1000, func() { l.Series("web", "app").Add(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	l := NewLedger(nil)
	r := &Request{Code: 200, Duration: 3 * time.Millisecond, Wait: time.Millisecond, BytesIn: 400, BytesOut: 900, Reused: true}
	b.ReportAllocs()
	for b.Loop() {
		l.Series("web", "app").Add(r)
	}
}
