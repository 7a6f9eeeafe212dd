package mptcp_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/wire"
)

// Sections 3.3.8 (priorities) and 3.4 (addresses).
var addressItems = []item{
	{"I1_backup_is_silent", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		g.send(prio(true))
		f.send(dataAck, window(3000))
		tc.write(string(make([]byte, 9000)))
		if n := sent(g); n != 0 {
			t.Errorf("got %d bytes on a backup", n)
		}
		if n := sent(f); n == 0 {
			t.Error("got no bytes on the other subflow")
		}
	}},
	{"I1_backup_takes_over", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		g.send(prio(true))
		tc.write("important")
		f.find("data on the subflow that is no backup", holds("important"))
		tc.advance(190 * time.Millisecond)
		g.find("and on the backup when nothing comes back", holds("important"), maps(2, 11))
	}},
	{"I2_MP_PRIO_changes_its_subflow", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(prio(true))
		tc.write("one")
		g.find("data elsewhere", holds("one"))
		g.send(dataAck)
		f.wantIdle("a backup")
		f.send(prio(false))
		g.send(prio(true))
		tc.write("two")
		f.find("data here again", holds("two"))
		g.wantIdle("a backup")
	}},
	{"I2_MP_PRIO_sent", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		tc.conn.SetBackup(tc.now, ourAddr(1), true)
		tc.pump()
		f.wantIdle("it is about the other subflow")
		isPrio := func(backup bool) check {
			return says(fmt.Sprintf("MP_PRIO %v without address ID", backup), func(o *wire.Options) bool {
				return o.Has(wire.HasPrio) && o.Prio.Backup == backup && !o.Prio.HasID
			})
		}
		g.want("MP_PRIO on the subflow itself", isACK, isPrio(true))
		tc.advance(time.Second)
		tc.conn.SetBackup(tc.now, ourAddr(1), false)
		tc.pump()
		g.want("and back", isACK, isPrio(false))
	}},
	{"I3_one_direction", func(t *testing.T) {
		tc, _, g := twoFlows(t, mptcp.Config{})
		g.send(prio(true))
		g.sendData("from the one who asked")
		tc.wantRead("data on a subflow that is a backup for us", "from the one who asked")
	}},
	{"I4_retired_without_loss", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(prio(true))
		tc.write("before")
		g.find("data elsewhere", holds("before"))
		g.send(dataAck, removeAddr(0))
		f.find("a probe", isACK, before)
		f.send(flags(wire.RST | wire.ACK))
		g.sendData("still")
		tc.wantRead("data of the other subflow", "still")
		tc.write("after")
		g.find("ours too", holds("after"))
	}},
	{"J3_wrong_HMAC", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		f := tc.client(nil)
		f.send(addAddr(2, peerAddr(1), 0), option(0, func(o *wire.Options) { o.AddAddr[0].HMAC[7] ^= 1 }))
		tc.advance(5 * time.Second)
		tc.wantIdle("silently ignored")
		if got := tc.info().Stats.BadAddAddr; got != 1 {
			t.Errorf("counted %d, want 1", got)
		}
	}},
	{"J3_version_0", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		f := tc.client(nil)
		f.send(option(wire.HasAddAddr, func(o *wire.Options) {
			o.AddAddrLen = 1
			o.AddAddr[0] = wire.AddAddr{Version: wire.V0, ID: 2, Addr: peerAddr(1)}
		}))
		tc.advance(5 * time.Second)
		tc.wantIdle("an announcement without HMAC")
	}},
	{"J4_one_address_for_an_id", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		tc.addAddress(2, mptcp.EndpointSubflow)
		f := tc.client(nil)
		f.send(addAddr(7, peerAddr(1), 0))
		tc.wantSYN("a join", isJoin(wire.JoinSYN))
		f.send(addAddr(7, peerAddr(2), 0))
		tc.wantNoSYN("the ID names another address already")
	}},
	{"J5_ids_from_joins_and_announcements", func(t *testing.T) {
		tc, f, g := joining(t)
		g.send(flags(wire.SYN|wire.ACK), synOptions, joinReply(2))
		g.want("third packet", isACK)
		g.send(dataAck)
		tc.addAddress(2, 0)
		h := tc.join(2) // its SYN says ID 3
		tc.skip()
		f.send(removeAddr(2))
		g.find("a probe where ADD_ADDR gave the ID", isACK, before)
		h.wantIdle("another ID")
		f.send(removeAddr(3))
		h.find("a probe where MP_JOIN gave the ID", isACK, before)
	}},
	{"J8_port", func(t *testing.T) {
		for _, port := range []uint16{0, 8443} {
			tc := newTestConn(t, mptcp.Config{})
			tc.addAddress(1, mptcp.EndpointSubflow)
			f := tc.client(nil)
			f.send(addAddr(2, peerAddr(1), port))
			want := max(port, otherPort)
			if port == 0 {
				want = otherPort
			}
			if g := tc.wantSYN("a join", isJoin(wire.JoinSYN)); g.local.Port() != want {
				t.Errorf("announced with port %d: joined port %d, want %d", port, g.local.Port(), want)
			}
		}
	}},
	{"J8_port_of_the_subflow_it_came_on", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		tc.addAddress(2, mptcp.EndpointSubflow)
		f := tc.client(nil)
		f.send(addAddr(2, peerAddr(1), 8443))
		g := tc.joined(1)
		g.send(addAddr(3, peerAddr(2), 0))
		if h := tc.wantSYN("a join", isJoin(wire.JoinSYN)); h.local.Port() != 8443 {
			t.Errorf("joined port %d, want that of the subflow which brought the address", h.local.Port())
		}
	}},
	{"J10_echo", func(t *testing.T) {
		for _, port := range []uint16{0, 8443} {
			tc := newTestConn(t, mptcp.Config{})
			f := tc.server()
			f.send(addAddr(2, peerAddr(1), port))
			f.find("the same option with E and no HMAC", isACK, says("echo", func(o *wire.Options) bool {
				return o.Has(wire.HasAddAddr) && o.AddAddrLen == 1 && o.AddAddr[0] == wire.AddAddr{
					Version: wire.V1, Echo: true, ID: 2, Addr: peerAddr(1), Port: port, HMAC: o.AddAddr[0].HMAC,
				}
			}))
			f.send(addAddr(2, peerAddr(1), port))
			tc.advance(time.Second)
			f.find("and again for a repetition", isACK, carriesAddAddr(true))
		}
	}},
	{"J10_repeated_until_echoed", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSignal)
		f := tc.accept()
		f.find("ADD_ADDR", isACK, carriesAddAddr(false))
		for i := range 3 {
			tc.advance(300 * time.Millisecond << i)
			f.find(fmt.Sprintf("ADD_ADDR, repetition %d", i+1), isACK, carriesAddAddr(false))
		}
		tc.advance(time.Minute)
		f.wantIdle("given up")

		tc = newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSignal)
		f = tc.accept()
		f.send(echo(f.find("ADD_ADDR", isACK, carriesAddAddr(false))))
		tc.skip()
		tc.advance(time.Minute)
		f.wantIdle("it was echoed")
	}},
	{"J10_HMAC_sent", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSignal)
		f := tc.accept()
		a := f.find("ADD_ADDR", isACK, carriesAddAddr(false)).Options.AddAddr[0]
		if want := wire.AddAddrHMAC(tc.ours, tc.key, &a); a.HMAC != want || a.ID != 2 || a.Addr != ourAddr(1) {
			t.Errorf("got %+v, want HMAC %x", a, want)
		}
	}},
	{"J12_same_id_another_address", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		tc.addAddress(2, mptcp.EndpointSubflow)
		f := tc.client(nil)
		f.send(addAddr(0, peerAddr(2), 0)) // ID 0 is the first subflow's
		tc.advance(time.Second)
		tc.wantNoSYN("ID 0 with another address")
	}},
	{"J13_new_port", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		f := tc.client(nil)
		f.send(addAddr(2, peerAddr(1), 8001))
		tc.joined(1)
		f.send(addAddr(2, peerAddr(1), 8002))
		if g := tc.wantSYN("a join to the new port", isJoin(wire.JoinSYN)); g.local.Port() != 8002 {
			t.Errorf("joined port %d, want 8002", g.local.Port())
		}
	}},
	{"J14_id_reused_after_removal", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		tc.addAddress(2, mptcp.EndpointSubflow)
		f := tc.client(nil)
		f.send(addAddr(7, peerAddr(1), 0))
		tc.wantSYN("a join", isJoin(wire.JoinSYN))
		f.send(removeAddr(7))
		f.send(addAddr(7, peerAddr(2), 0))
		if g := tc.wantSYN("a join to the new address", isJoin(wire.JoinSYN)); g.local.Addr() != peerAddr(2) {
			t.Errorf("joined %v", g.local)
		}
	}},
	{"J14_ids_of_ours_are_not_reused_soon", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		add := func(i int) {
			t.Helper()
			if err := tc.stack.AddAddress(tc.now, stack.Address{Addr: ourAddr(i), Flags: mptcp.EndpointSignal}); err != nil {
				t.Fatal(err)
			}
			tc.pump()
		}
		f := tc.server()
		seen := map[uint8]netip.Addr{}
		for i := 1; i < 6; i++ {
			add(i)
			tc.advance(time.Second)
			s := f.find("ADD_ADDR", isACK, carriesAddAddr(false))
			a := s.Options.AddAddr[0]
			if other, used := seen[a.ID]; used {
				t.Errorf("ID %d named %v, and now %v, though the peer may have missed the removal", a.ID, other, a.Addr)
			}
			seen[a.ID] = a.Addr
			f.send(echo(s))
			if err := tc.stack.RemoveAddress(tc.now, ourAddr(i)); err != nil {
				t.Fatal(err)
			}
			tc.pump()
			tc.advance(time.Second)
			tc.skip()
		}
	}},
	{"J15_removal_announced", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSignal)
		f := tc.accept()
		f.send(echo(f.find("ADD_ADDR", isACK, carriesAddAddr(false))))
		tc.skip()
		if err := tc.stack.RemoveAddress(tc.now, ourAddr(1)); err != nil {
			t.Fatal(err)
		}
		tc.pump()
		tc.advance(time.Second)
		f.find("REMOVE_ADDR though it was not used", isACK, removes(2))
	}},
	{"J15_of_the_first_address", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		if err := tc.stack.RemoveAddress(tc.now, ourAddr(0)); err != nil {
			t.Fatal(err)
		}
		tc.pump()
		f.want("a reset of its subflow", isRST)
		tc.advance(time.Second)
		g.find("REMOVE_ADDR with ID 0 on the other", isACK, removes(0))
		tc.write("goes on")
		g.find("data", holds("goes on"))
	}},
	{"J17_a_path_that_answers_stays", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(removeAddr(2))
		g.find("a keep-alive first", isACK, before)
		tc.advance(50 * time.Millisecond)
		g.send(dataAck) // answered
		tc.advance(time.Minute)
		g.wantIdle("not reset")
		if got := len(tc.info().Subflows); got != 2 {
			t.Errorf("got %d subflows, want 2", got)
		}
		g.sendData("alive")
		tc.wantRead("its data", "alive")
	}},
	{"J17_no_new_subflow_to_it", func(t *testing.T) {
		tc, f, g := joining(t)
		g.send(flags(wire.SYN|wire.ACK), synOptions, joinReply(2))
		g.want("third packet", isACK)
		g.send(dataAck)
		f.send(removeAddr(2))
		g.send(dataAck)
		g.send(flags(wire.RST | wire.ACK))
		tc.advance(5 * time.Minute)
		tc.wantNoSYN("the address was removed")
	}},
	{"J18_a_path_that_does_not_is_reset", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(removeAddr(2))
		tc.skip()
		tc.advance(3 * time.Second)
		g.find("a reset", isRST)
		tc.write("elsewhere")
		f.find("data on the other", holds("elsewhere"))
	}},
	{"J18_both_ends_reset", func(t *testing.T) {
		// When an address of ours goes, its subflow is reset by us as well.
		tc, _, g := twoFlows(t, mptcp.Config{})
		if err := tc.stack.RemoveAddress(tc.now, ourAddr(1)); err != nil {
			t.Fatal(err)
		}
		tc.pump()
		g.want("a reset", isRST)
	}},
	{"J19_unknown_id", func(t *testing.T) {
		tc, f, _ := twoFlows(t, mptcp.Config{})
		f.send(removeAddr(77, 78, 79))
		tc.advance(time.Minute)
		tc.wantIdle("it names nothing")
		if got := len(tc.info().Subflows); got != 2 {
			t.Errorf("got %d subflows, want 2", got)
		}
	}},
	{"J22_lists_of_one_connection", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		f := tc.client(nil)
		f.send(addAddr(2, peerAddr(1), 0))
		tc.wantSYN("a join of the connection it is for", isJoin(wire.JoinSYN))
		tc.next, tc.ack = 1, 1
		tc.client(nil)
		tc.advance(time.Second)
		for {
			g, s := tc.newSYN()
			if g == nil {
				break
			}
			if s.Options.Has(wire.HasJoin) && tc.conn.LocalAddr().Port() == s.Src.Port() {
				t.Errorf("the other connection joins too: %v", s)
			}
		}
	}},
	{"J23_addresses_of_the_first_subflow", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(flags(wire.RST | wire.ACK))
		g.sendData("x")
		if l, r := tc.conn.LocalAddr(), tc.conn.RemoteAddr(); l != f.remote || r != f.local {
			t.Errorf("got %v and %v, want %v and %v for ever", l, r, f.remote, f.local)
		}
	}},
	{"L4_many_addresses", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{MaxAddrAccepted: 3})
		tc.addAddress(1, mptcp.EndpointSubflow|mptcp.EndpointFullmesh)
		f := tc.client(nil)
		for id := range 255 {
			f.send(addAddr(uint8(id+1), netip.AddrFrom4([4]byte{192, 0, 2, byte(id)}), 0))
		}
		victims := map[netip.Addr]bool{}
		syns := 0
		for range 600 {
			tc.advance(time.Second)
			f.send(dataAck)
			for {
				g, s := tc.newSYN()
				if g == nil {
					break
				}
				if s.Dst.Addr() != peerAddr(0) {
					victims[s.Dst.Addr()] = true
					syns++
				}
			}
			tc.said = nil
		}
		if len(victims) > 3 {
			t.Errorf("got SYNs to %d addresses, want at most 3", len(victims))
		}
		if syns > 3*40 {
			t.Errorf("got %d SYNs in ten minutes to three addresses", syns)
		}
	}},
	{"L4_announced_again_and_again", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		f := tc.client(nil)
		syns := 0
		for i := range 600 {
			f.send(addAddr(2, peerAddr(1), uint16(1+i)))
			tc.advance(time.Second)
			for {
				g, _ := tc.newSYN()
				if g == nil {
					break
				}
				syns++
				g.send(flags(wire.RST|wire.ACK), acking(1))
			}
			tc.said = nil
		}
		if syns < 3 || syns > 20 {
			t.Errorf("got %d SYNs in ten minutes, want a few", syns)
		}
	}},
}

// carriesAddAddr checks for one ADD_ADDR, an echo or not.
func carriesAddAddr(echo bool) check {
	return says(fmt.Sprintf("ADD_ADDR, echo %v", echo), func(o *wire.Options) bool {
		return o.Has(wire.HasAddAddr) && o.AddAddrLen == 1 && o.AddAddr[0].Echo == echo
	})
}

// removes checks for a REMOVE_ADDR with one ID.
func removes(id uint8) check {
	return says(fmt.Sprintf("REMOVE_ADDR %d", id), func(o *wire.Options) bool {
		return o.Has(wire.HasRemoveAddr) && o.RemoveAddr.Len == 1 && o.RemoveAddr.IDs[0] == id
	})
}

// echo answers an ADD_ADDR of the stack.
func echo(s *wire.Segment) part {
	return option(wire.HasAddAddr, func(o *wire.Options) {
		o.AddAddrLen = 1
		o.AddAddr[0] = s.Options.AddAddr[0]
		o.AddAddr[0].Echo = true
	})
}
