package tcp

import "time"

const (
	// Deviation: RFC 6298 section 2.4 wants at least one second. Every stack
	// in use has gone below; 200 ms still covers the delayed acknowledgements
	// of all of them.
	minRTO     = 200 * time.Millisecond
	maxRTO     = 60 * time.Second
	initialRTO = time.Second
	// rtoAfterSYNLoss is the RTO to start data with when the SYN had to be
	// sent again (RFC 6298 section 5.7).
	rtoAfterSYNLoss = 3 * time.Second
	clockGrain      = time.Millisecond
)

// rttEstimator is RFC 6298.
type rttEstimator struct {
	srtt, rttvar time.Duration
	rto          time.Duration
	min          time.Duration
	minAt        time.Time
	longest      time.Duration // bound of the backoff, 0 for maxRTO
}

func (r *rttEstimator) init() { r.rto = initialRTO }

// minRTTWindow is how long a smallest RTT is believed.
const minRTTWindow = 5 * time.Minute

func (r *rttEstimator) sample(now time.Time, m time.Duration) {
	m = max(m, time.Microsecond)
	if r.min == 0 || m <= r.min || now.Sub(r.minAt) > minRTTWindow {
		r.min, r.minAt = m, now
	}
	if r.srtt == 0 {
		r.srtt, r.rttvar = m, m/2
	} else {
		r.rttvar = (3*r.rttvar + (r.srtt - m).Abs()) / 4
		r.srtt = (7*r.srtt + m) / 8
	}
	// The floor is on the variance term, as on Linux: a long path keeps the
	// same safety margin as a short one.
	r.rto = min(r.srtt+max(clockGrain, 4*r.rttvar, minRTO), maxRTO)
}

// backoff is the timeout after n that came in a row (RFC 6298 section 5.5).
func (r *rttEstimator) backoff(n int) time.Duration {
	d, longest := r.rto, time.Duration(maxRTO)
	if r.longest > 0 {
		longest = max(r.longest, r.rto)
	}
	for ; n > 0 && d < longest; n-- {
		d *= 2
	}
	return min(d, longest)
}

// CapBackoff bounds the retransmission timeout's doubling, and leaves to the
// Upper when to give up: its data goes another way, and what is sent here only
// asks whether the path is back. One segment each d is no load. 0 takes the
// bound away.
func (c *Conn) CapBackoff(d time.Duration) { c.rtt.longest = d }
