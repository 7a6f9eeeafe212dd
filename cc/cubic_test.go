package cc

import (
	"math"
	"testing"
	"time"
)

// within fails unless got is want, give or take the part tol of it.
func within(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if math.Abs(got-want) > tol*math.Abs(want) {
		t.Errorf("%s: got %v, want %v within %v", what, got, want, tol)
	}
}

// cubicAfterLoss is a connection whose window was 1,000 segments when it lost
// one.
func cubicAfterLoss(t *testing.T, rtt time.Duration) (*path, *cubic) {
	p := newPath(t, "cubic", rtt)
	p.grow(1000 * testMSS)
	p.lose()
	p.want("after the loss", 700*testMSS, 700*testMSS)
	return p, p.c.(*cubic)
}

// K and W_cubic(t) as Python computes them from RFC 9438 figures 1 and 2:
//
//	K = (300/0.4)**(1/3); 0.4*(t-K)**3 + 1000
func TestCubicFunction(t *testing.T) {
	p, c := cubicAfterLoss(t, 100*time.Millisecond)
	p.ack(1000)
	within(t, "K", c.curve.k.Seconds(), 9.085602964160698, 1e-6)
	for _, tc := range []struct{ t, want float64 }{
		{0, 700}, {1, 788.555093909846}, {3, 909.8489403875809}, {5, 972.7209984093731},
		{9, 999.9997490851293}, {10, 1000.3058189691042}, {12, 1009.901617395097}, {15, 1082.7544616791936},
	} {
		got := c.curve.window(time.Duration(tc.t*1e9), testMSS) / testMSS
		within(t, "W_cubic", got, tc.want, 1e-6)
	}
}

// The window itself goes along the curve: at most a round trip ahead of it, and
// hardly behind.
func TestCubicWindowFollowsCurve(t *testing.T) {
	const rtt = 100 * time.Millisecond
	p, _ := cubicAfterLoss(t, rtt)
	p.ack(1000)
	began := p.now
	w := func(at time.Duration) float64 { return 0.4*math.Pow(at.Seconds()-9.085602964160698, 3) + 1000 }
	for range 300 { // 30 seconds: the concave part, the plateau, the convex part
		p.run(rtt)
		at := p.now.Sub(began)
		got := float64(p.c.Window()) / testMSS
		if lo, hi := w(at-rtt/2), w(at+rtt); got < 0.995*lo || got > 1.005*hi {
			t.Fatalf("after %v: got a window of %.1f segments, want %.1f to %.1f", at, got, lo, hi)
		}
	}
	if got := p.c.Window() / testMSS; got < 4000 {
		t.Errorf("after 30 s: got %d segments, want the convex part to be far up", got)
	}
}

// However far away the curve is, one round trip takes the window up by half at
// most (RFC 9438 section 4.2).
func TestCubicGrowthIsBounded(t *testing.T) {
	p, c := cubicAfterLoss(t, 100*time.Millisecond)
	p.ack(1000)
	c.curve.elapsed = time.Hour
	before := p.c.Window()
	p.ack(before)
	if got := p.c.Window(); got != before*3/2 {
		t.Errorf("got %d, want half more than %d", got, before)
	}
}

func TestCubicFastConvergence(t *testing.T) {
	p, c := cubicAfterLoss(t, 100*time.Millisecond)
	within(t, "W_max after the first loss", c.curve.wMax, 1000*testMSS, 0)
	// 700 segments is below the last plateau: W_max = 700 * (1 + 0.7) / 2.
	p.lose()
	within(t, "W_max after a loss below it", c.curve.wMax, 595*testMSS, 1e-9)
	p.want("second loss", 490*testMSS, 490*testMSS)
	// Above the plateau it is the window itself.
	p.run(12 * time.Second)
	cwnd := p.c.Window()
	if cwnd < 600*testMSS {
		t.Fatalf("got a window of %d, want it above the plateau", cwnd)
	}
	p.lose()
	within(t, "W_max after a loss above it", c.curve.wMax, float64(cwnd), 0)
}

