package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// Input takes a segment that was addressed to this connection (RFC 9293
// section 3.10.7). seg is the caller's again afterwards, and so is the memory it
// refers to, unless that is in's.
func (c *Conn) Input(now time.Time, seg *wire.Segment, in *stream.Buffer) {
	if c.state == StateClosed {
		return
	}
	c.stats.SegmentsReceived++
	if c.state == StateSynSent {
		c.inputSynSent(now, seg)
		return
	}
	pos := c.Position(seg)
	if c.pawsReject(now, seg) {
		c.stats.PAWSRejected++
		c.challenge(now)
		return
	}
	if !c.checkSequence(now, seg, pos) || !c.checkControl(now, seg, pos) {
		return
	}
	ack := seq.Unwrap32(c.snd.una, c.snd.iss, seg.Ack)
	if !c.checkAck(now, seg, ack) {
		return
	}
	c.heard(now)
	if pos <= c.ack.lastSent {
		c.takeTimestamp(now, seg)
	}
	opening := c.state == StateSynReceived
	if opening {
		if !c.upper.Received(now, seg) || c.state == StateClosed {
			return
		}
		c.establish(now, seg)
	}
	c.handleAck(now, seg, pos, ack)
	if c.state == StateClosed {
		return
	}
	if !opening && !c.upper.Received(now, seg) || c.state == StateClosed {
		return
	}
	c.handleData(now, seg, pos, in)
}

// checkSequence is the first check of section 3.10.7.4.
func (c *Conn) checkSequence(now time.Time, seg *wire.Segment, pos seq.Pos) bool {
	if seg.Flags&(wire.SYN|wire.RST) == wire.SYN && c.state.synchronized() {
		c.challenge(now) // whatever its number: RFC 5961 section 4.2
		return false
	}
	end := pos + seq.Pos(seg.Len())
	ok := pos <= c.rcv.edge && end > c.rcv.nxt || // some of it is new and in the window
		pos == end && c.rcv.nxt <= pos && pos <= c.rcv.edge // or it is empty
	if ok {
		return true
	}
	if seg.Flags.Has(wire.RST) {
		return false
	}
	if c.state == StateSynReceived && seg.Flags.Has(wire.SYN) && pos == 0 {
		if seg.Flags.Has(wire.ACK) {
			return true // simultaneous open: the peer's answer to our SYN
		}
		c.takeTimestamp(now, seg)
		c.synPending = true // our SYN/ACK was lost
		return false
	}
	c.heardDuplicate(now, seg, pos, end)
	return false
}

// heardDuplicate answers a segment that brings nothing new: a retransmission
// whose acknowledgement was lost, a keep-alive, a window probe, or an attack.
//
// Data is always answered: its sender waits for that, and cannot be an
// acknowledgement of ours on its way around a loop. Empty segments next to
// what we expect have a limit of their own, which nobody can use up who does
// not know where that is.
func (c *Conn) heardDuplicate(now time.Time, seg *wire.Segment, pos, end seq.Pos) {
	switch {
	case len(seg.Payload) > 0 && end <= c.rcv.nxt:
		c.ack.duplicate(seq.Range{Lo: pos, Hi: pos + seq.Pos(len(seg.Payload))})
		c.ack.now, c.ack.alone = true, c.sackOn()
	case c.rcv.nxt-1 <= end && pos <= c.rcv.nxt:
		c.ack.now = c.nearby.allow(now) || c.ack.now
	default:
		c.challenge(now)
		return
	}
	c.heard(now)
	if c.state == StateTimeWait && seg.Flags.Has(wire.FIN) && end == c.rcv.nxt {
		c.enterTimeWait(now)
	}
}

// checkControl is the RST and SYN checks, as RFC 5961 sections 3 and 4 have them.
func (c *Conn) checkControl(now time.Time, seg *wire.Segment, pos seq.Pos) bool {
	switch {
	case seg.Flags.Has(wire.RST):
		if pos != c.rcv.nxt {
			c.challenge(now)
			return false
		}
		if c.state == StateTimeWait {
			return false // RFC 1337: TIME-WAIT is not to be cut short
		}
		c.handleReset(now, seg)
		return false
	case seg.Flags.Has(wire.SYN):
		if c.state == StateSynReceived && pos == 0 {
			c.ack.now = true // simultaneous open
			break
		}
		c.challenge(now) // only SYN-RECEIVED gets here: checkSequence saw to the others
		return false
	}
	return seg.Flags.Has(wire.ACK)
}

// checkAck is the fifth check, with RFC 5961 section 5.2.
func (c *Conn) checkAck(now time.Time, seg *wire.Segment, ack seq.Pos) bool {
	if c.state == StateSynReceived && (ack <= c.snd.una || ack > c.snd.nxt) {
		c.rst.answer(seg)
		return false
	}
	if ack > c.snd.nxt || ack < c.snd.una-seq.Pos(c.snd.maxWnd) {
		c.challenge(now)
		return false
	}
	return true
}

// synAgain is how long after a reset of what stood in its way a SYN follows.
const synAgain = 2 * time.Millisecond

