package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/cc"
	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// phase is where loss recovery stands.
type phase uint8

const (
	phaseOpen     phase = iota
	phaseRecovery       // lost segments are being repaired (RFC 6675, RFC 6582)
	phaseLoss           // a retransmission timeout came (RFC 5681 section 3.1)
)

const dupThresh = 3 // RFC 5681 section 3.2

// recovery decides what is lost. With SACK it judges by time, as RACK does
// (RFC 8985 section 6.2): a segment is lost if one sent later has arrived and
// a fraction of a round trip has passed. Without SACK it is NewReno (RFC 6582).
type recovery struct {
	sack     bool // both ends speak SACK
	phase    phase
	point    seq.Pos // recovery ends when this is acknowledged
	dupAcks  int
	gone     int       // bytes that duplicate acknowledgements say have left the path, where SACK does not say which
	timeouts int       // retransmission timeouts in a row
	progress time.Time // when the oldest data last moved
	arrived  time.Time // when anything was last known to have arrived

	// Of the segment sent last among those that arrived (RACK.segment).
	rackSentAt time.Time
	rackEnd    seq.Pos
	rackRTT    time.Duration
	reordered  bool    // the path has been seen to reorder
	fack       seq.Pos // highest position known to have arrived

	delivered uint64 // bytes acknowledged, in order or not
	rate      deliveryRate
}

// ackSummary is what one acknowledgement brought.
type ackSummary struct {
	delivered int     // bytes newly acknowledged, in order or not
	advanced  int     // bytes by which SND.UNA moved
	fack      seq.Pos // highest position among them
	rtt       time.Duration
	hasRTT    bool
}

// noteDelivered is called for every record that newly arrived.
func (c *Conn) noteDelivered(now time.Time, r *record, end seq.Pos, s *ackSummary) {
	rtt := now.Sub(r.sentAt)
	if !r.again && (!s.hasRTT || rtt < s.rtt) { // Karn's algorithm: RFC 6298 section 3
		s.rtt, s.hasRTT = rtt, true
	}
	if r.again && rtt < c.rtt.min {
		return // more likely the first copy arrived (RFC 8985 section 6.2 step 2)
	}
	l := &c.loss
	if !r.again && end < l.fack {
		l.reordered = true
	}
	s.fack = max(s.fack, end) // not yet in l: the blocks of one SACK option come in any order
	if r.sentAt.After(l.rackSentAt) || r.sentAt.Equal(l.rackSentAt) && end > l.rackEnd {
		l.rackSentAt, l.rackEnd, l.rackRTT = r.sentAt, end, rtt
	}
}

// handleSACK marks what the SACK blocks of seg name (RFC 2018, RFC 6675
// section 5). Blocks that make no sense are ignored: a middlebox that rewrites
// sequence numbers but not SACK must not confuse us.
func (c *Conn) handleSACK(now time.Time, seg *wire.Segment, ack seq.Pos, s *ackSummary) {
	if !seg.Options.Has(wire.HasSACK) || !c.sackOn() {
		return
	}
	for _, b := range seg.Options.SACK[:seg.Options.SACKLen] {
		lo := seq.Unwrap32(c.snd.una, c.snd.iss, b.Left)
		hi := seq.Unwrap32(c.snd.una, c.snd.iss, b.Right)
		if lo >= hi || lo < ack || hi > c.snd.nxt { // DSACK (RFC 2883) or nonsense
			continue
		}
		c.sackRange(now, seq.Range{Lo: lo, Hi: hi}, s)
	}
}

func (c *Conn) sackRange(now time.Time, rg seq.Range, s *ackSummary) {
	q := &c.sent
	for i := q.find(rg.Lo); i < len(q.live()); i++ {
		r := &q.live()[i]
		if r.lo >= rg.Hi {
			return
		}
		if r.sacked {
			continue
		}
		if r.cutTooFine(rg.Lo) || r.cutTooFine(rg.Hi) {
			continue
		}
		if r.lo < rg.Lo {
			q.split(i, rg.Lo)
			continue
		}
		q.split(i, rg.Hi)
		r = &q.live()[i]
		q.markSacked(r)
		s.delivered += r.len()
		c.noteDelivered(now, r, r.hi, s)
	}
}

// detectLoss finds what is lost by now and begins recovery if anything is.
func (c *Conn) detectLoss(now time.Time) {
	if !c.sackOn() {
		return
	}
	if c.markLostByTime(now) {
		c.enterRecovery(now)
	}
}

