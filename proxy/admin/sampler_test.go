package admin

import (
	"math"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/braid-mptcp/braid/proxy/status"
)

// TestSamplerPace looks each second while somebody watches, each five seconds
// otherwise, and keeps fifteen minutes.
func TestSamplerPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		s := newSampler(sourceFunc(func() status.Snapshot {
			looks.Add(1)
			return status.Snapshot{Time: time.Now()}
		}))
		s.start()
		defer s.close()
		count := func(d time.Duration) int32 {
			before := looks.Load()
			time.Sleep(d)
			synctest.Wait()
			return looks.Load() - before
		}
		count(time.Millisecond)
		if n := count(50 * time.Second); n != 10 {
			t.Errorf("%d looks in 50 s in which nobody watched", n)
		}
		s.current(time.Hour, true)
		if n := count(20 * time.Second); n < 19 || n > 21 {
			t.Errorf("%d looks in 20 s in which somebody watched", n)
		}
		count(15 * time.Second)
		if n := count(50 * time.Second); n != 10 {
			t.Errorf("%d looks in 50 s after somebody had gone", n)
		}
		count(30 * time.Minute)
		all := s.since(0)
		if n, span := len(all), time.Duration(all[len(all)-1].Time-all[0].Time)*time.Millisecond; n < 170 || span > historyFor || span < historyFor-10*time.Second {
			t.Errorf("%d points over %v", n, span)
		}
		last := all[len(all)-1].Time
		if n := len(s.since(last)); n != 0 {
			t.Errorf("%d points after the last one", n)
		}
		if n := len(s.since(last - 1)); n != 1 {
			t.Errorf("%d points after the last but one", n)
		}
		// Many who ask at once cost one look.
		before := looks.Load()
		for range 100 {
			go s.current(500*time.Millisecond, true)
		}
		synctest.Wait()
		if n := looks.Load() - before; n > 1 {
			t.Errorf("%d looks for 100 who asked", n)
		}
	})
}

// TestRates measures what connections, paths and requests do between two looks.
func TestRates(t *testing.T) {
	addr := netip.MustParseAddrPort("192.0.2.1:443")
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	snap := func(after time.Duration, in, out uint64, requests int) *status.Snapshot {
		l := status.NewLedger(nil)
		for range requests {
			l.Series("web", "app").Add(&status.Request{Code: 200, Duration: 20 * time.Millisecond})
		}
		l.Series("web", "").Add(&status.Request{Code: 500, Duration: 20 * time.Millisecond})
		s := &status.Snapshot{Time: at.Add(after), Totals: l.Totals(), Connections: []status.Connection{
			{ID: 1, Opened: at, Paths: []status.Path{{ID: 1, Local: addr, Interface: "eth0", BytesIn: in, BytesOut: out, Up: true}}},
			{ID: 2, Opened: at, BytesIn: int64(in), BytesOut: int64(out)},
		}}
		s.Totals.Connections, s.Totals.Multipath = 5, 2
		s.Totals.Paths = []status.PathTotals{{Name: "eth0", Multipath: status.ProtocolTotals{BytesIn: in, BytesOut: out}, Plain: status.ProtocolTotals{BytesOut: out}}}
		return s
	}
	s := newSampler(nil)
	first := snap(0, 100, 1000, 10)
	s.measure(first)
	s.last = first
	second := snap(2*time.Second, 300, 5000, 50)
	second.Connections = append(second.Connections, status.Connection{ID: 3, Opened: at.Add(time.Second), BytesOut: 500},
		status.Connection{ID: 4, Opened: at.Add(-time.Hour), BytesOut: 1 << 40}) // was beyond the list
	shared := second.Connections[0].Paths
	s.measure(second)
	s.last = second
	if len(s.history) != 1 {
		t.Fatalf("%d points", len(s.history))
	}
	p := s.history[0]
	if p.Requests != 20 || p.Errors != 0 || p.Multipath != 2 || p.Plain != 3 || math.Abs(p.P50-0.0175) > 0.003 || p.P99 > 0.02 {
		t.Errorf("point %+v", p)
	}
	if len(p.Paths) != 1 || p.Paths[0] != (pathPoint{"eth0", 100, 4000}) {
		t.Errorf("paths %+v", p.Paths)
	}
	for i, want := range []float64{2000, 2000, 250, 0} {
		if got := second.Connections[i].OutRate; got != want {
			t.Errorf("connection %d: %v B/s, want %v", i+1, got, want)
		}
	}
	if got := second.Connections[0].Paths[0].InRate; got != 100 {
		t.Errorf("path: %v B/s", got)
	}
	if shared[0].InRate != 0 {
		t.Error("paths that others have too were changed")
	}
	if now := second.Paths[0]; now.OutRate != 2000 || now.Subflows["active"] != 1 {
		t.Errorf("path now: %+v", now)
	}
	// A connection tells when it was looked at, which counts for its rate.
	late := snap(4*time.Second, 300, 9000, 50)
	second.Connections[0].Looked, late.Connections[0].Looked = at.Add(2*time.Second), at.Add(7*time.Second)
	fillRates(late, second)
	if got := late.Connections[0].OutRate; got != 800 {
		t.Errorf("4000 bytes in 5 s: %v B/s", got)
	}
	late.Connections[0].Looked = second.Connections[0].Looked
	second.Connections[0].OutRate = 77
	fillRates(late, second)
	if got := late.Connections[0].OutRate; got != 77 {
		t.Errorf("nothing new: %v B/s", got)
	}
	// A look right after, because something was changed, does not count as a
	// measurement of its own.
	third := snap(2010*time.Millisecond, 300, 5000, 50)
	s.measure(third)
	if len(s.history) != 1 || math.Abs(third.Connections[0].OutRate-1990) > 1 {
		t.Errorf("%d points, %v B/s", len(s.history), third.Connections[0].OutRate)
	}
}
