package tcp

import (
	"fmt"
	"testing"
	"time"
)

// slowAcks is a connection whose quick acknowledgements are used up.
func slowAcks(t *testing.T, cfg Config) *testConn {
	tc := established(t, cfg, plainOptions)
	tc.c.ack.count = quickAcks
	return tc
}

// At the start every segment is acknowledged at once: the peer is in slow
// start and grows by it.
func TestQuickAcks(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	quick := 0
	for i := range 2 * quickAcks {
		tc.inject(fmt.Sprintf("PA %d:%d ack 1", i*10+1, i*10+11))
		if len(tc.take()) > 0 {
			quick++
		}
		tc.advance(time.Millisecond)
	}
	if quick < quickAcks-2 || quick > quickAcks+1 {
		t.Errorf("%d of %d segments acknowledged at once, want about %d", quick, 2*quickAcks, quickAcks)
	}
}

// An acknowledgement waits for company, but not for long, and not for more
// than two full segments (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2).
func TestDelayedAck(t *testing.T) {
	tc := slowAcks(t, Config{})
	tc.inject("PA 1:101 ack 1")
	tc.wantAfter("one small segment", delackTime, "A 1 ack 101")

	tc.inject("A 101:1561 ack 1")
	tc.wantIdle("one full segment")
	tc.advance(10 * time.Millisecond)
	tc.inject("A 1561:3021 ack 1")
	tc.want("two full segments", "A 1 ack 3021")

	tc.inject("A 3021:4481 ack 1")
	tc.advance(10 * time.Millisecond)
	tc.write(10)
	tc.want("data takes it along", "PA 1:11 ack 4481")
	tc.advance(delackTime)
	tc.wantIdle("so nothing is left to say")
}

// The peer's segments may be smaller than ours could be: two of its own are
// acknowledged at once, too.
func TestDelayedAckOfSmallerSegments(t *testing.T) {
	tc := slowAcks(t, Config{})
	tc.inject("A 1:1001 ack 1")
	tc.wantIdle("one")
	tc.inject("A 1001:2001 ack 1")
	tc.want("two", "A 1 ack 2001")
	tc.inject("A 2001:3001 ack 1")
	tc.wantIdle("three")
	tc.inject("A 3001:4001 ack 1")
	tc.want("four", "A 1 ack 4001")
}

// A keystroke is no full segment.
func TestDelayedAckOfKeystrokes(t *testing.T) {
	tc := slowAcks(t, Config{})
	for i := range 20 {
		tc.inject(fmt.Sprintf("PA %d:%d ack 1", i+1, i+2))
	}
	tc.wantAfter("twenty bytes, one acknowledgement", delackTime, "A 1 ack 21")
}

// Joined segments count for as many as they are.
func TestAckOfLargeSegment(t *testing.T) {
	tc := slowAcks(t, Config{})
	tc.inject("A 1:30001 ack 1")
	tc.want("twenty segments in one", "A 1 ack 30001")
}

// Out of order, and what fills a gap, is acknowledged at once (RFC 5681 section 4.2).
func TestAckOutOfOrder(t *testing.T) {
	tc := slowAcks(t, Config{})
	tc.inject("PA 101:201 ack 1")
	tc.want("a gap", "A 1 ack 1 <sack 101-201>")
	tc.inject("PA 1:51 ack 1")
	tc.want("filled in part", "A 1 ack 51 <sack 101-201>")
	tc.inject("PA 51:101 ack 1")
	tc.want("filled", "A 1 ack 201 <>")
}

// The first block names the newest data, the others the blocks before it, most
// recent first (RFC 2018 section 4); without timestamps four fit.
func TestSACKOrder(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("A 101:201 ack 1")
	tc.want("", "A 1 ack 1 <sack 101-201>")
	tc.inject("A 301:401 ack 1")
	tc.want("", "A 1 ack 1 <sack 301-401 101-201>")
	tc.inject("A 501:601 ack 1")
	tc.want("", "A 1 ack 1 <sack 501-601 301-401 101-201>")
	tc.inject("A 201:251 ack 1")
	tc.want("an old block grows", "A 1 ack 1 <sack 101-251 501-601 301-401>")
	tc.inject("A 701:801 ack 1", "A 801:901 ack 1", "A 901:1001 ack 1")
	tc.want("", "A 1 ack 1 <sack 701-801 101-251 501-601 301-401>")
	tc.want("growing does not push others out", "A 1 ack 1 <sack 701-901 101-251 501-601 301-401>")
	tc.want("growing does not push others out", "A 1 ack 1 <sack 701-1001 101-251 501-601 301-401>")
	tc.inject("A 1101:1201 ack 1")
	tc.want("five blocks, four fit", "A 1 ack 1 <sack 1101-1201 701-1001 101-251 301-401>")
	tc.inject("A 251:301 ack 1")
	tc.want("two blocks become one", "A 1 ack 1 <sack 101-401 1101-1201 701-1001 501-601>")
	tc.inject("A 1:101 ack 1")
	tc.want("the lowest is there", "A 1 ack 401 <sack 1101-1201 701-1001 501-601>")
	tc.inject("A 401:1101 ack 1")
	tc.want("all is there, some of it twice", "A 1 ack 1201 <sack 501-601>")
}

