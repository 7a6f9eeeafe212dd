package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// testConn is one Stream against a peer that does what the test says. The
// first argument of every expectation says in English what is expected.
type testConn struct {
	t      testing.TB
	now    time.Time
	s      *Stream
	c      *Conn
	cfg    Config
	buf    Buffers
	packet Packet

	sent    []sentSegment // sent by us and not looked at yet
	window  int           // what the peer advertises unless the text says otherwise
	peerISN uint32
	scale   uint8 // the peer's window scale, once both ends offered one
	written seq.Pos
	read    seq.Pos
	log     []string
}

type sentSegment struct {
	at   time.Time
	text string
	off  wire.Offload
	wire int // bytes of the packet
}

// Both sequence spaces wrap early on.
const (
	testLocalISN = 0xffffff00
	testPeerISN  = 0xfffffff0
)

// ourByte and peerByte are the content of the two streams at a position.
func ourByte(p seq.Pos) byte  { return byte(p*31 + p>>8*7 + p>>16) }
func peerByte(p seq.Pos) byte { return ^ourByte(p) }

func newTestConn(t testing.TB, cfg Config) *testConn {
	tc := &testConn{
		t: t, now: epoch, cfg: cfg, window: 1 << 20, peerISN: testPeerISN,
		buf:     Buffers{Pool: new(stream.Pool), Send: 1 << 20, Recv: 64 << 10},
		packet:  Packet{Buf: make([]byte, 1<<16)},
		written: 1, read: 1,
	}
	if !tc.cfg.Local.IsValid() {
		tc.cfg.Local = netip.MustParseAddrPort("10.0.0.1:1000")
		tc.cfg.Remote = netip.MustParseAddrPort("10.0.0.2:80")
	}
	tc.cfg.ISN = testLocalISN
	tc.cfg.TSOffset = 1000 - uint32(epoch.UnixMilli())
	t.Cleanup(func() {
		if t.Failed() {
			for _, l := range tc.log[max(0, len(tc.log)-30):] {
				t.Log(l)
			}
		}
	})
	return tc
}

// ours and peers number the segments of the two sides.
func (tc *testConn) ours() numbering {
	n := numbering{sender: tc.cfg.ISN, receiver: tc.peerISN}
	if tc.c != nil {
		n.scale = tc.c.rcv.scale
	}
	return n
}

func (tc *testConn) peers() numbering {
	return numbering{sender: tc.peerISN, receiver: tc.cfg.ISN, scale: tc.scale}
}

// connect starts an active open.
func (tc *testConn) connect() {
	tc.s = ConnectStream(tc.now, tc.cfg, tc.buf)
	tc.c = tc.s.Conn
	tc.drain()
}

// accept starts a passive open with the peer's SYN.
func (tc *testConn) accept(syn string) {
	tc.t.Helper()
	seg := tc.segment(syn)
	tc.s = AcceptStream(tc.now, tc.cfg, tc.buf, seg)
	tc.c = tc.s.Conn
	tc.drain()
}

// established is a connection after an active open, where the peer's SYN/ACK
// had the given options.
func established(t testing.TB, cfg Config, options string) *testConn {
	t.Helper()
	tc := newTestConn(t, cfg)
	tc.establish(options)
	return tc
}

func (tc *testConn) establish(options string) {
	tc.t.Helper()
	tc.connect()
	tc.take()
	tc.advance(100 * time.Millisecond)
	tc.inject("SA 0 ack 1 win 65535 <" + options + ">")
	tc.take()
	tc.wantState("handshake done", StateEstablished)
	tc.wantEvent("handshake done", Established)
}

// take forgets what was sent so far.
func (tc *testConn) take() []sentSegment {
	sent := tc.sent
	tc.sent = nil
	return sent
}

func (tc *testConn) segment(text string) *wire.Segment {
	tc.t.Helper()
	seg, err := tc.peers().parse(text, tc.window, peerByte)
	if err != nil {
		tc.t.Fatal(err)
	}
	seg.Src, seg.Dst, seg.TTL = tc.cfg.Remote, tc.cfg.Local, 64
	if seg.Flags.Has(wire.SYN) && seg.Options.Has(wire.HasWindowScale) && !tc.cfg.NoWindowScale {
		tc.scale = min(seg.Options.WindowScale, 14)
	}
	var parsed wire.Segment
	if err := wire.ParseSegment(wire.AppendSegment(nil, &seg), &parsed, false); err != nil {
		tc.t.Fatalf("segment %q: %v", text, err)
	}
	tc.note("< " + text)
	return &parsed
}

// inject gives the connection segments of the peer, and collects what it
// sends in return.
func (tc *testConn) inject(texts ...string) {
	tc.t.Helper()
	for _, text := range texts {
		tc.c.Input(tc.now, tc.segment(text), nil)
		tc.drain()
	}
}

// drain collects what the connection has to say.
func (tc *testConn) drain() {
	tc.t.Helper()
	for n := 0; tc.c.Output(tc.now, &tc.packet); n++ {
		if n > 10000 {
			tc.t.Fatal("Output does not come to an end")
		}
		var seg wire.Segment
		if err := wire.ParseSegment(tc.packet.Bytes(), &seg, tc.packet.Offload.PartialChecksum); err != nil {
			tc.t.Fatalf("bad packet: %v", err)
		}
		lo := seq.Unwrap32(tc.c.snd.una, tc.cfg.ISN, seg.Seq)
		for i, b := range seg.Payload {
			if want := ourByte(lo + seq.Pos(i)); b != want {
				tc.t.Fatalf("%s: byte %d is %#x, want %#x", tc.ours().text(&seg), lo+seq.Pos(i), b, want)
			}
		}
		s := sentSegment{at: tc.now, text: tc.ours().text(&seg), off: tc.packet.Offload, wire: tc.packet.N}
		tc.sent = append(tc.sent, s)
		tc.note("> " + s.text)
	}
	if at := tc.c.NextTimeout(); !at.IsZero() && at.Before(tc.now) {
		tc.t.Fatalf("NextTimeout is %v in the past", tc.now.Sub(at))
	}
}

