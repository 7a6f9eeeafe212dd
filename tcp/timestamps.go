package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

const (
	timestampsLen = 12 // with padding
	// pawsIdle is how long a connection must be silent for TS.Recent to be
	// too old to judge by (RFC 7323 section 5.5).
	pawsIdle = 24 * 24 * time.Hour
)

// timestamps is RFC 7323's state.
type timestamps struct {
	on       bool
	recent   uint32 // TS.Recent
	recentAt time.Time
}

// tsClock is our timestamp clock: milliseconds, from a start of its own on each
// connection (RFC 7323 section 5.4).
func tsClock(now time.Time, offset uint32) uint32 { return uint32(now.UnixMilli()) + offset }

func (c *Conn) tsNow(now time.Time) uint32 { return tsClock(now, c.cfg.TSOffset) }

// pawsReject reports whether seg is an old duplicate by its timestamp (RFC
// 7323 section 5.3). RSTs are exempt.
//
// Deviation: a segment without the timestamp it should have is not dropped
// (section 3.2). There are middleboxes that begin to strip options half-way.
func (c *Conn) pawsReject(now time.Time, seg *wire.Segment) bool {
	return c.ts.on && seg.Options.Has(wire.HasTimestamps) && !seg.Flags.Has(wire.RST) &&
		int32(seg.Options.TSVal-c.ts.recent) < 0 && now.Sub(c.ts.recentAt) < pawsIdle
}

// takeTimestamp updates TS.Recent from a segment that begins at or before the
// last acknowledgement sent (RFC 7323 section 4.3). The caller has seen to PAWS,
// which lets an older timestamp pass only after long silence (section 5.5).
func (c *Conn) takeTimestamp(now time.Time, seg *wire.Segment) {
	if c.ts.on && seg.Options.Has(wire.HasTimestamps) {
		c.ts.recent, c.ts.recentAt = seg.Options.TSVal, now
	}
}

// echoedRTT is the round trip that a timestamp echo shows, if it shows one. An
// echo of a time before the connection or in the future is not ours.
func (c *Conn) echoedRTT(now time.Time, seg *wire.Segment) (time.Duration, bool) {
	if !c.ts.on || !seg.Options.Has(wire.HasTimestamps) || seg.Options.TSEcr == 0 {
		return 0, false
	}
	d := int32(c.tsNow(now) - seg.Options.TSEcr)
	if d < 0 || d > int32(maxRTO/time.Millisecond) {
		return 0, false
	}
	return time.Duration(d) * time.Millisecond, true
}
