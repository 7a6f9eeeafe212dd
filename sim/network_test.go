package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// station is an endpoint that sends what a test gives it and notes what it
// receives.
type station struct {
	out  []outgoing
	in   []incoming
	wake time.Time
	// answer, if set, is asked what to send back.
	answer func(s *wire.Segment) *wire.Segment
	// tick, if set, is called by Advance; it sets wake again or not.
	tick func(now time.Time)
}

type outgoing struct {
	pkt []byte
	off wire.Offload
}

type incoming struct {
	at  time.Duration
	pkt []byte
	off wire.Offload
}

func (s *station) Input(now time.Time, pkt []byte, off wire.Offload) {
	s.in = append(s.in, incoming{now.Sub(Epoch), slices.Clone(pkt), off})
	var seg wire.Segment
	if s.answer == nil || wire.ParseSegment(pkt, &seg, false) != nil {
		return
	}
	if reply := s.answer(&seg); reply != nil {
		s.send(reply)
	}
}

func (s *station) Output(_ time.Time, buf []byte) (int, wire.Offload, bool) {
	if len(s.out) == 0 {
		return 0, wire.Offload{}, false
	}
	o := s.out[0]
	s.out = s.out[1:]
	return copy(buf, o.pkt), o.off, true
}

func (s *station) NextTimeout() time.Time { return s.wake }

func (s *station) Advance(now time.Time) {
	s.wake = time.Time{}
	if s.tick != nil {
		s.tick(now)
	}
}

func (s *station) send(seg *wire.Segment) {
	s.out = append(s.out, outgoing{pkt: wire.AppendSegment(nil, seg)})
}

