package tcp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// FuzzInput plays segments that are nearly right, and everything else that can
// happen to a connection, against a connection in any state, and checks after
// each step what must always hold.
func FuzzInput(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomScript(seed))
	}
	f.Fuzz(func(t *testing.T, script []byte) { playFuzz(t, script) })
}

// TestRandomInput is the same for many seeds, each time the same.
func TestRandomInput(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { playFuzz(t, randomScript(seed)) })
	}
}

func randomScript(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, 40+r.IntN(1500))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// fuzzer is a script being played. Bytes of the script decide everything; an
// exhausted script gives zeros.
type fuzzer struct {
	*testConn
	script []byte

	una, nxt, rcvNxt, edge seq.Pos // as they were after the last step
	state                  State
}

func (f *fuzzer) byte() byte {
	if len(f.script) == 0 {
		return 0
	}
	b := f.script[0]
	f.script = f.script[1:]
	return b
}

func (f *fuzzer) uint16() int { return int(binary.BigEndian.Uint16([]byte{f.byte(), f.byte()})) }

// oneOf picks one of the values.
func oneOf[T any](f *fuzzer, values ...T) T { return values[int(f.byte())%len(values)] }

func playFuzz(t *testing.T, script []byte) {
	f := &fuzzer{script: script}
	cfg := Config{
		NoSACK:        f.byte()%4 == 0,
		Nagle:         f.byte()%4 == 0,
		MaxPacket:     oneOf(f, 0, 0, 65535),
		Retries:       3,
		NoTimestamps:  f.byte()%3 == 0,
		NoWindowScale: f.byte()%4 == 0,
	}
	if f.byte()%4 == 0 {
		cfg.KeepAlive = KeepAlive{Idle: time.Second, Interval: time.Second, Count: 2}
	}
	if f.byte()%8 == 0 {
		cfg.UserTimeout = 3 * time.Second
	}
	f.testConn = newTestConn(t, cfg)
	f.buf.Recv, f.buf.Send = oneOf(f, 1000, 64<<10, 300<<10), oneOf(f, 1000, 64<<10, 300<<10)
	f.start()
	f.check("start")
	for len(f.script) > 0 {
		f.check(f.step())
	}
	f.c.Abort(f.now)
	f.drain()
	if f.c.State() != StateClosed || !f.c.Done() || f.s.in.Readable() > f.buf.Recv {
		t.Fatalf("after all: %v", f.c.State())
	}
}

// start brings the connection into some state.
func (f *fuzzer) start() {
	options := oneOf(f, "mss 1460, ws 7, sackok, ts 100 1000", "mss 1460, ws 7, sackok", "mss 600", "", "mss 1460, ws 14, sackok, ts 100 1000")
	switch f.byte() % 4 {
	case 0:
		f.connect()
		return
	case 1:
		f.accept("S 0 win 65535 <" + options + ">")
	default:
		f.connect()
		f.advance(10 * time.Millisecond)
		f.inject("SA 0 ack 1 win 65535 <" + options + ">")
	}
	if f.c.State() != StateEstablished {
		return
	}
	switch f.byte() % 8 {
	case 0:
		f.closeWrite()
	case 1:
		f.closeWrite()
		f.receive(wire.ACK, 0, f.c.snd.nxt, 0)
	case 2:
		f.receive(wire.FIN|wire.ACK, 0, f.c.snd.una, 0)
	case 3:
		f.receive(wire.FIN|wire.ACK, 0, f.c.snd.una, 0)
		f.closeWrite()
	case 4:
		f.closeWrite()
		f.receive(wire.FIN|wire.ACK, 0, f.c.snd.nxt, 0)
	}
}

