package mptcp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/wire"
)

// testConn is one connection of a stack under test. Its other end, the peer, is
// played by hand: a test says what the peer sends and what the stack has to
// answer, segment by segment, in virtual time. Positions are counted as inside
// Braid: the SYN (or the initial data sequence number) is 0, the first byte 1.
type testConn struct {
	t      *testing.T
	now    time.Time
	stack  *stack.Stack
	listen *stack.Listener
	conn   *mptcp.Conn
	flows  []*testFlow
	said   []*wire.Segment // by the stack, in order, and not looked at yet
	events []stack.Event
	log    []logged
	buf    []byte

	// The peer at data level.
	key, ours  wire.Key // the peer's key and the stack's
	next       seq.Pos  // of the next byte the peer sends
	ack        seq.Pos  // its Data ACK
	checksum   bool     // it sends DSS checksums
	short      bool     // it sends numbers of 32 bits
	renumbered bool
	idsn       uint64 // of both streams, if renumbered
}

var testEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Address i of the stack, with address ID i+1, and of the peer: they are on one
// link.
func ourAddr(i int) netip.Addr  { return netip.AddrFrom4([4]byte{10, 0, byte(i + 1), 1}) }
func peerAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i + 1), 2}) }

const (
	ourPort   = 80         // where the stack listens
	peerPort  = 5000       // where the peer connects from
	otherPort = 8000       // where the peer listens
	peerISN   = 0xfffffff0 // its numbers wrap soon
	peerNonce = 0xabcdef01
)

// newTestConn makes a stack with one address.
func newTestConn(t *testing.T, cfg mptcp.Config) *testConn {
	return newTestConnRand(t, cfg, rand.New(rand.NewPCG(1, 1)).Uint64)
}

func newTestConnRand(t *testing.T, cfg mptcp.Config, random func() uint64) *testConn {
	tc := &testConn{
		t: t, now: testEpoch, next: 1, ack: 1, key: 0x0123456789abcdef,
		stack: stack.New(stack.Config{Rand: random, Conn: cfg}),
		buf:   make([]byte, 1<<16),
	}
	tc.addAddress(0, mptcp.EndpointSubflow)
	var err error
	if tc.listen, err = tc.stack.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), ourPort), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, l := range tc.log[max(0, len(tc.log)-maxLog):] {
				t.Logf("%8.4f %s %v", l.at.Sub(testEpoch).Seconds(), l.way, &l.seg)
			}
		}
	})
	return tc
}

// addAddress gives the stack its address i.
func (tc *testConn) addAddress(i int, flags mptcp.EndpointFlags) {
	tc.t.Helper()
	err := tc.stack.AddAddress(tc.now, stack.Address{Addr: ourAddr(i), Bits: 24, ID: uint8(i + 1), Flags: flags})
	if err != nil {
		tc.t.Fatal(err)
	}
	tc.pump()
}

// pump takes what the stack has to send and to tell.
func (tc *testConn) pump() {
	tc.t.Helper()
	for n := 0; ; n++ {
		size, off, ok := tc.stack.Output(tc.now, tc.buf)
		if !ok {
			break
		}
		if n > 10000 {
			tc.t.Fatal("the stack does not stop sending")
		}
		s := new(wire.Segment)
		if err := wire.ParseSegment(slices.Clone(tc.buf[:size]), s, off.PartialChecksum); err != nil {
			tc.t.Fatalf("the stack sent a bad packet: %v", err)
		}
		tc.note("<", s)
		tc.said = append(tc.said, s)
	}
	for {
		ev, ok := tc.stack.NextEvent()
		if !ok {
			return
		}
		tc.events = append(tc.events, ev)
		if ev.Kind == stack.Acceptable {
			tc.conn, _ = ev.Listener.Accept()
		}
	}
}

func (tc *testConn) note(way string, s *wire.Segment) {
	if len(tc.log) == 2*maxLog {
		tc.log = append(tc.log[:0], tc.log[maxLog:]...)
	}
	tc.log = append(tc.log, logged{tc.now, way, *s})
}

