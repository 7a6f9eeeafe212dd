package mptcp_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Section 3.2: additional subflows.
var joinItems = []item{
	{"C4_id_0_is_the_first_subflow", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		tc.server()
		local := netip.AddrPortFrom(peerAddr(0), 6000)
		f := tc.newFlow(local, netip.AddrPortFrom(ourAddr(0), ourPort))
		f.send(flags(wire.SYN), synOptions, option(wire.HasJoin, func(o *wire.Options) {
			o.Join = wire.Join{ID: 0, Token: wire.Token(tc.ours, wire.V1), Nonce: f.nonce}
		}))
		f.want("ID 0 from the first subflow's address", isSYNACK, isJoin(wire.JoinSYNACK), joinID(0))
		tc.joinSYN(1).want("an ID of its own from another", isSYNACK, isJoin(wire.JoinSYNACK), joinID(2))
	}},
	{"C4_ids_are_remembered", func(t *testing.T) {
		tc, f, g := joining(t)
		g.send(flags(wire.SYN|wire.ACK), synOptions, joinReply(9))
		g.want("the third packet", isJoin(wire.JoinACK))
		g.send(dataAck)
		for _, sf := range tc.info().Subflows {
			if sf.Local.Addr() == ourAddr(1) && (sf.LocalID != 2 || sf.RemoteID != 9) {
				t.Errorf("got IDs %d and %d, want 2 and 9", sf.LocalID, sf.RemoteID)
			}
		}
		f.send(removeAddr(9))
		g.find("a probe of the subflow with that ID", isACK, before)
	}},
	{"C5_one_id_for_each_address", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow|mptcp.EndpointSignal)
		tc.addAddress(2, mptcp.EndpointSubflow|mptcp.EndpointSignal)
		f := tc.client(nil)
		f.send(addAddr(2, peerAddr(1), 0))
		f.send(addAddr(3, peerAddr(2), 0))
		ids := map[netip.Addr]uint8{}
		for range 2 {
			g, s := tc.newSYN()
			if g == nil {
				t.Fatal("want joins from both addresses")
			}
			ids[s.Src.Addr()] = s.Options.Join.ID
		}
		for range 4 {
			tc.advance(time.Second)
		}
		for s := f.take(); s != nil; s = f.take() {
			if a := &s.Options.AddAddr[0]; s.Options.Has(wire.HasAddAddr) && !a.Echo && ids[a.Addr] != a.ID {
				t.Errorf("%v is announced as %d and joined from as %d", a.Addr, a.ID, ids[a.Addr])
			}
		}
		if ids[ourAddr(1)] != 2 || ids[ourAddr(2)] != 3 {
			t.Errorf("got IDs %v", ids)
		}
	}},
	{"C6_known_token", func(t *testing.T) {
		both(func() *testConn {
			tc := newTestConn(t, mptcp.Config{})
			tc.addAddress(1, 0)
			return tc
		}, func(tc *testConn, _ *testFlow) {
			tc.joinSYN(1).want("a known token is answered", isSYNACK, carries(wire.HasJoin), isJoin(wire.JoinSYNACK))
		})
	}},
	{"C6_configured_as_its_connection", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.listen.SetConfig(mptcp.Config{TCP: tcp.Config{NoSACK: true}})
		tc.addAddress(1, 0)
		tc.server()
		g := tc.joinSYN(1, option(wire.HasSACKPermitted, nil))
		g.want("no SACK, as on the first subflow", isSYNACK, isJoin(wire.JoinSYNACK),
			says("SACK refused", func(o *wire.Options) bool { return !o.Has(wire.HasSACKPermitted) }))
	}},
	{"C7_unknown_token", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		tc.server()
		tc.ours++ // whose token is another
		tc.joinSYN(1).want("an unknown token is reset", isRST, carries(wire.HasReset), resetFor(wire.ResetMPTCP))
		if got := tc.stack.Stats().JoinsUnknown; got != 1 {
			t.Errorf("counted %d, want 1", got)
		}
	}},
	{"C7_token_of_a_connection_fallen_back", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		f := tc.syn(capable(0))
		tc.ours = f.want("SYN/ACK", isSYNACK).Options.Capable.SenderKey
		f.send()
		tc.wantFallback("no option in the third packet", mptcp.NoThirdAck)
		tc.joinSYN(1).want("the token means nothing any more", isRST, resetFor(wire.ResetMPTCP))
	}},
	{"C7_too_many_subflows", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{MaxSubflows: 2})
		tc.addAddress(1, 0)
		tc.addAddress(2, 0)
		tc.server()
		tc.join(1)
		tc.joinSYN(2).want("a third subflow is refused for now", isRST, resetFor(wire.ResetNoResources),
			says("T", func(o *wire.Options) bool { return o.Reset.Transient }))
		if got := tc.stack.Stats().JoinsRefused; got != 1 {
			t.Errorf("counted %d, want 1", got)
		}
	}},
	{"C8_wrong_proof_in_answer", func(t *testing.T) {
		tc, _, g := joining(t)
		g.send(flags(wire.SYN|wire.ACK), synOptions, joinReply(2), option(0, func(o *wire.Options) { o.Join.HMAC[7] ^= 1 }))
		g.want("a reset", isRST, resetFor(wire.ResetMPTCP))
		wantJoinFailed(tc)
	}},
	{"C9_reason_of_resets", func(t *testing.T) {
		tc, _, g := joining(t)
		g.send(flags(wire.SYN|wire.ACK), synOptions)
		g.want("MP_TCPRST on the reset of a join", isRST, carries(wire.HasReset), resetFor(wire.ResetMPTCP))
		tc.addAddress(2, 0)
		g = tc.joinSYN(2)
		g.want("SYN/ACK", isSYNACK, isJoin(wire.JoinSYNACK))
		g.send()
		g.want("MP_TCPRST on the reset of the peer's", isRST, carries(wire.HasReset), resetFor(wire.ResetMPTCP))
	}},
	{"C10_wrong_proof_in_third_packet", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		f := tc.server()
		g := tc.joinSYN(1)
		g.want("SYN/ACK", isSYNACK, isJoin(wire.JoinSYNACK))
		g.send(joinAck, option(0, func(o *wire.Options) { o.Join.HMAC[19] ^= 1 }))
		g.want("a reset", isRST, resetFor(wire.ResetMPTCP))
		wantJoinFailed(tc)
		tc.write("still")
		f.want("data on the first subflow", holds("still"))
	}},
	{"C10_no_proof_in_third_packet", func(t *testing.T) {
		for name, with := range map[string][]part{
			"no option": {}, "another option": {dataAck}, "data": {payload("x"), mapTo(2), dataAck},
		} {
			tc := newTestConn(t, mptcp.Config{})
			tc.addAddress(1, 0)
			tc.server()
			g := tc.joinSYN(1)
			g.want("SYN/ACK", isSYNACK, isJoin(wire.JoinSYNACK))
			g.send(with...)
			g.want("a reset for "+name, isRST, resetFor(wire.ResetMPTCP))
			wantJoinFailed(tc)
			tc.wantRead("nothing of that segment", "")
		}
	}},
	{"C11_answer_without_option", func(t *testing.T) {
		tc, f, g := joining(t)
		g.send(flags(wire.SYN|wire.ACK), synOptions)
		g.want("a reset, not a fallback", isRST)
		wantJoinFailed(tc)
		tc.write("still")
		f.want("data on the first subflow", holds("still"), carries(wire.HasDSS))
	}},
	{"C12_third_packet_until_answered", func(t *testing.T) {
		tc, _, g := joining(t)
		g.send(flags(wire.SYN|wire.ACK), synOptions, joinReply(2))
		for i := range 5 {
			g.want(fmt.Sprintf("third packet, time %d", i+1), isACK, isJoin(wire.JoinACK))
			g.wantIdle(fmt.Sprintf("no more of time %d", i+1))
			tc.advance(210 * time.Millisecond << i)
		}
		g.send(dataAck)
		tc.skip()
		tc.advance(time.Minute)
		g.wantIdle("the fourth packet came")
	}},
	{"C12_third_packet_answered_at_once", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		tc.server()
		g := tc.joinSYN(1)
		g.want("SYN/ACK", isSYNACK, isJoin(wire.JoinSYNACK))
		for range 5 {
			g.send(joinAck)
			g.want("the fourth packet at once", isACK, carries(wire.HasDSS))
		}
	}},
	{"C12_answer_repeated", func(t *testing.T) {
		tc, _, g := joining(t)
		g.send(flags(wire.SYN|wire.ACK), synOptions, joinReply(2))
		g.want("third packet", isACK, isJoin(wire.JoinACK))
		g.send(flags(wire.SYN|wire.ACK), at(0), synOptions, joinReply(2))
		g.want("third packet for a SYN/ACK sent again", isACK, isJoin(wire.JoinACK))
		g.send(dataAck)
		if len(tc.info().Subflows) != 2 {
			t.Error("the subflow is gone")
		}
	}},
	{"C13_no_data_before_fourth_packet", func(t *testing.T) {
		tc, f, g := joining(t)
		f.send(dataAck, window(1<<10))
		g.send(flags(wire.SYN|wire.ACK), synOptions, joinReply(2))
		g.want("third packet", isACK, isJoin(wire.JoinACK))
		// The first subflow's window leaves no choice but the second.
		tc.write(string(make([]byte, 4<<10)))
		g.wantIdle("the peer has not confirmed the subflow")
		g.send(dataAck)
		g.find("data now", isData, carries(wire.HasDSS))
	}},
	{"C14_port_without_listener", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		tc.server()
		f := tc.newFlow(netip.AddrPortFrom(peerAddr(1), peerPort), netip.AddrPortFrom(ourAddr(1), 4444))
		f.send(flags(wire.SYN), synOptions, option(wire.HasJoin, func(o *wire.Options) {
			o.Join = wire.Join{ID: 2, Token: wire.Token(tc.ours, wire.V1), Nonce: f.nonce}
		}))
		f.want("a join to a port where nobody listens", isSYNACK, isJoin(wire.JoinSYNACK))
		f.send(joinAck)
		f.want("the fourth packet", isACK, carries(wire.HasDSS))
	}},
	{"C15_no_accept_for_a_subflow", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		tc.server()
		tc.events = nil
		g := tc.join(1)
		for _, ev := range tc.events {
			if ev.Kind == stack.Acceptable {
				t.Error("a join came out of Accept")
			}
		}
		tc.wantEvent("the subflow is reported", stack.SubflowUp)
		g.sendData("by the other way")
		tc.wantRead("data of the join belongs to the connection", "by the other way")
	}},
	{"C16_flag_B_received", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		f := tc.server()
		g := tc.join(1, option(0, func(o *wire.Options) { o.Join.Backup = true }))
		tc.skip()
		f.send(dataAck, window(1))
		tc.write("xyz")
		g.wantIdle("a backup while the other subflow is there")
		f.send(flags(wire.RST|wire.ACK), at(f.next))
		g.find("data when it is not", isData)
	}},
	{"C16_flag_B_sent", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow|mptcp.EndpointBackup)
		f := tc.client(nil)
		f.send(addAddr(2, peerAddr(1), 0))
		tc.wantSYN("B in our SYN", isJoin(wire.JoinSYN), says("B", func(o *wire.Options) bool { return o.Join.Backup }))
		tc = newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointBackup)
		tc.server()
		tc.joinSYN(1).want("B in our SYN/ACK", isSYNACK, says("B", func(o *wire.Options) bool { return o.Join.Backup }))
	}},
	{"C17_failed_join_is_not_repeated", func(t *testing.T) {
		for name, answer := range map[string][]part{
			"refused":         {flags(wire.RST | wire.ACK), acking(1)},
			"without option":  {flags(wire.SYN | wire.ACK), synOptions},
			"forbidden there": {flags(wire.RST | wire.ACK), acking(1), tcpRST(wire.ResetProhibited, false)},
		} {
			tc, f, g := joining(t)
			g.send(answer...)
			tc.skip()
			tc.advance(10 * time.Minute)
			tc.wantNoSYN(name + ": it is left at that")
			f.send(addAddr(2, peerAddr(1), 0))
			tc.advance(time.Minute)
			tc.wantSYN(name+": tried again for a fresh announcement", isJoin(wire.JoinSYN))
		}
	}},
	{"C18_ports", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		f := tc.client(nil)
		f.send(addAddr(2, peerAddr(1), 0))
		g := tc.wantSYN("a join", isJoin(wire.JoinSYN))
		if g.local.Port() != f.local.Port() || g.remote.Port() != f.remote.Port() {
			t.Errorf("the join is from %v to %v, the first subflow from %v to %v", g.remote, g.local, f.remote, f.local)
		}
	}},
}

