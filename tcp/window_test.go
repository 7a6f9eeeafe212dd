package tcp

import (
	"fmt"
	"testing"
	"time"
)

// The update that opens a closed window may be lost: it is asked for, at
// intervals that grow like the retransmission timeout's, for as long as the
// peer answers (RFC 9293 section 3.8.6.1).
func TestZeroWindowProbe(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("A 1 ack 1 win 0")
	tc.write(10)
	tc.wantIdle("closed")
	wait := tc.c.RTO()
	for range 100 {
		tc.wantAfter("probe", wait, "A 0 ack 1")
		tc.inject("A 1 ack 1 win 0")
		tc.wantIdle("still closed")
		wait = min(2*wait, maxRTO)
	}
	tc.inject("A 1 ack 1 win 12800")
	tc.want("open", "PA 1:11 ack 1")
	wantEqual(t, "probes counted", tc.c.Info().Stats.WindowProbes, 100)
}

func TestZeroWindowWithoutAnswer(t *testing.T) {
	tc := established(t, Config{Retries: 4}, plainOptions)
	tc.inject("A 1 ack 1 win 0")
	tc.write(10)
	for range 4 {
		tc.take()
		tc.advance(tc.c.NextTimeout().Sub(tc.now))
		tc.want("probe", "A 0 ack 1")
	}
	tc.advance(tc.c.NextTimeout().Sub(tc.now))
	tc.want("given up", "RA 1 ack 1")
	tc.wantClosed("given up", ErrTimeout)
}

// A peer that keeps the window closed on a connection nobody waits for gets
// only so many probes, though it answers them (RFC 6429).
func TestZeroWindowOfOrphan(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("A 1 ack 1 win 0")
	tc.write(10)
	tc.close()
	for range orphanProbes {
		tc.advance(tc.c.NextTimeout().Sub(tc.now))
		tc.want("probe", "A 0 ack 1")
		tc.inject("A 1 ack 1 win 0")
	}
	tc.advance(tc.c.NextTimeout().Sub(tc.now))
	tc.want("given up", "RA 1 ack 1")
	tc.wantClosed("given up", ErrTimeout)
}

func TestUserTimeoutOfClosedWindow(t *testing.T) {
	tc := established(t, Config{UserTimeout: 10 * time.Second}, plainOptions)
	tc.inject("A 1 ack 1 win 0")
	tc.write(10)
	for range 20 {
		tc.advance(5 * time.Second)
		tc.inject("A 1 ack 1 win 0")
	}
	tc.wantState("the peer answers", StateEstablished)
	tc.advance(2 * maxRTO)
	tc.wantClosed("the peer does not", ErrTimeout)
}

// A peer that takes back window it had offered is not to do so, but must be
// coped with (RFC 9293 section 3.8.6): nothing new is sent, acknowledgements
// come from inside the window, what was sent is tried again and again, and
// while the peer answers the connection lives.
func TestWindowShrunk(t *testing.T) {
	tc := established(t, Config{Retries: 3}, plainOptions)
	tc.write(5000)
	tc.write(1 << 16)
	tc.take()
	tc.inject("A 1 ack 1461 win 0")
	tc.wantIdle("nothing new, and nothing lost yet")
	tc.inject("PA 1:101 ack 1461 win 0")
	tc.want("acknowledged from inside the window", "A 1461 ack 101")
	for range 30 {
		tc.advance(tc.c.NextTimeout().Sub(tc.now))
		tc.want("tried again", "A 1461:2921 ack 101")
		tc.wantIdle("one at a time")
		tc.inject("A 101 ack 1461 win 0")
	}
	tc.wantState("the peer answers", StateEstablished)
	tc.inject("A 101 ack 2921 win 65536")
	tc.want("on it goes", "A 2921:4381 ack 101")
	tc.take()
	tc.advance(10 * time.Minute)
	tc.wantClosed("the peer does not answer any more", ErrTimeout)
}

// The scale of the window rounds it down, which looks like a window taken back
// by less than one unit. That is no reason to fear for an acknowledgement.
func TestWindowRounding(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("A 1 ack 1 win 3072")
	tc.write(3072)
	tc.take()
	wantEqual(t, "the window is full", tc.c.SndNxt(), 3073)
	tc.inject("PA 1:101 ack 100 win 2944") // 3072 less 99, rounded down to units of 128
	tc.want("SND.NXT, though 29 beyond the window", "A 3073 ack 101")
}

