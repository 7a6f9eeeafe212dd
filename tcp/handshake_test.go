package tcp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// RFC 9293 section 3.5, figure 6, our side first.
func TestActiveOpen(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.connect()
	tc.want("SYN", "S 0 win 65535 <mss 1460, ws 1, sackok, ts 1000 0>")
	tc.wantState("SYN sent", StateSynSent)
	tc.advance(30 * time.Millisecond)
	tc.inject("SA 0 ack 1 win 8000 <mss 1460, ws 7, sackok, ts 77 1000>")
	tc.want("SYN/ACK acknowledged", "A 1 ack 1 win 65536 <ts 1030 77>")
	tc.wantIdle("handshake is over")
	tc.wantState("handshake is over", StateEstablished)
	tc.wantEvent("handshake is over", Established)
	wantEqual(t, "round trip of the SYN", tc.c.SRTT(), 30*time.Millisecond)
}

// RFC 9293 section 3.5, figure 6, the peer's side first.
func TestPassiveOpen(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.accept("S 0 win 65535 <mss 1400, ws 7, sackok, ts 500 0>")
	tc.want("SYN answered", "SA 0 ack 1 win 65535 <mss 1460, ws 1, sackok, ts 1000 500>")
	tc.wantState("SYN/ACK sent", StateSynReceived)
	tc.advance(20 * time.Millisecond)
	tc.inject("A 1 ack 1 win 65536 <ts 520 1000>")
	tc.wantIdle("nothing to acknowledge")
	tc.wantState("handshake is over", StateEstablished)
	tc.wantEvent("handshake is over", Established)
	wantEqual(t, "round trip of the SYN/ACK", tc.c.SRTT(), 20*time.Millisecond)
	tc.write(10)
	tc.want("the third packet's timestamp is echoed", "PA 1:11 ack 1 <ts 1020 520>")
}

// The third packet may carry data, and may be lost: data stands in for it.
func TestPassiveOpenWithData(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.accept("S 0 win 65535 <mss 1400>")
	tc.take()
	tc.inject("PA 1:101 ack 1")
	tc.want("data acknowledged", "A 1 ack 101")
	tc.wantState("data ends the handshake", StateEstablished)
	tc.wantRead("data delivered", 100)
}

// A SYN repeats until it is answered, at intervals that double (RFC 6298
// section 5.5), and then the attempt is over.
func TestSYNRetransmission(t *testing.T) {
	tc := newTestConn(t, Config{SynRetries: 3})
	tc.connect()
	tc.want("SYN", "S 0")
	tc.wantAfter("first repeat", 1*time.Second, "S 0")
	tc.wantAfter("second repeat", 2*time.Second, "S 0")
	tc.wantAfter("third repeat", 4*time.Second, "S 0")
	tc.advance(8*time.Second - 1)
	tc.wantState("the last one gets its time", StateSynSent)
	tc.advance(1)
	tc.wantIdle("no reset for a peer nobody heard of")
	tc.wantClosed("no answer", ErrTimeout)
}

func TestSYNACKRetransmission(t *testing.T) {
	tc := newTestConn(t, Config{SynRetries: 1})
	tc.accept("S 0 win 65535 <mss 1400>")
	tc.want("SYN answered", "SA 0 ack 1")
	tc.wantAfter("no answer", time.Second, "SA 0 ack 1")
	tc.advance(2 * time.Second)
	tc.want("given up", "RA 1 ack 1")
	tc.wantClosed("given up", ErrTimeout)
}

// The user timeout ends an attempt too (RFC 9293 section 3.9.1.1).
func TestUserTimeoutOfConnect(t *testing.T) {
	tc := newTestConn(t, Config{UserTimeout: 5 * time.Second})
	tc.connect()
	tc.advance(5*time.Second - 1)
	tc.wantState("the timeout is not over", StateSynSent)
	tc.advance(1)
	tc.wantClosed("the timeout is over", ErrTimeout)
}

// Which of two SYNs was answered cannot be known without timestamps: no
// round-trip time (Karn, RFC 6298 section 3), and a cautious timeout (section 5.7).
func TestKarnForSYN(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options string
		srtt    time.Duration
		rto     time.Duration
	}{
		{"without timestamps", "mss 1460", 0, 3 * time.Second},
		{"answer to the second", "mss 1460, ts 7 2000", 50 * time.Millisecond, 3 * time.Second},
		{"answer to the first", "mss 1460, ts 7 1000", 1050 * time.Millisecond, 3150 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newTestConn(t, Config{})
			c.connect()
			c.advance(1050 * time.Millisecond)
			c.take()
			c.inject("SA 0 ack 1 win 1000 <" + tc.options + ">")
			wantEqual(t, "SRTT", c.c.SRTT(), tc.srtt)
			wantEqual(t, "RTO", c.c.RTO(), tc.rto)
		})
	}
}