// logged is a segment that went one way or the other.
type logged struct {
	at  time.Time
	way string
	seg wire.Segment
}

// maxLog is how many segments are shown when a test fails.
const maxLog = 200

// input brings a segment to the stack.
func (tc *testConn) input(s *wire.Segment) {
	tc.t.Helper()
	tc.note(">", s)
	tc.stack.Input(tc.now, wire.AppendSegment(nil, s), wire.Offload{})
	tc.pump()
}

// advance lets time pass, with every timer that becomes due.
func (tc *testConn) advance(d time.Duration) {
	tc.t.Helper()
	end := tc.now.Add(d)
	for {
		at := tc.stack.NextTimeout()
		if at.IsZero() || at.After(end) {
			break
		}
		if at.After(tc.now) {
			tc.now = at
		}
		tc.stack.Advance(tc.now)
		tc.pump()
	}
	tc.now = end
}

// skip forgets what the stack said so far, but for what the peer has to know
// of it.
func (tc *testConn) skip() {
	for _, f := range tc.flows {
		for f.take() != nil {
		}
	}
	tc.said = nil
}

// wantIdle fails if the stack said anything that was not looked at.
func (tc *testConn) wantIdle(what string) {
	tc.t.Helper()
	if len(tc.said) > 0 {
		tc.t.Fatalf("%s: got %v, want nothing", what, tc.said[0])
	}
}

// wantEvent fails unless an event of that kind came since the last call.
func (tc *testConn) wantEvent(what string, kind stack.EventKind) {
	tc.t.Helper()
	i := slices.IndexFunc(tc.events, func(e stack.Event) bool { return e.Kind == kind })
	if i < 0 {
		tc.t.Fatalf("%s: no event of kind %d among %v", what, kind, tc.events)
	}
	tc.events = tc.events[i+1:]
}

func (tc *testConn) info() mptcp.Info { return tc.conn.Info(tc.now) }

// wantMultipath fails unless the connection speaks Multipath TCP.
func (tc *testConn) wantMultipath(what string) {
	tc.t.Helper()
	if info := tc.info(); !info.Multipath || info.Fallback != mptcp.None {
		tc.t.Fatalf("%s: multipath %v, fallback %v, want Multipath TCP", what, info.Multipath, info.Fallback)
	}
}

// wantFallback fails unless the connection is plain TCP for that reason.
func (tc *testConn) wantFallback(what string, want mptcp.FallbackReason) {
	tc.t.Helper()
	if info := tc.info(); info.Multipath || info.Fallback != want {
		tc.t.Fatalf("%s: multipath %v, fallback %v, want %v", what, info.Multipath, info.Fallback, want)
	}
}

// write lets the stack's application write.
func (tc *testConn) write(b string) {
	tc.t.Helper()
	if n, err := tc.conn.Write(tc.now, []byte(b)); n != len(b) || err != nil {
		tc.t.Fatalf("write: got %d, %v", n, err)
	}
	tc.pump()
}

// wantRead fails unless the stack's application can read just that.
func (tc *testConn) wantRead(what, want string) {
	tc.t.Helper()
	var got []byte
	for {
		n, err := tc.conn.Read(tc.now, tc.buf[:4096])
		got = append(got, tc.buf[:n]...)
		if err != nil {
			break
		}
	}
	if string(got) != want {
		tc.t.Fatalf("%s: read %d bytes %.60q, want %d bytes %.60q", what, len(got), got, len(want), want)
	}
	tc.pump()
}

// wantEnd fails unless reading gives that error, and nothing else.
func (tc *testConn) wantEnd(what string, want error) {
	tc.t.Helper()
	if n, err := tc.conn.Read(tc.now, tc.buf[:1]); n != 0 || err != want {
		tc.t.Fatalf("%s: read gave %d, %v, want %v", what, n, err, want)
	}
}