// Receiver's silly window avoidance: the window opens by a full segment or half
// the buffer, or not at all (RFC 9293 section 3.8.6.2.2).
func TestReceiverSillyWindow(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.buf.Recv = 8000
	tc.establish("mss 1460")
	tc.inject("A 1:1461 ack 1", "A 1461:2921 ack 1", "A 2921:4381 ack 1", "A 4381:5841 ack 1", "PA 5841:8001 ack 1")
	tc.want("window shrinks from the left", "A 1 ack 1461 win 6540")
	tc.want("window shrinks from the left", "A 1 ack 2921 win 5080")
	tc.want("window shrinks from the left", "A 1 ack 4381 win 3620")
	tc.want("window shrinks from the left", "A 1 ack 5841 win 2160")
	tc.want("until it is closed", "A 1 ack 8001 win 0")
	tc.wantRead("a little", 1000)
	tc.wantIdle("1000 bytes are not worth a segment")
	tc.inject("PA 8001:8002 ack 1")
	tc.want("a probe finds the window closed", "A 1 ack 8001 win 0")
	tc.wantRead("a little more", 459)
	tc.inject("PA 8001:8002 ack 1")
	tc.want("still closed", "A 1 ack 8001 win 0")
	tc.wantRead("a full segment together", 1)
	tc.inject("A 0 ack 1")
	tc.want("a probe finds it open", "A 1 ack 8001 win 1460")
	tc.wantRead("two segments more", 2920)
	tc.want("an update by itself", "A 1 ack 8001 win 4380")
	wantEqual(t, "bytes beyond the window were not taken", tc.c.RcvNxt(), 8001)
}

// With a buffer of less than two segments half of it counts.
func TestReceiverSillyWindowOfSmallBuffer(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.buf.Recv = 1000
	tc.establish("mss 1460")
	tc.inject("PA 1:1001 ack 1")
	tc.want("closed", "A 1 ack 1001 win 0")
	tc.wantRead("not half", 499)
	tc.wantIdle("not half")
	tc.wantRead("half", 1)
	tc.want("half", "A 1 ack 1001 win 500")
}

// Sender's silly window avoidance: less than a segment is sent if it is all
// there is, or half of the largest window ever seen, or the window stays like
// this (RFC 9293 section 3.8.6.2.1).
func TestSenderSillyWindow(t *testing.T) {
	tc := established(t, Config{}, "mss 1460")
	tc.inject("A 1 ack 1 win 1000")
	tc.write(800)
	tc.want("all there is", "PA 1:801 ack 1")
	tc.inject("A 1 ack 801 win 1000")
	tc.write(5000)
	tc.wantIdle("not for a thousand bytes of five thousand")
	tc.advance(tc.c.RTO() - 1)
	tc.wantIdle("not yet")
	tc.advance(1)
	tc.want("the override", "A 801:1801 ack 1")
	tc.inject("A 1 ack 1801 win 1000")
	tc.wantIdle("not again at once")
	tc.inject("A 1 ack 1801 win 2000")
	tc.want("a full segment", "A 1801:3261 ack 1")
	tc.wantIdle("and no crumb of 540 bytes")
	tc.inject("A 1 ack 3261 win 5000")
	tc.want("a full segment", "A 3261:4721 ack 1")
	tc.want("and the rest", "PA 4721:5801 ack 1")
}

// A window that was closed for long and opens a little waits no longer for the
// override than another.
func TestSillyWindowAfterClosed(t *testing.T) {
	tc := established(t, Config{}, "mss 1460")
	tc.inject("A 1 ack 1 win 0")
	tc.write(5000)
	for range 6 {
		tc.advance(tc.c.NextTimeout().Sub(tc.now))
		tc.want("probe", "A 0 ack 1")
		tc.inject("A 1 ack 1 win 0")
	}
	tc.inject("A 1 ack 1 win 1000")
	tc.wantAfter("the override", tc.c.RTO(), "A 1:1001 ack 1")
}