// A SYN that comes again has the SYN/ACK sent again, and again there is no
// telling which was answered.
func TestDuplicateSYN(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.accept("S 0 win 65535 <mss 1400, ts 500 0>")
	tc.want("SYN answered", "SA 0 ack 1 <mss 1460, ts 1000 500>")
	tc.advance(100 * time.Millisecond)
	tc.inject("S 0 win 65535 <mss 1400, ts 600 0>")
	tc.want("SYN answered again, with its timestamp", "SA 0 ack 1 <mss 1460, ts 1100 600>")
	tc.advance(10 * time.Millisecond)
	tc.inject("A 1 ack 1 <ts 610 1000>")
	wantEqual(t, "SRTT", tc.c.SRTT(), 110*time.Millisecond)

	tc = newTestConn(t, Config{})
	tc.accept("S 0 win 65535 <mss 1400>")
	tc.advance(100 * time.Millisecond)
	tc.inject("S 0 win 65535 <mss 1400>")
	tc.advance(10 * time.Millisecond)
	tc.inject("A 1 ack 1")
	wantEqual(t, "SRTT without timestamps", tc.c.SRTT(), 0)
}

// RFC 9293 section 3.10.7.3: what may come in SYN-SENT.
func TestSynSent(t *testing.T) {
	for _, tc := range []struct {
		name, in, out string
		state         State
		err           error
	}{
		{"acknowledgement of what was not sent", "A 1 ack 2", "R 2", StateSynSent, nil},
		{"acknowledgement of nothing", "SA 0 ack 0", "R 0", StateSynSent, nil},
		{"SYN/ACK of an old connection", "SA 0 ack 77", "R 77", StateSynSent, nil},
		{"RST that answers our SYN", "RA 0 ack 1", "", StateClosed, ErrRefused},
		{"RST with a wrong acknowledgement", "RA 0 ack 2", "", StateSynSent, nil},
		{"RST without acknowledgement", "R 0", "", StateSynSent, nil},
		{"ACK alone", "A 0 ack 1", "", StateSynSent, nil},
		{"FIN", "FA 0 ack 1", "", StateSynSent, nil},
		{"nothing", "P 0:10", "", StateSynSent, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newTestConn(t, Config{})
			c.connect()
			c.take()
			c.inject(tc.in)
			if tc.out != "" {
				c.want(tc.name, tc.out)
			}
			c.wantIdle(tc.name)
			c.wantState(tc.name, tc.state)
			wantEqual(t, "error", c.c.Err(), tc.err)
		})
	}
}

// A peer that still has the connection of before is reset, and the SYN follows
// at once (RFC 9293 section 3.5.1, figure 9), but only once.
func TestHalfOpen(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.connect()
	tc.want("SYN", "S 0")
	tc.inject("A 5000 ack 300")
	tc.want("what the peer remembers is over", "R 300")
	tc.wantAfter("the SYN again", synAgain, "S 0")
	tc.inject("A 5000 ack 300")
	tc.want("if it is somebody else", "R 300")
	tc.wantAfter("then no sooner than otherwise", 2*time.Second, "S 0")
}

// RFC 9293 section 3.10.7.4 in SYN-RECEIVED.
func TestSynReceived(t *testing.T) {
	for _, tc := range []struct {
		name, in, out string
		state         State
		err           error
	}{
		{"acknowledgement of what was not sent", "A 1 ack 2", "R 2", StateSynReceived, nil},
		{"acknowledgement of nothing", "A 1 ack 0", "R 0", StateSynReceived, nil},
		{"outside the window", "PA 70000:70010 ack 1", "A 1 ack 1", StateSynReceived, nil},
		{"another SYN", "S 30", "A 1 ack 1", StateSynReceived, nil},
		{"RST", "R 1", "", StateClosed, ErrRefused},
		{"RST elsewhere in the window", "R 2", "A 1 ack 1", StateSynReceived, nil},
		{"RST outside the window", "R 70000", "", StateSynReceived, nil},
		{"no ACK", "P 1:11", "", StateSynReceived, nil},
		{"FIN", "FA 1 ack 1", "A 1 ack 2", StateCloseWait, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newTestConn(t, Config{})
			c.accept("S 0 win 65535 <mss 1460>")
			c.take()
			c.inject(tc.in)
			if tc.out != "" {
				c.want(tc.name, tc.out)
			}
			c.wantIdle(tc.name)
			c.wantState(tc.name, tc.state)
			wantEqual(t, "error", c.c.Err(), tc.err)
		})
	}
}

