package mptcp

import "time"

// A peer may know more at data level than it said. Linux acknowledges in the
// soft interrupt that takes a segment, with the Data ACK of that moment; what
// the reading process keeps it from putting in order just then it puts in order
// later, and says nothing until it has something else to say. A sender whose
// buffer is full of what TCP has acknowledged would wait for the data level's
// timer, half a second, so it asks.

const (
	// askWait is the least time between the last acknowledgement and the
	// question. It doubles with each that brings nothing.
	askWait = 5 * time.Millisecond
	maxAsks = 6
)

// watchDataAck starts or stops the watch for a Data ACK that is due though
// nothing is in flight that would bring it.
func (c *Conn) watchDataAck(now time.Time) {
	sf := c.quiet()
	switch {
	case sf == nil || c.snd.asked >= maxAsks:
		c.timer.stop(timerAsk)
	case !c.timer.running(timerAsk):
		wait := max(askWait, 2*sf.tc.SRTT()+4*sf.tc.RTTVar())
		c.timer.set(timerAsk, now, wait<<c.snd.asked)
	}
}

// quiet gives the subflow to ask on if a Data ACK is missing, so that no more
// can be sent or written, and no subflow that works has anything in flight; else
// nil.
func (c *Conn) quiet() *Subflow {
	held := c.out.Free() == 0 || c.snd.next < c.out.End()
	if c.mode != modeMultipath || c.snd.una >= c.snd.next || !held {
		return nil
	}
	var ask *Subflow
	for _, sf := range c.subflows {
		if !sf.usable() {
			continue
		}
		if !sf.oldest.empty() {
			return nil
		}
		if ask == nil { // the first is the best
			ask = sf
		}
	}
	return ask
}

// askTimeout asks the peer for an acknowledgement.
func (c *Conn) askTimeout() {
	if sf := c.quiet(); sf != nil {
		c.snd.asked++
		sf.tc.ProbeOctet()
	}
}
