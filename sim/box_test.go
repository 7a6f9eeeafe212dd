package sim

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// boxTest drives middleboxes alone: they sit at end A of a line that delivers
// at once.
type boxTest struct {
	t    *testing.T
	now  time.Time
	link *Link
	got  [2][]*wire.Segment // what came out at B and at A, since the last look
	raw  [2][][]byte
}

var (
	portA  = netip.AddrPortFrom(hostA, 1000)
	portB  = netip.AddrPortFrom(hostB, 2000)
	portA6 = netip.AddrPortFrom(six1, 1000)
	portB6 = netip.AddrPortFrom(six2, 2000)
)

func newBoxTest(t *testing.T, boxes ...Middlebox) *boxTest {
	bt := &boxTest{t: t, now: Epoch}
	bt.link = NewLink("test", LinkConfig{}, LinkConfig{}, 1, func(_ time.Time, dir Dir, pkt []byte, _ wire.Offload) {
		pkt = slices.Clone(pkt)
		bt.raw[dir] = append(bt.raw[dir], pkt)
		s := new(wire.Segment)
		if err := wire.ParseSegment(pkt, s, false); err != nil && err != wire.ErrNotTCP {
			t.Errorf("%v: a broken packet came out: %v\n%x", dir, err, pkt)
		}
		bt.got[dir] = append(bt.got[dir], s)
	})
	bt.link.NearA(boxes...)
	return bt
}

// segment makes a segment of the test's connection, in direction dir.
func segment(dir Dir, flags wire.Flags, seq, ack uint32, payload string) *wire.Segment {
	s := &wire.Segment{Src: portA, Dst: portB, TTL: 64, Flags: flags, Seq: seq, Ack: ack, Window: 1000, Payload: []byte(payload)}
	if dir == BA {
		s.Src, s.Dst = portB, portA
	}
	return s
}

// over6 moves a segment to IPv6.
func over6(s *wire.Segment) *wire.Segment {
	to := map[netip.AddrPort]netip.AddrPort{portA: portA6, portB: portB6}
	s.Src, s.Dst = to[s.Src], to[s.Dst]
	return s
}

func (bt *boxTest) send(dir Dir, s *wire.Segment) {
	bt.sendRaw(dir, wire.AppendSegment(nil, s))
}

func (bt *boxTest) sendRaw(dir Dir, pkt []byte) {
	bt.link.Send(bt.now, dir, pkt, wire.Offload{})
	for next := bt.link.Next(); !next.IsZero() && !next.After(bt.now); next = bt.link.Next() {
		bt.link.Advance(bt.now)
	}
}

// wait lets time pass.
func (bt *boxTest) wait(d time.Duration) {
	end := bt.now.Add(d)
	for next := bt.link.Next(); !next.IsZero() && !next.After(end); next = bt.link.Next() {
		bt.now = next
		bt.link.Advance(bt.now)
	}
	bt.now = end
}

// take gives what came out in a direction, and forgets it.
func (bt *boxTest) take(dir Dir) []*wire.Segment {
	got := bt.got[dir]
	bt.got[dir], bt.raw[dir] = nil, nil
	return got
}

// through sends a segment and gives the one that comes out.
func (bt *boxTest) through(what string, dir Dir, s *wire.Segment) *wire.Segment {
	bt.t.Helper()
	bt.send(dir, s)
	got := bt.take(dir)
	if len(got) != 1 {
		bt.t.Fatalf("%s: %d packets came out, want one", what, len(got))
	}
	return got[0]
}

// wantGone sends a segment and wants nothing to come out in its direction.
func (bt *boxTest) wantGone(what string, dir Dir, s *wire.Segment) {
	bt.t.Helper()
	bt.send(dir, s)
	if got := bt.take(dir); len(got) != 0 {
		bt.t.Fatalf("%s: came out as %v, want it lost", what, got[0])
	}
}

// handshake sends the three packets that open a connection, with numbers
// 100 and 900, and forgets what came of them.
func (bt *boxTest) handshake() {
	bt.send(AB, segment(AB, wire.SYN, 100, 0, ""))
	bt.send(BA, segment(BA, wire.SYN|wire.ACK, 900, 101, ""))
	bt.send(AB, segment(AB, wire.ACK, 101, 901, ""))
	bt.take(AB)
	bt.take(BA)
}

