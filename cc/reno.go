package cc

import (
	"math"
	"time"
)

// reno is RFC 5681 with appropriate byte counting (RFC 3465).
type reno struct {
	mss, cwnd, ssthresh, acked int
	priorCwnd, priorSsthresh   int
}

func initialWindow(mss int) int { return min(10*mss, max(2*mss, 14600)) } // RFC 6928

func newReno(mss int) *reno {
	return &reno{mss: mss, cwnd: initialWindow(mss), ssthresh: math.MaxInt}
}

func (r *reno) Name() string   { return "reno" }
func (r *reno) Window() int    { return r.cwnd }
func (r *reno) Threshold() int { return r.ssthresh }
func (r *reno) SetMSS(mss int) {
	if r.cwnd == initialWindow(r.mss) {
		r.cwnd = initialWindow(mss)
	}
	r.mss = mss
	r.cwnd = max(r.cwnd, mss)
}
func (r *reno) Acked(now time.Time, a Ack) {
	if a.InRecovery || a.AppLimited {
		return
	}
	if r.cwnd < r.ssthresh {
		r.cwnd += a.Bytes
		return
	}
	if r.acked += a.Bytes; r.acked >= r.cwnd {
		r.acked -= r.cwnd
		r.cwnd += r.mss
	}
}
func (r *reno) reduce(inFlight int) {
	r.priorCwnd, r.priorSsthresh = r.cwnd, r.ssthresh
	r.ssthresh = max(inFlight/2, 2*r.mss)
}
func (r *reno) EnterRecovery(now time.Time, inFlight int) {
	r.reduce(inFlight)
	r.cwnd = r.ssthresh
}
func (r *reno) ExitRecovery(time.Time) {}
func (r *reno) Timeout(now time.Time, inFlight int) {
	r.reduce(inFlight)
	r.cwnd = r.mss
}
func (r *reno) Undo(time.Time) {
	r.cwnd, r.ssthresh = max(r.cwnd, r.priorCwnd), max(r.ssthresh, r.priorSsthresh)
}
func (r *reno) Idle(now time.Time, rto, idle time.Duration) {
	for ; idle > rto && r.cwnd > initialWindow(r.mss); idle -= rto {
		r.cwnd = max(r.cwnd/2, initialWindow(r.mss))
	}
}
