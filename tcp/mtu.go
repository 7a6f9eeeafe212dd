package tcp

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/seq"
)

const (
	minSegment = 88  // what is left of the smallest IPv4 path with all options
	minMSS     = 536 // of a path that is no exception (RFC 9293 section 3.7.1)
	minMTU4    = 576
	minMTU6    = 1280
	// probeMTU is what a path that swallows large packets in silence is
	// tried with: it passes every tunnel met in practice (RFC 4821 section
	// 7.2 starts at 1024).
	probeMTU = 1024 + 52
)

// defaultMSS is assumed of a peer that names none (RFC 9293 section 3.7.1).
func defaultMSS(remote netip.Addr) int {
	if remote.Is4() {
		return minMSS
	}
	return 1220
}

// pathMTU is how large segments may be.
type pathMTU struct {
	headers int       // IP and TCP without options
	floor   int       // smallest MTU a path can have
	ours    int       // the MSS we announce
	mss     int       // payload and options of a full segment: the smaller of the path's and the peer's
	tried   int       // timeouts in a row with full segments
	since   time.Time // when the first of them was
}

func (m *pathMTU) init(cfg *Config) {
	m.headers, m.floor = 40, minMTU4
	if !cfg.Remote.Addr().Is4() {
		m.headers, m.floor = 60, minMTU6
	}
	m.ours = min(cfg.MTU, 0xffff) - m.headers
	m.mss = m.ours
}

// peerMSS takes the MSS option of a SYN.
func (m *pathMTU) peerMSS(c *Conn, mss int) {
	m.mss = max(min(m.mss, mss), minSegment)
}

// PacketTooBig takes an ICMP report that a packet of this connection met a
// link with the given MTU (RFC 1191, RFC 8201). The caller has checked that
// the report quotes a segment that is in flight (RFC 5927 section 7).
func (c *Conn) PacketTooBig(now time.Time, mtu int) {
	if mtu < c.mtu.floor {
		mtu = c.mtu.floor
	}
	c.shrinkTo(now, mtu-c.mtu.headers)
}

// shrinkTo makes segments smaller. What was sent larger is sent again; that
// is not congestion (RFC 1191 section 6.4).
func (c *Conn) shrinkTo(now time.Time, mss int) {
	if mss >= c.mtu.mss {
		return
	}
	old := c.SegmentSize()
	c.mtu.mss = mss
	c.fitSegments()
	for i := range c.sent.live() {
		if r := &c.sent.live()[i]; r.len() > c.SegmentSize() && r.len() >= min(old, r.chunk.Len()) {
			c.sent.markLost(r)
		}
	}
}

// timeout looks for a black hole: segments larger than every path has to take
// that vanish in silence while nothing says why (RFC 2923 section 2.1). So that
// a path that is dead, or a peer that took its window back, is not taken for
// one, a probe goes along: only if the peer answers to that are the segments
// too large.
func (m *pathMTU) timeout(c *Conn, now time.Time) {
	first := c.sent.live()[0]
	if least := m.floor - m.headers - (m.mss - c.SegmentSize()); first.len() <= least || c.snd.wnd < first.len() {
		return
	}
	c.Probe()
	if m.tried++; m.tried == 1 {
		m.since = now
		return
	}
	if !c.rcv.last.After(m.since) {
		return
	}
	switch {
	case m.mss > probeMTU-m.headers && probeMTU >= m.floor:
		c.shrinkTo(now, probeMTU-m.headers)
	case m.tried >= 4:
		c.shrinkTo(now, m.floor-m.headers)
	}
}

func (m *pathMTU) progress() { m.tried = 0 }

// InFlightWire reports whether the 32-bit sequence number of a segment quoted
// by ICMP is one that is in flight (RFC 5927 section 4.1).
func (c *Conn) InFlightWire(wireSeq uint32) bool {
	p := seq.Unwrap32(c.snd.una, c.snd.iss, wireSeq)
	return c.snd.una <= p && p < c.snd.nxt
}
