package stack_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// public is an address that a NAT on path i uses.
func public(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}) }

// translate puts a NAT next to the client on each path.
func translate(b *simtest.Bed, nat sim.NAT) []*sim.NAT {
	var nats []*sim.NAT
	for i, l := range b.Links {
		n := nat
		n.Public = public(i)
		nats = append(nats, &n)
		b.Net.Route(l, public(i), simtest.ServerAddr(i))
		l.NearA(&n)
	}
	return nats
}

// addressBoxes translate, forge and balance.
var addressBoxes = []interference{
	{name: "22_translated", paths: 2,
		boxes: func(b *simtest.Bed) { translate(b, sim.NAT{}) },
		want:  bothPaths},
	{name: "22_private_address_announced", paths: 2,
		boxes: func(b *simtest.Bed) {
			translate(b, sim.NAT{Reset: true})
			// The client announces an address that exists for itself alone,
			// and the server tries to join it.
			must(t(b), b.Client.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: netip.MustParseAddr("192.168.77.1"), Flags: mptcp.EndpointSignal}))
			must(t(b), b.Server.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: netip.MustParseAddr("192.168.77.2"), Bits: 24, Flags: mptcp.EndpointSubflow}))
		},
		want: func(t *testing.T, o *outcome) {
			bothPaths(t, o)
			if o.b.Net.Unrouted() == 0 {
				t.Errorf("the private address was not tried: %+v", o.server.Stats)
			}
		}},
	{name: "30_forged_ADD_ADDR",
		boxes: func(b *simtest.Bed) {
			b.Links[0].NearB(&sim.Forge{Pick: sim.Pick{Kinds: sim.PureACK, Skip: 3, Count: 5}, Make: func(_ time.Time, dir sim.Dir, s *wire.Segment, send func(sim.Dir, *wire.Segment)) {
				s.Options.Set = s.Options.Set&wire.HasTimestamps | wire.HasAddAddr
				s.Options.AddAddrLen = 1
				s.Options.AddAddr[0] = wire.AddAddr{Version: wire.V1, ID: 66, Addr: netip.MustParseAddr("203.0.113.66"), HMAC: [8]byte{1, 2, 3}}
				send(dir, s)
			}})
		},
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			if o.client.Stats.BadAddAddr+o.server.Stats.BadAddAddr != 5 || o.joins != 0 {
				t.Errorf("counted %d and %d, %d joins", o.client.Stats.BadAddAddr, o.server.Stats.BadAddAddr, o.joins)
			}
		}},
	{name: "30_forged_join",
		boxes: func(b *simtest.Bed) {
			b.Links[0].NearB(&sim.Forge{Pick: sim.Pick{Kinds: sim.Data, Way: sim.OnlyAB, Skip: 3, Count: 5}, Make: func(_ time.Time, dir sim.Dir, s *wire.Segment, send func(sim.Dir, *wire.Segment)) {
				send(dir, &wire.Segment{Src: netip.AddrPortFrom(s.Src.Addr(), 6666), Dst: s.Dst, TTL: 64, Flags: wire.SYN, Seq: 66, Window: 66,
					Options: wire.Options{Set: wire.HasJoin, Join: wire.Join{ID: 6, Token: 0x66666666, Nonce: 6}}})
			}})
		},
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			if st := o.b.Server.Stack.Stats(); st.JoinsUnknown != 5 || st.ResetsSent < 5 {
				t.Errorf("counted %d unknown joins, %d resets", st.JoinsUnknown, st.ResetsSent)
			}
		}},
	{name: "30_HMAC_of_a_join_spoiled", paths: 2,
		boxes: func(b *simtest.Bed) {
			b.Links[1].NearB(&sim.Alter{Pick: sim.Pick{Kinds: sim.ThirdACK}, Options: wire.HasJoin, Edit: func(o []byte) { o[20] ^= 1 }})
		},
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			o.resetFor(t, wire.ResetMPTCP)
			if o.server.Stats.JoinsFailed == 0 || o.server.Stats.JoinsDone != 0 {
				t.Errorf("joins: %+v", o.server.Stats)
			}
		}},
	{name: "30_token_of_a_join_spoiled", paths: 2,
		boxes: func(b *simtest.Bed) {
			b.Links[1].NearB(&sim.Alter{Pick: sim.Pick{Kinds: sim.SYN}, Options: wire.HasJoin, Edit: func(o []byte) { o[4] ^= 1 }})
		},
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			o.resetFor(t, wire.ResetMPTCP)
			if o.b.Server.Stack.Stats().JoinsUnknown == 0 || o.client.Stats.JoinsFailed == 0 {
				t.Errorf("joins: %+v, %+v", o.client.Stats, o.b.Server.Stack.Stats())
			}
		}},
	{name: "32_SYN_proxy", paths: 2,
		boxes: func(b *simtest.Bed) { b.Links[0].NearB(&sim.SYNProxy{Seed: 1}) },
		want:  plain},
	{name: "34_one_address_for_many_hosts", paths: 2, server: stack.Config{Conn: mptcp.Config{NoJoinHere: true}},
		boxes: func(b *simtest.Bed) { balance(b) },
		want: func(t *testing.T, o *outcome) {
			bothPaths(t, o)
			o.wantNoReset(t)
		}},
	{name: "36_subflows_to_different_hosts",
		boxes: func(b *simtest.Bed) {
			balance(b)
			// From a second address to the same, which leads to the other host.
			second := netip.MustParseAddr("10.0.1.77")
			b.Net.Attach(b.Client, second)
			b.Net.Route(b.Links[0], second, simtest.ServerAddr(0))
			b.Net.Route(b.Links[0], second, otherServer)
			must(t(b), b.Client.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: second, Bits: 24, Flags: mptcp.EndpointSubflow | mptcp.EndpointFullmesh}))
		},
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			o.resetFor(t, wire.ResetMPTCP)
			if o.client.Stats.JoinsFailed == 0 || o.joins > 3 {
				t.Errorf("%d joins, %+v", o.joins, o.client.Stats)
			}
		}},
}

