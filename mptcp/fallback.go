package mptcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/tcp"
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
	OptionsLost                             // options stopped coming later
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

// enterPlain makes the connection, whose only subflow ever is sf, plain TCP for
// good (RFC 8684 section 3.7). Data at subflow position p of the receive
// direction is from now on the stream's at p+sf.shift, and what sf's TCP
// delivers is delivered.
func (c *Conn) enterPlain(now time.Time, sf *Subflow, reason FallbackReason) {
	if c.mode != modeOpening && c.mode != modeMultipath {
		return
	}
	had := c.mode == modeMultipath
	c.mode, c.fallback = modePlain, reason
	c.again = seq.Set{}
	c.timer = timers{}
	c.freeToken()
	c.snd.una = max(c.snd.una, sf.oldest.min(c.snd.next))
	c.release()
	if sf.staged != nil {
		sf.deliverStaged(now)
	}
	sf.maps.clear()
	if had && reason != PeerFellBack && sf.tc.State().Open() {
		c.infinite.state = infinitePending
	}
	c.maybeClosePlain(now) // a DATA_FIN means nothing any more
	if had && reason != Disabled {
		c.report(Event{Kind: EventFallback})
	}
}

// isPlain reports whether the connection is TCP, or was at its end.
func (c *Conn) isPlain() bool { return c.mode == modePlain || c.mode == modeClosed && c.wasPlain }

// mayFallBack reports whether the connection only ever had its first subflow,
// which carried every byte once, so that the subflow's bytes are the stream's
// (RFC 8684 section 3.7).
func (c *Conn) mayFallBack() bool {
	return c.began == 1 && !c.snd.repeated && c.mode == modeMultipath
}

// infiniteMapping is the last of our mappings after a fallback. It goes with
// one chunk, and with that again if it is lost.
type infiniteMapping struct {
	state infiniteState
	at    seq.Pos // of the chunk in the subflow
}

type infiniteState uint8

const (
	infiniteNone infiniteState = iota
	infinitePending
	infinitePlaced
)

// goesWith reports whether the mapping belongs on a segment with bytes of ch.
func (m *infiniteMapping) goesWith(ch *tcp.Chunk) bool {
	if m.state == infinitePending {
		m.state, m.at = infinitePlaced, ch.Lo
	}
	return m.state == infinitePlaced && m.at == ch.Lo
}

// optionsLost judges, when data was acknowledged by TCP and not at data level,
// whether that is because options get lost by now. On the only subflow ever,
// from which nothing but TCP comes any more, this ends in a fallback, as it
// would have at the start. A proxy may have sent the acknowledgements that were
// seen so far, and the peer may be about to fall back itself, so it is asked
// for another first. True: there is no need to send data again now.
//
// Deviation: RFC 8684 section 3.7 resets such a subflow, and with it the
// connection.
func (c *Conn) optionsLost(now time.Time) bool {
	if len(c.subflows) != 1 || !c.mayFallBack() {
		return false
	}
	sf := c.subflows[0]
	switch {
	case c.snd.timeouts == 1:
		c.snd.bare = sf.bare
		sf.tc.Probe()
	case sf.bare > c.snd.bare:
		c.enterPlain(now, sf, OptionsLost)
	default:
		return false // options come, or nothing does
	}
	return true
}

// freeToken lets the token be used again, once.
func (c *Conn) freeToken() {
	if c.local.known && !c.tokenFree {
		c.tokenFree = true
		c.host.FreeToken(c)
	}
}
