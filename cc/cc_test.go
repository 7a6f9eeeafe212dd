package cc

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var names = []string{"reno", "cubic"}

func TestNewUnknown(t *testing.T) {
	for _, name := range []string{"", "RENO", "vegas"} {
		if c, err := New(name, testMSS); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: got %v, %v, want %v", name, c, err, ErrUnknown)
		}
	}
}

func TestInitialWindow(t *testing.T) {
	for _, tc := range []struct{ mss, want int }{
		{536, 5360}, {1000, 10000}, {1220, 12200}, {1460, 14600}, // ten segments
		{1461, 14600}, {4000, 14600}, {7300, 14600}, // 14,600 bytes
		{7301, 14602}, {8960, 17920}, {65495, 130990}, // two segments
	} {
		for _, name := range names {
			c, _ := New(name, tc.mss)
			if c.Window() != tc.want || c.Threshold() != math.MaxInt {
				t.Errorf("%s, MSS %d: got %d, %d, want %d and no threshold", name, tc.mss, c.Window(), c.Threshold(), tc.want)
			}
		}
	}
}

func TestSetMSS(t *testing.T) {
	for _, name := range names {
		p := newPath(t, name, time.Second)
		p.c.SetMSS(1460)
		p.want("before anything was sent", 14600, math.MaxInt)
		p.c.SetMSS(500)
		p.want("lower still", 5000, math.MaxInt)
		p.c.SetMSS(1000)
		p.want("up again", 10000, math.MaxInt)
		p.ack(10000)
		p.c.SetMSS(500)
		p.want("lower under way", 10000, math.MaxInt)
		p.c.SetMSS(1460)
		p.want("higher under way", 10000, math.MaxInt)
		p.c.Timeout(p.now, 10000)
		p.c.SetMSS(9000)
		if got := p.c.Window(); got != 9000 {
			t.Errorf("%s: got a window of %d, want one segment at least", name, got)
		}
	}
}

func TestSlowStart(t *testing.T) {
	for _, name := range names {
		p := newPath(t, name, time.Second)
		for range 5 {
			p.ack(2000)
		}
		p.want("a window acknowledged by delayed acknowledgements", 20000, math.MaxInt)
		p.ack(20000)
		p.want("a window acknowledged at once", 40000, math.MaxInt)
		p.ack(1)
		p.want("one byte", 40001, math.MaxInt)
		p.ack(1000000)
		p.want("more than a window, as after a timeout", 80002, math.MaxInt)
	}
}

// Slow start stops at the threshold, and the rest of the acknowledgement counts
// for congestion avoidance.
func TestSlowStartEnds(t *testing.T) {
	for _, name := range names {
		p := newPath(t, name, time.Second)
		p.grow(40000)
		p.c.Timeout(p.now, 40000)
		threshold := map[string]int{"reno": 20000, "cubic": 28000}[name]
		p.want("timeout", 1000, threshold)
		for range 4 {
			p.ack(p.c.Window())
		}
		p.want("four windows later", 16000, threshold)
		p.ack(threshold - 16000)
		p.want("at the threshold", threshold, threshold)
	}
}

func TestNoGrowth(t *testing.T) {
	for _, name := range names {
		p := newPath(t, name, time.Second)
		p.c.Acked(p.now, Ack{Bytes: 10000, InFlight: 10000, AppLimited: true})
		p.want("limited by the application", 10000, math.MaxInt)
		p.c.EnterRecovery(p.now, 10000)
		cwnd, threshold := p.c.Window(), p.c.Threshold()
		p.c.Acked(p.now, Ack{Bytes: 10000, InFlight: 10000, InRecovery: true})
		p.want("in recovery", cwnd, threshold)
		p.c.ExitRecovery(p.now)
		p.want("recovered", cwnd, threshold)
	}
}

// What was in flight counts, not a window nobody fills (RFC 5681 section 3.1).
func TestReductionFromFlight(t *testing.T) {
	for name, beta := range map[string]float64{"reno": 0.5, "cubic": 0.7} {
		p := newPath(t, name, time.Second)
		p.grow(100000)
		p.c.Acked(p.now, Ack{Bytes: 1000, InFlight: 20000, AppLimited: true})
		p.c.EnterRecovery(p.now, 19000)
		want := int(20000 * beta)
		p.want("loss with a fifth in flight", want, want)

		// One acknowledgement that covers half the window and shows a loss: the
		// flight it met counts, not what it left.
		p = newPath(t, name, time.Second)
		p.grow(100000)
		p.ack(0)
		p.c.EnterRecovery(p.now, 50000)
		want = int(100000 * beta)
		p.want("loss shown by a large acknowledgement", want, want)

		// More in flight than the window, after a reduction.
		p.c.EnterRecovery(p.now, 100000)
		want = int(100000 * beta * beta)
		p.want("next loss with the old flight", want, want)

		// There is an end to it.
		for range 20 {
			p.c.EnterRecovery(p.now, 0)
		}
		p.c.Acked(p.now, Ack{Bytes: 0, InRecovery: true})
		p.c.EnterRecovery(p.now, 0)
		p.want("loss upon loss", 2*testMSS, 2*testMSS)
	}
}

