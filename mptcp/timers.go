package mptcp

import "time"

type timerKind uint8

const (
	timerData     timerKind = iota // Data ACK overdue (RFC 8684 section 3.3.6)
	timerAsk                       // a Data ACK is due and nothing in flight will bring it
	timerAddAddr                   // an ADD_ADDR was not echoed
	timerSignal                    // the next option that needs an ACK of its own
	timerJoinAck                   // the third ACK of a join was not answered
	timerPaths                     // time to look for paths to open
	timerAlone                     // no subflow came back
	timerUnmapped                  // data waits for a mapping
	timerSuspect                   // a subflow that may be gone was probed
	timerPeerFIN                   // over, and the peer does not close its subflows
	timerOrphan                    // closed, and the peer does not close
	numTimers
)

type timers [numTimers]time.Time

func (t *timers) set(k timerKind, now time.Time, d time.Duration) { t[k] = now.Add(d) }
func (t *timers) stop(k timerKind)                                { t[k] = time.Time{} }
func (t *timers) running(k timerKind) bool                        { return !t[k].IsZero() }

func (t *timers) next() time.Time {
	var first time.Time
	for _, at := range t {
		first = earlier(first, at)
	}
	return first
}

func (t *timers) fired(k timerKind, now time.Time) bool {
	if t[k].IsZero() || t[k].After(now) {
		return false
	}
	t[k] = time.Time{}
	return true
}

func (c *Conn) runTimers(now time.Time) {
	if c.timer.fired(timerData, now) {
		c.dataTimeout(now)
	}
	if c.timer.fired(timerAsk, now) {
		c.askTimeout()
	}
	if c.timer.fired(timerAddAddr, now) {
		c.pm.announceNext(now, c)
	}
	if c.timer.fired(timerSignal, now) {
		c.pm.sendSignals(now, c)
	}
	if c.timer.fired(timerJoinAck, now) {
		c.joinAckTimeout(now)
	}
	if c.timer.fired(timerPaths, now) {
		c.pm.openPaths(now, c)
	}
	if c.timer.fired(timerUnmapped, now) {
		c.unmappedTimeout(now)
	}
	if c.timer.fired(timerSuspect, now) {
		c.suspectTimeout(now)
	}
	if c.timer.fired(timerPeerFIN, now) {
		c.closeSubflows(now)
	}
	if c.timer.fired(timerOrphan, now) {
		c.Abort(now)
	}
	if c.timer.fired(timerAlone, now) {
		c.finish(now, ErrNoPath)
	}
}
