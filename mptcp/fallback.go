package mptcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
)

// FallbackReason is why a connection is plain TCP.
type FallbackReason uint8

const (
	None              FallbackReason = iota // it is Multipath TCP, or not settled yet
	Disabled                                // by configuration
	NotOffered                              // the peer's SYN had no usable MP_CAPABLE
	NotAccepted                             // the SYN/ACK had none
	BadAnswer                               // the negotiation looked damaged
	SYNsLost                                // SYNs with MP_CAPABLE went unanswered, a plain one did not
	NoThirdAck                              // the third ACK had no MP_CAPABLE
	FirstDataUnmapped                       // the first data came without a mapping
	NoDataAck                               // the first data was acknowledged without a Data ACK
	OptionsLost                             // later data came without mappings
	ChecksumFailed                          // a middlebox changed the data
	PeerFailed                              // the peer said so (MP_FAIL)
	PeerFellBack                            // the peer sent an infinite mapping
	ChecksumRefused                         // the peer insists on checksums, we do not want them
	SimultaneousOpen
)

var fallbackNames = [...]string{"none", "disabled", "not offered", "not accepted", "bad answer",
	"SYNs lost", "no third ACK option", "first data unmapped", "no Data ACK", "options lost",
	"checksum failed", "peer sent MP_FAIL", "peer sent infinite mapping", "checksum refused",
	"simultaneous open"}

func (r FallbackReason) String() string { return fallbackNames[r] }

// enterPlain makes the connection plain TCP for good (RFC 8684 section 3.7),
// with sf as its only subflow. Data at subflow position p of the receive
// direction is from now on the stream's at p+shift.
func (c *Conn) enterPlain(now time.Time, sf *Subflow, reason FallbackReason, shift seq.Pos) {
	if c.mode != modeOpening && c.mode != modeMultipath {
		return
	}
	had := c.mode == modeMultipath
	c.mode, c.fallback = modePlain, reason
	c.again = seq.Set{}
	c.timer = timers{}
	c.freeToken()
	if sf.shift = shift; sf.staged != nil {
		sf.deliverStaged(now)
	}
	sf.maps.clear()
	c.infinite = had && reason != PeerFellBack && sf.tc != nil && sf.tc.State().Open()
	for _, other := range c.subflows {
		if other != sf {
			other.tc.Abort(now)
		}
	}
	if sf.tc != nil {
		c.maybeClosePlain(now) // the DATA_FIN means nothing any more
	}
	if had && reason != Disabled {
		c.report(Event{Kind: EventFallback})
	}
}

// mayFallBack reports whether sf is all the connection ever had, so that its
// bytes are the stream's (RFC 8684 section 3.7).
func (c *Conn) mayFallBack(sf *Subflow) bool {
	return c.began == 1 && sf.first && c.mode == modeMultipath
}

// freeToken lets the token be used again, once.
func (c *Conn) freeToken() {
	if c.local.known && !c.tokenFree {
		c.tokenFree = true
		c.host.FreeToken(c)
	}
}