// step does one thing and says what.
func (f *fuzzer) step() string {
	switch op := f.byte() % 32; op {
	default:
		return f.randomSegment()
	case 16, 17, 18, 19:
		d := time.Duration(f.uint16()) * oneOf(f, time.Microsecond, 100*time.Microsecond, time.Millisecond)
		f.advance(d)
		return fmt.Sprint("advance ", d)
	case 20, 21, 22:
		n := min(oneOf(f, 1, 100, 5000, 60000), f.s.out.Free())
		if n > 0 && !f.s.closed && f.c.State() != StateClosed {
			f.write(n)
		}
		return fmt.Sprint("write ", n)
	case 23, 24, 25:
		n := min(oneOf(f, 1, 100, 5000, 60000), f.s.in.Readable())
		if n > 0 {
			f.wantRead("fuzz", n)
		}
		return fmt.Sprint("read ", n)
	case 26:
		f.c.PacketTooBig(f.now, f.uint16()%2000)
		f.drain()
		return "packet too big"
	case 27:
		f.c.Unreachable(f.now, f.byte()%2 == 0)
		f.c.Probe()
		f.drain()
		return "unreachable, probe"
	case 28:
		f.c.Penalise(f.now)
		f.c.AckNow()
		f.drain()
		return "penalise"
	case 29:
		if f.byte()%4 == 0 {
			f.closeWrite()
		}
		return "close write"
	case 30:
		if f.byte()%16 == 0 {
			f.close()
		}
		return "close"
	}
}

// randomSegment makes a segment near what the connection expects.
func (f *fuzzer) randomSegment() string {
	c := f.c
	flags := oneOf(f, wire.ACK, wire.ACK, wire.ACK, wire.ACK, wire.ACK|wire.PSH, wire.ACK|wire.FIN, wire.SYN, wire.SYN|wire.ACK,
		wire.RST, wire.RST|wire.ACK, wire.Flags(f.byte()))
	if flags.Has(wire.RST) && f.byte()%8 != 0 {
		flags &^= wire.RST // else hardly a script would get far
	}
	small := seq.Pos(int8(f.byte()))
	at := oneOf(f, c.rcv.nxt, c.rcv.nxt, c.rcv.nxt, c.rcv.nxt+1000, c.rcv.nxt+seq.Pos(f.uint16()), c.rcv.nxt+small, c.rcv.edge+small,
		c.rcv.nxt-1, 0, seq.Pos(f.uint16())<<16)
	ack := oneOf(f, c.snd.una, c.snd.una, c.snd.nxt, c.snd.nxt, c.snd.una+1460, c.snd.una+seq.Pos(f.uint16()), c.snd.nxt+small,
		c.snd.una-1, seq.Pos(f.uint16())<<16)
	n := oneOf(f, 0, 0, 0, 1, 100, 1460, 10000, f.uint16()%60000)
	f.receive(flags, at-c.rcv.nxt, ack, n)
	return fmt.Sprintf("segment %x at %d ack %d len %d", flags, at, ack, n)
}

// receive injects a segment that begins at RCV.NXT plus delta, with options
// and window from the script.
func (f *fuzzer) receive(flags wire.Flags, delta, ack seq.Pos, n int) {
	c := f.c
	at := c.rcv.nxt + delta
	if c.state == StateSynSent {
		at = delta
	}
	seg := wire.Segment{
		Src: f.cfg.Remote, Dst: f.cfg.Local, TTL: 64, Flags: flags,
		Seq: seq.Wrap32(at, f.peerISN), Ack: seq.Wrap32(ack, f.cfg.ISN),
		Window: uint16(oneOf(f, 0xffff, 0xffff, 1000, 1, 0, f.uint16())),
	}
	for i := range n {
		seg.Payload = append(seg.Payload, peerByte(at+seq.Pos(i)))
	}
	f.randomOptions(&seg.Options)
	if flags.Has(wire.SYN) {
		seg.Options.Set |= wire.HasMSS | wire.HasWindowScale
		seg.Options.MSS, seg.Options.WindowScale = uint16(f.uint16()), f.byte()
	}
	f.note(fmt.Sprintf("< %s", f.peers().text(&seg)))
	opening := c.state == StateSynSent
	c.Input(f.now, &seg, nil)
	if opening && c.state != StateSynSent {
		f.peerISN = c.rcv.irs // any SYN will do
	}
	f.drain()
}