// pair is a network of two stations and one link between hostA and hostB.
func pair(seed uint64, cfg LinkConfig) (*Network, *Link, *station, *station) {
	n := New(seed)
	a, b := &station{}, &station{}
	n.Attach(a, hostA, six1)
	n.Attach(b, hostB, six2)
	l := n.Connect("wired", hostA, hostB, cfg, cfg)
	n.Route(l, six1, six2)
	return n, l, a, b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNetworkPingPong(t *testing.T) {
	n, l, a, b := pair(1, LinkConfig{Rate: 8e6, Delay: 10 * time.Millisecond})
	b.answer = func(s *wire.Segment) *wire.Segment {
		return &wire.Segment{Src: s.Dst, Dst: s.Src, TTL: 64, Flags: wire.ACK, Ack: s.Seq + uint32(len(s.Payload))}
	}
	a.out = append(a.out, outgoing{pkt: datagram(1, 986)})
	must(t, n.Run(func() bool { return len(a.in) == 1 }, time.Second))
	if got, want := b.in[0].at, 11*time.Millisecond; got != want {
		t.Errorf("the packet arrived at %v, want %v", got, want)
	}
	// 40 bytes and a frame header back.
	if got, want := n.Elapsed(), 21*time.Millisecond+54*time.Microsecond; got != want {
		t.Errorf("the answer arrived at %v, want %v", got, want)
	}
	for _, dir := range []Dir{AB, BA} {
		if c := l.Pipe(dir).Counters(); c.Arrived != 1 || c.Offered != 1 {
			t.Errorf("%v: %+v, want one packet", dir, c)
		}
	}
	if err := n.Run(func() bool { return false }, time.Second); !errors.Is(err, ErrIdle) {
		t.Errorf("with nothing left to do: %v, want %v", err, ErrIdle)
	}
}

func TestNetworkTimersAndActionsRunInOrder(t *testing.T) {
	n, _, a, b := pair(1, LinkConfig{})
	var got []string
	note := func(what string) {
		got = append(got, fmt.Sprintf("%v %s", n.Elapsed(), what))
	}
	a.tick = func(time.Time) { note("timer a") }
	b.tick = func(time.Time) { note("timer b") }
	a.wake, b.wake = Epoch.Add(2*time.Second), Epoch.Add(time.Second)
	n.After(3*time.Second, func() { note("third") })
	n.After(time.Second, func() { note("first of two") })
	n.After(time.Second, func() {
		note("second of two")
		n.At(Epoch, func() { note("late") })
		n.After(500*time.Millisecond, func() { note("nested") })
	})
	must(t, n.RunFor(10*time.Second))
	want := []string{"1s first of two", "1s second of two", "1s timer b", "1s late", "1.5s nested", "2s timer a", "3s third"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if n.Elapsed() != 10*time.Second {
		t.Errorf("the clock shows %v, want 10s", n.Elapsed())
	}
}

func TestNetworkLimits(t *testing.T) {
	never := func() bool { return false }
	t.Run("limit", func(t *testing.T) {
		n, _, a, _ := pair(1, LinkConfig{})
		a.tick = func(now time.Time) { a.wake = now.Add(time.Second) }
		a.wake = Epoch.Add(time.Second)
		err := n.Run(never, 1500*time.Millisecond)
		if !errors.Is(err, ErrLimit) || n.Elapsed() != 1500*time.Millisecond {
			t.Errorf("got %v at %v, want %v at 1.5s", err, n.Elapsed(), ErrLimit)
		}
	})
	t.Run("timer in the past", func(t *testing.T) {
		n, _, a, _ := pair(1, LinkConfig{})
		n.maxInstant = 10000
		a.tick = func(now time.Time) { a.wake = Epoch.Add(-time.Second) }
		a.wake = Epoch.Add(-time.Second)
		if err := n.Run(never, time.Second); !errors.Is(err, ErrStuck) || n.Elapsed() != 0 {
			t.Errorf("got %v at %v, want %v at 0s", err, n.Elapsed(), ErrStuck)
		}
	})
	t.Run("endless ping-pong", func(t *testing.T) {
		n, _, a, b := pair(1, LinkConfig{})
		n.maxInstant = 10000
		echo := func(s *wire.Segment) *wire.Segment {
			return &wire.Segment{Src: s.Dst, Dst: s.Src, TTL: 64, Flags: wire.ACK}
		}
		a.answer, b.answer = echo, echo
		a.out = append(a.out, outgoing{pkt: datagram(1, 100)})
		if err := n.Run(func() bool { a.in, b.in = nil, nil; return false }, time.Second); !errors.Is(err, ErrStuck) {
			t.Errorf("got %v, want %v", err, ErrStuck)
		}
	})
}

func TestNetworkRouting(t *testing.T) {
	n, wired, a, b := pair(1, LinkConfig{Delay: time.Millisecond})
	a2, b2 := netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.1.0.2")
	wireless := n.Connect("wireless", a2, b2, LinkConfig{}, LinkConfig{})
	n.Attach(a, a2)
	n.Attach(b, b2)
	send := func(src, dst netip.Addr) {
		a.send(&wire.Segment{Src: netip.AddrPortFrom(src, 1), Dst: netip.AddrPortFrom(dst, 2), TTL: 1, Flags: wire.ACK})
	}
	send(hostA, hostB)
	send(a2, b2)
	send(six1, six2)
	send(hostA, b2) // no route
	must(t, n.RunFor(time.Second))
	if got := []int64{wired.Pipe(AB).Counters().Arrived, wireless.Pipe(AB).Counters().Arrived, int64(len(b.in)), n.Unrouted()}; !slices.Equal(got, []int64{2, 1, 3, 1}) {
		t.Errorf("wired, wireless, received, unrouted: got %v, want [2 1 3 1]", got)
	}
	n.Route(wireless, hostA, b2)
	send(hostA, b2)
	must(t, n.RunFor(time.Second))
	if got := len(b.in); got != 4 {
		t.Errorf("with the new route %d packets were received, want 4", got)
	}
	n.Detach(hostB)
	send(hostA, hostB)
	must(t, n.RunFor(time.Second))
	if got := n.Unrouted(); got != 2 || len(b.in) != 4 {
		t.Errorf("after Detach %d packets were unrouted and %d received, want 2 and 4", got, len(b.in))
	}
}

func TestNetworkCutsLargePackets(t *testing.T) {
	large := &wire.Segment{Src: netip.AddrPortFrom(hostA, 1), Dst: netip.AddrPortFrom(hostB, 2), TTL: 64,
		Flags: wire.ACK, Payload: bytes.Repeat([]byte("braid"), 2000)}
	run := func(cfg LinkConfig, boxes ...Middlebox) ([]incoming, []string) {
		n, l, a, b := pair(1, cfg)
		l.NearA(boxes...)
		var sent []string
		n.Listen(Taps{Sent: func(_ time.Time, where string, pkt []byte) {
			sent = append(sent, fmt.Sprint(where, " ", len(pkt)))
		}})
		pkt := wire.AppendSegment(nil, large)
		wire.Finish(pkt, wire.Offload{PartialChecksum: true})
		a.out = append(a.out, outgoing{pkt, wire.Offload{SegSize: 1460, PartialChecksum: true}})
		must(t, n.RunFor(time.Second))
		return b.in, sent
	}
	t.Run("cut", func(t *testing.T) {
		for _, boxes := range [][]Middlebox{nil, {passing{}}} {
			got, sent := run(LinkConfig{MTU: 1500, KeepLarge: len(boxes) > 0}, boxes...)
			if len(got) != 7 || len(sent) != 7 || sent[0] != "wired ab 1500" {
				t.Fatalf("%d pieces arrived, the tap saw %q; want 7 of 1500 bytes", len(got), sent)
			}
			var all []byte
			for i, in := range got {
				var s wire.Segment
				if err := wire.ParseSegment(in.pkt, &s, false); err != nil || in.off != (wire.Offload{}) {
					t.Fatalf("piece %d: %v, %+v", i, err, in.off)
				}
				if want := uint32(len(all)); s.Seq != want {
					t.Errorf("piece %d begins at %d, want %d", i, s.Seq, want)
				}
				all = append(all, s.Payload...)
			}
			if !bytes.Equal(all, large.Payload) {
				t.Errorf("the pieces do not make the whole")
			}
		}
	})
	t.Run("kept", func(t *testing.T) {
		got, _ := run(LinkConfig{MTU: 1500, KeepLarge: true})
		if len(got) != 1 || len(got[0].pkt) != 10040 || got[0].off != (wire.Offload{SegSize: 1460, PartialChecksum: true}) {
			t.Errorf("got %d packets, want the large one as it was", len(got))
		}
	})
}

// passing is a middlebox that does nothing.
type passing struct{}

func (passing) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) { out.Send(dir, pkt) }

func TestNetworkReportsTooBig(t *testing.T) {
	for _, six := range []bool{false, true} {
		n, l, a, b := pair(1, LinkConfig{MTU: 1400, Delay: time.Second})
		src, dst := hostA, hostB
		if six {
			src, dst = six1, six2
		}
		seg := &wire.Segment{Src: netip.AddrPortFrom(src, 11), Dst: netip.AddrPortFrom(dst, 22), TTL: 64, Seq: 77, Flags: wire.ACK, Payload: make([]byte, 1450)}
		a.send(seg)
		must(t, n.RunFor(500*time.Millisecond))
		if len(a.in) != 1 || len(b.in) != 0 {
			t.Fatalf("six=%v: the sender got %d messages, want one", six, len(a.in))
		}
		got, err := wire.ParseICMP(a.in[0].pkt)
		if err != nil || got.Kind != wire.ICMPTooBig || got.MTU != 1400 || got.Src != seg.Src || got.Dst != seg.Dst || got.Seq != 77 {
			t.Errorf("six=%v: got %+v, %v", six, got, err)
		}
		cfg := l.Pipe(AB).Config()
		cfg.NoICMP = true
		l.Pipe(AB).Set(n.Now(), cfg)
		a.send(seg)
		must(t, n.RunFor(5*time.Second))
		if len(a.in) != 1 || len(b.in) != 0 || l.Pipe(AB).Counters().Lost[LostMTU] != 2 {
			t.Errorf("six=%v: a black hole is not silent", six)
		}
	}
}

func TestNetworkLinkDown(t *testing.T) {
	n, l, a, b := pair(1, LinkConfig{Delay: 100 * time.Millisecond})
	for i := range 10 {
		n.After(time.Duration(i)*50*time.Millisecond, func() { a.out = append(a.out, outgoing{pkt: datagram(uint32(i), 100)}) })
	}
	n.After(175*time.Millisecond, func() { l.Down(n.Now()) })
	n.After(325*time.Millisecond, l.Up)
	lost := 0
	n.Listen(Taps{Lost: func(_ time.Time, where string, why Fate, pkt []byte) {
		if where != "wired ab" || why != LostCut && why != LostDown || len(pkt) != 100 {
			t.Errorf("lost on %s: %v", where, why)
		}
		lost++
	}})
	must(t, n.RunFor(time.Second))
	var got []uint32
	for _, in := range b.in {
		got = append(got, idOf(in.pkt))
	}
	if want := []uint32{0, 1, 7, 8, 9}; !slices.Equal(got, want) || lost != 5 {
		t.Errorf("received %v and lost %d, want %v and 5", got, lost, want)
	}
}

// chatter is an endpoint that sends packets of random sizes at random times
// and answers some of those it gets.
type chatter struct {
	station
	rng      *rand.Rand
	src, dst []netip.Addr
	left     int
}

func newChatter(seed uint64, src, dst []netip.Addr, packets int) *chatter {
	c := &chatter{rng: rand.New(rand.NewPCG(seed, 1)), src: src, dst: dst, left: packets}
	c.wake = Epoch.Add(time.Millisecond)
	c.tick = func(now time.Time) {
		i := c.rng.IntN(len(src))
		c.send(&wire.Segment{Src: netip.AddrPortFrom(src[i], 1), Dst: netip.AddrPortFrom(dst[i], 2), TTL: 64,
			Flags: wire.ACK, Seq: c.rng.Uint32(), Payload: make([]byte, c.rng.IntN(1400))})
		if c.left--; c.left > 0 {
			c.wake = now.Add(time.Duration(c.rng.IntN(2000)) * time.Microsecond)
		}
	}
	c.answer = func(s *wire.Segment) *wire.Segment {
		c.in = c.in[:0]
		if len(s.Payload) < 700 {
			return nil
		}
		return &wire.Segment{Src: s.Dst, Dst: s.Src, TTL: 64, Flags: wire.ACK, Ack: s.Seq}
	}
	return c
}

// hashTaps makes every packet that passes part of a hash.
func hashTaps(h io.Writer) Taps {
	var b [10]byte
	note := func(kind byte, now time.Time, where string, why Fate, pkt []byte) {
		binary.BigEndian.PutUint64(b[:], uint64(now.Sub(Epoch)))
		b[8], b[9] = kind, byte(why)
		h.Write(b[:])
		io.WriteString(h, where)
		h.Write(pkt)
	}
	return Taps{
		Sent:    func(now time.Time, where string, pkt []byte) { note('s', now, where, 0, pkt) },
		Arrived: func(now time.Time, where string, pkt []byte) { note('a', now, where, 0, pkt) },
		Lost:    func(now time.Time, where string, why Fate, pkt []byte) { note('l', now, where, why, pkt) },
	}
}

func TestNetworkIsDeterministic(t *testing.T) {
	run := func(seed uint64) [sha256.Size]byte {
		n := New(seed)
		s := RandomScenario(seed)
		s.Build(n)
		as, bs := s.Ends()
		n.Attach(newChatter(seed, as, bs, 300), as...)
		n.Attach(newChatter(seed+1, bs, as, 300), bs...)
		h := sha256.New()
		n.Listen(hashTaps(h))
		must(t, n.RunFor(time.Minute))
		return [sha256.Size]byte(h.Sum(nil))
	}
	seen := make(map[[sha256.Size]byte]uint64)
	for seed := range uint64(50) {
		got, again := run(seed), run(seed)
		if got != again {
			t.Errorf("seed %d gave %x, then %x", seed, got, again)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("seeds %d and %d gave the same packets", other, seed)
		}
		seen[got] = seed
	}
}

func TestNetworkAllocatesNothingPerPacket(t *testing.T) {
	n := New(1)
	a, b := &bouncer{}, &bouncer{}
	n.Attach(a, hostA)
	n.Attach(b, hostB)
	cfg := LinkConfig{Rate: 100e6, Delay: time.Millisecond, Loss: 0}
	n.Connect("wired", hostA, hostB, cfg, cfg)
	a.pending = append(a.pending, wire.AppendSegment(nil, &wire.Segment{Src: netip.AddrPortFrom(hostA, 1), Dst: netip.AddrPortFrom(hostB, 2), TTL: 64, Flags: wire.ACK, Payload: make([]byte, 1000)})...)
	must(t, n.RunFor(time.Second))
	bounces := a.bounces
	if got := testing.AllocsPerRun(1000, func() { n.Step() }); got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
	if a.bounces-bounces < 450 {
		t.Errorf("only %d packets bounced", a.bounces-bounces)
	}
}

// bouncer sends back each packet it gets, addresses exchanged.
type bouncer struct {
	pending []byte
	bounces int
}

func (b *bouncer) Input(_ time.Time, pkt []byte, _ wire.Offload) {
	var src [4]byte
	copy(src[:], pkt[12:16])
	copy(pkt[12:16], pkt[16:20])
	copy(pkt[16:20], src[:])
	b.pending = append(b.pending[:0], pkt...)
	b.bounces++
}

func (b *bouncer) Output(_ time.Time, buf []byte) (int, wire.Offload, bool) {
	n := copy(buf, b.pending)
	b.pending = b.pending[:0]
	return n, wire.Offload{}, n > 0
}

func (b *bouncer) NextTimeout() time.Time { return time.Time{} }
func (b *bouncer) Advance(time.Time)      {}

func BenchmarkNetwork(bb *testing.B) {
	n := New(1)
	a, b := &bouncer{}, &bouncer{}
	n.Attach(a, hostA)
	n.Attach(b, hostB)
	cfg := LinkConfig{Rate: 100e6, Delay: time.Millisecond}
	n.Connect("wired", hostA, hostB, cfg, cfg)
	a.pending = append(a.pending, wire.AppendSegment(nil, &wire.Segment{Src: netip.AddrPortFrom(hostA, 1), Dst: netip.AddrPortFrom(hostB, 2), TTL: 64, Flags: wire.ACK, Payload: make([]byte, 1000)})...)
	n.Wake()
	bb.ReportAllocs()
	for bb.Loop() {
		n.Step()
	}
}