// dsn is the number on the wire of a position in the peer's stream, ourDSN of
// one in the stack's.
func (tc *testConn) dsn(p seq.Pos) uint64    { return tc.number(tc.key, p) }
func (tc *testConn) ourDSN(p seq.Pos) uint64 { return tc.number(tc.ours, p) }

func (tc *testConn) number(k wire.Key, p seq.Pos) uint64 {
	if tc.renumbered {
		return seq.Wrap64(p, tc.idsn)
	}
	return seq.Wrap64(p, wire.IDSN(k, wire.V1))
}

// renumber lets both streams go on with other data sequence numbers: dsn is
// that of the byte after the first.
func (tc *testConn) renumber(dsn uint64) {
	tc.renumbered, tc.idsn = true, dsn-2
	tc.conn.SetIDSN(tc.idsn, tc.idsn)
}

// testFlow is one subflow, from the peer's side.
type testFlow struct {
	tc            *testConn
	local, remote netip.AddrPort // the peer's end and the stack's
	isn, irs      uint32         // initial sequence numbers, the peer's and the stack's
	next, ack     seq.Pos
	window        uint16
	nonce         uint32 // of a join: the peer's
	theirs        uint32 // and the stack's
}

func (tc *testConn) newFlow(local, remote netip.AddrPort) *testFlow {
	f := &testFlow{tc: tc, local: local, remote: remote, isn: peerISN, window: 0xffff, nonce: peerNonce}
	// One with the same ports took the place of what was there before.
	tc.flows = slices.DeleteFunc(tc.flows, func(o *testFlow) bool { return o.local == local && o.remote == remote })
	tc.flows = append(tc.flows, f)
	return f
}

// take gives the next segment the stack sent on the flow, or nil.
func (f *testFlow) take() *wire.Segment {
	tc := f.tc
	i := slices.IndexFunc(tc.said, func(s *wire.Segment) bool { return s.Src == f.remote && s.Dst == f.local })
	if i < 0 {
		return nil
	}
	s := tc.said[i]
	tc.said = slices.Delete(tc.said, i, i+1)
	f.received(s)
	return s
}

// received keeps the peer's numbers up to date.
func (f *testFlow) received(s *wire.Segment) {
	tc := f.tc
	if s.Flags.Has(wire.SYN) {
		f.irs, f.ack = s.Seq, 1
		return
	}
	if s.Flags.Has(wire.RST) {
		return
	}
	if p := f.pos(s); p <= f.ack {
		f.ack = max(f.ack, p+seq.Pos(s.Len()))
	}
	if lo, hi, ok := f.mapping(s); ok && lo <= tc.ack {
		tc.ack = max(tc.ack, hi)
	}
}

// pos is the place of a segment of the stack in its subflow.
func (f *testFlow) pos(s *wire.Segment) seq.Pos { return seq.Unwrap32(f.ack, f.irs, s.Seq) }

// mapping is where the stack's stream lies that a segment maps, DATA_FIN
// included.
func (f *testFlow) mapping(s *wire.Segment) (lo, hi seq.Pos, ok bool) {
	o := &s.Options
	switch {
	case o.Has(wire.HasCapable) && o.Capable.HasData:
		return 1, 1 + seq.Pos(o.Capable.DataLen), true
	case o.Has(wire.HasDSS) && o.DSS.HasMap:
		lo = seq.Unwrap32(f.tc.ack, uint32(f.tc.ourDSN(0)), uint32(o.DSS.DSN))
		return lo, lo + seq.Pos(o.DSS.Len), true
	}
	return 0, 0, false
}

// want gives the next segment the stack sent on the flow and fails unless it
// is what was expected.
func (f *testFlow) want(what string, checks ...check) *wire.Segment {
	f.tc.t.Helper()
	s := f.take()
	if s == nil {
		f.tc.t.Fatalf("%s: got nothing", what)
	}
	for _, c := range checks {
		if wrong := c(f, s); wrong != "" {
			f.tc.t.Fatalf("%s: %s in %v", what, wrong, s)
		}
	}
	return s
}