func TestTimeout(t *testing.T) {
	for name, beta := range map[string]float64{"reno": 0.5, "cubic": 0.7} {
		p := newPath(t, name, time.Second)
		p.grow(100000)
		p.c.Timeout(p.now, 80000)
		p.want("timeout", testMSS, int(80000*beta))
		p.c.Timeout(p.now, 1000)
		p.want("timeout with one segment in flight", testMSS, 2*testMSS)
	}
}

func TestUndo(t *testing.T) {
	for _, name := range names {
		p := newPath(t, name, 100*time.Millisecond)
		p.c.Undo(p.now)
		p.want("nothing to undo", 10000, math.MaxInt)

		p.grow(50000)
		p.c.EnterRecovery(p.now, 50000)
		p.c.Undo(p.now)
		p.want("spurious loss", 50000, math.MaxInt)

		p.c.EnterRecovery(p.now, 50000)
		cwnd := p.c.Window()
		p.c.Timeout(p.now, 50000)
		p.c.Undo(p.now)
		p.want("spurious timeout in recovery", cwnd, cwnd)
		p.c.Undo(p.now)
		p.want("only the last reduction comes back", cwnd, cwnd)
	}
}

func TestIdle(t *testing.T) {
	const rto = 200 * time.Millisecond
	for _, name := range names {
		p := newPath(t, name, 100*time.Millisecond)
		p.c.Idle(p.now, rto, time.Hour)
		p.want("initial window", 10000, math.MaxInt)
		p.grow(100000)
		p.c.Timeout(p.now, 10000) // a threshold of little
		threshold := p.c.Threshold()
		p.c.Idle(p.now, rto, time.Hour)
		p.want("window below the restart window", testMSS, threshold)
		p.c.Undo(p.now)

		p.c.Idle(p.now, rto, rto)
		p.want("one timeout is not more than one", 100000, math.MaxInt)
		p.c.EnterRecovery(p.now, 0)
		p.c.Undo(p.now)
		p.c.Idle(p.now, rto, rto+1)
		p.want("just over one timeout", 50000, math.MaxInt)
		p.c.Idle(p.now, rto, 2*rto+1)
		p.want("just over two", 12500, math.MaxInt)
		p.c.Idle(p.now, rto, 1000*time.Hour)
		p.want("very long", 10000, math.MaxInt)

		p.grow(80000)
		p.lose()
		cwnd := p.c.Window()
		p.c.Idle(p.now, rto, time.Hour)
		p.want("with a threshold", 10000, max(cwnd, cwnd/4*3))
	}
}

// After whatever happens, windows are such that the connection can go on.
func TestRandomEvents(t *testing.T) {
	for _, name := range names {
		for seed := range uint64(50) {
			r := rand.New(rand.NewPCG(seed, 1))
			c, _ := New(name, testMSS)
			now, mss, recovering := start, testMSS, false
			for range 2000 {
				now = now.Add(time.Duration(r.IntN(1e8)))
				before := c.Window()
				reduced := false
				switch r.IntN(20) {
				case 0:
					if !recovering {
						c.EnterRecovery(now, r.IntN(2*c.Window()))
						recovering, reduced = true, true
					}
				case 1:
					c.Timeout(now, r.IntN(2*c.Window()))
					recovering, reduced = false, true
				case 2:
					c.Undo(now)
				case 3:
					c.Idle(now, time.Duration(1+r.IntN(1e9)), time.Duration(r.Int64N(1e10)))
				case 4:
					mss = 1 + r.IntN(3000)
					c.SetMSS(mss)
				case 5, 6:
					c.ExitRecovery(now)
					recovering = false
				default:
					rtt := time.Duration(r.IntN(3e8))
					c.Acked(now, Ack{Bytes: r.IntN(c.Window() + 1), RTT: rtt, SmoothedRTT: rtt, MinRTT: rtt,
						InFlight: r.IntN(c.Window() + 1), AppLimited: r.IntN(4) == 0, InRecovery: recovering})
					if got := c.Window(); got < before || got > 2*before+mss {
						t.Fatalf("%s, seed %d: an acknowledgement took the window from %d to %d", name, seed, before, got)
					}
				}
				if c.Window() < mss || c.Threshold() <= 0 {
					t.Fatalf("%s, seed %d: window %d, threshold %d, MSS %d", name, seed, c.Window(), c.Threshold(), mss)
				}
				if reduced && c.Window() > max(before, 2*mss) {
					t.Fatalf("%s, seed %d: a loss took the window from %d to %d", name, seed, before, c.Window())
				}
			}
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	for _, name := range names {
		p := newPath(t, name, 50*time.Millisecond)
		n := testing.AllocsPerRun(100, func() {
			p.roundTrip()
			p.c.EnterRecovery(p.now, p.c.Window())
			p.c.ExitRecovery(p.now)
			p.roundTrip()
			p.c.Undo(p.now)
			p.c.Timeout(p.now, p.c.Window())
			p.roundTrip()
			p.c.Idle(p.now, time.Second, time.Minute)
		})
		if n != 0 {
			t.Errorf("%s: got %v allocations, want none", name, n)
		}
	}
}

func BenchmarkAcked(b *testing.B) {
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			c, _ := New(name, testMSS)
			now := start
			c.EnterRecovery(now, 1e6)
			for b.Loop() {
				now = now.Add(time.Millisecond)
				c.Acked(now, Ack{Bytes: 1000, SmoothedRTT: 1e8, InFlight: c.Window()})
			}
		})
	}
}
