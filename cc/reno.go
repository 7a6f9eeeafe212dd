package cc

import "time"

// reno is RFC 5681 with appropriate byte counting (RFC 3465).
type reno struct {
	window
	counted int // bytes acknowledged towards the next segment of growth
	undo    renoUndo
}

// renoUndo is what the last reduction took away.
type renoUndo struct {
	valid          bool
	cwnd, ssthresh int
}

func newReno(mss int) *reno { return &reno{window: newWindow(mss)} }

func (r *reno) Name() string { return "reno" }

func (r *reno) Acked(now time.Time, a Ack) {
	if !r.acked(&a) {
		return
	}
	if rest := r.slowStart(&a); rest > 0 {
		r.avoidCongestion(rest)
	}
}

// avoidCongestion adds a segment for each window of bytes acknowledged (RFC
// 3465 section 2.1).
func (r *reno) avoidCongestion(bytes int) {
	r.counted += bytes
	if r.counted >= r.cwnd {
		r.counted = min(r.counted-r.cwnd, r.cwnd)
		r.cwnd += r.mss
	}
}

func (r *reno) EnterRecovery(now time.Time, inFlight int) {
	r.reduce(r.flightAtLoss(inFlight))
	r.cwnd = r.ssthresh
}

func (r *reno) ExitRecovery(now time.Time) {}

func (r *reno) Timeout(now time.Time, inFlight int) {
	r.reduce(inFlight)
	r.cwnd = r.mss
}

// reduce sets the threshold to half of what was in flight (RFC 5681 equation 4).
func (r *reno) reduce(flight int) {
	r.started = true
	r.undo = renoUndo{valid: true, cwnd: r.cwnd, ssthresh: r.ssthresh}
	r.ssthresh = max(flight/2, r.minWindow())
	r.counted = 0
}

func (r *reno) Undo(now time.Time) {
	if !r.undo.valid {
		return
	}
	r.cwnd = max(r.cwnd, r.undo.cwnd)
	r.ssthresh = r.undo.ssthresh
	r.undo.valid = false
}

func (r *reno) Idle(now time.Time, rto, idle time.Duration) {
	if r.restart(rto, idle) {
		r.counted = 0
	}
}
