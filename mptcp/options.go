package mptcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Options adds Multipath TCP's options to a segment of the subflow.
func (sf *Subflow) Options(now time.Time, seg *wire.Segment, ch *tcp.Chunk, room int) {
	c := sf.conn
	switch {
	case seg.Flags.Has(wire.RST):
		sf.optionsRST(seg)
	case seg.Flags.Has(wire.SYN):
		sf.optionsSYN(seg, seg.Flags.Has(wire.ACK))
	case c.isPlain():
		sf.optionsPlain(seg, ch)
	case c.mode == modeOpening || !c.peer.known:
	case sf.join == joinPreEstablished:
		sf.optionsJoinAck(seg)
	case sf.optionsThird(seg, ch):
	default:
		sf.optionsDSS(seg, ch)
		if ch == nil && !seg.Flags.Has(wire.FIN) {
			c.pm.putSignal(now, c, sf, seg)
		}
	}
}

// optionsDSS is the Data Sequence Signal (RFC 8684 section 3.3): the mapping
// of the chunk the segment carries bytes of, whole even if the bytes are not,
// and always a Data ACK.
func (sf *Subflow) optionsDSS(seg *wire.Segment, ch *tcp.Chunk) {
	c := sf.conn
	seg.Options.Set |= wire.HasDSS
	d := &seg.Options.DSS
	*d = wire.DSS{HasAck: true, Ack64: c.rcv.wide, Ack: seq.Wrap64(c.dataAck(), c.peer.idsn), DSN64: c.snd.wide}
	switch {
	case ch != nil:
		d.HasMap = true
		d.DSN = seq.Wrap64(ch.Data, c.local.idsn)
		d.SSN = uint32(ch.Lo)
		d.Len = uint16(ch.Len())
		if d.Fin = ch.Fin; d.Fin {
			d.Len++
		}
		d.HasChecksum, d.Checksum = c.checksum, ch.Checksum
	case c.snd.fin == finSent && sf.sayFin:
		sf.sayFin = false
		// Without payload: SSN 0, length 1 (section 3.3.3).
		d.HasMap, d.Fin, d.Len = true, true, 1
		d.DSN = seq.Wrap64(c.snd.finPos, c.local.idsn)
		if d.HasChecksum = c.checksum; d.HasChecksum {
			d.Checksum = wire.DSSChecksum(d.DSN, 0, 1, 0)
		}
	}
}

// optionsPlain is what remains to be said after a fallback: the MP_FAIL that
// caused or answers it, and one infinite mapping (RFC 8684 section 3.7).
func (sf *Subflow) optionsPlain(seg *wire.Segment, ch *tcp.Chunk) {
	c := sf.conn
	if ch != nil && c.infinite.goesWith(ch) {
		seg.Options.Set |= wire.HasDSS
		seg.Options.DSS = wire.DSS{
			HasMap: true, DSN64: true, DSN: seq.Wrap64(ch.Data, c.local.idsn), SSN: uint32(ch.Lo),
			HasChecksum: c.checksum,
		}
	}
	if ch == nil && c.mpFail.pending {
		c.mpFail.pending = false
		seg.Options.Set |= wire.HasFail
		seg.Options.Fail = wire.Fail{DSN: c.mpFail.dsn}
	}
}

// failSignal is an MP_FAIL to be sent.
type failSignal struct {
	pending bool
	dsn     uint64
}

// optionsRST says why a subflow is reset (RFC 8684 section 3.6), or that the
// whole connection is (section 3.5).
func (sf *Subflow) optionsRST(seg *wire.Segment) {
	c := sf.conn
	if !c.local.known || c.isPlain() {
		return
	}
	if c.fastClose && c.peer.known && sf.join != joinSYNReceived {
		seg.Options.Set |= wire.HasFastClose
		seg.Options.FastClose = wire.FastClose{ReceiverKey: c.peer.key}
		return
	}
	if sf.fail.pending {
		seg.Options.Set |= wire.HasFail
		seg.Options.Fail = wire.Fail{DSN: sf.fail.dsn}
	}
	if r := sf.resetSent; r.is {
		seg.Options.Set |= wire.HasReset
		seg.Options.Reset = wire.Reset{Transient: r.transient, Reason: r.reason}
	}
}

