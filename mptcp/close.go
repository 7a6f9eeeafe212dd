package mptcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// CloseWrite ends our direction of the stream; reading goes on.
func (c *Conn) CloseWrite(now time.Time) {
	if c.snd.fin != finNone || c.mode == modeClosed {
		return
	}
	c.snd.fin = finQueued
	c.maybeClosePlain(now)
	c.afterwards(now)
}

// Close ends both directions. Bytes not read, or still to come, turn it into
// an Abort (RFC 1122 section 4.2.2.13): the peer must not believe that they
// were read.
func (c *Conn) Close(now time.Time) {
	if c.closed || c.mode == modeClosed {
		c.closed = true
		c.in.Clear()
		return
	}
	c.closed = true
	if c.in.Readable() > 0 {
		c.Abort(now)
		return
	}
	c.CloseWrite(now)
	c.maybeClosePlain(now)
	c.armOrphan(now)
	c.afterwards(now)
}

// maybeClosePlain passes on to TCP what the application closed, unless its
// handshake is still going on: then onEstablished does, since what was written
// before is to be sent.
func (c *Conn) maybeClosePlain(now time.Time) {
	if c.mode != modePlain || c.snd.fin == finNone {
		return
	}
	switch tc := c.subflows[0].tc; {
	case tc.State() < tcp.StateEstablished:
	case c.closed:
		tc.Orphan(now)
	default:
		tc.Shutdown(now)
	}
}

const (
	// flushTimeout is how long a closed connection waits for the peer to take
	// any more of what is left: R2 of RFC 9293 section 3.8.3 is at least 100 s.
	flushTimeout = 180 * time.Second
	// orphanTimeout is how long it then waits for the peer to close too.
	orphanTimeout = 60 * time.Second
)

// armOrphan watches over a closed connection, from the close on and whenever
// the peer has taken something.
func (c *Conn) armOrphan(now time.Time) {
	switch {
	case !c.closed || c.mode == modeClosed:
	case c.snd.una < c.out.End():
		c.timer.set(timerOrphan, now, flushTimeout)
	default:
		c.timer.set(timerOrphan, now, orphanTimeout)
	}
}

// Abort ends the connection at once: a fast close (RFC 8684 section 3.5, form
// R), or a reset in plain TCP.
func (c *Conn) Abort(now time.Time) {
	c.fastClose = c.mode == modeMultipath
	c.finish(now, ErrAborted)
	c.in.Clear()
	c.host.Wake(c)
}

// receivedFastClose ends the connection if the peer proves that it may. It
// reports whether it did.
func (c *Conn) receivedFastClose(now time.Time, f wire.FastClose) bool {
	if f.ReceiverKey != c.local.key {
		c.stats.BadFastClose++
		return false
	}
	c.finish(now, ErrReset)
	return true
}

// receivedReset: the peer ends this subflow, or with a fast close all.
func (sf *Subflow) receivedReset(now time.Time, seg *wire.Segment) {
	o := &seg.Options
	if o.Has(wire.HasReset) {
		sf.resetGot = resetInfo{true, o.Reset.Reason, o.Reset.Transient}
	}
	if o.Has(wire.HasFastClose) && sf.conn.mode == modeMultipath {
		sf.conn.receivedFastClose(now, o.FastClose)
	}
}

// maybeSendFin gives the DATA_FIN its place once every byte before it has been
// given to a subflow, and sends it (RFC 8684 section 3.3.3).
func (c *Conn) maybeSendFin(now time.Time) {
	if c.snd.fin != finQueued || c.mode != modeMultipath || c.snd.next != c.out.End() || !c.anyEstablished() {
		return
	}
	c.finPlaced()
	c.sayFin()
	c.armDataTimer(now)
}

// sayFin sends the DATA_FIN on acknowledgements of its own. Others do not carry
// it: each would ask for an answer, and two ends that wait for data with their
// DATA_FINs out would answer each other without end.
func (c *Conn) sayFin() {
	for _, sf := range c.subflows {
		if sf.established() {
			sf.sayFin = true
			sf.tc.AckAlone()
		}
	}
}

func (c *Conn) finPlaced() {
	c.snd.fin = finSent
	c.snd.finPos = c.out.End()
}

func (c *Conn) anyEstablished() bool {
	for _, sf := range c.subflows {
		if sf.established() {
			return true
		}
	}
	return false
}

// receivedDataFin notes where the peer's stream ends.
func (c *Conn) receivedDataFin(now time.Time, sf *Subflow, pos seq.Pos) {
	if pos < 1 || c.rcv.fin != 0 && c.rcv.fin != pos {
		return // an end once declared does not move
	}
	if c.rcv.fin == 0 && pos < c.in.Next() {
		return
	}
	c.rcv.fin = pos
	sf.tc.AckNow() // again, if this is a repetition: the Data ACK was lost
	c.maybeEnd(now)
}

// maybeEnd ends the receive direction when everything before the DATA_FIN is in.
func (c *Conn) maybeEnd(now time.Time) {
	if c.rcv.ended || c.rcv.fin == 0 || c.in.Next() < c.rcv.fin || c.mode != modeMultipath {
		return
	}
	c.rcv.ended, c.rcv.endedFirst = true, c.snd.fin < finSent
	c.news.readable = true
	c.ackAll()
}

// maybeFinish ends the connection when both directions are done: only then are
// the subflows closed, so that whichever is left can carry what is missing
// (RFC 8684 section 3.3.3).
func (c *Conn) maybeFinish(now time.Time) {
	if c.mode == modeMultipath && c.snd.fin == finAcked && c.rcv.ended {
		c.finish(now, nil)
	}
}

// peerFINWait is how long the end that closed second leaves it to the other to
// close the subflows: it comes away without TIME-WAIT then.
const peerFINWait = time.Second

// closeSubflows closes those that the peer did not.
func (c *Conn) closeSubflows(now time.Time) {
	for _, sf := range c.subflows {
		sf.tc.Leave(now)
	}
}

// finish ends the connection at data level, once.
func (c *Conn) finish(now time.Time, err error) {
	if c.mode == modeClosed {
		return
	}
	multipath := c.mode == modeMultipath
	c.wasPlain = c.mode == modePlain
	c.mode, c.err = modeClosed, err
	c.timer = timers{}
	c.again = seq.Set{}
	c.freeToken()
	for _, sf := range c.subflows {
		switch {
		case sf.tc == nil:
		case err != nil:
			sf.tc.Abort(now)
		case !multipath:
		case !sf.established() || sf.stale && sf.tc.Timeouts() > 0:
			// What it still has to send would keep it open, though the
			// peer has it by other ways (section 3.3.3).
			sf.reset(now, wire.ResetOutstanding, false)
		default:
			sf.closing = true
			if !c.rcv.endedFirst {
				sf.tc.Leave(now)
			}
		}
	}
	if multipath && err == nil && c.rcv.endedFirst {
		c.timer.set(timerPeerFIN, now, peerFINWait)
	}
	c.news.readable, c.news.writable = true, true
	c.report(Event{Kind: EventClosed})
}
