package tcp

import (
	"testing"
	"time"
)

// A report that a packet was too big makes segments smaller and has what was
// sent larger sent again, at once and without taking it for congestion (RFC
// 1191 section 6.4, RFC 8201 section 5.4).
func TestPacketTooBig(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(4000)
	tc.take()
	before := tc.c.Info()
	tc.c.PacketTooBig(tc.now, 1040)
	tc.drain()
	for _, want := range []string{"A 1:1001 ack 1", "A 1001:1461 ack 1", "A 1461:2461 ack 1", "A 2461:2921 ack 1",
		"A 2921:3921 ack 1", "PA 3921:4001 ack 1"} {
		tc.want("again, in smaller pieces", want)
	}
	tc.wantIdle("that is all")
	after := tc.c.Info()
	wantEqual(t, "MSS", after.MSS, 1000)
	wantEqual(t, "segments in the window", after.CongestionWindow/after.MSS, before.CongestionWindow/before.MSS)
	wantEqual(t, "slow start threshold", after.SlowStart, before.SlowStart)
	wantEqual(t, "phase", tc.c.loss.phase, phaseOpen)
	tc.inject("A 1 ack 4001")
	tc.write(1500)
	tc.want("new segments fit", "A 4001:5001 ack 1")
}

func TestPacketTooBigBounds(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
		mtu  int
		want int
	}{
		{"absurdly small", Config{}, 68, 536},
		{"negative", Config{}, -1, 536},
		{"larger than now", Config{}, 9000, 1460},
		{"IPv6 below its minimum", ipv6Config(), 600, 1220},
		{"IPv6", ipv6Config(), 1400, 1340},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := established(t, tc.cfg, "mss 1460")
			c.c.PacketTooBig(c.now, tc.mtu)
			wantEqual(t, "segment size", c.c.SegmentSize(), tc.want)
		})
	}
}

// Large segments are cut by the device at the size of then: all of them may
// have met the narrow link.
func TestPacketTooBigOfLargeSegment(t *testing.T) {
	tc := established(t, Config{MaxPacket: 65535}, plainOptions)
	tc.write(14600)
	tc.take()
	tc.c.PacketTooBig(tc.now, 1040)
	tc.drain()
	next := 1
	for _, s := range tc.take() {
		lo, hi := payloadRange(t, s.text)
		if hi-lo > 1000 {
			wantEqual(t, "cut at", s.off.SegSize, 1000)
		}
		wantEqual(t, "without gaps", lo, next)
		next = hi
	}
	wantEqual(t, "sent again, as far as ten smaller segments reach, is up to", next, 9761)
}

// A report is believed only if it quotes something in flight (RFC 5927 section 4.1).
func TestInFlightWire(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(1000)
	for _, p := range []struct {
		at   uint32
		want bool
	}{{0, false}, {1, true}, {1000, true}, {1001, false}, {1 << 31, false}} {
		if got := tc.c.InFlightWire(tc.cfg.ISN + p.at); got != p.want {
			t.Errorf("position %d: in flight %v, want %v", p.at, got, p.want)
		}
	}
}

// Full segments that vanish while small ones pass: smaller ones are tried (RFC
// 2923 section 2.1).
func TestBlackHole(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(100)
	tc.advance(100 * time.Millisecond)
	tc.inject("A 1 ack 101")
	tc.take()
	tc.write(1460)
	tc.want("full segment", "PA 101:1561 ack 1")
	tc.wantAfter("again", 300*time.Millisecond, "PA 101:1561 ack 1")
	tc.want("and a probe, which passes", "A 100 ack 1")
	tc.advance(100 * time.Millisecond)
	tc.inject("A 1 ack 101")
	tc.wantAfter("smaller", 500*time.Millisecond, "A 101:1137 ack 1")
	tc.want("probe", "A 100 ack 1")
	tc.inject("A 1 ack 1137")
	tc.want("the rest", "PA 1137:1561 ack 1")
	wantEqual(t, "MSS", tc.c.Info().MSS, 1036)
}

// The hole may be narrower than what is tried first.
func TestBlackHoleNarrow(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(1460)
	for range 5 {
		tc.take()
		tc.advance(tc.c.NextTimeout().Sub(tc.now))
		tc.now = tc.now.Add(time.Millisecond)
		tc.inject("A 1 ack 1")
	}
	tc.want("the smallest there is", "A 1:537 ack 1")
}

// A path that carries nothing at all is not one that carries less.
func TestDeadPathIsNoBlackHole(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(1460)
	tc.advance(10 * time.Second)
	wantEqual(t, "segment size", tc.c.SegmentSize(), 1460)
	tc.inject("A 1 ack 1461")
	tc.write(1460)
	tc.take()
	tc.advance(time.Second)
	wantEqual(t, "segment size", tc.c.SegmentSize(), 1460)
}

// Small segments that vanish say nothing about size.
func TestSmallSegmentsAreNoBlackHole(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(100)
	for range 6 {
		tc.take()
		tc.advance(tc.c.NextTimeout().Sub(tc.now))
		tc.now = tc.now.Add(time.Millisecond)
		tc.inject("A 1 ack 1")
	}
	wantEqual(t, "segment size", tc.c.SegmentSize(), 1460)
}
