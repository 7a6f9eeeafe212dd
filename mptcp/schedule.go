package mptcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// heldBack reports whether sf, a backup, must be silent because a subflow that
// is none can carry data (RFC 8684 section 3.3.8).
func (c *Conn) heldBack(sf *Subflow) bool {
	if !sf.isBackup() {
		return false
	}
	for _, other := range c.subflows {
		if !other.isBackup() && other.usable() && !other.mute() {
			return true
		}
	}
	return false
}

// alternative reports whether some other subflow can carry what sf carries.
func (c *Conn) alternative(sf *Subflow) bool {
	for _, other := range c.subflows {
		if other != sf && other.usable() && !other.mute() {
			return true
		}
	}
	return false
}

// stallAt is when a subflow that has data in flight and hears nothing is
// taken for dead: after two round trips, with allowance for their variation
// and a delayed acknowledgement (as the probe timeout of RFC 8985 section 7.2
// has it). That is well before its own retransmission timer, and costs at most
// some bytes sent twice.
func (sf *Subflow) stallAt() time.Time {
	c := sf.conn
	if c.mode != modeMultipath || sf.stale || !sf.established() || len(c.subflows) < 2 {
		return time.Time{}
	}
	last := sf.tc.LastProgress()
	if last.IsZero() || !c.alternative(sf) {
		return time.Time{}
	}
	return last.Add(2*sf.tc.SRTT() + 4*sf.tc.RTTVar() + delackAllowance)
}

const delackAllowance = 40 * time.Millisecond

// onTimeout: the subflow's retransmission timer fired.
func (sf *Subflow) onTimeout(now time.Time) {
	c := sf.conn
	if sf.tc.State() < tcp.StateEstablished {
		sf.onSYNTimeout(now)
		return
	}
	if c.mode == modeClosed && (sf.stale || !sf.oldest.empty()) && sf.tc.Timeouts() > 1 {
		// As in finish: what it has to send is of no use to anybody.
		sf.reset(now, wire.ResetOutstanding, false)
		return
	}
	if c.mode != modeMultipath {
		return
	}
	if !c.alternative(sf) {
		sf.tc.CapBackoff(0) // the last one is to be patient, as TCP is
		c.pm.openPaths(now, c)
	} else if now.Sub(sf.tc.LastProgress()) > c.cfg.SubflowTimeout {
		sf.reset(now, wire.ResetPerformance, true) // section 3.3.6
		return
	}
	sf.becomeStale(now)
}

// isStuck reports whether sf cannot be relied on though there may be nothing
// better: the path is dead, or a NAT forgot the subflow, or a proxy lost data
// that it had acknowledged.
func (sf *Subflow) isStuck() bool {
	return sf.tc.Timeouts() >= stuckTimeouts || sf.conn.snd.timeouts >= stuckTimeouts
}

// stuckTimeouts is how many timeouts in a row, of the subflow or at data level,
// make it so.
const stuckTimeouts = 3

// staleBackoff is the longest time between two attempts on a path that may be
// back any moment.
const staleBackoff = 2 * time.Second

// becomeStale stops giving the subflow new data until it makes progress, and
// offers what it carries to the others.
func (sf *Subflow) becomeStale(now time.Time) {
	c := sf.conn
	if !sf.stale && c.alternative(sf) {
		sf.stale = true
		sf.stats.Stalls++
		sf.tc.CapBackoff(staleBackoff)
	}
	if sf.stale {
		sf.reinject(now)
	}
}

// reinject puts what sf has in flight, and the peer has not confirmed at data
// level, up for other subflows (RFC 8684 section 3.3.6). sf goes on sending it
// too, as it has to.
func (sf *Subflow) reinject(now time.Time) {
	c := sf.conn
	if c.mode != modeMultipath || sf.tc == nil || c.cfg.Scheduler == SchedulerRedundant {
		return // redundant: the others send it anyway
	}
	sf.tc.Unacked(func(ch *tcp.Chunk, rest seq.Range) {
		if c.checksum {
			// What the peer has of a mapping it cannot use before it has all.
			rest = seq.Range{Lo: ch.Lo, Hi: ch.Hi}
		}
		lo := ch.Data + rest.Lo - ch.Lo
		c.again.Add(seq.Range{Lo: max(lo, c.snd.una), Hi: lo + seq.Pos(rest.Len())})
	})
}

// armDataTimer watches for data that TCP delivered and the data level did not
// acknowledge: a proxy that acknowledged and then lost it, or bytes that were
// thrown away (RFC 8684 section 3.3.6).
func (c *Conn) armDataTimer(now time.Time) {
	// The acknowledgement of a DATA_FIN lies behind every byte.
	if c.mode != modeMultipath || c.snd.una >= c.snd.next && c.snd.fin != finSent {
		c.timer.stop(timerData)
		return
	}
	rto := dataRTO
	for _, sf := range c.subflows {
		if sf.established() {
			rto = max(rto, sf.tc.RTO())
		}
	}
	for range min(c.snd.timeouts, 8) {
		rto *= 2
	}
	c.timer.set(timerData, now, min(rto, dataRTOMax))
}

const (
	dataRTO    = 500 * time.Millisecond
	dataRTOMax = 60 * time.Second
)

// dataTimeout sends again the head of the stream if no subflow that is alive has
// it in flight, and the DATA_FIN.
func (c *Conn) dataTimeout(now time.Time) {
	c.snd.timeouts++
	if c.snd.fin == finSent {
		c.sayFin()
	}
	if c.snd.una == c.snd.next {
		c.optionsLost(now)
	} else if !c.carried(c.snd.una) && !c.optionsLost(now) {
		c.snd.repair = repair{to: c.snd.next, burst: repairBurst}
		c.repairHead()
	}
	if c.snd.timeouts >= stuckTimeouts {
		c.pm.openPaths(now, c)
	}
	c.armDataTimer(now)
}

// carried reports whether a subflow that is alive has p in flight.
func (c *Conn) carried(p seq.Pos) bool {
	for _, sf := range c.subflows {
		if sf.established() && !sf.stale && sf.tc.Carries(p) {
			return true
		}
	}
	return false
}

// repair is the sending again of data that TCP delivered, or so it said, and
// that no subflow has any more. Of what lies behind the first byte that is
// missing the peer may have a lot: it gets a little, and as long as Data ACKs
// stop where that ended, twice as much each time.
type repair struct {
	done, to seq.Pos // sent again so far, and what had been sent when the Data ACK was overdue
	burst    int
}

// repairBurst is how much is sent at first.
const repairBurst = 64 << 10

// repairHead sends again the beginning of what has no Data ACK.
func (c *Conn) repairHead() {
	r := &c.snd.repair
	r.done = min(r.to, c.snd.una+seq.Pos(r.burst))
	r.burst = min(2*r.burst, c.out.Limit())
	c.again.Add(seq.Range{Lo: c.snd.una, Hi: r.done})
}

// repairOn goes on with a repair after a Data ACK.
func (c *Conn) repairOn() {
	if r := &c.snd.repair; r.done <= c.snd.una && c.snd.una < r.to && !c.carried(c.snd.una) {
		c.repairHead()
	}
}

// ackAll sends an acknowledgement on every subflow.
func (c *Conn) ackAll() {
	for _, sf := range c.subflows {
		if sf.established() {
			sf.tc.AckNow()
		}
	}
}