func TestPickKinds(t *testing.T) {
	type step struct {
		dir  Dir
		seg  *wire.Segment
		want Kind
	}
	conversation := []step{
		{AB, segment(AB, wire.SYN, 100, 0, ""), SYN},
		{BA, segment(BA, wire.SYN|wire.ACK, 900, 101, ""), SYNACK},
		{AB, segment(AB, wire.ACK, 101, 901, ""), ThirdACK},
		{AB, segment(AB, wire.ACK, 101, 901, ""), ThirdACK},
		{AB, segment(AB, wire.ACK, 101, 901, "data"), Data},
		{BA, segment(BA, wire.ACK, 901, 105, ""), PureACK},
		{BA, segment(BA, wire.ACK, 901, 101, ""), PureACK},
		{BA, segment(BA, wire.ACK|wire.FIN, 901, 105, "end"), Data},
		{AB, segment(AB, wire.ACK, 105, 905, ""), PureACK},
		{AB, segment(AB, wire.ACK|wire.FIN, 105, 905, ""), FIN},
		{BA, segment(BA, wire.RST, 905, 0, ""), RST},
	}
	for _, kind := range []Kind{SYN, SYNACK, ThirdACK, Data, PureACK, FIN, RST, SYN | Data} {
		p := Pick{Kinds: kind}
		for i, s := range conversation {
			if got, want := p.pick(s.dir, wire.AppendSegment(nil, s.seg)), s.want&kind != 0; got != want {
				t.Errorf("kind %b, packet %d: picked %v, want %v", kind, i, got, want)
			}
		}
	}
	// A box that missed the handshake must not take an ACK for the third.
	p := Pick{Kinds: ThirdACK}
	for _, s := range conversation[3:] {
		if p.pick(s.dir, wire.AppendSegment(nil, s.seg)) {
			t.Errorf("without a SYN, picked %v", s.seg)
		}
	}
}

func TestPickCounts(t *testing.T) {
	tests := []struct {
		name string
		pick Pick
		want []int // which of the packets 0 to 9 from A
	}{
		{"all", Pick{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"skip", Pick{Skip: 7}, []int{7, 8, 9}},
		{"count", Pick{Count: 2}, []int{0, 1}},
		{"skip and count", Pick{Skip: 3, Count: 2}, []int{3, 4}},
		{"every", Pick{Every: 3}, []int{2, 5, 8}},
		{"every, skip and count", Pick{Every: 3, Skip: 1, Count: 2}, []int{3, 6}},
		{"when", Pick{When: func(s *wire.Segment) bool { return s.Seq >= 8 }}, []int{8, 9}},
		{"when and skip", Pick{When: func(s *wire.Segment) bool { return s.Seq >= 5 }, Skip: 1, Every: 2}, []int{7, 9}},
		{"one way", Pick{Way: OnlyAB}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"the other way", Pick{Way: OnlyBA}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			for i := range 10 {
				if tt.pick.pick(AB, wire.AppendSegment(nil, segment(AB, wire.ACK, uint32(i), 0, "x"))) {
					got = append(got, i)
				}
			}
			if !slices.Equal(got, tt.want) || tt.pick.Picked != len(tt.want) {
				t.Errorf("picked %v and counted %d, want %v", got, tt.pick.Picked, tt.want)
			}
		})
	}
}

func TestBoxesLeaveDamagedPacketsAlone(t *testing.T) {
	for _, box := range []Middlebox{
		&Drop{}, &Strip{}, &Strip{Unknown: true, Compact: true}, &Alter{Edit: blank}, &Echo{}, &Rewrite{Find: []byte("a"), Put: []byte("b")},
		&Resegment{Size: 1}, &Coalesce{Max: 1000, Hold: time.Second}, &ShiftISN{}, &EarlyACK{}, &SYNProxy{}, &RefuseHoles{}, &GuardACKs{},
		&ShrinkWindow{}, &SetECN{}, &Forge{}, &Balance{Virtual: hostB, Hosts: []netip.Addr{hostA}},
	} {
		var got [][]byte
		l := NewLink("test", LinkConfig{}, LinkConfig{}, 1, func(_ time.Time, _ Dir, pkt []byte, _ wire.Offload) {
			got = append(got, slices.Clone(pkt))
		})
		l.NearA(box)
		pkt := wire.AppendSegment(nil, segment(AB, wire.ACK, 1, 1, "a damaged packet"))
		pkt[len(pkt)-3] ^= 0x40
		for _, bad := range [][]byte{pkt, pkt[:10], {0x45}, {}} {
			got = nil
			l.Send(Epoch, AB, slices.Clone(bad), wire.Offload{})
			l.Advance(Epoch)
			if len(got) != 1 || !slices.Equal(got[0], bad) {
				t.Errorf("%T: of %x came %x", box, bad, got)
			}
		}
	}
}