// reorderWindow is how much later than a later segment one may still arrive
// (RFC 8985 section 6.2 step 4).
func (c *Conn) reorderWindow() time.Duration {
	if !c.loss.reordered && (c.loss.phase != phaseOpen || c.sent.sacked >= dupThresh*c.SegmentSize()) {
		return 0
	}
	return min(c.rtt.min/4, c.rtt.srtt)
}

// markLostByTime is RFC 8985 section 6.2 step 5.
func (c *Conn) markLostByTime(now time.Time) bool {
	l := &c.loss
	c.timer.stop(timerReorder)
	if l.rackSentAt.IsZero() || c.sent.pipe() == 0 {
		return false
	}
	patience := l.rackRTT + c.reorderWindow()
	found := false
	var wait time.Duration
	live := c.sent.live()
	for i := range live {
		r := &live[i]
		overtaken, waited := l.overtaken(r), now.Sub(r.sentAt)
		if !overtaken && !r.again {
			break // all that follow were sent later still
		}
		switch {
		case !overtaken || r.sacked || r.lost:
		case waited < patience:
			wait = max(wait, patience-waited)
		default:
			c.sent.markLost(r)
			c.stats.Losses++
			found = true
		}
	}
	if wait > 0 {
		c.timer.set(timerReorder, now, wait)
	}
	return found
}

// overtaken reports whether something that was sent after r has arrived.
func (l *recovery) overtaken(r *record) bool {
	return r.sentAt.Before(l.rackSentAt) || r.sentAt.Equal(l.rackSentAt) && r.hi < l.rackEnd
}

func (c *Conn) enterRecovery(now time.Time) {
	if c.loss.phase != phaseOpen {
		return
	}
	c.loss.phase = phaseRecovery
	c.loss.point = c.snd.nxt
	c.cc.EnterRecovery(now, c.sent.flight-c.sent.sacked)
}

// handleDupAck counts duplicate acknowledgements where there is no SACK (RFC
// 6582 section 3.2).
func (c *Conn) handleDupAck(now time.Time) {
	if c.sackOn() || c.sent.empty() {
		return
	}
	l := &c.loss
	l.dupAcks++
	if l.phase == phaseOpen && l.dupAcks == dupThresh && c.snd.una > l.point {
		c.markHeadLost()
		c.enterRecovery(now)
	}
	// Each was sent for a segment that arrived, and lets another go: two at
	// first (limited transmit, RFC 3042), in recovery any number (the inflated
	// window of RFC 6582 section 3.2). After a timeout they mean nothing.
	switch l.phase {
	case phaseOpen:
		l.gone = min(l.gone+c.SegmentSize(), c.sent.pipe(), (dupThresh-1)*c.SegmentSize())
	case phaseRecovery:
		l.gone = min(l.gone+c.SegmentSize(), c.sent.pipe())
	}
}

// markHeadLost gives up the first full segment of what is in flight.
func (c *Conn) markHeadLost() {
	if c.sent.empty() {
		return
	}
	c.sent.split(0, c.sent.live()[0].lo+seq.Pos(c.SegmentSize()))
	if r := &c.sent.live()[0]; !r.lost {
		c.sent.markLost(r)
		c.stats.Losses++
	}
}

// ackedInRecovery moves recovery on after SND.UNA moved by n bytes.
func (c *Conn) ackedInRecovery(now time.Time, n int) {
	l := &c.loss
	l.dupAcks = 0
	switch {
	case l.phase == phaseOpen:
		l.gone = 0
	case c.snd.una >= l.point:
		l.gone, l.phase = 0, phaseOpen
		c.cc.ExitRecovery(now)
	case !c.sackOn():
		// One segment filled a gap, the others had arrived before.
		l.gone = max(0, l.gone-max(0, n-c.SegmentSize()))
		if l.phase == phaseRecovery {
			c.markHeadLost() // partial acknowledgement: the next hole (RFC 6582 section 3.2 step 5)
		}
	}
}

// takeAck feeds round-trip time and congestion control.
func (c *Conn) takeAck(now time.Time, s *ackSummary, flight int) {
	if s.hasRTT {
		c.rtt.sample(now, s.rtt)
	}
	if s.delivered == 0 {
		return
	}
	c.loss.fack = max(c.loss.fack, s.fack)
	c.loss.delivered += uint64(s.delivered)
	c.loss.arrived = now
	c.loss.rate.update(now, c.loss.delivered, c.rtt.srtt)
	c.cc.Acked(now, cc.Ack{
		Bytes: s.delivered, RTT: s.rtt, SmoothedRTT: c.rtt.srtt, MinRTT: c.rtt.min,
		InFlight: flight, AppLimited: c.snd.una > c.snd.cwndLimit,
		InRecovery: c.loss.phase == phaseRecovery,
	})
}