// otherServer is a host behind the address of the server's first path.
var otherServer = netip.MustParseAddr("10.0.1.99")

// balance puts another host behind the server's first address. Connections go
// to the server, what comes after them to the other.
func balance(b *simtest.Bed) {
	other := simtest.NewHost("other", 9, stack.Config{})
	b.Net.Attach(other, otherServer)
	b.Net.Route(b.Links[0], simtest.ClientAddr(0), otherServer)
	must(t(b), other.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: otherServer}))
	_, err := other.Stack.Listen(netip.AddrPortFrom(otherServer, simtest.ServerPort), 0)
	must(t(b), err)
	b.Links[0].NearB(&sim.Balance{Virtual: simtest.ServerAddr(0), Hosts: []netip.Addr{simtest.ServerAddr(0), otherServer},
		Choose: func(n int, _ *wire.Segment) int { return min(n, 1) }})
}

func t(b *simtest.Bed) testing.TB { return b.T }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// idleThenMore lets a connection be idle until a NAT has forgotten it, and then
// one end send more.
func idleThenMore(t *testing.T, nat sim.NAT, cfg stack.Config, paths int, fromServer bool) (b *simtest.Bed, client, server *simtest.App, took time.Duration) {
	lines := []sim.LinkConfig{simtest.Line(10, 10*ms)}
	for len(lines) < paths {
		lines = append(lines, simtest.Line(10, 20*ms))
	}
	b = simtest.NewBed(t, 1, cfg, lines...)
	nats := translate(b, nat)
	b.Server.Serve = func(*mptcp.Conn) *simtest.App {
		server = &simtest.App{Send: simtest.Pattern(1000, 1)}
		return server
	}
	client = b.Dial(nil, &simtest.App{Send: simtest.Pattern(1000, 2)})
	b.Run("a little both ways", time.Minute, func() bool { return server != nil && client.Received.Len() == 1000 && server.Received.Len() == 1000 })
	must(t, b.Net.RunFor(time.Minute))
	if nats[0].Forgotten > 0 {
		t.Fatal("the NAT forgot the connection before it was asked")
	}
	now := b.Net.Now()
	from, to := client, server
	if fromServer {
		from, to = server, client
	}
	from.Send = simtest.Pattern(1000, 3)
	from.Step(now)
	b.Run("more after a minute", 5*time.Minute, func() bool { return to.Received.Len() == 2000 })
	took = b.Net.Now().Sub(now)
	for _, a := range []*simtest.App{client, server} {
		a.Shut, a.Close = true, true
		a.Step(b.Net.Now())
	}
	b.Run("the end", 10*time.Minute, func() bool { return client.Done() && server.Done() })
	b.Run("nothing is left", 10*time.Minute, b.Gone)
	return b, client, server, took
}

