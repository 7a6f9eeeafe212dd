package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// timeWait is 2 MSL. Deviation: RFC 9293 has an MSL of 2 minutes; everyone
// takes 30 s or less.
const timeWait = 60 * time.Second

// Shutdown queues our FIN behind what the Upper still has to send (the CLOSE
// call of RFC 9293 section 3.10.4). Receiving goes on.
func (c *Conn) Shutdown(now time.Time) {
	switch c.state {
	case StateSynSent:
		c.abort(now, nil)
	case StateSynReceived, StateEstablished, StateCloseWait:
		if c.snd.fin == finNone {
			c.snd.fin = finQueued
		}
	}
}

// Orphan is Shutdown when nobody will read what the peer still sends: data
// that comes is answered with a reset (RFC 1122 section 4.2.2.13), and a peer
// that never closes is not waited for.
func (c *Conn) Orphan(now time.Time) {
	c.Shutdown(now)
	c.orphan = true
	if c.state == StateFinWait2 {
		c.timer.set(timerTimeWait, now, c.cfg.FinTimeout)
	}
}

// Leave is Orphan where the Upper got by another way whatever the peer still
// sends: that is taken and not answered with a reset.
func (c *Conn) Leave(now time.Time) {
	c.Orphan(now)
	c.left = true
}

// Abort ends the connection with a reset (the ABORT call of RFC 9293 section
// 3.10.5). Output gives the RST, with the Upper's options.
func (c *Conn) Abort(now time.Time) { c.abort(now, ErrAborted) }

func (c *Conn) abort(now time.Time, err error) {
	if c.state == StateClosed {
		return
	}
	if c.state.synchronized() && c.state != StateTimeWait || c.state == StateSynReceived {
		c.rst = resetOut{
			pending: true, seq: seq.Wrap32(c.snd.nxt, c.snd.iss),
			ack: seq.Wrap32(c.rcv.nxt, c.rcv.irs), hasAck: true, options: true,
		}
	}
	c.finish(now, err)
}

// finAcked moves the state on when the peer has acknowledged our FIN.
func (c *Conn) finAcked(now time.Time) {
	if c.snd.fin != finSent || c.snd.una <= c.snd.finPos {
		return
	}
	switch c.state {
	case StateFinWait1:
		c.state = StateFinWait2
		if c.orphan {
			c.timer.set(timerTimeWait, now, c.cfg.FinTimeout)
		}
	case StateClosing:
		c.enterTimeWait(now)
	case StateLastAck:
		c.finish(now, nil)
	}
}

// enterTimeWait is RFC 9293 section 3.6.1.
func (c *Conn) enterTimeWait(now time.Time) {
	first := c.state != StateTimeWait
	c.state = StateTimeWait
	c.timer = timers{}
	c.timer.set(timerTimeWait, now, timeWait)
	if first {
		c.upper.Notify(now, Waiting)
	}
}

// finSentState is the state change that sending our FIN makes.
func (c *Conn) finSentState() {
	c.snd.fin, c.snd.finPos = finSent, c.snd.nxt
	switch c.state {
	case StateEstablished:
		c.state = StateFinWait1
	case StateCloseWait:
		c.state = StateLastAck
	}
}

// Unreachable takes an ICMP report about this connection. Only a hard error
// during connection set-up ends it (RFC 9293 section 3.9.2.2, RFC 5461).
func (c *Conn) Unreachable(now time.Time, hard bool) {
	c.stats.Unreachable++
	if hard && c.state == StateSynSent {
		c.finish(now, ErrUnreachable)
	}
}

// Refuse answers a SYN/ACK that the Upper will not have: a reset with its
// options, and the connection is over. It may be called from Upper.Received.
func (c *Conn) Refuse(now time.Time, synAck *wire.Segment) {
	c.rst = resetOut{
		pending: true, seq: synAck.Ack, options: true,
		ack: synAck.Seq + uint32(synAck.Len()), hasAck: true,
	}
	c.finish(now, ErrAborted)
}