func (tc *testConn) note(s string) {
	tc.log = append(tc.log, tc.now.Sub(epoch).String()+" "+s)
}

// next moves time to the next timer, as long as that is not after end.
func (tc *testConn) next(end time.Time) bool {
	tc.t.Helper()
	at := tc.c.NextTimeout()
	if at.IsZero() || at.After(end) {
		return false
	}
	tc.now = at
	tc.c.Advance(tc.now)
	if at := tc.c.NextTimeout(); !at.IsZero() && !at.After(tc.now) {
		tc.t.Fatalf("after Advance NextTimeout is not in the future")
	}
	tc.drain()
	return true
}

// advance lets time pass, with every timer run at its moment.
func (tc *testConn) advance(d time.Duration) {
	tc.t.Helper()
	end := tc.now.Add(d)
	for tc.next(end) {
	}
	tc.now = end
}

// want takes the next segment that was sent.
func (tc *testConn) want(what, text string) {
	tc.t.Helper()
	if len(tc.sent) == 0 {
		tc.t.Fatalf("%s: nothing sent, want %s", what, text)
	}
	got := tc.sent[0]
	tc.sent = tc.sent[1:]
	if !segMatches(text, got.text) {
		tc.t.Fatalf("%s:\n got %s\nwant %s", what, got.text, text)
	}
}

// wantAfter waits for the next segment, which has to go out exactly d from now.
func (tc *testConn) wantAfter(what string, d time.Duration, text string) {
	tc.t.Helper()
	tc.wantIdle(what)
	start := tc.now
	for len(tc.sent) == 0 {
		if !tc.next(start.Add(24 * time.Hour)) {
			tc.t.Fatalf("%s: nothing sent, want %s after %v", what, text, d)
		}
	}
	if got := tc.now.Sub(start); got != d {
		tc.t.Fatalf("%s: %s after %v, want it after %v", what, tc.sent[0].text, got, d)
	}
	tc.want(what, text)
}

// wantIdle expects that nothing else was sent.
func (tc *testConn) wantIdle(what string) {
	tc.t.Helper()
	if len(tc.sent) > 0 {
		tc.t.Fatalf("%s: want nothing sent, got %s", what, tc.sent[0].text)
	}
}

func (tc *testConn) wantState(what string, want State) {
	tc.t.Helper()
	if got := tc.c.State(); got != want {
		tc.t.Fatalf("%s: state %v, want %v", what, got, want)
	}
}

func (tc *testConn) wantEvent(what string, want Event) {
	tc.t.Helper()
	if got, _ := tc.s.NextEvent(); got != want {
		tc.t.Fatalf("%s: event %q, want %q", what, got, want)
	}
}

func (tc *testConn) wantClosed(what string, want error) {
	tc.t.Helper()
	tc.wantState(what, StateClosed)
	if got := tc.c.Err(); got != want {
		tc.t.Fatalf("%s: ended with %v, want %v", what, got, want)
	}
	if !tc.c.NextTimeout().IsZero() || !tc.c.Done() {
		tc.t.Fatalf("%s: closed, but not at rest", what)
	}
}

// wantEqual is for numbers the connection reports.
func wantEqual[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// write has the application write n bytes.
func (tc *testConn) write(n int) {
	tc.t.Helper()
	b := make([]byte, n)
	for i := range b {
		b[i] = ourByte(tc.written + seq.Pos(i))
	}
	k, err := tc.s.Write(tc.now, b)
	if k != n {
		tc.t.Fatalf("wrote %d of %d bytes: %v", k, n, err)
	}
	tc.written += seq.Pos(n)
	tc.drain()
}

// wantRead has the application read exactly n bytes, which must be the peer's.
func (tc *testConn) wantRead(what string, n int) {
	tc.t.Helper()
	b := make([]byte, n)
	for got := 0; got < n; {
		k, err := tc.s.Read(tc.now, b[got:])
		if err != nil {
			tc.t.Fatalf("%s: read %d of %d bytes: %v", what, got, n, err)
		}
		got += k
	}
	for i := range b {
		if want := peerByte(tc.read + seq.Pos(i)); b[i] != want {
			tc.t.Fatalf("%s: byte %d is %#x, want %#x", what, tc.read+seq.Pos(i), b[i], want)
		}
	}
	tc.read += seq.Pos(n)
	tc.drain()
}

// wantReadError expects that there is nothing to read, for a reason.
func (tc *testConn) wantReadError(what string, want error) {
	tc.t.Helper()
	if n, err := tc.s.Read(tc.now, make([]byte, 1)); n != 0 || err != want {
		tc.t.Fatalf("%s: read %d, %v; want %v", what, n, err, want)
	}
}

func (tc *testConn) closeWrite() { tc.s.CloseWrite(tc.now); tc.drain() }
func (tc *testConn) close()      { tc.s.Close(tc.now); tc.drain() }
func (tc *testConn) abort()      { tc.c.Abort(tc.now); tc.drain() }
