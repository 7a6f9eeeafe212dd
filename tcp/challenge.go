package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// challengeLimit keeps challenge acknowledgements to a rate that neither an
// attacker nor two confused peers can abuse (RFC 5961 section 7).
type challengeLimit struct {
	since time.Time
	sent  int
}

const (
	challengeEvery = 500 * time.Millisecond
	challengeMax   = 5
)

// challenge answers a segment that is not acceptable with an acknowledgement
// that lets an honest peer find its place (RFC 5961 sections 3.2, 4.2, 5.2).
func (c *Conn) challenge(now time.Time) {
	if now.Sub(c.limit.since) >= challengeEvery {
		c.limit = challengeLimit{since: now}
	}
	if c.limit.sent++; c.limit.sent <= challengeMax {
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
