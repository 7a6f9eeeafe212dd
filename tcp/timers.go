package tcp

import "time"

// timerKind names a timer of a connection.
type timerKind uint8

const (
	timerRexmit   timerKind = iota // RFC 6298
	timerReorder                   // RFC 8985 section 6.2
	timerPersist                   // RFC 9293 section 3.8.6.1
	timerDelack                    // RFC 9293 section 3.8.6.3
	timerKeep                      // RFC 9293 section 3.8.4
	timerTimeWait                  // 2 MSL, and the wait for a FIN nobody reads
	numTimers
)

// timers holds when each timer fires; zero means never.
type timers [numTimers]time.Time

func (t *timers) set(k timerKind, now time.Time, d time.Duration) { t[k] = now.Add(d) }
func (t *timers) stop(k timerKind)                                { t[k] = time.Time{} }
func (t *timers) running(k timerKind) bool                        { return !t[k].IsZero() }

func (t *timers) next() time.Time {
	var first time.Time
	for _, at := range t {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// fired stops timer k and reports whether its time had come.
func (t *timers) fired(k timerKind, now time.Time) bool {
	if t[k].IsZero() || t[k].After(now) {
		return false
	}
	t[k] = time.Time{}
	return true
}

// NextTimeout is when Advance must be called; the zero time: never.
func (c *Conn) NextTimeout() time.Time { return c.timer.next() }

// Advance runs the timers that are due.
func (c *Conn) Advance(now time.Time) {
	if c.timer.fired(timerTimeWait, now) {
		c.finish(now, nil)
	}
	if c.timer.fired(timerDelack, now) {
		c.ack.now = true
	}
	if c.timer.fired(timerReorder, now) {
		c.detectLoss(now)
	}
	if c.timer.fired(timerPersist, now) {
		c.persistTimeout(now)
	}
	if c.timer.fired(timerKeep, now) {
		c.keepAliveTimeout(now)
	}
	if c.timer.fired(timerRexmit, now) {
		c.rexmitTimeout(now)
	}
}