// inputSynSent is section 3.10.7.3.
func (c *Conn) inputSynSent(now time.Time, seg *wire.Segment) {
	hasAck := seg.Flags.Has(wire.ACK)
	if hasAck && seq.Unwrap32(c.snd.una, c.snd.iss, seg.Ack) != c.snd.nxt {
		if !seg.Flags.Has(wire.RST) {
			c.rst.answer(seg)
			if c.loss.timeouts == 0 {
				// What the peer had of an earlier connection is gone with
				// this (RFC 9293 figure 9): it will understand us now.
				c.timer.set(timerRexmit, now, synAgain)
			}
		}
		return
	}
	if seg.Flags.Has(wire.RST) {
		if hasAck {
			c.handleReset(now, seg)
		}
		return
	}
	if !seg.Flags.Has(wire.SYN) {
		return
	}
	c.takeSYN(now, seg)
	c.heard(now)
	if !hasAck { // simultaneous open
		c.state = StateSynReceived
		c.synPending = true
		c.upper.Received(now, seg)
		return
	}
	c.snd.una = 1
	if !c.upper.Received(now, seg) || c.state == StateClosed {
		return
	}
	c.establish(now, seg)
	c.ack.now = true
}

// takeSYN takes what the peer's SYN settles.
func (c *Conn) takeSYN(now time.Time, seg *wire.Segment) {
	c.rcv.irs = seg.Seq
	c.rcv.nxt = 1
	c.rcv.edge = 1 + seq.Pos(min(c.upper.Window(), 0xffff))
	c.takeSYNOptions(now, seg)
	c.snd.wnd, c.snd.maxWnd = int(seg.Window), int(seg.Window)
}

// establish ends the handshake, with the segment that acknowledged our SYN.
func (c *Conn) establish(now time.Time, seg *wire.Segment) {
	c.state = StateEstablished
	c.snd.una = 1
	c.synPending = false
	if c.snd.syns == 1 {
		c.rtt.sample(now, now.Sub(c.snd.lastSend))
	} else if rtt, ok := c.echoedRTT(now, seg); ok { // Karn: which SYN was answered?
		c.rtt.sample(now, rtt)
	}
	if c.loss.timeouts > 0 {
		c.rtt.rto = max(c.rtt.rto, rtoAfterSYNLoss)
	}
	c.loss.timeouts = 0
	c.timer.stop(timerRexmit)
	c.snd.wnd = c.ScaledWindow(seg)
	c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
	c.snd.wl1 = c.Position(seg)
	c.alive.start(c, now)
	c.upper.Notify(now, Established)
}

// handleReset ends the connection on the peer's word.
func (c *Conn) handleReset(now time.Time, seg *wire.Segment) {
	c.err = ErrReset
	if !c.state.synchronized() {
		c.err = ErrRefused
	}
	c.state = StateClosed      // so that the Upper's Abort does not answer a reset with a reset
	c.upper.Received(now, seg) // for MP_TCPRST and MP_FASTCLOSE
	c.closed(now)
}

// handleAck is the ESTABLISHED part of the fifth check.
func (c *Conn) handleAck(now time.Time, seg *wire.Segment, pos, ack seq.Pos) {
	flight := c.InFlight()
	var s ackSummary
	switch {
	case ack > c.snd.una:
		c.advanceUna(now, seg, ack, &s)
	case ack == c.snd.una && c.isDuplicateAck(seg):
		c.handleDupAck(now)
	}
	c.handleSACK(now, seg, ack, &s)
	if c.state == StateClosed {
		return
	}
	c.takeAck(now, &s, flight)
	if s.advanced > 0 {
		c.ackedInRecovery(now, s.advanced)
	}
	c.detectLoss(now)
	c.takeWindow(seg, pos, ack)
	if s.advanced > 0 {
		c.armRexmit(now)
		c.upper.Notify(now, Progress)
		c.finAcked(now)
	}
}

// advanceUna moves SND.UNA.
func (c *Conn) advanceUna(now time.Time, seg *wire.Segment, ack seq.Pos, s *ackSummary) {
	s.advanced = int(ack - c.snd.una)
	retransmitted := c.loss.timeouts > 0
	c.snd.una = ack
	c.loss.timeouts = 0
	c.loss.progress = now
	c.sent.pop(ack, func(r *record, n int, done bool) {
		if !r.sacked {
			s.delivered += n
			c.noteDelivered(now, r, r.lo, s)
		}
		retransmitted = retransmitted || r.again
		if r.fin {
			return
		}
		c.stats.BytesAcked += uint64(n)
		if done && r.hi == r.chunk.Hi {
			c.upper.Acked(now, &r.chunk)
		}
	})
	if retransmitted {
		// Karn's algorithm: nobody knows which copy was answered (RFC 6298
		// section 3), unless a timestamp says so (RFC 7323 section 4).
		s.rtt, s.hasRTT = c.echoedRTT(now, seg)
	}
	c.mtu.progress()
}

// isDuplicateAck is the definition of RFC 5681 section 2. One that carries a
// Multipath TCP option other than DSS was sent for the option's sake and tells
// nothing about loss (RFC 8684 section 3.4.1).
func (c *Conn) isDuplicateAck(seg *wire.Segment) bool {
	return len(seg.Payload) == 0 && !seg.Flags.Has(wire.FIN) && c.ScaledWindow(seg) == c.snd.wnd &&
		!seg.Options.Any(wire.HasMPTCP&^wire.HasDSS)
}

// takeWindow is the send window update of section 3.10.7.4. Windows count from
// the acknowledgement they come with, so those of older ones mean nothing;
// that makes SND.WL2 superfluous, which is never beyond SND.UNA.
func (c *Conn) takeWindow(seg *wire.Segment, pos, ack seq.Pos) {
	if ack < c.snd.una || pos < c.snd.wl1 {
		return
	}
	closed := c.snd.wnd == 0
	c.snd.wnd = c.ScaledWindow(seg)
	c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
	c.snd.wl1 = pos
	if closed && c.snd.wnd > 0 {
		c.timer.stop(timerPersist) // maybePersist starts it again should this be too little
	}
}