// With a short round trip the window is Reno's of the same average: it grows by
// 3 * 0.3 / 1.7 segments each round trip, and by one once it is back where it
// was (RFC 9438 section 4.3).
func TestCubicRenoFriendly(t *testing.T) {
	p := newPath(t, "cubic", time.Millisecond)
	p.grow(100 * testMSS)
	p.lose()
	p.want("after the loss", 70*testMSS, 70*testMSS)
	for range 20 {
		p.roundTrip()
	}
	within(t, "20 round trips", float64(p.c.Window()), (70+20*0.9/1.7)*testMSS, 0.01)
	for p.c.Window() < 100*testMSS {
		p.roundTrip()
	}
	before := p.c.Window()
	for range 20 {
		p.roundTrip()
	}
	within(t, "20 round trips beyond", float64(p.c.Window()-before), 20*testMSS, 0.05)
}

// Time in which the window was not the limit does not count for the curve (RFC
// 9438 sections 4.2 and 5.8).
func TestCubicTimeNotUsedDoesNotCount(t *testing.T) {
	p, c := cubicAfterLoss(t, 100*time.Millisecond)
	p.ack(1000)
	p.run(2 * time.Second)
	elapsed, cwnd := c.curve.elapsed, p.c.Window()
	for range 100 {
		p.now = p.now.Add(100 * time.Millisecond)
		p.c.Acked(p.now, Ack{Bytes: 1000, SmoothedRTT: p.rtt, InFlight: 5000, AppLimited: true})
	}
	if c.curve.elapsed != elapsed || p.c.Window() != cwnd {
		t.Errorf("limited by the application: got %v and %d, want %v and %d", c.curve.elapsed, p.c.Window(), elapsed, cwnd)
	}
	p.now = p.now.Add(300 * time.Millisecond)
	p.c.Idle(p.now, time.Second, 300*time.Millisecond) // too short to restart
	p.now = p.now.Add(p.rtt)
	p.ack(1000)
	if got, want := c.curve.elapsed, elapsed+p.rtt; got != want {
		t.Errorf("idle: got %v, want %v", got, want)
	}
	// A restart begins a new stage from the threshold.
	p.now = p.now.Add(time.Minute)
	p.c.Idle(p.now, time.Second, time.Minute)
	p.want("restart", 10*testMSS, 700*testMSS)
	p.grow(700 * testMSS)
	p.ack(1000)
	within(t, "K of the new stage", c.curve.k.Seconds(), 9.085602964160698, 1e-6)
}

// After a timeout the curve starts at its plateau (RFC 9438 section 4.8).
func TestCubicTimeout(t *testing.T) {
	p, c := cubicAfterLoss(t, 100*time.Millisecond)
	p.c.Timeout(p.now, 700*testMSS)
	p.want("timeout", testMSS, 490*testMSS)
	p.grow(490 * testMSS)
	p.ack(1000)
	if c.curve.k != 0 {
		t.Errorf("K: got %v, want 0", c.curve.k)
	}
	within(t, "W_max", c.curve.wMax, 490*testMSS, 1e-9)
	p.run(5 * time.Second)
	// W_cubic(5) = 0.4 * 125 + 490, which is more than Reno's 490 + 0.53 * 50.
	within(t, "window 5 s later", float64(p.c.Window()), 540*testMSS, 0.01)
}

// A spurious loss leaves the curve where it was (RFC 9438 section 4.9.2).
func TestCubicUndo(t *testing.T) {
	p, c := cubicAfterLoss(t, 100*time.Millisecond)
	p.ack(1000)
	p.run(3 * time.Second)
	want, cwnd, threshold := c.curve, p.c.Window(), p.c.Threshold()
	p.lose()
	p.c.Undo(p.now)
	p.want("undone", cwnd, threshold)
	if c.curve != want {
		t.Errorf("curve: got %+v, want %+v", c.curve, want)
	}

	// Too late: the window has grown beyond, and the present curve stays.
	p.lose()
	for p.c.Window() < cwnd+testMSS {
		p.roundTrip()
	}
	want, cwnd, threshold = c.curve, p.c.Window(), p.c.Threshold()
	p.c.Undo(p.now)
	p.want("undone late", cwnd, threshold)
	if c.curve != want {
		t.Errorf("curve: got %+v, want %+v", c.curve, want)
	}
}