// TestMiddleboxNAT is row 23: a NAT forgets an idle connection.
func TestMiddleboxNAT(t *testing.T) {
	forgets := sim.NAT{Idle: 30 * time.Second}
	tells := sim.NAT{Idle: 30 * time.Second, Reset: true}
	t.Run("23_silence_on_the_only_path", func(t *testing.T) {
		_, client, _, took := idleThenMore(t, forgets, stack.Config{}, 1, false)
		if info := client.Conn.Info(testTime); info.Stats.JoinsDone == 0 {
			t.Errorf("want a new subflow: %+v", info.Stats)
		}
		if took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	t.Run("23_reset_on_the_only_path", func(t *testing.T) {
		_, client, _, took := idleThenMore(t, tells, stack.Config{}, 1, false)
		if info := client.Conn.Info(testTime); info.Stats.JoinsDone == 0 {
			t.Errorf("want a new subflow: %+v", info.Stats)
		}
		if took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	t.Run("23_silence_on_two_paths", func(t *testing.T) {
		_, _, _, took := idleThenMore(t, forgets, stack.Config{}, 2, false)
		if took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	t.Run("23_keepalive_where_asked_for", func(t *testing.T) {
		cfg := stack.Config{Conn: mptcp.Config{TCP: tcp.Config{KeepAlive: tcp.KeepAlive{Idle: 20 * time.Second}}}}
		_, client, _, took := idleThenMore(t, forgets, cfg, 1, true)
		if took > time.Second {
			t.Errorf("it took %v", took)
		}
		if info := client.Conn.Info(testTime); info.Stats.JoinsDone != 0 {
			t.Errorf("want the subflow kept: %+v", info.Stats)
		}
	})
}

// testTime is for snapshots where the time does not matter.
var testTime = sim.Epoch

// TestMiddleboxFastClose is row 31: the option of a fast close is stripped, and
// what is left is a reset of each subflow.
func TestMiddleboxFastClose(t *testing.T) {
	for name, paths := range map[string]int{"31_one_path": 1, "31_two_paths": 2} {
		t.Run(name, func(t *testing.T) {
			lines := []sim.LinkConfig{simtest.Line(10, 10*ms), simtest.Line(10, 15*ms)}[:paths]
			b := simtest.NewBed(t, 1, stack.Config{Conn: mptcp.Config{KeepWithoutSubflow: 20 * time.Second}}, lines...)
			for _, l := range b.Links {
				l.NearB(&sim.Strip{Options: wire.HasFastClose | wire.HasReset})
			}
			var server *simtest.App
			b.Server.Serve = func(*mptcp.Conn) *simtest.App {
				server = &simtest.App{Send: simtest.Pattern(10000, 1)}
				return server
			}
			client := b.Dial(nil, &simtest.App{})
			b.Run("data", time.Minute, func() bool { return client.Received.Len() == 10000 })
			must(t, b.Net.RunFor(time.Second))
			client.Abort(b.Net.Now())
			b.Run("the server notices", 2*time.Minute, func() bool { return server.Err != nil })
			if !errors.Is(server.Err, mptcp.ErrNoPath) && !errors.Is(server.Err, mptcp.ErrReset) {
				t.Errorf("got %v", server.Err)
			}
			server.Conn.Close(b.Net.Now())
			b.Run("nothing is left", 5*time.Minute, b.Gone)
		})
	}
}

// TestMiddleboxSimultaneousOpen is row 37.
func TestMiddleboxSimultaneousOpen(t *testing.T) {
	t.Run("37_same_ports", func(t *testing.T) {
		b := simtest.NewBed(t, 1, stack.Config{}, simtest.Line(10, 10*ms))
		c, s := netip.AddrPortFrom(simtest.ClientAddr(0), 7000), netip.AddrPortFrom(simtest.ServerAddr(0), 7000)
		one, err := b.Client.Dial(b.Net.Now(), c, s, nil, &simtest.App{Send: simtest.Pattern(100<<10, 1), Shut: true, Close: true})
		must(t, err)
		two, err := b.Server.Dial(b.Net.Now(), s, c, nil, &simtest.App{Send: simtest.Pattern(50<<10, 2), Shut: true, Close: true})
		must(t, err)
		b.Run("both ends read to the end", 5*time.Minute, func() bool { return one.Done() && two.Done() })
		if one.Received.Len() != 50<<10 || two.Received.Len() != 100<<10 {
			t.Errorf("got %d and %d bytes", one.Received.Len(), two.Received.Len())
		}
		for _, a := range []*simtest.App{one, two} {
			if info := a.Conn.Info(b.Net.Now()); info.Fallback != mptcp.SimultaneousOpen {
				t.Errorf("fallback %v", info.Fallback)
			}
		}
		b.Run("nothing is left", 10*time.Minute, b.Gone)
	})
}

// TestMiddleboxIPv6 is the rest of row 35: an announcement that fits only
// without a Data ACK beside it.
func TestMiddleboxIPv6(t *testing.T) {
	t.Run("35_IPv6_announcements", func(t *testing.T) {
		b := simtest.NewBed(t, 1, stack.Config{}, simtest.Line(10, 10*ms))
		c6, s6 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
		b.Net.Attach(b.Client, c6)
		b.Net.Attach(b.Server, s6)
		b.Net.Connect("six", c6, s6, simtest.Line(10, 15*ms), simtest.Line(10, 15*ms))
		must(t, b.Client.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: c6, Bits: 64, Flags: mptcp.EndpointSubflow}))
		must(t, b.Server.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: s6, Bits: 64, Flags: mptcp.EndpointSignal}))
		announced := 0
		b.Watch = func(_ time.Time, _ string, s *wire.Segment) {
			if s.Options.Has(wire.HasAddAddr) {
				announced++
				if len(s.Payload) > 0 || !s.Options.Has(wire.HasTimestamps) {
					t.Errorf("got %v", s)
				}
			}
		}
		client, _ := exchange(t, b, simtest.Pattern(400<<10, 1), simtest.Pattern(300<<10, 2), false)
		if info := client.Conn.Info(b.Net.Now()); info.Stats.JoinsDone != 1 || announced < 2 {
			t.Errorf("%d announcements, %+v", announced, info.Stats)
		}
		b.Run("nothing is left", 10*time.Minute, b.Gone)
	})
}
