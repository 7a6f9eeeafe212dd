package tcp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/braid-mptcp/braid/wire"
)

// waiting is a connection that has just entered TIME-WAIT, and what the stack
// keeps of it. The peer's next position is 2, its last timestamp 150.
func waiting(t *testing.T, cfg Config, options string) (*testConn, TimeWait) {
	t.Helper()
	tc := established(t, cfg, options)
	stamp := ""
	if tc.c.ts.on {
		stamp = " <ts 150 1000>"
	}
	tc.closeWrite()
	tc.inject("FA 1 ack 2" + stamp)
	tc.take()
	tc.wantState("set up", StateTimeWait)
	return tc, tc.c.TimeWait(tc.now)
}

// answer is what the TimeWait says to a segment.
func (tc *testConn) answer(w *TimeWait, text string) string {
	tc.t.Helper()
	reply, reopen := w.Input(tc.now, tc.segment(text))
	switch {
	case reply && reopen:
		tc.t.Fatal("both an answer and a new connection")
	case reopen:
		return "reopen"
	case !reply:
		return ""
	}
	w.Output(tc.now, &tc.packet)
	var seg wire.Segment
	if err := wire.ParseSegment(tc.packet.Bytes(), &seg, false); err != nil {
		tc.t.Fatal(err)
	}
	return tc.ours().text(&seg)
}

