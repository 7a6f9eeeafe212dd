package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// ackLimit keeps acknowledgements that nothing but a strange segment calls for
// to a rate that neither an attacker nor two confused peers can abuse (RFC
// 5961 section 7).
type ackLimit struct {
	since uint32 // in ms; that it wraps does no harm
	sent  uint8
}

const (
	ackLimitEvery = 500 * time.Millisecond
	ackLimitMax   = 5
)

func (l *ackLimit) allow(now time.Time) bool {
	ms := uint32(now.UnixMilli())
	if ms-l.since >= uint32(ackLimitEvery/time.Millisecond) {
		*l = ackLimit{since: ms}
	}
	if l.sent == ackLimitMax {
		return false
	}
	l.sent++
	return true
}

// challenge answers a segment that is not acceptable with an acknowledgement
// that lets an honest peer find its place (RFC 5961 sections 3.2, 4.2, 5.2).
func (c *Conn) challenge(now time.Time) {
	if c.strange.allow(now) {
		c.stats.ChallengeACKs++
		c.ack.now = true
	}
}

// resetOut is a RST to be sent.
type resetOut struct {
	pending bool
	seq     uint32
	ack     uint32
	hasAck  bool
	options bool // the Upper may add options: the RST ends this connection
}

// answer resets whoever sent seg, which acknowledges what we never sent (RFC
// 9293 section 3.10.7.3); our connection goes on.
func (r *resetOut) answer(seg *wire.Segment) {
	*r = resetOut{pending: true, seq: seg.Ack}
}