// wantIdle fails if the stack said anything on the flow that was not looked at.
func (f *testFlow) wantIdle(what string) {
	f.tc.t.Helper()
	if s := f.take(); s != nil {
		f.tc.t.Fatalf("%s: got %v, want nothing", what, s)
	}
}

// find gives the first segment among those that wait that passes the checks;
// what comes before it is passed over.
func (f *testFlow) find(what string, checks ...check) *wire.Segment {
	f.tc.t.Helper()
next:
	for {
		s := f.take()
		if s == nil {
			f.tc.t.Fatalf("%s: it did not come", what)
		}
		for _, c := range checks {
			if c(f, s) != "" {
				continue next
			}
		}
		return s
	}
}

// check says what is wrong with a segment of the stack, "" if nothing is.
type check func(f *testFlow, s *wire.Segment) string

// wants makes a check of a condition.
func wants(what string, ok func(f *testFlow, s *wire.Segment) bool) check {
	return func(f *testFlow, s *wire.Segment) string {
		if ok(f, s) {
			return ""
		}
		return "no " + what
	}
}

// control checks the flags, but for PSH.
func control(want wire.Flags) check {
	return wants(want.String()+" (flags)", func(_ *testFlow, s *wire.Segment) bool { return s.Flags&^wire.PSH == want })
}

var (
	isSYN    = control(wire.SYN)
	isSYNACK = control(wire.SYN | wire.ACK)
	isFIN    = control(wire.FIN | wire.ACK)
	isRST    = wants("RST", func(_ *testFlow, s *wire.Segment) bool { return s.Flags.Has(wire.RST) })
	isACK    = wants("pure ACK", func(_ *testFlow, s *wire.Segment) bool { return s.Flags == wire.ACK && len(s.Payload) == 0 })
	isData   = wants("payload", func(_ *testFlow, s *wire.Segment) bool { return len(s.Payload) > 0 })
	isPlain  = carries(0)
)

// carries checks which Multipath TCP options there are, and no others.
func carries(want wire.OptionSet) check {
	o := wire.Options{Set: want}
	return wants("options ["+o.String()+"] alone", func(_ *testFlow, s *wire.Segment) bool {
		return s.Options.Set&(wire.HasMPTCP|wire.HasUnknownMPTCP|wire.HasBadMPTCP) == want
	})
}

// payload checks the bytes.
func holds(want string) check {
	return wants(fmt.Sprintf("payload %.20q", want), func(_ *testFlow, s *wire.Segment) bool { return string(s.Payload) == want })
}

// acksData checks the Data ACK: a position in the peer's stream.
func acksData(want seq.Pos) check {
	return wants(fmt.Sprintf("Data ACK %d", want), func(f *testFlow, s *wire.Segment) bool {
		d := &s.Options.DSS
		if !s.Options.Has(wire.HasDSS) || !d.HasAck {
			return false
		}
		if d.Ack64 {
			return d.Ack == f.tc.dsn(want)
		}
		return uint32(d.Ack) == uint32(f.tc.dsn(want))
	})
}

// maps checks the mapping: where the segment's bytes (and DATA_FIN) lie in the
// stack's stream.
func maps(lo, hi seq.Pos) check {
	return wants(fmt.Sprintf("mapping of [%d,%d)", lo, hi), func(f *testFlow, s *wire.Segment) bool {
		gotLo, gotHi, ok := f.mapping(s)
		return ok && gotLo == lo && gotHi == hi
	})
}

// says checks the options in any other way.
func says(what string, ok func(o *wire.Options) bool) check {
	return wants(what, func(_ *testFlow, s *wire.Segment) bool { return ok(&s.Options) })
}

// resetFor checks the reason of an MP_TCPRST.
func resetFor(want wire.ResetReason) check {
	return says("MP_TCPRST "+want.String(), func(o *wire.Options) bool {
		return o.Has(wire.HasReset) && o.Reset.Reason == want
	})
}