// RFC 9293 section 3.10.7.4 in TIME-WAIT, with RFC 1337, RFC 5961, RFC 6191 and
// RFC 7323.
func TestTimeWaitInput(t *testing.T) {
	const ack, nothing, reopen = "A 2 ack 2", "", "reopen"
	for _, tc := range []struct {
		in, options string // options of the connection that was
		want        string
	}{
		{"FA 1 ack 2", plainOptions, ack},
		{"FPA 0:1 ack 2", plainOptions, ack},
		{"A 2 ack 2", plainOptions, nothing},
		{"A 1 ack 2", plainOptions, ack},
		{"PA 2:12 ack 2", plainOptions, ack},
		{"FA 2 ack 2", plainOptions, ack}, // not the FIN it knows
		{"P 2:12", plainOptions, nothing},
		{"R 2", plainOptions, nothing},
		{"RA 2 ack 2", plainOptions, nothing},
		{"R 1", plainOptions, nothing},

		{"S 2", plainOptions, reopen},
		{"S 100000", plainOptions, reopen},
		{"S 1", plainOptions, ack},
		{"S -5", plainOptions, ack},
		{"S -5 <ts 10 0>", plainOptions, reopen}, // PAWS tells them apart
		{"S -5 <ts 4000000000 0>", plainOptions, reopen},
		{"SF 100000", plainOptions, ack},
		{"SA 100000 ack 2", plainOptions, ack},
		{"SR 100000", plainOptions, nothing},

		{"S -5 <ts 151 0>", tsOptions, reopen},
		{"S 100000 <ts 151 0>", tsOptions, reopen},
		{"S 100000 <ts 149 0>", tsOptions, ack},
		{"S 100000 <ts 150 0>", tsOptions, reopen},
		{"S 1 <ts 150 0>", tsOptions, ack},
		{"S 2", tsOptions, reopen},
		{"S 1", tsOptions, ack},
		{"FA 1 ack 2 <ts 160 1000>", tsOptions, "A 2 ack 2 <ts 1100 160>"},
		{"FA 1 ack 2 <ts 149 1000>", tsOptions, "A 2 ack 2 <ts 1100 150>"},
		{"A 2 ack 2 <ts 149 1000>", tsOptions, "A 2 ack 2 <ts 1100 150>"},
	} {
		t.Run(tc.in+" after "+tc.options, func(t *testing.T) {
			c, w := waiting(t, Config{}, tc.options)
			got := c.answer(&w, tc.in)
			if tc.want == nothing && got != "" || tc.want == reopen && got != reopen ||
				tc.want != nothing && tc.want != reopen && !segMatches(tc.want, got) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// Without timestamps in the next connection a SYN's timestamp proves nothing.
func TestTimeWaitWithoutTimestamps(t *testing.T) {
	c, w := waiting(t, Config{NoTimestamps: true}, plainOptions)
	if got := c.answer(&w, "S 1 <ts 10 0>"); got == "reopen" {
		t.Error("an old SYN reopens")
	}
	if got := c.answer(&w, "S 2 <ts 10 0>"); got != "reopen" {
		t.Errorf("a new SYN: %q", got)
	}
}

// The wait begins anew with each FIN, and with nothing else.
func TestTimeWaitExpiry(t *testing.T) {
	c, w := waiting(t, Config{}, tsOptions)
	first := w.Expiry()
	wantEqual(t, "expiry", first, c.now.Add(timeWait))
	c.advance(30 * time.Second)
	for _, in := range []string{"A 2 ack 2 <ts 160 0>", "PA 2:3 ack 2 <ts 160 0>", "S 1 <ts 10 0>", "R 2", "FA 1 ack 2 <ts 140 0>", "FA 7 ack 2 <ts 160 0>"} {
		c.answer(&w, in)
		wantEqual(t, "expiry after "+in, w.Expiry(), first)
	}
	c.answer(&w, "FA 1 ack 2 <ts 160 0>")
	wantEqual(t, "expiry after the FIN", w.Expiry(), c.now.Add(timeWait))
	wantEqual(t, "its timestamp counts", w.tsRecent, 160)
}

// Two ends in TIME-WAIT that disagree do not talk for ever.
func TestTimeWaitLimit(t *testing.T) {
	c, w := waiting(t, Config{}, plainOptions)
	answers := 0
	for range 1000 {
		if c.answer(&w, "A 1 ack 2") != "" {
			answers++
		}
	}
	wantEqual(t, "answers at once", answers, ackLimitMax)
	for range 10 {
		if got := c.answer(&w, "FA 1 ack 2"); got == "" {
			t.Fatal("a FIN is not answered")
		}
	}
}

// A Conn in TIME-WAIT and what the stack keeps of it answer alike.
func TestTimeWaitLikeConn(t *testing.T) {
	for _, options := range []string{plainOptions, tsOptions} {
		stamp := ""
		if options == tsOptions {
			stamp = " <ts 150 1000>"
		}
		for _, in := range []string{"FA 1 ack 2", "A 2 ack 2", "A 1 ack 2", "R 2", "SA 0 ack 1", "A -500 ack 2"} {
			c, w := waiting(t, Config{}, options)
			c.inject(in + stamp)
			want := ""
			if len(c.sent) > 0 {
				want = c.sent[0].text
			}
			got := c.answer(&w, in+stamp)
			if want == "" && got != "" || want != "" && !segMatches(fmt.Sprint(segTokens(want)[0], " ", segTokens(want)[1], " ", segTokens(want)[2]), got) {
				t.Errorf("%s: TimeWait says %q, Conn %q", in, got, want)
			}
		}
	}
}

// The connection that reopens the 4-tuple numbers its bytes beyond the old ones
// (RFC 1122 section 4.2.2.13).
func TestTimeWaitNextISN(t *testing.T) {
	w := TimeWait{sndNxt: 0xffffff00}
	for _, tc := range []struct{ isn, want uint32 }{
		{0xffffff01, 0xffffff01},
		{0x1000, 0x1000},
		{0xffffff00, 0xff00},
		{0xfff00000, 0xff00},
	} {
		wantEqual(t, fmt.Sprintf("for %#x", tc.isn), w.NextISN(tc.isn), tc.want)
	}
}

func TestTimeWaitSize(t *testing.T) {
	if n := unsafe.Sizeof(TimeWait{}); n > 128 {
		t.Errorf("%d bytes", n)
	}
}

// RFC 6528 section 3: for one 4-tuple numbers grow by one in 4 microseconds,
// for another they begin elsewhere, and without the secret nobody knows where.
func TestISNSource(t *testing.T) {
	src := NewISNSource([32]byte{1, 2, 3})
	other := NewISNSource([32]byte{1, 2, 4})
	a, b := netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("10.0.0.2:80")
	first := src.Next(epoch, a, b)
	wantEqual(t, "same tuple, same time", src.Next(epoch, a, b), first)
	wantEqual(t, "4 ms later", src.Next(epoch.Add(4*time.Millisecond), a, b)-first, 1000)
	// After 2^32 times 4 microseconds the clock is where it was: longer than MSL.
	wantEqual(t, "4.77 hours later", src.Next(epoch.Add(4*time.Microsecond<<32), a, b), first)
	for name, got := range map[string]uint32{
		"other secret":      other.Next(epoch, a, b),
		"other remote port": src.Next(epoch, a, netip.AddrPortFrom(b.Addr(), 81)),
		"other local port":  src.Next(epoch, netip.AddrPortFrom(a.Addr(), 1001), b),
		"other address":     src.Next(epoch, a, netip.MustParseAddrPort("10.0.0.3:80")),
		"other way round":   src.Next(epoch, b, a),
		"IPv6":              src.Next(epoch, netip.MustParseAddrPort("[fd00::1]:1000"), netip.MustParseAddrPort("[fd00::2]:80")),
	} {
		if d := int32(got - first); -1<<16 < d && d < 1<<16 {
			t.Errorf("%s: %#x is close to %#x", name, got, first)
		}
	}
	off := src.TimestampOffset(a, b)
	wantEqual(t, "timestamp offset is the same for each connection", src.TimestampOffset(a, b), off)
	if off == src.TimestampOffset(b, a) || off == other.TimestampOffset(a, b) || off == first-uint32(epoch.UnixNano()/4000) {
		t.Error("timestamp offset tells something")
	}
}

// Numbers of different tuples share no bits in any position.
func TestISNSpread(t *testing.T) {
	src := NewISNSource([32]byte{9})
	var ones [32]int
	const n = 4096
	for i := range n {
		v := src.Next(epoch, netip.MustParseAddrPort("10.0.0.1:1000"), netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), uint16(i)))
		for bit := range ones {
			ones[bit] += int(v >> bit & 1)
		}
	}
	for bit, k := range ones {
		if k < n*45/100 || k > n*55/100 {
			t.Errorf("bit %d is set in %d of %d", bit, k, n)
		}
	}
}

func TestISNAllocatesNothing(t *testing.T) {
	src := NewISNSource([32]byte{1})
	a, b := netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("10.0.0.2:80")
	if n := testing.AllocsPerRun(100, func() { src.Next(epoch, a, b) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