func TestSenderSillyWindowHalf(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.accept("S 0 win 1000 <mss 1460>")
	tc.inject("A 1 ack 1 win 1000")
	tc.take()
	tc.write(5000)
	tc.want("a window that was never larger", "A 1:1001 ack 1")
	tc.inject("A 1 ack 1001 win 400")
	tc.wantIdle("less than half")
	tc.inject("A 1 ack 1001 win 500")
	tc.want("half", "A 1001:1501 ack 1")
}

// An older segment's window is no news (RFC 9293 section 3.10.7.4: SND.WL1 and
// SND.WL2).
func TestWindowUpdateOrder(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []string
		want int
	}{
		{"same segment, newer window", []string{"A 1 ack 101 win 5120", "A 1 ack 101 win 2560"}, 2560},
		{"older acknowledgement", []string{"A 1 ack 101 win 5120", "A 1 ack 51 win 2560"}, 5120},
		{"older segment", []string{"PA 11:21 ack 101 win 5120", "PA 1:11 ack 101 win 2560"}, 5120},
		{"newer segment, older acknowledgement", []string{"A 1 ack 101 win 5120", "PA 11:21 ack 51 win 2560"}, 5120},
		{"newer segment, same acknowledgement", []string{"A 1 ack 101 win 5120", "PA 11:21 ack 101 win 2560"}, 2560},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := established(t, Config{}, plainOptions)
			c.write(200)
			c.inject(tc.in...)
			wantEqual(t, "send window", c.c.snd.wnd, tc.want)
		})
	}
}

// The peer's window is never overrun, whatever the congestion window.
func TestWindowLimitsSending(t *testing.T) {
	for _, large := range []int{0, 65535} {
		tc := established(t, Config{MaxPacket: large}, plainOptions)
		tc.inject("A 1 ack 1 win 7296")
		tc.write(100000)
		end := 1
		for _, s := range tc.take() {
			var lo, hi int
			if _, err := fmt.Sscanf(segTokens(s.text)[1], "%d:%d", &lo, &hi); err != nil {
				t.Fatal(err)
			}
			end = max(end, hi)
		}
		if end != 1+4*1460 {
			t.Errorf("MaxPacket %d: sent up to %d, want four full segments of a window of 7296", large, end)
		}
	}
}

// Large segments, too, end with a full one where the window ends in the middle.
func TestWindowLimitsLargeSegment(t *testing.T) {
	tc := wide(t, Config{MaxPacket: 65535})
	lo := int(tc.c.SndNxt())
	tc.inject(fmt.Sprintf("A 1 ack %d win 7296", lo))
	tc.write(100000)
	tc.want("four full segments in one", fmt.Sprintf("A %d:%d ack 1", lo, lo+4*1460))
	tc.wantIdle("and no crumb of 1456 bytes")
}

// Nagle's algorithm (RFC 9293 section 3.7.4): at most one small segment in flight.
func TestNagle(t *testing.T) {
	tc := established(t, Config{Nagle: true}, plainOptions)
	tc.write(10)
	tc.want("the first at once", "PA 1:11 ack 1")
	for range 10 {
		tc.write(100)
	}
	tc.wantIdle("more waits for company")
	tc.write(460)
	tc.want("a full segment", "PA 11:1471 ack 1")
	tc.write(20)
	tc.wantIdle("waits for the acknowledgement")
	tc.inject("A 1 ack 1471")
	tc.want("which came", "PA 1471:1491 ack 1")
	tc.write(5)
	tc.wantIdle("waits")
	tc.closeWrite()
	tc.want("there will be no company any more", "PA 1491:1496 ack 1")
	tc.want("", "FA 1496 ack 1")
}

func TestNagleOff(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	for i := range 5 {
		tc.write(1)
		tc.want("each at once", fmt.Sprintf("PA %d:%d ack 1", i+1, i+2))
	}
}

// Nagle's algorithm counts full segments, not packets of the device.
func TestNagleWithLargePackets(t *testing.T) {
	tc := established(t, Config{Nagle: true, MaxPacket: 65535}, plainOptions)
	tc.write(10)
	tc.want("the first at once", "PA 1:11 ack 1")
	tc.write(5000)
	tc.want("two full segments in one packet", "A 11:2931 ack 1")
	tc.want("one more", "A 2931:4391 ack 1")
	tc.wantIdle("the rest waits")
}