// The CLOSE and ABORT calls before the connection is established (RFC 9293
// sections 3.10.4 and 3.10.5).
func TestCloseBeforeEstablished(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.connect()
	tc.take()
	tc.closeWrite()
	tc.wantIdle("close in SYN-SENT says nothing")
	tc.wantClosed("close in SYN-SENT", nil)

	tc = newTestConn(t, Config{})
	tc.s = ConnectStream(tc.now, tc.cfg, tc.buf)
	tc.c = tc.s.Conn
	tc.abort()
	tc.wantIdle("abort before the SYN went out")
	tc.wantClosed("abort in SYN-SENT", ErrAborted)

	tc = newTestConn(t, Config{})
	tc.accept("S 0 win 65535 <mss 1460>")
	tc.take()
	tc.closeWrite()
	tc.wantIdle("close in SYN-RECEIVED waits")
	tc.inject("A 1 ack 1")
	tc.want("established, then closed", "FA 1 ack 1")
	tc.wantState("established, then closed", StateFinWait1)

	tc = newTestConn(t, Config{})
	tc.accept("S 0 win 65535 <mss 1460>")
	tc.take()
	tc.abort()
	tc.want("abort in SYN-RECEIVED", "RA 1 ack 1")
	tc.wantClosed("abort in SYN-RECEIVED", ErrAborted)
}

// An ICMP error ends an attempt to connect if it is a hard one, and no
// established connection at all (RFC 9293 section 3.9.2.2, RFC 5461).
func TestUnreachable(t *testing.T) {
	tc := newTestConn(t, Config{SynRetries: 1})
	tc.connect()
	tc.c.Unreachable(tc.now, false)
	tc.wantState("a soft error", StateSynSent)
	tc.advance(3 * time.Second)
	tc.wantClosed("a soft error tells why it took too long", ErrUnreachable)

	tc = newTestConn(t, Config{})
	tc.connect()
	tc.c.Unreachable(tc.now, true)
	tc.wantClosed("a hard error", ErrUnreachable)

	tc = established(t, Config{}, "mss 1460")
	tc.c.Unreachable(tc.now, true)
	tc.wantState("a hard error later", StateEstablished)
}

// What each side's SYN says decides what is in use afterwards.
func TestOptionNegotiation(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cfg     Config
		offer   string // options of the peer's SYN
		answer  string // options of ours
		ack     string // a data segment of ours, after the window update
		sndWnd  int    // what window 100 of the peer means
		segment int
	}{
		{name: "everything", offer: "mss 1460, ws 7, sackok, ts 5 0", answer: "mss 1460, ws 1, sackok, ts 1000 5",
			ack: "PA 1:11 ack 1 win 65536 <ts 1000 5>", sndWnd: 100 << 7, segment: 1448},
		{name: "nothing", offer: "", answer: "mss 1460", ack: "PA 1:11 ack 1 win 65535 <>", sndWnd: 100, segment: 536},
		{name: "no MSS", offer: "ws 0", answer: "mss 1460, ws 1", ack: "PA 1:11 ack 1 win 65536 <>", sndWnd: 100, segment: 536},
		{name: "smaller MSS", offer: "mss 1000", answer: "mss 1460", ack: "PA 1:11 ack 1 win 65535 <>", sndWnd: 100, segment: 1000},
		{name: "smaller MSS with timestamps (RFC 6691)", offer: "mss 1000, ts 5 0", answer: "mss 1460, ts 1000 5",
			ack: "PA 1:11 ack 1 <ts 1000 5>", sndWnd: 100, segment: 988},
		{name: "larger MSS", offer: "mss 8960", answer: "mss 1460", ack: "PA 1:11 ack 1", sndWnd: 100, segment: 1460},
		{name: "MSS of nothing", offer: "mss 0", answer: "mss 1460", ack: "PA 1:11 ack 1", sndWnd: 100, segment: 88},
		{name: "scale beyond 14 (RFC 7323 section 2.3)", offer: "mss 1460, ws 15", answer: "mss 1460, ws 1",
			ack: "PA 1:11 ack 1", sndWnd: 100 << 14, segment: 1460},
		{name: "absurd scale", offer: "mss 1460, ws 255", answer: "mss 1460, ws 1", ack: "PA 1:11 ack 1", sndWnd: 100 << 14, segment: 1460},
		{name: "no timestamps here", cfg: Config{NoTimestamps: true}, offer: "mss 1460, ts 5 0", answer: "mss 1460",
			ack: "PA 1:11 ack 1 <>", sndWnd: 100, segment: 1460},
		{name: "no scale here", cfg: Config{NoWindowScale: true}, offer: "mss 1460, ws 7", answer: "mss 1460",
			ack: "PA 1:11 ack 1 win 65535", sndWnd: 100, segment: 1460},
		{name: "no SACK here", cfg: Config{NoSACK: true}, offer: "mss 1460, sackok", answer: "mss 1460",
			ack: "PA 1:11 ack 1", sndWnd: 100, segment: 1460},
		{name: "larger MTU", cfg: Config{MTU: 9000}, offer: "mss 8960", answer: "mss 8960", ack: "PA 1:11 ack 1", sndWnd: 100, segment: 8960},
		{name: "IPv6", cfg: ipv6Config(), offer: "mss 9000", answer: "mss 1440", ack: "PA 1:11 ack 1", sndWnd: 100, segment: 1440},
		{name: "IPv6 without MSS", cfg: ipv6Config(), offer: "", answer: "mss 1440", ack: "PA 1:11 ack 1", sndWnd: 100, segment: 1220},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newTestConn(t, tc.cfg)
			c.accept("S 0 win 65535 <" + tc.offer + ">")
			c.want("exactly the options that are in use", "SA 0 ack 1")
			got := c.log[len(c.log)-1]
			if want := "<" + tc.answer + ">"; len(got) < len(want) || got[len(got)-len(want):] != want {
				t.Errorf("SYN/ACK: %s, want options %s", got, want)
			}
			c.scale = 0 // the number as it is
			ack := "A 1 ack 1 win 100"
			if c.c.ts.on {
				ack += " <ts 5 1000>"
			}
			c.inject(ack)
			wantEqual(t, "send window", c.c.snd.wnd, tc.sndWnd)
			wantEqual(t, "segment size", c.c.SegmentSize(), tc.segment)
			c.write(10)
			c.want("data", tc.ack)
		})
	}
}