// Received takes the options of an acceptable segment.
func (sf *Subflow) Received(now time.Time, seg *wire.Segment) bool {
	c := sf.conn
	switch {
	case seg.Flags.Has(wire.RST):
		sf.receivedReset(now, seg)
		return true
	case seg.Flags.Has(wire.SYN):
		if !sf.first {
			return sf.receivedJoinSYNACK(now, seg)
		}
		return sf.receivedSYN(now, seg)
	case sf.tc.State() == tcp.StateSynReceived:
		if !sf.first {
			if !sf.receivedJoinThird(now, seg) {
				return false
			}
		} else if !sf.receivedThird(now, seg) {
			return false
		}
	}
	if c.mode != modeMultipath {
		return true
	}
	if sf.join == joinPreEstablished && sf.tc.State().Open() {
		sf.join = joinDone // the fourth packet, or any that proves it
		sf.up(now)
	}
	return sf.receivedOptions(now, seg)
}

// receivedOptions takes everything but the handshakes.
func (sf *Subflow) receivedOptions(now time.Time, seg *wire.Segment) bool {
	c := sf.conn
	o := &seg.Options
	if o.Has(wire.HasFastClose) {
		if c.receivedFastClose(now, o.FastClose) {
			return false
		}
	}
	if o.Has(wire.HasJoin) && sf.join == joinDone && !sf.ours {
		sf.tc.AckNow() // the fourth packet was lost
	}
	if o.Has(wire.HasFail) && c.receivedFail(now, sf, o.Fail) {
		return true
	}
	if !sf.receivedSignals(now, seg) {
		return true // plain from here on, or over
	}
	if o.Has(wire.HasPrio) {
		sf.peerBackup = o.Prio.Backup
		c.sortSubflows()
	}
	for i := range o.AddAddrLen {
		if o.Has(wire.HasAddAddr) {
			c.pm.receivedAddAddr(now, c, sf, &o.AddAddr[i])
		}
	}
	if o.Has(wire.HasRemoveAddr) {
		c.pm.receivedRemoveAddr(now, c, &o.RemoveAddr)
	}
	return c.mode == modeMultipath
}

// receivedSignals takes DSS, or the MP_CAPABLE that stands in for it, and
// judges what its absence means (RFC 8684 section 3.7). False: the subflow is
// no longer a Multipath TCP subflow.
func (sf *Subflow) receivedSignals(now time.Time, seg *wire.Segment) bool {
	c := sf.conn
	o := &seg.Options
	pos := sf.tc.Position(seg)
	switch {
	case o.Has(wire.HasDSS):
		sf.bare = 0
		if c.mayConfirm(sf) {
			c.confirmed = true
			c.pm.fullyEstablished(now, c)
		}
		return sf.receivedDSS(now, seg, pos)
	case o.Has(wire.HasCapable) && o.Capable.Keys == 2 && usableCapable(&o.Capable) && sf.first && !c.initiator:
		if o.Capable.HasData {
			if c.checksum != o.Capable.HasChecksum {
				return sf.checksumMissing(now)
			}
			sf.addMapping(now, mapping{
				ssn: seq.Range{Lo: 1, Hi: 1 + seq.Pos(o.Capable.DataLen)}, data: 1,
				sum: o.Capable.Checksum, check: c.checksum,
			})
		}
		return true
	case o.Any(wire.HasMPTCP | wire.HasUnknownMPTCP):
		return true
	}
	return sf.receivedBare(now, seg, pos)
}

// receivedBare judges a segment without any Multipath TCP option.
func (sf *Subflow) receivedBare(now time.Time, seg *wire.Segment, pos seq.Pos) bool {
	c := sf.conn
	sf.bare++
	switch {
	case !sf.everAcked && sf.tc.SndUna() > 1 && sf.tc.SndNxt() > 1:
		// What we sent was acknowledged, but not at data level.
		if !c.mayFallBack() {
			sf.reset(now, wire.ResetMiddlebox, false)
			return false
		}
		if !c.confirmed {
			c.enterPlain(now, sf, NoDataAck)
			return false
		}
	case len(seg.Payload) > 0 && !sf.everMapped && pos <= sf.tc.RcvNxt() && !sf.maps.covers(pos):
		if c.mayFallBack() {
			c.enterPlain(now, sf, FirstDataUnmapped)
			return false
		}
		sf.reset(now, wire.ResetMiddlebox, false)
		return false
	}
	return true
}

// mayConfirm reports whether a DSS just received is the first proof that
// options survive the path.
func (c *Conn) mayConfirm(sf *Subflow) bool { return !c.confirmed && c.peer.known }
