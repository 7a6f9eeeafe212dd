package mptcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// The first subflow's handshake (RFC 8684 section 3.1).

// capableFlags are those of our MP_CAPABLE.
func (c *Conn) capableFlags() wire.CapableFlags {
	f := wire.CapableHMAC
	if c.cfg.Checksum || c.checksum {
		f |= wire.CapableChecksum
	}
	if c.cfg.NoJoinHere {
		f |= wire.CapableNoJoinToHere
	}
	return f
}

// usableCapable reports whether an MP_CAPABLE speaks an algorithm of ours and
// sets no bit we do not understand.
func usableCapable(cp *wire.Capable) bool {
	return cp.Flags&wire.CapableExtensible == 0 && cp.Flags&wire.CapableHMAC != 0
}

// offered takes the SYN that opens a connection, as its responder.
func (c *Conn) offered(o *wire.Options) {
	c.mode = modePlain
	cp := &o.Capable
	switch {
	case c.cfg.Disabled:
		c.fallback = Disabled
	case !o.Has(wire.HasCapable) || cp.Keys != 0 || cp.Version < wire.V1 || !usableCapable(cp):
		c.fallback = NotOffered
	case c.cfg.RefuseChecksum && cp.Flags&wire.CapableChecksum != 0:
		c.fallback = ChecksumRefused
	default:
		c.mode = modeOpening
		c.takeFlags(cp)
		c.local = newParty(c.host.NewKey(c))
	}
}

// takeFlags takes what either end may ask of both.
func (c *Conn) takeFlags(cp *wire.Capable) {
	c.checksum = c.cfg.Checksum || cp.Flags&wire.CapableChecksum != 0
	c.pm.noJoinThere = cp.Flags&wire.CapableNoJoinToHere != 0
}

// receivedSYN takes the answer to our SYN on the first subflow.
func (sf *Subflow) receivedSYN(now time.Time, seg *wire.Segment) bool {
	c := sf.conn
	cp := &seg.Options.Capable
	switch {
	case c.mode != modeOpening:
	case !seg.Flags.Has(wire.ACK):
		c.enterPlain(now, sf, SimultaneousOpen)
	case !seg.Options.Has(wire.HasCapable):
		c.enterPlain(now, sf, NotAccepted)
	case cp.Keys != 1 || cp.Version != wire.V1 || !usableCapable(cp) || cp.Flags&wire.CapableCrypto != wire.CapableHMAC:
		// Our own option sent back has no key; another version or
		// algorithm was never offered.
		c.enterPlain(now, sf, BadAnswer)
	case c.cfg.RefuseChecksum && cp.Flags&wire.CapableChecksum != 0:
		c.enterPlain(now, sf, ChecksumRefused)
	default:
		c.mode = modeMultipath
		c.peer = newParty(cp.SenderKey)
		c.takeFlags(cp)
	}
	c.openEdge(sf, seg)
	return true
}

// receivedThird takes the segment that ends the handshake, as responder: the
// third ACK, or first data in its place. False drops it.
func (sf *Subflow) receivedThird(now time.Time, seg *wire.Segment) bool {
	c := sf.conn
	o := &seg.Options
	switch {
	case c.mode != modeOpening:
	case o.Has(wire.HasCapable) && o.Capable.Keys == 2 && usableCapable(&o.Capable):
		if o.Capable.ReceiverKey != c.local.key || o.Capable.Version != wire.V1 {
			c.enterPlain(now, sf, BadAnswer)
			break
		}
		c.mode = modeMultipath
		c.peer = newParty(o.Capable.SenderKey)
	case o.Has(wire.HasDSS):
		// The third ACK was lost or overtaken. Without its keys this means
		// nothing; they come again with the first data.
		return false
	default:
		c.enterPlain(now, sf, NoThirdAck)
	}
	c.openEdge(sf, seg)
	return true
}

// openEdge opens the data level's window from a segment of the first handshake.
func (c *Conn) openEdge(sf *Subflow, seg *wire.Segment) {
	n := int(seg.Window)
	if sf.tc != nil {
		n = sf.tc.ScaledWindow(seg)
	}
	c.snd.maxWnd = max(c.snd.maxWnd, n)
	c.snd.edge = max(c.snd.edge, 1+seq.Pos(n))
}

// optionsSYN offers or accepts Multipath TCP.
func (sf *Subflow) optionsSYN(seg *wire.Segment, reply bool) {
	c := sf.conn
	if !sf.first {
		sf.optionsJoinSYN(seg, reply)
		return
	}
	if c.mode != modeOpening {
		return
	}
	cp := wire.Capable{Version: wire.V1, Flags: c.capableFlags()}
	if reply {
		cp.Keys, cp.SenderKey = 1, c.local.key
	}
	seg.Options.Set |= wire.HasCapable
	seg.Options.Capable = cp
}

// optionsThird puts both keys on what the initiator sends until the peer is
// known to have them: on the third ACK and on the first data, where MP_CAPABLE
// stands in for the mapping.
func (sf *Subflow) optionsThird(seg *wire.Segment, ch *tcp.Chunk) bool {
	c := sf.conn
	if !sf.first || !c.initiator || c.confirmed || ch != nil && ch.Lo != 1 {
		return false
	}
	if ch == nil && sf.sayFin {
		// A DATA_FIN before anything came back: the two take turns.
		if c.thirdNext = !c.thirdNext; !c.thirdNext {
			return false
		}
		sf.again = true
	}
	cp := wire.Capable{
		Version: wire.V1, Flags: c.capableFlags(), Keys: 2,
		SenderKey: c.local.key, ReceiverKey: c.peer.key,
	}
	if ch != nil {
		if ch.Fin {
			return false // MP_CAPABLE cannot say DATA_FIN
		}
		cp.HasData, cp.DataLen = true, uint16(ch.Len())
		cp.HasChecksum, cp.Checksum = c.checksum, ch.Checksum
	}
	seg.Options.Set |= wire.HasCapable
	seg.Options.Capable = cp
	return true
}

// onSYNTimeout tries plain TCP when the option seems to be what keeps SYNs
// from being answered (RFC 8684 section 3.9.3).
func (sf *Subflow) onSYNTimeout(now time.Time) {
	c := sf.conn
	n := c.cfg.SYNsBeforeTCP
	if sf.first && c.mode == modeOpening && c.initiator && n > 0 && sf.tc.Timeouts() >= n {
		c.enterPlain(now, sf, SYNsLost)
	}
}
