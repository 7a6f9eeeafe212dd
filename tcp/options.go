package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// maxScale is the largest window scale there is (RFC 7323 section 2.3).
const maxScale = 14

func (c *Conn) offeredScale() uint8 {
	if c.cfg.NoWindowScale {
		return 0
	}
	return scale(c.cfg.MaxWindow)
}

// sackOn reports whether both ends speak SACK.
func (c *Conn) sackOn() bool { return c.loss.sack }

// takeSYNOptions takes the options of the peer's SYN.
func (c *Conn) takeSYNOptions(now time.Time, seg *wire.Segment) {
	o := &seg.Options
	if o.Has(wire.HasMSS) {
		c.mtu.peerMSS(c, int(o.MSS))
	} else {
		c.mtu.peerMSS(c, defaultMSS(c.cfg.Remote.Addr()))
	}
	if o.Has(wire.HasWindowScale) && !c.cfg.NoWindowScale {
		c.snd.scaled = true
		c.snd.scale = min(o.WindowScale, maxScale)
	} else {
		c.rcv.scale = 0
	}
	c.loss.sack = o.Has(wire.HasSACKPermitted) && !c.cfg.NoSACK
	if o.Has(wire.HasTimestamps) && !c.cfg.NoTimestamps {
		c.ts.on = true
		c.ts.recent, c.ts.recentAt = o.TSVal, now
	}
}

// putSYNOptions adds what a SYN offers, and a SYN/ACK accepts.
func (c *Conn) putSYNOptions(now time.Time, o *wire.Options) {
	reply := c.state == StateSynReceived
	o.Set |= wire.HasMSS
	o.MSS = uint16(c.mtu.ours)
	if !c.cfg.NoSACK && (!reply || c.loss.sack) {
		o.Set |= wire.HasSACKPermitted
	}
	if !c.cfg.NoWindowScale && (!reply || c.snd.scaled) {
		o.Set |= wire.HasWindowScale
		o.WindowScale = c.rcv.scale
	}
	if !c.cfg.NoTimestamps && (!reply || c.ts.on) {
		c.putTimestamps(now, o)
	}
}

func (c *Conn) putTimestamps(now time.Time, o *wire.Options) {
	o.Set |= wire.HasTimestamps
	o.TSVal = c.tsNow(now)
	o.TSEcr = c.ts.recent // 0 in a first SYN, as it has to be
}