func ipv6Config() Config {
	return Config{Local: netip.MustParseAddrPort("[fd00::1]:1000"), Remote: netip.MustParseAddrPort("[fd00::2]:80")}
}

// The same from the other side: what the SYN/ACK does not take up is not used,
// and the segments of the opening connection are no smaller for it.
func TestOptionsOfSYNACK(t *testing.T) {
	tc := established(t, Config{}, "mss 1460")
	tc.write(14600)
	for i := range 10 {
		lo := i*1460 + 1
		tc.want("full segments of 1460 bytes, ten in the first window (RFC 6928)", segmentText(lo, lo+1460, i == 9))
	}
	tc.wantIdle("ten at once")
	wantEqual(t, "initial window", tc.c.Window(), 14600)
}

func TestScale(t *testing.T) {
	for _, tc := range []struct {
		window int
		want   uint8
	}{{0, 0}, {65535, 0}, {65536, 1}, {1 << 20, 5}, {1 << 30, 14}, {1<<30 - 1, 14}, {1<<31 - 1, 14}} {
		wantEqual(t, fmt.Sprintf("scale of %d", tc.window), scale(tc.window), tc.want)
	}
}

// A SYN's window is never scaled (RFC 7323 section 2.2), and does not bind the
// peer to more than it said.
func TestWindowInSYN(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.buf.Recv = 1 << 20
	tc.connect()
	tc.want("64 KiB at most", "S 0 win 65535 <ws 5>")
	tc.inject("SA 0 ack 1 win 1000 <mss 1460, ws 7>")
	tc.want("scaled from here on", "A 1 ack 1 win 262144")
	wantEqual(t, "the SYN/ACK's window is not scaled", tc.c.snd.wnd, 1000)

	tc = newTestConn(t, Config{})
	tc.buf.Recv = 1 << 20
	tc.accept("S 0 win 65535 <mss 1460, ws 7>")
	tc.take()
	tc.inject("PA 65537:65547 ack 1")
	tc.want("beyond what the SYN/ACK offered", "A 1 ack 1")
	tc.wantState("so it proves nothing", StateSynReceived)
}

// RFC 9293 figure 9: the peer answers our SYN out of an earlier connection,
// which a reset ends. The SYN need not wait for its timer then, but only once.
func TestHalfOpenDiscovery(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.connect()
	tc.want("SYN", "S 0")
	tc.inject("A 300 ack 101")
	tc.want("what we never sent is refused", "R 101")
	tc.wantAfter("SYN follows", synAgain, "S 0")
	tc.inject("A 300 ack 101")
	tc.want("refused again", "R 101")
	tc.wantAfter("from now on by the timer", 2*time.Second, "S 0")
}