// With timestamps three blocks fit.
func TestSACKWithTimestamps(t *testing.T) {
	tc := established(t, Config{}, tsOptions)
	tc.inject("A 101:201 ack 1 <ts 100 0>", "A 301:401 ack 1 <ts 100 0>", "A 501:601 ack 1 <ts 100 0>", "A 701:801 ack 1 <ts 100 0>")
	tc.take()
	tc.inject("A 901:1001 ack 1 <ts 100 0>")
	tc.want("three", "A 1 ack 1 <ts 1100 100, sack 901-1001 701-801 501-601>")
}

// What came twice is named first, once (RFC 2883 section 4).
func TestDSACK(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("A 1:501 ack 1", "A 1:501 ack 1")
	tc.take()
	tc.inject("A 101:301 ack 1")
	tc.want("below the acknowledgement (section 4.1)", "A 1 ack 501 <sack 101-301>")
	tc.inject("A 401:601 ack 1")
	tc.want("partly below", "A 1 ack 601 <sack 401-501>")
	tc.inject("A 601:701 ack 1")
	tc.want("only once", "A 1 ack 701 <>")

	tc.inject("A 801:1001 ack 1")
	tc.want("a gap", "A 1 ack 701 <sack 801-1001>")
	tc.inject("A 801:901 ack 1")
	tc.want("twice beyond the gap: the block around it follows (section 4.2)", "A 1 ack 701 <sack 801-901 801-1001>")
	tc.inject("A 901:1101 ack 1")
	tc.want("twice in part", "A 1 ack 701 <sack 901-1001 801-1101>")
	tc.inject("A 751:1201 ack 1")
	tc.want("around what was there", "A 1 ack 701 <sack 801-1101 751-1201>")
}

// Without SACK none is sent.
func TestNoSACK(t *testing.T) {
	tc := established(t, Config{}, "mss 1460")
	tc.inject("A 101:201 ack 1", "A 101:201 ack 1")
	tc.want("", "A 1 ack 1 <>")
	tc.want("", "A 1 ack 1 <>")
}

// A duplicate acknowledgement goes out by itself even if there is data to send:
// on data it would not be one (RFC 5681 section 2), nor have room for SACK.
func TestDuplicateAckBesideData(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.s.Write(tc.now, make([]byte, 0))
	b := []byte{ourByte(1), ourByte(2)}
	if n, err := tc.s.Write(tc.now, b); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	tc.written += 2
	tc.inject("A 101:201 ack 1") // before the data was sent
	tc.want("the duplicate acknowledgement", "A 1 ack 1 <sack 101-201>")
	tc.want("the data", "PA 1:3 ack 1")
	tc.wantIdle("nothing else")
}

// Only so many separate blocks are kept of a peer that sends every other byte.
func TestManyBlocks(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.buf.Recv = 256 << 10
	tc.establish(plainOptions)
	for i := range 2 * maxAhead {
		tc.inject(fmt.Sprintf("A %d:%d ack 1", 2*i+2, 2*i+3))
	}
	if got := len(tc.c.rcv.ahead.Ranges()); got > maxAhead {
		t.Fatalf("%d blocks kept, want at most %d", got, maxAhead)
	}
	for i := range 2 * maxAhead {
		tc.inject(fmt.Sprintf("A %d:%d ack 1", 2*i+1, 2*i+3))
		tc.wantRead("all of it in the end", 2)
	}
}

// Bytes beyond the window are cut off, and those in it are taken.
func TestBeyondWindow(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.buf.Recv = 1000
	tc.establish(plainOptions)
	tc.inject("PA 501:1501 ack 1")
	tc.want("as far as it fits", "A 1 ack 1 <sack 501-1001>")
	tc.inject("PA 1:701 ack 1")
	tc.want("all that fits", "A 1 ack 1001 win 0")
	tc.wantRead("all that fits", 1000)
}

// The statistics count each byte once.
func TestBytesReceived(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("A 1:101 ack 1", "A 1:101 ack 1", "A 51:151 ack 1", "A 201:301 ack 1", "A 201:301 ack 1", "A 101:401 ack 1")
	wantEqual(t, "bytes received", tc.c.Info().Stats.BytesReceived, 400)
}
