package cc

import (
	"slices"
	"time"
)

// hyStart ends slow start before it overflows the queue of the bottleneck, when
// round trips begin to grow (HyStart++, RFC 9406). Growth then goes on at a
// quarter of the pace for a few rounds, since the delay may have had another
// cause.
type hyStart struct {
	delivered int64         // bytes acknowledged ever
	roundEnd  int64         // what delivered will be when all now in flight is
	last      time.Duration // smallest round trip of the last round; 0: no round yet
	least     time.Duration // of this round so far
	recent    [hySamples]time.Duration
	samples   int

	baseline time.Duration // of the round that began conservative slow start; 0: not in it
	rounds   int           // of conservative slow start
}

// The constants of RFC 9406 section 4.3. Slow start is not paced, hence a
// limit on how much one acknowledgement may add, which window.slowStart has.
const (
	hyMinThresh  = 4 * time.Millisecond
	hyMaxThresh  = 16 * time.Millisecond
	hyRTTDivisor = 8
	hySamples    = 8
	hyCSSDivisor = 4
	hyCSSRounds  = 5
)

// acked takes an acknowledgement in slow start. It gives how many of its bytes
// count for growth, and whether slow start is over.
func (h *hyStart) acked(a *Ack) (bytes int, over bool) {
	h.delivered += int64(a.Bytes)
	if h.delivered >= h.roundEnd {
		h.beginRound(a)
		if h.baseline > 0 {
			if h.rounds++; h.rounds > hyCSSRounds {
				return a.Bytes, true
			}
		}
	}
	if a.RTT > 0 {
		h.recent[h.samples%hySamples] = a.RTT
		h.samples++
		if h.least == 0 || a.RTT < h.least {
			h.least = a.RTT
		}
		if h.samples >= hySamples {
			h.judge(slices.Min(h.recent[:]))
		}
	}
	if h.baseline > 0 {
		return a.Bytes / hyCSSDivisor, false
	}
	return a.Bytes, false
}

func (h *hyStart) beginRound(a *Ack) {
	h.roundEnd = h.delivered + int64(max(a.InFlight-a.Bytes, 0))
	h.last, h.least, h.samples = h.least, 0, 0
}

// judge compares the delay now with the last round's (RFC 9406 section 4.2).
//
// Deviation: "now" is the smallest of the last eight samples, not of the round.
// A round begins with an empty queue; waiting for one that begins with a full
// one is a doubling too late.
func (h *hyStart) judge(now time.Duration) {
	switch {
	case h.baseline > 0:
		if now < h.baseline {
			h.baseline, h.rounds = 0, 0 // it was nothing: on at full pace
		}
	case h.last > 0 && now >= h.last+min(max(h.last/hyRTTDivisor, hyMinThresh), hyMaxThresh):
		h.baseline = now
	}
}
