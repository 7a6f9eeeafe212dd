package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// recvRTT is the round trip as the receiver of data sees it, who may never
// send anything that is acknowledged: from an acknowledgement of ours to the
// data it let go.
type recvRTT struct {
	srtt time.Duration
	echo uint32 // TSEcr of the last sample
	have bool   // echo is set
}

// measureRecvRTT takes a sample from a segment with data. Only the first that
// echoes a timestamp counts: those behind it were not waiting for that
// acknowledgement.
func (c *Conn) measureRecvRTT(now time.Time, seg *wire.Segment) {
	m, ok := c.echoedRTT(now, seg)
	if !ok || c.back.have && seg.Options.TSEcr == c.back.echo {
		return
	}
	c.back.echo, c.back.have = seg.Options.TSEcr, true
	c.back.sample(max(m, clockGrain))
}

// sample averages with a bias for the smaller: a sender with nothing to send
// makes a sample too large, and nothing makes one too small.
func (r *recvRTT) sample(m time.Duration) {
	switch {
	case r.srtt == 0:
		r.srtt = m
	case m < r.srtt:
		r.srtt = (r.srtt + m) / 2
	default:
		r.srtt = (7*r.srtt + m) / 8
	}
}

// RecvRTT is the round-trip time that data coming in shows, by the timestamps
// it echoes (RFC 7323 section 3) and so in steps of at least 1 ms; without
// timestamps it is SRTT. 0 before the first sample.
func (c *Conn) RecvRTT() time.Duration {
	if c.back.srtt == 0 {
		return c.rtt.srtt
	}
	return c.back.srtt
}
