package cc

import (
	"testing"
	"time"
)

const testMSS = 1000

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// path feeds a controller with the acknowledgements of an endless transfer over
// a path of fixed round-trip time and any rate: a window of data per round trip,
// evenly spread.
type path struct {
	t   *testing.T
	c   Controller
	now time.Time
	rtt time.Duration
	agg int // segments that one acknowledgement covers
}

func newPath(t *testing.T, name string, rtt time.Duration) *path {
	t.Helper()
	c, err := New(name, testMSS)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name() != name {
		t.Errorf("Name: got %q, want %q", c.Name(), name)
	}
	return &path{t: t, c: c, now: start, rtt: rtt, agg: 1}
}

// ack acknowledges bytes out of a full window, at once.
func (p *path) ack(bytes int) {
	p.c.Acked(p.now, Ack{Bytes: bytes, RTT: p.rtt, SmoothedRTT: p.rtt, MinRTT: p.rtt, InFlight: p.c.Window()})
}

// step is one acknowledgement and the time to the next.
func (p *path) step() {
	bytes := p.agg * testMSS
	p.now = p.now.Add(time.Duration(int64(p.rtt) * int64(bytes) / int64(p.c.Window())))
	p.ack(bytes)
}

// roundTrip acknowledges the window that is out now.
func (p *path) roundTrip() {
	for left := p.c.Window(); left >= p.agg*testMSS; left -= p.agg * testMSS {
		p.step()
	}
}

// run goes on for the time d.
func (p *path) run(d time.Duration) {
	for end := p.now.Add(d); p.now.Before(end); {
		p.step()
	}
}

// lose is a loss found with a full window in flight, repaired a round trip later.
func (p *path) lose() {
	p.c.EnterRecovery(p.now, p.c.Window())
	p.now = p.now.Add(p.rtt)
	p.c.ExitRecovery(p.now)
}

// grow brings the window to at least bytes by slow start.
func (p *path) grow(bytes int) {
	for p.c.Window() < bytes {
		p.ack(min(testMSS, bytes-p.c.Window()))
	}
}

func (p *path) want(what string, cwnd, ssthresh int) {
	p.t.Helper()
	if p.c.Window() != cwnd || p.c.Threshold() != ssthresh {
		p.t.Errorf("%s: got window %d, threshold %d, want %d, %d", what, p.c.Window(), p.c.Threshold(), cwnd, ssthresh)
	}
}

// averageWindow is the window, in segments and averaged over time, when every
// n-th segment is lost.
func averageWindow(t *testing.T, name string, rtt time.Duration, n, agg int) float64 {
	p := newPath(t, name, rtt)
	p.agg = agg
	cycle := func() (area float64, d time.Duration) {
		for range n / agg {
			before := p.now
			w := float64(p.c.Window()) / testMSS
			p.step()
			d += p.now.Sub(before)
			area += w * p.now.Sub(before).Seconds()
		}
		p.c.EnterRecovery(p.now, p.c.Window())
		p.c.ExitRecovery(p.now)
		return area, d
	}
	for range 20 {
		cycle()
	}
	var area float64
	var d time.Duration
	for range 20 {
		a, dt := cycle()
		area += a
		d += dt
	}
	return area / d.Seconds()
}

// The average windows are those that RFC 9438 tables 1 and 2 give for the same
// loss, for Reno and for CUBIC with C = 0.4.
func TestResponseFunction(t *testing.T) {
	for _, tc := range []struct {
		rtt         time.Duration
		n, agg      int
		reno, cubic float64
	}{
		{100 * time.Millisecond, 1e3, 1, 38, 38},
		{100 * time.Millisecond, 1e4, 1, 120, 187},
		{100 * time.Millisecond, 1e5, 8, 379, 1054},
		{10 * time.Millisecond, 1e3, 1, 38, 38},
		{10 * time.Millisecond, 1e4, 1, 120, 120},
		{10 * time.Millisecond, 1e5, 8, 379, 379},
	} {
		for name, want := range map[string]float64{"reno": tc.reno, "cubic": tc.cubic} {
			got := averageWindow(t, name, tc.rtt, tc.n, tc.agg)
			t.Logf("%s, %v, 1 in %d: %.1f (want %.0f)", name, tc.rtt, tc.n, got, want)
			if got < 0.9*want || got > 1.12*want {
				t.Errorf("%s, %v, 1 in %d: got a window of %.1f segments on average, want %.0f", name, tc.rtt, tc.n, got, want)
			}
		}
	}
}
