package cc

import (
	"math"
	"time"
)

// window is what window-based controllers have in common: the window itself,
// slow start, and the restart after idle.
type window struct {
	mss      int
	cwnd     int
	ssthresh int
	flight   int // in flight when the last acknowledgement arrived
	hystart  hyStart
	started  bool // something was acknowledged or lost: cwnd is no longer the initial one
}

func newWindow(mss int) window {
	checkMSS(mss)
	return window{mss: mss, cwnd: initialWindow(mss), ssthresh: math.MaxInt}
}

func checkMSS(mss int) {
	if mss <= 0 {
		panic("BUG: cc: a full segment of no bytes")
	}
}

// initialWindow is RFC 6928 section 2.
func initialWindow(mss int) int { return min(10*mss, max(2*mss, 14600)) }

// minWindow is the least threshold, and window after a loss (RFC 5681 equation
// 4).
func (w *window) minWindow() int { return 2 * w.mss }

func (w *window) Window() int    { return w.cwnd }
func (w *window) Threshold() int { return w.ssthresh }

// SetMSS keeps the initial window at its number of segments until something was
// acknowledged. Later a smaller segment takes the window down with it, so that
// no burst of small segments follows (RFC 5681 section 3.1); a larger one leaves
// the bytes alone.
func (w *window) SetMSS(mss int) {
	checkMSS(mss)
	switch {
	case !w.started:
		w.cwnd = initialWindow(mss)
	case mss < w.mss:
		w.cwnd = int(int64(w.cwnd) * int64(mss) / int64(w.mss))
	}
	w.mss = mss
	w.cwnd = max(w.cwnd, mss)
}

// acked notes an acknowledgement, and reports whether the window may grow: not
// in recovery, and not when the window was larger than what was asked of it
// (RFC 7661 section 3, RFC 9438 section 4.6).
func (w *window) acked(a *Ack) bool {
	w.started = true
	w.flight = a.InFlight
	return !a.InRecovery && !a.AppLimited
}

// slowStart grows the window up to the threshold (RFC 5681 section 3.1) and
// gives how many of the acknowledged bytes are left for congestion avoidance.
//
// Deviation: RFC 3465 section 2.3 counts at most two segments of one
// acknowledgement, and one after a timeout. Receivers that join segments
// acknowledge dozens at once, and would slow us down to a crawl. So every byte
// counts, but one acknowledgement at most doubles the window: that holds back
// the one that, after a timeout, uncovers all that had arrived before.
func (w *window) slowStart(a *Ack) (rest int) {
	bytes := a.Bytes
	if w.cwnd >= w.ssthresh {
		return bytes
	}
	if w.ssthresh == math.MaxInt { // the first: later ones know where to stop
		var over bool
		if bytes, over = w.hystart.acked(a); over {
			w.ssthresh = w.cwnd
			return bytes
		}
	}
	grown := min(bytes, w.cwnd, w.ssthresh-w.cwnd)
	w.cwnd += grown
	if w.cwnd < w.ssthresh {
		return 0
	}
	return bytes - grown
}

// flightAtLoss is the flight size that a reduction starts from: what was in
// flight when the acknowledgement that revealed the loss arrived, since one
// acknowledgement may cover a good part of the window. Never more than the
// window, so that a reduction reduces.
func (w *window) flightAtLoss(inFlight int) int {
	return min(max(inFlight, w.flight), w.cwnd)
}

// restart takes the window down after idle time: by half for each timeout that
// passed, to no less than the restart window, with the threshold remembering
// three quarters of what was in use. It reports whether it did anything.
//
// Deviation: RFC 5681 section 4.1 goes to the restart window at once. Halving
// is RFC 2861 section 3.2, and what common stacks do.
func (w *window) restart(rto, idle time.Duration) bool {
	floor := min(w.cwnd, initialWindow(w.mss))
	if rto <= 0 || idle <= rto || w.cwnd <= floor {
		return false
	}
	w.ssthresh = max(w.ssthresh, w.cwnd/4*3)
	for ; idle > rto && w.cwnd > floor; idle -= rto {
		w.cwnd = max(w.cwnd/2, floor)
	}
	return true
}
