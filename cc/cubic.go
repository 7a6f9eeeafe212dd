package cc

import (
	"math"
	"time"
)

// The constants of RFC 9438 sections 4.3, 4.6 and 5.1. Products are converted
// explicitly below so that no processor fuses them with a sum, and K is rounded:
// a run gives the same windows on every machine.
const (
	cubicC     = 0.4                                   // segments per second cubed
	cubicBeta  = 0.7                                   // what a congestion event leaves of the window
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta) // segments per round trip, as Reno's equal
)

// cubic is RFC 9438. Slow start is Reno's, with HyStart++ (RFC 9406).
type cubic struct {
	window
	curve   curve
	lastAck time.Time // the end of the time that counts for the curve so far
	undo    cubicUndo
}

// curve is where CUBIC stands on its way back to the window of the last
// congestion event, and beyond. Windows are in bytes.
type curve struct {
	running   bool          // in a congestion avoidance stage, so that the rest means something
	elapsed   time.Duration // t: since the stage began, without time in which the window was not the limit
	k         time.Duration // K: when the plateau wMax is reached
	wMax      float64       // the plateau; 0 if there was no congestion event that says
	wEst      float64       // the window Reno would have
	cwndPrior int           // the window before the last congestion event
	credit    float64       // growth of less than a byte
}

// cubicUndo is what the last reduction took away (RFC 9438 section 4.9.2).
type cubicUndo struct {
	valid          bool
	cwnd, ssthresh int
	curve          curve
}

func newCubic(mss int) *cubic { return &cubic{window: newWindow(mss)} }

func (c *cubic) Name() string { return "cubic" }

// SetMSS begins a new stage: the curve is drawn in segments.
func (c *cubic) SetMSS(mss int) {
	if mss != c.mss {
		c.curve.running = false
	}
	c.window.SetMSS(mss)
}

func (c *cubic) Acked(now time.Time, a Ack) {
	since := now.Sub(c.lastAck)
	c.lastAck = now
	if !c.acked(&a) {
		return // nor does time count (RFC 9438 section 4.2)
	}
	rest := c.slowStart(&a)
	if rest == 0 {
		return
	}
	if c.curve.running {
		c.curve.elapsed += since
	} else {
		c.beginStage()
	}
	c.avoidCongestion(rest, a.SmoothedRTT)
}

// beginStage begins a congestion avoidance stage (RFC 9438 section 4.2). Without
// a plateau above, after slow start or a timeout, the curve starts at its
// plateau (sections 4.8 and 4.10).
func (c *cubic) beginStage() {
	v, cwnd := &c.curve, float64(c.cwnd)
	v.running, v.elapsed, v.credit = true, 0, 0
	v.wEst = cwnd
	if v.cwndPrior == 0 {
		v.cwndPrior = c.cwnd
	}
	if v.wMax <= cwnd {
		v.wMax, v.k = cwnd, 0
		return
	}
	segments := (v.wMax - cwnd) / float64(c.mss)
	v.k = time.Duration(math.Cbrt(segments/cubicC) * float64(time.Second)).Round(time.Microsecond)
}

// window is W_cubic(t), RFC 9438 figure 1.
func (v *curve) window(t time.Duration, mss int) float64 {
	d := (t - v.k).Seconds()
	return float64(cubicC*float64(d*d*d)*float64(mss)) + v.wMax
}

// avoidCongestion takes the larger of the cubic and the Reno-friendly window
// (RFC 9438 sections 4.2 to 4.5).
func (c *cubic) avoidCongestion(bytes int, rtt time.Duration) {
	v, cwnd := &c.curve, float64(c.cwnd)
	share := float64(bytes) / cwnd // of the window's round trip
	alpha := cubicAlpha
	if v.wEst >= float64(v.cwndPrior) {
		alpha = 1
	}
	v.wEst += float64(alpha * share * float64(c.mss))

	if v.window(v.elapsed, c.mss) < v.wEst {
		c.cwnd = max(c.cwnd, int(v.wEst))
		v.credit = 0
		return
	}
	target := min(max(v.window(v.elapsed+rtt, c.mss), cwnd), float64(1.5*cwnd))
	// One acknowledgement for the whole window may reach the target, no more.
	v.credit += float64((target - cwnd) * min(share, 1))
	whole := int(v.credit)
	c.cwnd += whole
	v.credit -= float64(whole)
}

func (c *cubic) EnterRecovery(now time.Time, inFlight int) {
	c.save()
	// Fast convergence: a plateau lower than the last one says that others
	// need room, so leave them more (RFC 9438 section 4.7).
	cwnd := float64(c.cwnd)
	if cwnd < c.curve.wMax {
		c.curve.wMax = cwnd * ((1 + cubicBeta) / 2)
	} else {
		c.curve.wMax = cwnd
	}
	c.reduce(c.flightAtLoss(inFlight))
	c.cwnd = c.ssthresh
}

func (c *cubic) ExitRecovery(now time.Time) {}

func (c *cubic) Timeout(now time.Time, inFlight int) {
	c.save()
	c.curve.wMax = 0 // the next stage begins at its plateau (RFC 9438 section 4.8)
	c.reduce(inFlight)
	c.cwnd = c.mss
}

// reduce is the part that both kinds of congestion event share (RFC 9438
// section 4.6).
func (c *cubic) reduce(flight int) {
	c.started = true
	c.curve.cwndPrior = c.cwnd
	c.curve.running = false
	c.ssthresh = max(int(int64(flight)*7/10), c.minWindow()) // cubicBeta, exactly
}

func (c *cubic) save() {
	c.undo = cubicUndo{valid: true, cwnd: c.cwnd, ssthresh: c.ssthresh, curve: c.curve}
}

// Undo is RFC 9438 section 4.9.2: where the window has outgrown the old one in
// the meantime, the present curve stays.
func (c *cubic) Undo(now time.Time) {
	if !c.undo.valid {
		return
	}
	c.undo.valid = false
	if c.cwnd < c.undo.cwnd {
		c.cwnd, c.ssthresh, c.curve = c.undo.cwnd, c.undo.ssthresh, c.undo.curve
	}
}

func (c *cubic) Idle(now time.Time, rto, idle time.Duration) {
	c.lastAck = now // idle time does not count (RFC 9438 section 5.8)
	if c.restart(rto, idle) {
		c.curve.running = false
	}
}
