package tcp

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// TimeWait is all that is worth keeping of a connection in TIME-WAIT (RFC 9293
// section 3.6.1), in a fraction of its memory.
type TimeWait struct {
	local, remote  netip.AddrPort
	sndNxt, rcvNxt uint32
	tsRecent       uint32
	tsOffset       uint32
	tsOn           bool
	expiry         time.Time
}

// TimeWait is the connection's remains; it must be in TIME-WAIT.
func (c *Conn) TimeWait(now time.Time) TimeWait {
	return TimeWait{
		local: c.cfg.Local, remote: c.cfg.Remote,
		sndNxt: uint32(c.snd.nxt) + c.snd.iss, rcvNxt: uint32(c.rcv.nxt) + c.rcv.irs,
		tsRecent: c.ts.recent, tsOffset: c.cfg.TSOffset, tsOn: c.ts.on,
		expiry: c.timer[timerTimeWait],
	}
}

// Expiry is when the 4-tuple is free again.
func (w *TimeWait) Expiry() time.Time { return w.expiry }

// Input takes a segment of the 4-tuple. reply asks for Output; reopen says
// that seg is a SYN that may begin a new connection, because nothing of the old
// one can be taken for the new one's (RFC 6191).
func (w *TimeWait) Input(now time.Time, seg *wire.Segment) (reply, reopen bool) {
	switch {
	case seg.Flags.Has(wire.RST):
		return false, false // RFC 1337
	case seg.Flags&(wire.SYN|wire.ACK) == wire.SYN:
		if w.tsOn && seg.Options.Has(wire.HasTimestamps) {
			if d := int32(seg.Options.TSVal - w.tsRecent); d != 0 {
				return d < 0, d > 0
			}
		}
		newer := int32(seg.Seq-w.rcvNxt) > 0
		return !newer, newer
	case seg.Flags.Has(wire.FIN):
		w.expiry = now.Add(timeWait)
		return true, false
	}
	return seg.Len() > 0 || seg.Seq != w.rcvNxt, false
}

// Output builds the acknowledgement that Input asked for.
func (w *TimeWait) Output(now time.Time, p *Packet) {
	s := &p.seg
	*s = wire.Segment{Src: w.local, Dst: w.remote, TTL: 64, Flags: wire.ACK, Seq: w.sndNxt, Ack: w.rcvNxt}
	if w.tsOn {
		s.Options.Set = wire.HasTimestamps
		s.Options.TSVal = uint32(now.UnixMilli()) + w.tsOffset
		s.Options.TSEcr = w.tsRecent
	}
	p.N = wire.PutHeaders(p.Buf, s, 0)
	p.Offload = wire.Offload{}
	wire.Finish(p.Bytes(), p.Offload)
}
