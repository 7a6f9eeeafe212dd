package tcp

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// TimeWait is all that is worth keeping of a connection in TIME-WAIT (RFC 9293
// section 3.6.1), in a fraction of its memory. It belongs to whoever holds the
// lock of its shard.
type TimeWait struct {
	local, remote  netip.AddrPort
	expiry         time.Time
	limit          ackLimit
	sndNxt, rcvNxt uint32
	tsRecent       uint32
	tsOffset       uint32
	tsOn           bool // the connection used timestamps
	tsAllowed      bool // the next one would
	ttl, tos       uint8
}

// TimeWait is the connection's remains; it must be in TIME-WAIT.
func (c *Conn) TimeWait(now time.Time) TimeWait {
	return TimeWait{
		local: c.cfg.Local, remote: c.cfg.Remote, ttl: c.cfg.TTL, tos: c.cfg.TOS,
		sndNxt: seq.Wrap32(c.snd.nxt, c.snd.iss), rcvNxt: seq.Wrap32(c.rcv.nxt, c.rcv.irs),
		tsRecent: c.ts.recent, tsOffset: c.cfg.TSOffset, tsOn: c.ts.on, tsAllowed: !c.cfg.NoTimestamps,
		expiry: c.timer[timerTimeWait],
	}
}

// Expiry is when the 4-tuple is free again.
func (w *TimeWait) Expiry() time.Time { return w.expiry }

// Input takes a segment of the 4-tuple. reply asks for Output; reopen says
// that seg is a SYN that may begin a new connection, because nothing of the old
// one can be taken for the new one's.
func (w *TimeWait) Input(now time.Time, seg *wire.Segment) (reply, reopen bool) {
	switch {
	case seg.Flags.Has(wire.RST):
		return false, false // RFC 1337 section 3
	case seg.Flags.Has(wire.SYN):
		if !seg.Flags.Has(wire.ACK) && !seg.Flags.Has(wire.FIN) && w.newer(seg) {
			return false, true
		}
		return w.limit.allow(now), false // RFC 5961 section 4.2
	case !seg.Flags.Has(wire.ACK):
		return false, false
	}
	stamped := w.tsOn && seg.Options.Has(wire.HasTimestamps)
	if stamped && int32(seg.Options.TSVal-w.tsRecent) < 0 {
		return w.limit.allow(now), false // RFC 7323 section 5.3
	}
	if seg.Flags.Has(wire.FIN) && seg.Seq+uint32(seg.Len()) == w.rcvNxt {
		if stamped {
			w.tsRecent = seg.Options.TSVal
		}
		w.expiry = now.Add(timeWait)
		return true, false
	}
	expected := seg.Seq == w.rcvNxt && seg.Len() == 0
	return !expected && w.limit.allow(now), false
}

// newer reports whether a SYN comes after everything of the old connection
// (RFC 6191 section 2): by its timestamp, or else by its sequence number.
func (w *TimeWait) newer(syn *wire.Segment) bool {
	if w.tsAllowed && syn.Options.Has(wire.HasTimestamps) {
		if !w.tsOn {
			return true // PAWS will tell the two connections apart
		}
		if d := int32(syn.Options.TSVal - w.tsRecent); d != 0 {
			return d > 0
		}
	}
	return int32(syn.Seq-w.rcvNxt) >= 0
}

// NextISN is what the connection that reopens the 4-tuple begins with where
// isn was chosen for it: a number that none of the old one's segments has
// reached (RFC 1122 section 4.2.2.13).
func (w *TimeWait) NextISN(isn uint32) uint32 {
	if int32(isn-w.sndNxt) > 0 {
		return isn
	}
	return w.sndNxt + 1<<16
}

// Output builds the acknowledgement that Input asked for.
func (w *TimeWait) Output(now time.Time, p *Packet) {
	s := &p.seg
	s.Src, s.Dst, s.TTL, s.TOS = w.local, w.remote, w.ttl, w.tos
	s.Flags, s.Seq, s.Ack, s.Window, s.Urgent = wire.ACK, w.sndNxt, w.rcvNxt, 0, 0
	s.Options.Set = 0
	if w.tsOn {
		s.Options.Set = wire.HasTimestamps
		s.Options.TSVal = tsClock(now, w.tsOffset)
		s.Options.TSEcr = w.tsRecent
	}
	p.N = wire.PutHeaders(p.Buf, s, 0)
	p.Offload = wire.Offload{}
	wire.Finish(p.Bytes(), p.Offload)
}