// joining is a connection of the stack that has begun a join of its own from
// its second address to the peer's.
func joining(t *testing.T) (tc *testConn, f, g *testFlow) {
	tc = newTestConn(t, mptcp.Config{})
	tc.addAddress(1, mptcp.EndpointSubflow)
	f = tc.client(nil)
	// Everything is on link: the second address reaches the peer's second.
	f.send(addAddr(2, peerAddr(1), 0))
	g = tc.wantSYN("a join", carries(wire.HasJoin), isJoin(wire.JoinSYN))
	tc.skip()
	return tc, f, g
}

func wantJoinFailed(tc *testConn) {
	tc.t.Helper()
	if got := tc.info().Stats.JoinsFailed; got != 1 {
		tc.t.Errorf("got %d joins failed, want 1", got)
	}
	if got := len(tc.info().Subflows); got != 1 {
		tc.t.Errorf("got %d subflows, want 1", got)
	}
	tc.wantMultipath("after a join that failed")
}

// joinID checks the address ID.
func joinID(want uint8) check {
	return says(fmt.Sprintf("address ID %d", want), func(o *wire.Options) bool { return o.Join.ID == want })
}

// before checks that a segment lies below what the peer has acknowledged, so
// that it has to be answered.
var before = wants("a place before the window", func(f *testFlow, s *wire.Segment) bool { return f.pos(s) < f.ack })