// rexmitTimeout is RFC 6298 section 5.4 to 5.7 and RFC 5681 section 3.1.
func (c *Conn) rexmitTimeout(now time.Time) {
	l := &c.loss
	l.timeouts++
	c.stats.Timeouts++
	if c.gaveUp(now) {
		c.abort(now, c.timeoutError())
		return
	}
	c.timer.set(timerRexmit, now, c.rexmitDelay(now))
	if c.state.synchronized() {
		c.loseAll(now)
	} else {
		c.synPending = true
	}
	c.upper.Notify(now, Stalled)
}

// loseAll takes everything in flight for lost.
func (c *Conn) loseAll(now time.Time) {
	l := &c.loss
	if l.timeouts == 1 {
		l.phase, l.point = phaseLoss, c.snd.nxt
		c.cc.Timeout(now, c.sent.flight-c.sent.sacked)
	}
	if live := c.sent.live(); live[0].sacked {
		c.sent.forgetSacks() // reneged: SND.UNA would have moved
	}
	c.timer.stop(timerReorder)
	l.dupAcks, l.gone = 0, 0
	for i := range c.sent.live() {
		c.sent.markLost(&c.sent.live()[i])
	}
	c.stats.Losses++
	c.mtu.timeout(c, now)
}

// gaveUp reports whether there were timeouts enough to call the peer gone.
func (c *Conn) gaveUp(now time.Time) bool {
	switch {
	case c.userTimeout(now) <= 0:
		return true
	case !c.state.synchronized():
		return c.loss.timeouts > c.cfg.SynRetries
	case c.cfg.UserTimeout > 0 || c.rtt.longest > 0:
		return false
	case c.snd.wnd == 0 && !c.orphan && now.Sub(c.rcv.last) < 2*maxRTO:
		// The peer took its window back and says so each time: what we
		// send are window probes (RFC 9293 section 3.8.6.1).
		return false
	}
	return c.loss.timeouts > c.cfg.Retries
}

// userTimeout is what is left of the user timeout (RFC 9293 section 3.9.1.1).
func (c *Conn) userTimeout(now time.Time) time.Duration {
	if c.cfg.UserTimeout <= 0 {
		return maxRTO
	}
	return c.cfg.UserTimeout - now.Sub(c.loss.progress)
}

// rexmitDelay is how long to wait for an acknowledgement.
func (c *Conn) rexmitDelay(now time.Time) time.Duration {
	return min(c.rtt.backoff(c.loss.timeouts), max(clockGrain, c.userTimeout(now)))
}

// timeoutError names what kept us waiting: what ICMP said, if it said anything
// (RFC 9293 section 3.9.2.2: soft errors do not end a connection by themselves).
func (c *Conn) timeoutError() error {
	if c.stats.Unreachable > 0 && c.state < StateEstablished {
		return ErrUnreachable
	}
	return ErrTimeout
}

// armRexmit restarts the retransmission timer (RFC 6298 section 5.1 to 5.3).
func (c *Conn) armRexmit(now time.Time) {
	if c.sent.empty() {
		c.timer.stop(timerRexmit)
		return
	}
	c.timer.set(timerRexmit, now, c.rexmitDelay(now))
}

// deliveryRate measures acknowledged bytes per second over about a round trip.
type deliveryRate struct {
	since time.Time
	bytes uint64
	rate  float64
}

func (d *deliveryRate) update(now time.Time, delivered uint64, srtt time.Duration) {
	gone := now.Sub(d.since)
	if d.since.IsZero() || gone > 10*time.Second {
		d.since, d.bytes = now, delivered
		return
	}
	if gone < max(srtt, 10*time.Millisecond) {
		return
	}
	sample := float64(delivered-d.bytes) / gone.Seconds()
	if d.rate == 0 {
		d.rate = sample
	}
	d.rate += (sample - d.rate) / 4
	d.since, d.bytes = now, delivered
}

// Penalise halves the congestion window although nothing was lost: the layer
// above found this path to hold up others.
func (c *Conn) Penalise(now time.Time) {
	if c.loss.phase == phaseOpen {
		c.cc.EnterRecovery(now, c.cc.Window())
		c.cc.ExitRecovery(now)
	}
}
