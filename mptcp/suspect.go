package mptcp

import (
	"time"

	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// A subflow that the peer may have left without being able to say so is under
// suspicion: it is asked for a sign of life, and what it takes up is given to
// others only if it gives none.

const (
	// suspectWait is how long a probe of a subflow under suspicion may stay
	// unanswered before the next is sent, and suspectProbes how many may.
	suspectWait   = 500 * time.Millisecond
	suspectProbes = 3
)

// suspect asks the peer for a sign of life on a subflow that seems to be gone.
func (sf *Subflow) suspect(now time.Time) {
	sf.suspectAt = now
	sf.tc.Probe()
	sf.conn.watchSuspects(now.Add(suspectWait))
}

func (c *Conn) watchSuspects(at time.Time) {
	c.timer[timerSuspect] = earlier(c.timer[timerSuspect], at)
}

// silent is how long a suspect has given no sign of life; 0 if it is none.
func (sf *Subflow) silent(now time.Time) time.Duration {
	if sf.suspectAt.IsZero() || sf.tc.LastHeard().After(sf.suspectAt) {
		return 0
	}
	return now.Sub(sf.suspectAt)
}

// mute reports whether the peer leaves our probes unanswered: where nothing is
// in flight, because the window is closed, no other sign would tell.
func (sf *Subflow) mute() bool { return sf.tc.Unanswered() >= muteProbes }

const muteProbes = 2

// suspectTimeout resets subflows that did not answer, for now: the path may
// come back. The last one is kept, since it may too, unless the peer said
// itself that the address is gone.
func (c *Conn) suspectTimeout(now time.Time) {
	for _, sf := range c.subflows {
		if sf.suspectAt.IsZero() {
			continue
		}
		switch silent := now.Sub(sf.suspectAt); {
		case sf.tc.LastHeard().After(sf.suspectAt):
			sf.suspectAt, sf.removed = time.Time{}, false
			sf.stale = false
		case silent < suspectProbes*suspectWait:
			sf.tc.Probe()
			c.watchSuspects(sf.suspectAt.Add((silent/suspectWait + 1) * suspectWait))
		case sf.removed || c.alternative(sf):
			sf.reset(now, wire.ResetUnspecified, true)
		}
	}
}

// makeRoom finds place for a join where there is none, and reports whether it
// did. A subflow that is not answered while it opens gives way at once. If the
// one not heard of for longest is a path that the peer left without being able
// to say so, that will show by the time the peer tries again.
func (c *Conn) makeRoom(now time.Time) bool {
	var quietest *Subflow
	for _, sf := range c.subflows {
		if !sf.first && !sf.over && sf.tc.State() < tcp.StateEstablished && sf.tc.Timeouts() > 0 {
			sf.reset(now, wire.ResetNoResources, true)
			c.host.Wake(c)
			return true
		}
		if sf.established() && (quietest == nil || sf.tc.LastHeard().Before(quietest.tc.LastHeard())) {
			quietest = sf
		}
	}
	if quietest != nil && quietest.suspectAt.IsZero() && now.Sub(quietest.tc.LastHeard()) > suspectWait {
		quietest.suspect(now)
		c.host.Wake(c)
	}
	return false
}

// isFull reports whether there may be no more subflows. Those that only wait
// to be taken out do not count, nor do suspects without a sign of life.
func (c *Conn) isFull(now time.Time) bool {
	n := 0
	for _, sf := range c.subflows {
		if !sf.over && sf.silent(now) < suspectWait {
			n++
		}
	}
	return n >= c.cfg.MaxSubflows
}
