package tcp

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// wide is a connection over a path short enough that segments are as large as
// the device takes, with a window to match.
func wide(t *testing.T, cfg Config) *testConn {
	t.Helper()
	tc := newTestConn(t, cfg)
	tc.window = 1 << 22
	tc.connect()
	tc.take()
	tc.advance(100 * time.Microsecond)
	tc.inject("SA 0 ack 1 win 65535 <mss 1460, ws 7, sackok>")
	for tc.c.Window() < 300000 {
		tc.write(200000)
		tc.advance(100 * time.Microsecond)
		tc.inject(fmt.Sprintf("A 1 ack %d", tc.c.SndNxt()))
	}
	for tc.s.Pending() || !tc.c.sent.empty() {
		tc.inject(fmt.Sprintf("A 1 ack %d", tc.c.SndNxt()))
	}
	tc.take()
	return tc
}

// A segment is as large as the device takes, in whole segments of the path,
// and says into what it is to be cut.
func TestLargeSegment(t *testing.T) {
	for _, tc := range []struct {
		name      string
		maxPacket int
		segments  int // of 1460 bytes
	}{
		{"64 KiB", 65535, 44},
		{"more than IP can say", 1 << 20, 44},
		{"16 KiB", 16384, 11},
		{"less than two segments", 2000, 1},
		{"exactly two, with room for options", 40 + 40 + 2920, 2},
		{"none", 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := wide(t, Config{MaxPacket: tc.maxPacket})
			lo := int(c.c.SndNxt())
			c.write(200000)
			first := c.take()[0]
			from, to := payloadRange(t, first.text)
			wantEqual(t, "begins", from, lo)
			wantEqual(t, "bytes", to-from, tc.segments*1460)
			if first.wire > 65535 {
				t.Errorf("packet of %d bytes", first.wire)
			}
			want := 1460
			if tc.segments == 1 {
				want = 0
			}
			wantEqual(t, "cut into", first.off.SegSize, want)
		})
	}
}

// With timestamps the pieces carry less, since each carries the option.
func TestLargeSegmentWithTimestamps(t *testing.T) {
	tc := established(t, Config{MaxPacket: 65535}, tsOptions)
	tc.write(5000)
	for _, s := range tc.take() {
		lo, hi := payloadRange(t, s.text)
		if hi-lo > 1448 {
			wantEqual(t, "cut into", s.off.SegSize, 1448)
		}
		if s.off.SegSize > 0 && s.off.SegSize+52 > 1500 {
			t.Errorf("pieces of %d bytes", s.off.SegSize+52)
		}
	}
}

// The pieces that a device makes of a large segment are what the peer would
// have got from small ones.
func TestLargeSegmentSplit(t *testing.T) {
	tc := established(t, Config{MaxPacket: 65535}, tsOptions)
	n, err := tc.s.Write(tc.now, bytes.Repeat([]byte{'x'}, 2896))
	if n != 2896 || err != nil || !tc.c.Output(tc.now, &tc.packet) {
		t.Fatal(n, err)
	}
	next, pieces := uint32(1)+tc.cfg.ISN, 0
	wire.Split(tc.packet.Bytes(), tc.packet.Offload.SegSize, make([]byte, 2000), func(pkt []byte) {
		var seg wire.Segment
		if err := wire.ParseSegment(pkt, &seg, false); err != nil {
			t.Fatal(err)
		}
		if seg.Seq != next || len(pkt) > 1500 || !seg.Options.Has(wire.HasTimestamps) {
			t.Errorf("piece %s of %d bytes", seg.String(), len(pkt))
		}
		next += uint32(len(seg.Payload))
		pieces++
	})
	wantEqual(t, "pieces", pieces, 2)
}

// SACK inside a large segment: only what is missing is sent again, in one
// piece where it lies together.
func TestLargeSegmentPartlyLost(t *testing.T) {
	tc := wide(t, Config{MaxPacket: 65535})
	base := int(tc.c.SndNxt())
	at := func(seg int) int { return base + seg*1460 }
	tc.write(44 * 1460)
	tc.want("one large segment", fmt.Sprintf("PA %d:%d ack 1", at(0), at(44)))
	tc.advance(100 * time.Microsecond)
	// Lost: 1 to 3 and 10.
	tc.inject(fmt.Sprintf("A 1 ack %d <sack %d-%d %d-%d>", at(1), at(11), at(44), at(4), at(10)))
	tc.want("three segments together", fmt.Sprintf("A %d:%d ack 1", at(1), at(4)))
	tc.want("one alone", fmt.Sprintf("A %d:%d ack 1", at(10), at(11)))
	tc.wantIdle("and no more")
	checkScoreboard(t, tc.c)
	tc.advance(100 * time.Microsecond)
	tc.inject(fmt.Sprintf("A 1 ack %d <sack %d-%d>", at(10), at(11), at(44)))
	tc.inject(fmt.Sprintf("A 1 ack %d", at(44)))
	wantEqual(t, "recovered", tc.c.loss.phase, phaseOpen)
	wantEqual(t, "nothing in flight", tc.c.InFlight(), 0)
	wantEqual(t, "the buffer is empty", tc.s.out.Len(), 0)
}

// The Upper hears of a chunk when all of it is acknowledged, once.
func TestChunkAckedOnce(t *testing.T) {
	tc := wide(t, Config{MaxPacket: 65535})
	base := int(tc.c.SndNxt())
	tc.write(44 * 1460)
	tc.take()
	for _, n := range []int{1, 5000, 5000, 30000, 44*1460 - 1} {
		tc.inject(fmt.Sprintf("A 1 ack %d", base+n))
		wantEqual(t, fmt.Sprintf("kept after %d bytes were acknowledged", n), tc.s.out.Len(), 44*1460)
	}
	tc.inject(fmt.Sprintf("A 1 ack %d", base+44*1460))
	wantEqual(t, "kept in the end", tc.s.out.Len(), 0)
}

// Segments that were joined on the way in are taken whole.
func TestLargeSegmentReceived(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.buf.Recv = 1 << 20
	tc.establish(plainOptions)
	tc.inject("PA 1:60001 ack 1", "PA 120001:180001 ack 1", "PA 60001:120001 ack 1")
	tc.want("in order", "A 1 ack 60001")
	tc.want("out of order", "A 1 ack 60001 <sack 120001-180001>")
	tc.want("the gap", "A 1 ack 180001")
	tc.wantRead("all", 180000)
}
