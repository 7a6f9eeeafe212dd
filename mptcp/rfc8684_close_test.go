package mptcp_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/wire"
)

// Sections 3.3.3 (closing), 3.5 (fast close) and 3.6 (resets).
var closeItems = []item{
	{"F1_DATA_FIN_with_data", func(t *testing.T) {
		both(func() *testConn { return newTestConn(t, mptcp.Config{}) }, func(tc *testConn, f *testFlow) {
			f.send(dataAck)
			if n, err := tc.conn.Write(tc.now, []byte("ten bytes.")); n != 10 || err != nil {
				t.Fatal(n, err)
			}
			tc.conn.CloseWrite(tc.now)
			tc.pump()
			s := f.find("ten bytes and DATA_FIN", holds("ten bytes."), carries(wire.HasDSS), isDataFin, maps(2, 13))
			if s.Flags.Has(wire.FIN) {
				t.Error("the subflow was closed too")
			}
			if got := f.ack - f.pos(s); got != 10 {
				t.Errorf("got %d places in the subflow, want 10", got)
			}
		})
	}},
	{"F1_DATA_FIN_received_with_data", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		f.send(payload("last"), mapTo(2), dataFin(6), dataAck)
		f.find("a Data ACK of both", acksData(7))
		tc.wantRead("the last bytes", "last")
		tc.wantEnd("and the end", io.EOF)
	}},
	{"F2_DATA_FIN_alone", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		tc.skip()
		tc.conn.CloseWrite(tc.now)
		tc.pump()
		f.want("DATA_FIN: SSN 0, length 1", isACK, carries(wire.HasDSS), isDataFin, maps(2, 3),
			says("SSN 0", func(o *wire.Options) bool { return o.DSS.SSN == 0 && o.DSS.Len == 1 }))
		f.send(dataFin(2), dataAck)
		f.find("the peer's acknowledged", acksData(3))
		tc.wantEnd("the end of its stream", io.EOF)
	}},
	{"F2_checksum", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{Checksum: true})
		tc.checksum = true
		f := tc.server()
		tc.skip()
		tc.conn.CloseWrite(tc.now)
		tc.pump()
		want := wire.DSSChecksum(tc.ourDSN(2), 0, 1, 0)
		f.want("DATA_FIN with the pseudo header's checksum", isDataFin, says("it", func(o *wire.Options) bool {
			return o.DSS.HasChecksum && o.DSS.Checksum == want
		}))
		f.send(dataFin(2), dataAck)
		tc.wantEnd("the end of the peer's", io.EOF)
	}},
	{"F3_acknowledged_after_all_data", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		g.send(payload("def"), mapTo(5), dataFin(8), dataAck)
		g.find("no Data ACK with bytes missing", acksData(2))
		tc.wantRead("nothing yet", "")
		f.send(payload("abc"), mapTo(2), dataAck)
		f.find("a Data ACK of all", acksData(9))
		tc.wantRead("all", "abcdef")
		tc.wantEnd("and the end", io.EOF)
	}},
	{"F4_subflows_stay_until_all_is_acknowledged", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(dataFin(2), dataAck)
		tc.write("not acknowledged at data level")
		tc.conn.Close(tc.now)
		tc.pump()
		for range 3 {
			for _, x := range tc.flows {
				for s := x.take(); s != nil; s = x.take() {
					if s.Flags.Has(wire.FIN) || s.Flags.Has(wire.RST) {
						t.Fatalf("got %v before the Data ACK", s)
					}
				}
			}
			f.send(dataAckAt(2)) // on the subflow alone
			g.send(dataAckAt(2))
			tc.advance(time.Second)
		}
		tc.ack-- // all but the DATA_FIN
		f.send(dataAck)
		for _, x := range tc.flows {
			for s := x.take(); s != nil; s = x.take() {
				if s.Flags.Has(wire.FIN) {
					t.Errorf("got %v with the DATA_FIN outstanding", s)
				}
			}
		}
		tc.ack++
		f.send(dataAck)
		tc.advance(time.Second)
		f.find("FIN once that is acknowledged", isFIN)
	}},
	{"F5_subflows_closed_behind_DATA_FINs", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		tc.conn.Close(tc.now)
		tc.pump()
		tc.skip()
		f.send(dataAck)
		tc.skip()
		f.send(dataFin(2), dataAck)
		f.find("FIN on the first subflow", isFIN, acksData(3))
		g.find("FIN on the other", isFIN, acksData(3))
		tc.wantEvent("it is over", stack.Closed)
		if err := tc.conn.Err(); err != nil {
			t.Errorf("got %v", err)
		}
	}},
	{"F6_FIN_on_every_subflow", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		g.send(prio(true)) // also one that is not used
		endBoth(tc, f)
		f.find("FIN", isFIN)
		g.find("FIN", isFIN)
		for _, x := range tc.flows {
			x.send(flags(wire.FIN | wire.ACK))
			x.find("its ACK", isACK)
		}
		tc.advance(5 * time.Minute)
		if n := tc.stack.Stats().Connections; n != 0 {
			t.Errorf("%d connections left", n)
		}
	}},
	{"F6_late_data_is_taken", func(t *testing.T) {
		// What the peer had to send again on a subflow of its own arrived by
		// another; the subflow that finds it so is closed like any other.
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(payload("data"), mapTo(2), dataAck)
		tc.wantRead("it", "data")
		tc.next = 6
		endBoth(tc, f)
		g.find("FIN", isFIN)
		g.send(payload("data"), mapTo(2), dataAck)
		g.want("an ACK", isACK)
		g.send(flags(wire.FIN | wire.ACK))
		g.want("an ACK of the FIN", isACK)
	}},
	{"F3_DATA_FINs_that_wait_for_each_other", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		tc.conn.CloseWrite(tc.now)
		tc.pump()
		tc.skip()
		for range 10 { // data before them is missing at both ends
			g.send(dataFin(100), dataAckAt(1))
			g.want("one answer, and not a DATA_FIN of ours that asks for another", isACK, acksData(2),
				says("no DATA_FIN", func(o *wire.Options) bool { return !o.DSS.Fin }))
			tc.wantIdle("no more")
		}
		tc.advance(2 * time.Second)
		f.find("ours again in time", isDataFin)
	}},
	{"F7_stale_data_reset", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(dataAck)
		tc.write("stuck on one subflow")
		dead, alive := f, g
		if f.take() == nil {
			dead, alive = g, f
		}
		tc.advance(2 * time.Second)
		for alive.take() != nil {
		}
		tc.skip()
		endBoth(tc, alive)
		alive.find("FIN where all is well", isFIN)
		tc.advance(5 * time.Second)
		dead.find("a reset where data is stuck", isRST, resetFor(wire.ResetOutstanding))
	}},
	{"F8_closed_when_both_DATA_FINs_are_acknowledged", func(t *testing.T) {
		both(func() *testConn { return newTestConn(t, mptcp.Config{}) }, func(tc *testConn, f *testFlow) {
			endBoth(tc, f)
			f.find("FIN", isFIN)
			f.send(flags(wire.FIN | wire.ACK))
			f.find("its ACK", isACK)
			if _, ok := tc.conn.Token(); !ok {
				t.Error("it was no MPTCP connection")
			}
			st := tc.stack.Stats()
			if st.TimeWaits+st.Connections == 0 {
				t.Error("no TIME-WAIT although we closed first")
			}
			f.send(flags(wire.FIN|wire.ACK), at(f.next-1))
			f.find("a FIN that comes again is answered", isACK)
			tc.advance(5 * time.Minute)
			if st := tc.stack.Stats(); st.TimeWaits+st.Connections != 0 {
				t.Errorf("left behind: %+v", st)
			}
		})
	}},
	{"F8_token_is_free", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		endBoth(tc, tc.server())
		tc.joinSYN(1).find("a join to a connection that is over", isRST, resetFor(wire.ResetMPTCP))
	}},
	{"F9_kept_without_subflow", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{KeepWithoutSubflow: 30 * time.Second})
		f := tc.server()
		f.send(flags(wire.RST | wire.ACK))
		tc.advance(29 * time.Second)
		tc.wantMultipath("without a subflow")
		tc.addAddress(1, 0)
		g := tc.join(1)
		g.sendData("back")
		tc.wantRead("data of a subflow that came later", "back")
		g.send(flags(wire.RST | wire.ACK))
		tc.advance(31 * time.Second)
		tc.wantEnd("none comes", mptcp.ErrNoPath)
		tc.wantEvent("it is over", stack.Closed)
	}},
	{"F9_ends_in_time_though_joins_are_tried", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{KeepWithoutSubflow: 30 * time.Second})
		f := tc.client(nil)
		f.send(flags(wire.RST | wire.ACK))
		tc.advance(29 * time.Second)
		tc.wantMultipath("without a subflow")
		tc.wantSYN("a join is tried", isJoin(wire.JoinSYN))
		tc.advance(20 * time.Second)
		tc.wantEnd("none succeeds", mptcp.ErrNoPath)
	}},
	{"F9_peer_does_not_know_us", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.client(nil)
		f.send(flags(wire.RST | wire.ACK))
		tc.advance(2 * time.Second)
		g := tc.wantSYN("a join is tried", isJoin(wire.JoinSYN))
		g.send(flags(wire.RST|wire.ACK), acking(1), tcpRST(wire.ResetMPTCP, false))
		tc.wantEnd("the peer has lost the connection", mptcp.ErrReset)
	}},
	{"F10_half_close", func(t *testing.T) {
		both(func() *testConn { return newTestConn(t, mptcp.Config{}) }, func(tc *testConn, f *testFlow) {
			f.send(dataFin(2), dataAck)
			tc.wantEnd("the peer's stream is over", io.EOF)
			tc.skip()
			for range 5 {
				tc.write(strings.Repeat("more", 100))
				f.find("ours is not", holds(strings.Repeat("more", 100)))
				f.send(dataAck)
			}
			tc.conn.CloseWrite(tc.now)
			tc.pump()
			f.find("DATA_FIN", isDataFin)
			f.send(dataAck)
			f.wantIdle("the peer, who was first, has a moment to close the subflow")
			tc.advance(time.Second)
			f.find("FIN", isFIN)
		})
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		tc.conn.CloseWrite(tc.now)
		tc.pump()
		f.find("DATA_FIN", isDataFin)
		f.send(dataAck)
		for range 5 {
			f.sendData("theirs")
			tc.wantRead("the peer's stream goes on", "theirs")
		}
	}},
	{"G1_key_of_the_receiver", func(t *testing.T) {
		both(func() *testConn { return newTestConn(t, mptcp.Config{}) }, func(tc *testConn, f *testFlow) {
			tc.skip()
			tc.conn.Abort(tc.now)
			tc.pump()
			f.want("a reset with MP_FASTCLOSE and the peer's key", isRST, carries(wire.HasFastClose),
				says("its key", func(o *wire.Options) bool { return o.FastClose.ReceiverKey == tc.key }))
			tc.wantIdle("that is all")
		})
	}},
	{"G3_on_all_subflows", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		tc.conn.Abort(tc.now)
		tc.pump()
		for _, x := range []*testFlow{f, g} {
			x.want("RST and MP_FASTCLOSE", isRST, carries(wire.HasFastClose))
		}
		tc.wantEnd("closed at once", mptcp.ErrAborted)
		if n := tc.stack.Stats().Connections; n != 0 {
			t.Errorf("%d connections left", n)
		}
	}},
	{"G4_on_an_ACK", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(fastClose, dataAck)
		f.want("a reset", isRST)
		g.want("and on the other subflow", isRST)
		tc.wantEnd("closed", mptcp.ErrReset)
		if n := tc.stack.Stats().Connections; n != 0 {
			t.Errorf("%d connections left", n)
		}
	}},
	{"G4_on_a_reset", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(flags(wire.RST|wire.ACK), fastClose)
		f.wantIdle("a reset is not answered")
		g.want("a reset on the other subflow", isRST)
		tc.wantEnd("closed", mptcp.ErrReset)
	}},
	{"G5_wrong_key", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		wrong := option(wire.HasFastClose, func(o *wire.Options) { o.FastClose.ReceiverKey = 0xbad })
		f.send(wrong)
		g.send(flags(wire.RST|wire.ACK), wrong) // ends its subflow, as any RST
		tc.wantMultipath("a wrong key")
		f.sendData("abc")
		tc.wantRead("data on the first", "abc")
		if info := tc.info(); len(info.Subflows) != 1 || info.Stats.BadFastClose != 2 {
			t.Errorf("got %d subflows and %d wrong keys, want 1 and 2", len(info.Subflows), info.Stats.BadFastClose)
		}
	}},
	{"H1_reason_told", func(t *testing.T) {
		tc, _, g := twoFlows(t, mptcp.Config{})
		tc.events = nil
		g.send(flags(wire.RST|wire.ACK), tcpRST(wire.ResetPerformance, true))
		for _, ev := range tc.events {
			if ev.Kind == stack.SubflowDown {
				if sf := ev.Subflow; !sf.Reset || sf.ResetReason != wire.ResetPerformance || !errors.Is(sf.Err, mptcp.ErrReset) {
					t.Errorf("got %+v", sf)
				}
				return
			}
		}
		t.Error("no event of a subflow that went down")
	}},
	{"H2_unused_flags_sent_zero", func(t *testing.T) {
		tc, _, g := twoFlows(t, mptcp.Config{})
		tc.checksum = true
		g.send(payload("x"), mapTo(2), dataAck)
		s := g.want("a reset", isRST, carries(wire.HasReset))
		b := wire.AppendOptions(nil, &s.Options)
		if b[2] != 0x80 || b[3] != byte(wire.ResetMPTCP) {
			t.Errorf("got % x", b)
		}
	}},
	{"H3_transient", func(t *testing.T) {
		tc, _, g := joining(t)
		g.send(flags(wire.RST|wire.ACK), acking(1), tcpRST(wire.ResetNoResources, true))
		tc.wantNoSYN("a refusal for now is not answered at once")
		tc.advance(2 * time.Second)
		tc.wantSYN("but soon", isJoin(wire.JoinSYN))
	}},
	{"H4_not_transient", func(t *testing.T) {
		for _, up := range []bool{false, true} {
			tc, _, g := joining(t)
			if up {
				g.send(flags(wire.SYN|wire.ACK), synOptions, joinReply(2))
				g.want("third packet", isACK)
				g.send(dataAck)
				g.send(flags(wire.RST|wire.ACK), tcpRST(wire.ResetProhibited, false))
			} else {
				g.send(flags(wire.RST|wire.ACK), acking(1), tcpRST(wire.ResetProhibited, false))
			}
			tc.advance(5 * time.Minute)
			tc.wantNoSYN("this path is not to be used again")
		}
	}},
	{"H5_reasons_sent", func(t *testing.T) {
		got := map[wire.ResetReason]bool{}
		see := func(f *testFlow) {
			t.Helper()
			got[f.find("a reset", isRST, carries(wire.HasReset)).Options.Reset.Reason] = true
		}
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(removeAddr(2)) // 0: nothing is wrong with a path that is given up
		tc.advance(3 * time.Second)
		see(g)
		tc, _, g = twoFlows(t, mptcp.Config{}) // 1
		tc.checksum = true
		g.send(payload("x"), mapTo(2), dataAck)
		see(g)
		tc, _, _ = twoFlows(t, mptcp.Config{MaxSubflows: 2}) // 2
		tc.addAddress(2, 0)
		see(tc.joinSYN(2))
		_, dead := deadFlow(t, mptcp.Config{SubflowTimeout: 5 * time.Second}) // 5
		see(dead)
		tc, _, g = twoFlows(t, mptcp.Config{}) // 6
		g.send(payload("no mapping"))
		tc.advance(3 * time.Second)
		see(g)
		for _, reason := range []wire.ResetReason{wire.ResetUnspecified, wire.ResetMPTCP, wire.ResetNoResources, wire.ResetPerformance, wire.ResetMiddlebox} {
			if !got[reason] {
				t.Errorf("never sent: %v", reason)
			}
		}
	}},
}

var isDataFin = says("DATA_FIN", func(o *wire.Options) bool { return o.Has(wire.HasDSS) && o.DSS.Fin })

// endBoth ends both streams over one subflow, up to the last Data ACKs.
func endBoth(tc *testConn, f *testFlow) {
	tc.t.Helper()
	tc.conn.Close(tc.now)
	tc.pump()
	f.find("DATA_FIN", isDataFin)
	f.send(dataFin(tc.next), dataAck)
	tc.next++
}