func (f *fuzzer) randomOptions(o *wire.Options) {
	c := f.c
	if c.ts.on && f.byte()%16 != 0 {
		o.Set |= wire.HasTimestamps
		o.TSVal = c.ts.recent + uint32(oneOf(f, 0, 1, 100, -1))
		o.TSEcr = c.tsNow(f.now) - uint32(oneOf(f, 0, 10, 100, -1))
	}
	if o.SACKLen = int(f.byte()) % 5; o.SACKLen > 0 {
		o.Set |= wire.HasSACK
	}
	for i := range o.SACK[:o.SACKLen] {
		lo := c.snd.una + seq.Pos(oneOf(f, 1460, 2920, 100, f.uint16(), -10))
		o.SACK[i].Left = seq.Wrap32(lo, f.cfg.ISN)
		o.SACK[i].Right = seq.Wrap32(lo+seq.Pos(oneOf(f, 1460, 2920, 1, f.uint16(), -5)), f.cfg.ISN)
	}
}

// check is what must always hold.
func (f *fuzzer) check(what string) {
	f.t.Helper()
	c := f.c
	fail := func(format string, args ...any) {
		f.t.Helper()
		f.t.Fatalf("%s: %s (state %v, una %d, nxt %d, rcv %d)", what, fmt.Sprintf(format, args...), c.state, c.snd.una, c.snd.nxt, c.rcv.nxt)
	}
	switch {
	case c.snd.una > c.snd.nxt:
		fail("SND.UNA is beyond SND.NXT")
	case c.snd.una < f.una || c.snd.nxt < f.nxt || c.rcv.nxt < f.rcvNxt || c.rcv.edge < f.edge:
		fail("a number went back")
	case !canFollow(f.state, c.state):
		fail("from %v", f.state)
	case c.rcv.nxt > c.rcv.edge:
		fail("received beyond the window")
	case len(c.rcv.ahead.Ranges()) > maxAhead:
		fail("%d blocks kept", len(c.rcv.ahead.Ranges()))
	case f.s.in.Readable()+f.s.in.Ahead() > f.buf.Recv:
		fail("receive buffer overrun")
	case f.buf.Pool.InUse() > 2*(f.buf.Recv+f.buf.Send)+8*16<<10:
		fail("%d bytes of memory in use", f.buf.Pool.InUse())
	case c.InFlight() < 0:
		fail("%d in flight", c.InFlight())
	}
	f.una, f.nxt, f.rcvNxt, f.edge, f.state = c.snd.una, c.snd.nxt, c.rcv.nxt, c.rcv.edge, c.state
	checkScoreboard(f.t, c)
	f.checkTimers(fail)
	f.take()
}

func (f *fuzzer) checkTimers(fail func(string, ...any)) {
	f.t.Helper()
	c := f.c
	rexmit := c.timer.running(timerRexmit)
	switch {
	case c.state == StateClosed:
		if !c.timer.next().IsZero() || !c.Done() {
			fail("closed, but not at rest")
		}
	case c.state == StateSynSent || c.state == StateSynReceived:
		if !rexmit {
			fail("no timer for the handshake")
		}
	case rexmit != !c.sent.empty():
		fail("retransmission timer %v with %d in flight", rexmit, c.sent.flight)
	case c.sent.empty() && f.s.Pending() && c.state.canSend() && !c.timer.running(timerPersist):
		fail("data waits for nothing")
	case c.state == StateTimeWait && !c.timer.running(timerTimeWait):
		fail("TIME-WAIT without end")
	}
}

// canFollow is RFC 9293 figure 5; every state may end, and several arcs may
// be gone along at once.
func canFollow(from, to State) bool {
	arcs := map[State][]State{
		StateSynSent:     {StateSynReceived, StateEstablished},
		StateSynReceived: {StateEstablished},
		StateEstablished: {StateFinWait1, StateCloseWait},
		StateFinWait1:    {StateFinWait2, StateClosing},
		StateFinWait2:    {StateTimeWait},
		StateCloseWait:   {StateLastAck},
		StateClosing:     {StateTimeWait},
	}
	if from == to || to == StateClosed {
		return true
	}
	if from == StateClosed { // before the first step
		return true
	}
	for _, next := range arcs[from] {
		if canFollow(next, to) {
			return true
		}
	}
	return false
}
