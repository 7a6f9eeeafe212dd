package tcp

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// SACK blocks that cannot be true are ignored, whatever else an
// acknowledgement says (RFC 2018, RFC 2883).
func TestBogusSACK(t *testing.T) {
	for _, tc := range []struct {
		name, sack string
		sacked     int
	}{
		{"right", "sack 2921-4381", 1460},
		{"two", "sack 4381-5841 1461-2921", 2920},
		{"twice the same", "sack 2921-4381 2921-4381", 1460},
		{"overlapping", "sack 1461-4381 2921-5841", 4380},
		{"beyond what was sent", "sack 2921-14602", 0},
		{"far beyond", "sack 100000-101460", 0},
		{"below the acknowledgement (a DSACK)", "sack 1-1461", 0},
		{"across the acknowledgement", "sack 1-4381", 0},
		{"empty", "sack 2921-2921", 0},
		{"backwards", "sack 4381-2921", 0},
		{"half the space", "sack 2921-2147486569", 0},
		{"bogus beside right", "sack 100000-101460 2921-4381", 1460},
		{"a crumb of a segment", "sack 2921-2922", 0},
		{"all but a crumb", "sack 2922-4381", 0},
		{"all but a crumb at the end", "sack 2921-4380", 0},
		{"part of a segment", "sack 3121-4381", 1260},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := established(t, Config{}, plainOptions)
			c.write(100000)
			c.advance(10 * time.Millisecond)
			c.inject("A 1 ack 1461 <" + tc.sack + ">")
			wantEqual(t, "acknowledged selectively", c.c.sent.sacked, tc.sacked)
			wantEqual(t, "acknowledged", c.c.SndUna(), 1461)
			checkScoreboard(t, c.c)
		})
	}
}

// Without SACK-permitted in both SYNs blocks mean nothing.
func TestSACKNotAgreed(t *testing.T) {
	tc := established(t, Config{}, "mss 1460")
	tc.write(14600)
	tc.inject("A 1 ack 1461 <sack 2921-4381>")
	wantEqual(t, "acknowledged selectively", tc.c.sent.sacked, 0)
}

// checkScoreboard compares the sums of the retransmission queue with what they
// are sums of.
func checkScoreboard(t testing.TB, c *Conn) {
	t.Helper()
	var flight, sacked, lost int
	next := c.snd.una
	for i := range c.sent.live() {
		r := &c.sent.live()[i]
		if r.lo != next || r.hi <= r.lo || !r.fin && (r.lo < r.chunk.Lo || r.chunk.Hi < r.hi) {
			t.Fatalf("record %d is %d:%d, want it to begin at %d and lie in %v", i, r.lo, r.hi, next, r.chunk)
		}
		next = r.hi
		flight += r.len()
		if r.sacked {
			sacked += r.len()
		}
		if r.lost {
			lost += r.len()
		}
		if r.sacked && r.lost {
			t.Fatalf("record %d:%d is both lost and there", r.lo, r.hi)
		}
	}
	if len(c.sent.live()) > 0 && next != c.snd.nxt {
		t.Fatalf("records end at %d, SND.NXT is %d", next, c.snd.nxt)
	}
	if i, ok := c.sent.firstLost(); ok != (lost > 0) || ok && i != firstLost(c) {
		t.Fatalf("first lost record is %d (%v), want %d", i, ok, firstLost(c))
	}
	if flight != c.sent.flight || sacked != c.sent.sacked || lost != c.sent.lost {
		t.Fatalf("sums %d in flight, %d sacked, %d lost; want %d, %d, %d",
			c.sent.flight, c.sent.sacked, c.sent.lost, flight, sacked, lost)
	}
}

func firstLost(c *Conn) int {
	return slices.IndexFunc(c.sent.live(), func(r record) bool { return r.lost })
}

// A peer that acknowledges odd bytes selectively does not make us keep a
// record for each.
func TestCrumblingSACK(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(14600)
	for lo := 3; lo < 14600; lo += 6 {
		tc.inject(fmt.Sprintf("A 1 ack 1 <sack %d-%d>", lo, lo+2))
	}
	if n := len(tc.c.sent.live()); n > 14600/minSegment+10 {
		t.Errorf("%d records for 14600 bytes", n)
	}
	checkScoreboard(t, tc.c)
}

