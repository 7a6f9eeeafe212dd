package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

var public = netip.MustParseAddr("198.51.100.7")

func TestNAT(t *testing.T) {
	for _, six := range []bool{false, true} {
		addr := public
		to := func(s *wire.Segment) *wire.Segment { return s }
		if six {
			addr, to = netip.MustParseAddr("2001:db8:1::7"), over6
		}
		b := &NAT{Public: addr}
		bt := newBoxTest(t, b)
		syn := to(segment(AB, wire.SYN, 100, 0, ""))
		out := bt.through("SYN", AB, syn)
		if out.Src.Addr() != addr || out.Dst != syn.Dst || out.Seq != 100 {
			t.Fatalf("the SYN became %v", out)
		}
		reply := &wire.Segment{Src: out.Dst, Dst: out.Src, TTL: 64, Seq: 900, Ack: 101, Flags: wire.SYN | wire.ACK}
		if got := bt.through("SYN/ACK", BA, reply); got.Dst != syn.Src || got.Src != syn.Dst {
			t.Errorf("the SYN/ACK became %v", got)
		}
		if got := bt.through("data", AB, to(segment(AB, wire.ACK, 101, 901, "data"))); got.Src != out.Src {
			t.Errorf("data comes from %v, the SYN from %v", got.Src, out.Src)
		}
		second := to(segment(AB, wire.SYN, 100, 0, ""))
		second.Src = netip.AddrPortFrom(second.Src.Addr(), 1001)
		if got := bt.through("second SYN", AB, second); got.Src.Addr() != addr || got.Src == out.Src {
			t.Errorf("two connections come from %v and %v", out.Src, got.Src)
		}
		bt.wantGone("SYN from outside", BA, &wire.Segment{Src: syn.Dst, Dst: netip.AddrPortFrom(addr, 80), TTL: 64, Flags: wire.SYN})
		bt.wantGone("packet for a port in use, from another", BA, &wire.Segment{Src: netip.AddrPortFrom(syn.Dst.Addr(), 99), Dst: out.Src, TTL: 64, Flags: wire.ACK})
		bt.wantGone("SYN for the private address", BA, &wire.Segment{Src: syn.Dst, Dst: syn.Src, TTL: 64, Flags: wire.SYN})
		if b.Refused != 3 {
			t.Errorf("counted %d refused packets, want 3", b.Refused)
		}
	}
}

func TestNATForgets(t *testing.T) {
	for _, reset := range []bool{false, true} {
		b := &NAT{Public: public, Idle: time.Minute, Reset: reset}
		bt := newBoxTest(t, b)
		out := bt.through("SYN", AB, segment(AB, wire.SYN, 100, 0, ""))
		bt.wait(time.Minute)
		bt.through("data in time", AB, segment(AB, wire.ACK, 101, 901, "data"))
		bt.wait(time.Minute)
		answer := &wire.Segment{Src: out.Dst, Dst: out.Src, TTL: 64, Seq: 901, Ack: 105, Flags: wire.ACK}
		bt.through("an answer in time", BA, answer)
		bt.wait(time.Minute)
		bt.through("another", BA, answer)
		bt.wait(time.Minute + 1)
		if reset {
			// Its RST comes out at the sender and is looked at below.
			bt.send(AB, segment(AB, wire.ACK, 105, 901, "late"))
			bt.send(BA, answer)
			got, back := bt.take(AB), bt.take(BA)
			if len(back) != 1 || back[0].Flags != wire.RST || back[0].Seq != 901 || back[0].Dst != portA || back[0].Src != portB {
				t.Errorf("A got %v, want a RST", back)
			}
			if len(got) != 1 || got[0].Flags != wire.RST || got[0].Seq != 105 || got[0].Dst != portB || got[0].Src != out.Src {
				t.Errorf("B got %v, want a RST", got)
			}
		} else {
			bt.wantGone("late data", AB, segment(AB, wire.ACK, 105, 901, "late"))
			bt.wantGone("a late answer", BA, answer)
			if got := append(bt.take(AB), bt.take(BA)...); len(got) != 0 {
				t.Errorf("got %v, want silence", got)
			}
		}
		if b.Forgotten != 1 || b.Refused != 2 {
			t.Errorf("forgot %d, refused %d, want 1 and 2", b.Forgotten, b.Refused)
		}
		if got := bt.through("a new SYN", AB, segment(AB, wire.SYN, 100, 0, "")); got.Src == out.Src {
			t.Errorf("the new connection has the old port")
		}
	}
}

func TestNATTranslatesICMP(t *testing.T) {
	n, l, a, b := pair(1, LinkConfig{MTU: 1000})
	l.NearA(&NAT{Public: public})
	n.Route(l, public, hostB)
	_ = b
	a.send(segment(AB, wire.SYN, 100, 0, ""))
	a.send(segment(AB, wire.ACK, 101, 901, string(make([]byte, 1400))))
	must(t, n.RunFor(time.Second))
	if len(a.in) != 1 {
		t.Fatalf("A got %d packets, want an ICMP message", len(a.in))
	}
	got, err := wire.ParseICMP(a.in[0].pkt)
	if err != nil || got.Kind != wire.ICMPTooBig || got.MTU != 1000 || got.Src != portA || got.Dst != portB || got.Seq != 101 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBalance(t *testing.T) {
	virtual := netip.MustParseAddr("203.0.113.1")
	hosts := []netip.Addr{netip.MustParseAddr("203.0.113.11"), netip.MustParseAddr("203.0.113.12")}
	bt := newBoxTest(t, &Balance{Virtual: virtual, Hosts: hosts})
	to := func(port uint16) *wire.Segment {
		return &wire.Segment{Src: netip.AddrPortFrom(hostA, port), Dst: netip.AddrPortFrom(virtual, 80), TTL: 64, Flags: wire.SYN}
	}
	for i, want := range []int{0, 1, 0} {
		s := to(uint16(i))
		for range 2 {
			got := bt.through("SYN", AB, s)
			if got.Dst != netip.AddrPortFrom(hosts[want], 80) || got.Src != s.Src {
				t.Errorf("connection %d goes to %v, want host %d", i, got.Dst, want)
			}
		}
		back := bt.through("SYN/ACK", BA, &wire.Segment{Src: netip.AddrPortFrom(hosts[want], 80), Dst: s.Src, TTL: 64, Flags: wire.SYN | wire.ACK})
		if back.Src != s.Dst || back.Dst != s.Src {
			t.Errorf("the answer comes from %v, want %v", back.Src, s.Dst)
		}
	}
	direct := &wire.Segment{Src: netip.AddrPortFrom(hosts[1], 80), Dst: netip.AddrPortFrom(hostA, 77), TTL: 64, Flags: wire.SYN | wire.ACK}
	if got := bt.through("a connection to the host itself", BA, direct); got.Src != direct.Src {
		t.Errorf("it comes from %v, want %v", got.Src, direct.Src)
	}
	all := newBoxTest(t, &Balance{Virtual: virtual, Hosts: hosts, Choose: func(int, *wire.Segment) int { return 1 }})
	for i := range uint16(3) {
		if got := all.through("SYN", AB, to(i)); got.Dst.Addr() != hosts[1] {
			t.Errorf("chosen was %v, want %v", got.Dst.Addr(), hosts[1])
		}
	}
}
