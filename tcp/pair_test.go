package tcp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// end is one end of a testPair.
type end struct {
	name string
	s    *Stream
	cfg  Config
	buf  Buffers
	recv bytes.Buffer // what the application read
	send []byte       // what it still wants to write
	shut bool         // CloseWrite once send is empty
	err  error        // io.EOF or what ended it
	hold bool         // do not read
}

// flight is a packet on its way.
type flight struct {
	at  time.Time
	to  *end
	pkt []byte
	off wire.Offload
}

// testPair is two Streams and the path between them, in virtual time.
type testPair struct {
	t      *testing.T
	now    time.Time
	a, b   *end
	delay  time.Duration
	loss   float64
	jitter time.Duration
	rand   *rand.Rand
	path   []flight
	packet Packet
	// filter, if set, sees every packet and may drop it.
	filter func(from *end, seg *wire.Segment) bool
	log    []string
}

func newTestPair(t *testing.T, seed uint64) *testPair {
	p := &testPair{
		t: t, now: epoch, delay: 10 * time.Millisecond,
		rand:   rand.New(rand.NewPCG(seed, 1)),
		packet: Packet{Buf: make([]byte, 1<<16)},
	}
	addr := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	buf := Buffers{Send: 256 << 10, Recv: 256 << 10}
	p.a = &end{name: "a", buf: buf, cfg: Config{Local: addr("10.0.0.1:1000"), Remote: addr("10.0.0.2:80"), ISN: p.rand.Uint32()}}
	p.b = &end{name: "b", buf: buf, cfg: Config{Local: addr("10.0.0.2:80"), Remote: addr("10.0.0.1:1000"), ISN: p.rand.Uint32()}}
	t.Cleanup(func() {
		if t.Failed() {
			for _, l := range p.log[max(0, len(p.log)-200):] {
				t.Log(l)
			}
		}
	})
	return p
}

func (p *testPair) connect() {
	p.a.s = ConnectStream(p.now, p.a.cfg, p.a.buf)
}

func (p *testPair) other(e *end) *end {
	if e == p.a {
		return p.b
	}
	return p.a
}

// drain moves everything e has to say onto the path.
func (p *testPair) drain(e *end) {
	for e.s != nil && e.s.Conn.Output(p.now, &p.packet) {
		var seg wire.Segment
		if err := wire.ParseSegment(p.packet.Bytes(), &seg, p.packet.Offload.PartialChecksum); err != nil {
			p.t.Fatalf("%s built a bad packet: %v", e.name, err)
		}
		p.log = append(p.log, fmt.Sprintf("%8.3f %s %s", p.now.Sub(epoch).Seconds(), e.name, seg.String()))
		if p.filter != nil && !p.filter(e, &seg) || p.loss > 0 && p.rand.Float64() < p.loss {
			p.log[len(p.log)-1] += " LOST"
			continue
		}
		at := p.now.Add(p.delay)
		if p.jitter > 0 {
			at = at.Add(time.Duration(p.rand.Int64N(int64(p.jitter))))
		}
		p.path = append(p.path, flight{at, p.other(e), slices.Clone(p.packet.Bytes()), p.packet.Offload})
	}
}

// app reads and writes as e's application.
func (p *testPair) app(e *end) {
	if e.s == nil {
		return
	}
	for len(e.send) > 0 {
		n, err := e.s.Write(p.now, e.send)
		e.send = e.send[n:]
		if err != nil {
			break
		}
	}
	if e.shut && len(e.send) == 0 {
		e.s.CloseWrite(p.now)
		e.shut = false
	}
	buf := make([]byte, 64<<10)
	for !e.hold && e.err == nil {
		n, err := e.s.Read(p.now, buf)
		e.recv.Write(buf[:n])
		if err == ErrWouldBlock {
			break
		}
		e.err = err
	}
}

func (p *testPair) settle() {
	for _, e := range []*end{p.a, p.b} {
		p.app(e)
		p.drain(e)
	}
}