// The third duplicate acknowledgement (RFC 5681 section 3.2), and what is none
// (section 2).
func TestFastRetransmitWithoutSACK(t *testing.T) {
	for _, tc := range []struct {
		name string
		acks []string
		want bool
	}{
		{"two", []string{"A 1 ack 1", "A 1 ack 1"}, false},
		{"three", []string{"A 1 ack 1", "A 1 ack 1", "A 1 ack 1"}, true},
		{"with data", []string{"A 1 ack 1", "A 1 ack 1", "PA 1:11 ack 1"}, false},
		{"with a FIN", []string{"A 1 ack 1", "A 1 ack 1", "FA 1 ack 1"}, false},
		{"with a new window", []string{"A 1 ack 1", "A 1 ack 1", "A 1 ack 1 win 40000"}, false},
		{"with news of Multipath TCP (RFC 8684 section 3.4.1)", []string{"A 1 ack 1", "A 1 ack 1", "A 1 ack 1 <prio>"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := established(t, Config{}, "mss 1460")
			c.window = 60000
			c.inject("A 1 ack 1") // sets the window
			c.write(7300)
			c.take()
			c.inject(tc.acks...)
			got := false
			for _, s := range c.take() {
				got = got || strings.HasPrefix(s.text, "A 1:1461")
			}
			if got != tc.want {
				t.Errorf("first segment sent again: %v, want %v", got, tc.want)
			}
		})
	}
}

// A retransmission that is lost again is found lost when later ones arrive
// (RFC 8985 section 3.2), without waiting for the timeout.
func TestLostRetransmission(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(100000)
	tc.advance(100 * time.Millisecond)
	tc.inject("A 1 ack 1 <sack 1461-14601>")
	tc.want("", "A 1:1461")
	tc.take()
	tc.advance(50 * time.Millisecond)
	tc.inject("A 1 ack 1 <sack 1461-17521>") // limited by the window: something new was sent before
	tc.take()
	tc.advance(50 * time.Millisecond)
	nxt := int(tc.c.SndNxt())
	tc.inject(fmt.Sprintf("A 1 ack 1 <sack 1461-%d>", nxt)) // all of the new, not the retransmission
	tc.advance(26 * time.Millisecond)
	found := false
	for _, s := range tc.take() {
		found = found || strings.HasPrefix(s.text, "A 1:1461")
	}
	if !found {
		t.Error("the retransmission was not sent again")
	}
	wantEqual(t, "timeouts", tc.c.Info().Stats.Timeouts, 0)
}

// An acknowledgement that comes too soon after a retransmission is for the
// first copy: it does not make everything sent before the second look late (RFC
// 8985 section 6.2 step 2).
func TestSpuriousRetransmission(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(14600)
	tc.advance(100 * time.Millisecond)
	tc.inject("A 1 ack 1 <sack 1461-5841>")
	tc.take()
	tc.advance(time.Millisecond)
	tc.inject("A 1 ack 5841") // the first copy was only late
	tc.wantIdle("nothing else is late")
	tc.advance(20 * time.Millisecond)
	tc.wantIdle("nor soon after")
	wantEqual(t, "losses", tc.c.Info().Stats.Losses, 1)
}

// The queue's memory follows what is in flight, not what has ever been.
func TestQueueMemory(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	for i := range 5000 {
		tc.write(100)
		tc.write(100)
		tc.take()
		tc.advance(time.Millisecond)
		tc.inject(fmt.Sprintf("A 1 ack %d", i*200+101)) // always one behind
	}
	if n := cap(tc.c.sent.recs); n > 200 {
		t.Errorf("room for %d records with one in flight", n)
	}
}

// While nothing is lost no more is in flight than the window allows; one
// segment may be whatever the window says.
func TestWindowNeverExceeded(t *testing.T) {
	for _, cfg := range []Config{{}, {CongestionControl: "reno"}, {MaxPacket: 65535}, {NoSACK: true}, {Nagle: true}} {
		for seed := range uint64(3) {
			p := newTestPair(t, seed)
			cfg.Local, cfg.Remote, cfg.ISN = p.a.cfg.Local, p.a.cfg.Remote, p.a.cfg.ISN
			p.a.cfg = cfg
			p.loss, p.jitter = 0.02, 5*time.Millisecond
			p.a.send, p.a.shut = pattern(400<<10, seed), true
			var highest uint32
			p.filter = func(from *end, seg *wire.Segment) bool {
				if from != p.a || len(seg.Payload) == 0 {
					return true
				}
				c := p.a.s.Conn
				if rel := seg.Seq - cfg.ISN; rel >= highest {
					highest = rel + uint32(len(seg.Payload))
					if got, limit := c.InFlight(), max(c.Window(), c.SegmentSize()); got > limit {
						t.Errorf("seed %d: %d in flight after new data, window %d", seed, got, limit)
					}
				}
				checkScoreboard(t, c)
				return true
			}
			p.connect()
			p.run("all is read", 10*time.Minute, func() bool { return p.b.err != nil })
		}
	}
}