func TestBoxOrder(t *testing.T) {
	// Boxes near A see packets to B before those near B, and ours come from
	// the line at B.
	var order []string
	note := func(name string) Middlebox { return noting{name, &order} }
	l := NewLink("test", LinkConfig{Delay: time.Second}, LinkConfig{Delay: time.Second}, 1, func(_ time.Time, dir Dir, _ []byte, _ wire.Offload) {
		order = append(order, dir.String())
	})
	l.NearA(note("a1"), note("a2"))
	l.NearB(note("b1"), note("b2"))
	l.Send(Epoch, AB, datagram(1, 100), wire.Offload{})
	order = append(order, "line")
	l.Advance(Epoch.Add(time.Second))
	l.Send(Epoch, BA, datagram(1, 100), wire.Offload{})
	order = append(order, "line")
	l.Advance(Epoch.Add(time.Second))
	l.Inject(Epoch, AB, datagram(1, 100))
	l.Advance(Epoch.Add(2 * time.Second))
	want := []string{"a1 ab", "a2 ab", "line", "b1 ab", "b2 ab", "ab", "b2 ba", "b1 ba", "line", "a2 ba", "a1 ba", "ba", "b1 ab", "b2 ab", "ab"}
	if !slices.Equal(order, want) {
		t.Errorf("got  %q\nwant %q", order, want)
	}
}

// noting notes what passes.
type noting struct {
	name  string
	order *[]string
}

func (n noting) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	*n.order = append(*n.order, n.name+" "+dir.String())
	out.Send(dir, pkt)
}

func TestBoxesAllocateNothingPerPacket(t *testing.T) {
	for _, box := range []Middlebox{
		&Drop{Pick{Every: 2}}, &Hold{}, &RefuseHoles{}, &GuardACKs{}, &Strip{}, &Strip{Unknown: true, Compact: true}, &Alter{Edit: blank}, &Echo{},
		&Rewrite{Edits: []Edit{{At: 1, Cut: 1, Put: []byte("ab")}}}, &Resegment{Size: 500}, &Coalesce{Max: 2000, Hold: time.Second},
		&ShrinkWindow{}, &SetECN{}, &ShiftISN{FixSACK: true}, &NAT{Public: public}, &Balance{Virtual: hostB, Hosts: []netip.Addr{hostB}}, &EarlyACK{}, &SYNProxy{},
	} {
		l := NewLink("test", LinkConfig{}, LinkConfig{}, 1, func(time.Time, Dir, []byte, wire.Offload) {})
		l.NearA(box)
		l.Send(Epoch, AB, wire.AppendSegment(nil, segment(AB, wire.SYN, 100, 0, "")), wire.Offload{})
		l.Advance(Epoch)
		data := segment(AB, wire.ACK, 101, 901, string(make([]byte, 1000)))
		data.Options = wire.Options{Set: wire.HasDSS | wire.HasSACK, SACKLen: 1, DSS: wire.DSS{HasAck: true}}
		ack := segment(BA, wire.ACK, 901, 101, "")
		pkt, back := wire.AppendSegment(nil, data), wire.AppendSegment(nil, ack)
		buf := make([]byte, 2000)
		one := func() {
			l.Send(Epoch, AB, buf[:copy(buf, pkt)], wire.Offload{})
			l.Send(Epoch, BA, buf[:copy(buf, back)], wire.Offload{})
			l.Advance(Epoch)
		}
		for range 100 {
			one()
		}
		if n := testing.AllocsPerRun(100, one); n > 0 {
			t.Errorf("%T: %v allocations for two packets, want none", box, n)
		}
	}
}