// step moves time to the next thing that happens; false if nothing will.
func (p *testPair) step() bool {
	p.settle()
	var next time.Time
	first := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, f := range p.path {
		first(f.at)
	}
	for _, e := range []*end{p.a, p.b} {
		if e.s != nil {
			first(e.s.Conn.NextTimeout())
		}
	}
	if next.IsZero() {
		return false
	}
	if next.After(p.now) {
		p.now = next
	}
	var due []flight
	p.path = slices.DeleteFunc(p.path, func(f flight) bool {
		if f.at.After(p.now) {
			return false
		}
		due = append(due, f)
		return true
	})
	slices.SortStableFunc(due, func(x, y flight) int { return x.at.Compare(y.at) })
	for _, f := range due {
		p.deliver(f)
		p.settle()
	}
	for _, e := range []*end{p.a, p.b} {
		if e.s != nil {
			e.s.Conn.Advance(p.now)
		}
	}
	p.settle()
	return true
}

func (p *testPair) deliver(f flight) {
	var seg wire.Segment
	if err := wire.ParseSegment(f.pkt, &seg, f.off.PartialChecksum); err != nil {
		p.t.Fatalf("bad packet: %v", err)
	}
	if f.to.s == nil {
		if seg.Flags == wire.SYN {
			f.to.s = AcceptStream(p.now, f.to.cfg, f.to.buf, &seg)
		}
		return
	}
	f.to.s.Conn.Input(p.now, &seg, nil)
}

// run steps until done, or fails after limit of virtual time.
func (p *testPair) run(what string, limit time.Duration, done func() bool) {
	p.t.Helper()
	end := p.now.Add(limit)
	for !done() {
		if !p.step() || p.now.After(end) {
			p.t.Fatalf("%s: not reached at %v: a %v b %v", what, p.now.Sub(epoch), p.a.s.Conn.Info(), p.b.s)
		}
	}
}

func pattern(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	r.Read(b)
	return b
}

func TestTransfer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		loss   float64
		jitter time.Duration
		set    func(*testPair)
	}{
		{name: "clean"},
		{name: "loss 5%", loss: 0.05},
		{name: "reordering", jitter: 8 * time.Millisecond},
		{name: "loss and reordering", loss: 0.03, jitter: 20 * time.Millisecond},
		{name: "no SACK", loss: 0.02, set: func(p *testPair) { p.a.cfg.NoSACK = true }},
		{name: "no timestamps", loss: 0.02, set: func(p *testPair) { p.b.cfg.NoTimestamps = true }},
		{name: "no scaling", loss: 0.02, set: func(p *testPair) { p.b.cfg.NoWindowScale = true }},
		{name: "large segments", loss: 0.02, set: func(p *testPair) { p.a.cfg.MaxPacket, p.b.cfg.MaxPacket = 65535, 65535 }},
		{name: "IPv6", loss: 0.02, set: func(p *testPair) {
			p.a.cfg.Local, p.a.cfg.Remote = netip.MustParseAddrPort("[fd00::1]:1000"), netip.MustParseAddrPort("[fd00::2]:80")
			p.b.cfg.Local, p.b.cfg.Remote = p.a.cfg.Remote, p.a.cfg.Local
		}},
		{name: "nagle", loss: 0.01, set: func(p *testPair) { p.a.cfg.Nagle = true }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range uint64(4) {
				p := newTestPair(t, seed)
				p.loss, p.jitter = tc.loss, tc.jitter
				if tc.set != nil {
					tc.set(p)
				}
				there, back := pattern(600<<10, seed), pattern(300<<10, seed+1)
				p.a.send, p.b.send = there, back
				p.a.shut, p.b.shut = true, true
				p.connect()
				p.run("both ends read to the end", 10*time.Minute, func() bool { return p.a.err != nil && p.b.err != nil })
				if !bytes.Equal(p.b.recv.Bytes(), there) || !bytes.Equal(p.a.recv.Bytes(), back) {
					t.Fatalf("seed %d: streams differ (%v, %v)", seed, p.a.err, p.b.err)
				}
				p.run("both closed", 10*time.Minute, func() bool {
					return p.a.s.Conn.State() == StateClosed && p.b.s.Conn.State() == StateClosed
				})
				if a, b := p.a.s.Conn.Err(), p.b.s.Conn.Err(); a != nil || b != nil {
					t.Fatalf("seed %d: ended with %v and %v", seed, a, b)
				}
			}
		})
	}
}
