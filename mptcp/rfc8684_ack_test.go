package mptcp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// Sections 3.3.2 and 3.3.4 to 3.3.6: Data ACKs, windows, reliability.
var ackItems = []item{
	{"E1_cumulative", func(t *testing.T) {
		_, f, g := twoFlows(t, mptcp.Config{})
		f.send(payload("c"), mapTo(4), dataAck)
		f.want("the gap named", acksData(2))
		g.send(payload("b"), mapTo(3), dataAck)
		g.want("still the gap", acksData(2))
		f.send(payload("a"), mapTo(2), dataAck)
		f.want("all of it", acksData(5))
	}},
	{"E2_wide_for_wide", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		f.sendData("a")
		f.want("a Data ACK of 64 bits", says("64 bits", func(o *wire.Options) bool { return o.DSS.HasAck && o.DSS.Ack64 }), acksData(3))
	}},
	{"E3_either_width_of_Data_ACK", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		for i := range 6 {
			tc.write("x")
			f.find("data", holds("x"))
			tc.short = i%2 == 0
			f.send(dataAck)
			if got, want := tc.info().BytesAcked, uint64(2+i); got != want {
				t.Errorf("got %d bytes acknowledged, want %d", got, want)
			}
		}
	}},
	{"E4_window_without_Data_ACK", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		f.send(dataAck, window(0)) // right edge stays where it was: at most 64 KiB
		tc.write(strings.Repeat("x", 100<<10))
		tc.skip()
		f.send(addAddr(9, peerAddr(5), 0), window(0xffff))
		var got seq.Pos
		for s := f.take(); s != nil; s = f.take() {
			_, hi, ok := f.mapping(s)
			if ok {
				got = max(got, hi)
			}
		}
		if got > 2+0xffff {
			t.Errorf("got data up to %d by a window without Data ACK", got)
		}
	}},
	{"E5_kept_for_the_first_subflow", testReinjected},
	{"E6_Data_ACK_only_when_it_advances", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		for range 5 {
			f.send()
			f.send(at(f.next - 1))
		}
		tc.skip()
		tc.write("abc")
		f.want("data as ever", holds("abc"), carries(wire.HasDSS))
		tc.wantMultipath("segments without DSS that acknowledge nothing new")
	}},
	{"E9_one_window_in_data_numbers", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{RecvBuffer: 16 << 10})
		f.sendData(strings.Repeat("f", 1000))
		before := f.want("its ACK", isACK, acksData(1002)).Window
		g.sendData(strings.Repeat("g", 1000))
		s := g.want("the other's ACK", isACK, acksData(2002))
		if got, want := int(s.Window), int(before)-1000; got != want {
			t.Errorf("got a window of %d, want %d: one window for both", got, want)
		}
		// Ahead of a gap it is the same window, counted from the Data ACK.
		g.send(payload(strings.Repeat("h", 1000)), mapTo(3002), dataAck)
		if got, want := int(g.want("an ACK", acksData(2002)).Window), int(s.Window); got != want {
			t.Errorf("got a window of %d ahead of a gap, want %d", got, want)
		}
		tc.next += 1000
		f.send(payload(strings.Repeat("i", 1000)), mapTo(2002), dataAck)
		f.want("the gap filled", acksData(4002))
		tc.wantRead("all", strings.Repeat("f", 1000)+strings.Repeat("g", 1000)+strings.Repeat("i", 1000)+strings.Repeat("h", 1000))
	}},
	{"E12_right_edge_moves_forward_only", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(dataAck, window(5000))
		g.send(dataAckAt(1), window(10)) // old, and from a path with a small window
		tc.write(strings.Repeat("x", 5000))
		if got := sent(f) + sent(g); got != 5000 {
			t.Errorf("got %d bytes, want the 5000 the first subflow allows", got)
		}
	}},
	{"E13_largest_window_counts", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		f := tc.syn(capable(0), window(100))
		tc.ours = f.want("SYN/ACK", isSYNACK).Options.Capable.SenderKey
		f.window = 100
		f.send(capable(2))
		f.send(payload("r"), capable(2, withData("r", false)))
		tc.next++
		g := tc.join(1)
		tc.skip()
		f.send(dataAck)
		g.send(dataAck, window(3000))
		tc.write(strings.Repeat("x", 5000))
		a, b := sent(f), sent(g)
		if a > 100 || a+b > 3000 || a+b <= 3000-536 { // a crumb may wait
			t.Errorf("got %d and %d bytes, want 3000 by the larger window", a, b)
		}
	}},
	{"E14_each_subflows_window_too", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(dataAck, window(0xffff))
		f.send(dataAck, window(0))
		g.send(dataAck, window(3000))
		tc.write(strings.Repeat("x", 5000))
		if a, b := sent(f), sent(g); a != 0 || b == 0 || b > 3000 {
			t.Errorf("got %d and %d bytes, want none and at most 3000", a, b)
		}
	}},
	{"E15_send_buffer_no_smaller", func(t *testing.T) {
		// Of two ends with the same configuration, either can fill the other.
		if c := mptcp.Defaults(); c.SendBuffer < c.RecvBuffer {
			t.Errorf("got a send buffer of %d, a receive buffer of %d", c.SendBuffer, c.RecvBuffer)
		}
	}},
	{"E16_resent_on_the_original_subflow", testReinjected},
	{"E17_acknowledged_by_TCP_alone", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(dataAck)
		tc.write("must arrive")
		first, other := f, g
		s := f.take()
		if s == nil {
			first, other = g, f
			s = g.want("data on either subflow", holds("must arrive"))
		}
		first.send(acking(first.pos(s)+seq.Pos(len(s.Payload))), dataAckAt(2)) // a proxy's ACK, say
		tc.advance(2 * time.Second)
		again := other.find("the bytes again by the other way", holds("must arrive"), carries(wire.HasDSS), maps(2, 13))
		other.ack = other.pos(again) + seq.Pos(len(again.Payload))
		tc.ack = 13
		other.send(dataAck)
		if got := tc.info().BytesAcked; got != 12 {
			t.Errorf("got %d bytes acknowledged, want 12", got)
		}
		tc.skip()
		tc.advance(time.Minute)
		for _, f := range tc.flows {
			if s := f.take(); s != nil && len(s.Payload) > 0 && s.Seq == again.Seq {
				t.Errorf("got %v after the Data ACK", s)
			}
		}
	}},
	{"E18_subflow_given_up_before_TCP_would", func(t *testing.T) {
		tc, dead := deadFlow(t, mptcp.Config{SubflowTimeout: 5 * time.Second})
		dead.find("a reset in 20 s", isRST)
		tc.wantMultipath("one subflow given up")
		if got := len(tc.info().Subflows); got != 1 {
			t.Errorf("got %d subflows, want 1", got)
		}
	}},
	{"E19_reason_of_a_subflow_given_up", func(t *testing.T) {
		_, dead := deadFlow(t, mptcp.Config{SubflowTimeout: 5 * time.Second})
		dead.find("a reset for its performance", isRST, resetFor(wire.ResetPerformance))
	}},
	{"E21_beyond_the_window", func(t *testing.T) {
		// Up to a window beyond the window is taken, for Linux's sake.
		const far = 20 << 10
		tc, f, g := twoFlows(t, mptcp.Config{RecvBuffer: 8 << 10})
		g.send(payload("far"), mapTo(far), dataAck)
		g.find("no Data ACK", acksData(2))
		for tc.next < far {
			piece := strings.Repeat("n", min(1000, int(far-tc.next)))
			f.sendData(piece)
			tc.wantRead("what lay in the window", piece)
		}
		tc.advance(100 * time.Millisecond)
		f.find("a Data ACK of that alone", acksData(far))
	}},
}

// sent is how many bytes the stack sent on a flow since it was asked last.
func sent(f *testFlow) int {
	n := 0
	for s := f.take(); s != nil; s = f.take() {
		n += len(s.Payload)
	}
	return n
}

// deadFlow is a connection 20 s after one of its two subflows, which carries
// data, fell silent.
func deadFlow(t *testing.T, cfg mptcp.Config) (tc *testConn, dead *testFlow) {
	tc, f, g := twoFlows(t, cfg)
	f.send(dataAck)
	tc.write("x")
	dead, alive := f, g
	if f.take() == nil {
		dead, alive = g, f
	}
	tc.skip()
	for range 20 {
		tc.advance(time.Second)
		for alive.take() != nil {
		}
		alive.send(dataAck)
	}
	return tc, dead
}

// testReinjected: what another subflow delivered is still sent on the one that
// had it first, which must be able to fill the gap in its own numbers.
func testReinjected(t *testing.T) {
	tc, f, g := twoFlows(t, mptcp.Config{})
	f.send(dataAck)
	tc.write("bytes of the first subflow")
	dead, alive := f, g
	s := f.take()
	if s == nil {
		dead, alive = g, f
		s = g.want("data on either subflow", isData)
	}
	tc.advance(190 * time.Millisecond)
	alive.find("the same bytes by the other way", holds("bytes of the first subflow"), maps(2, 28))
	alive.send(dataAck)
	if got := tc.info().BytesAcked; got != 27 {
		t.Fatalf("got %d bytes acknowledged, want 27", got)
	}
	if got := tc.info().Stats.BytesReinjected; got != 26 {
		t.Errorf("counted %d bytes reinjected, want 26", got)
	}
	// Much more is sent, acknowledged and released meanwhile.
	for range 20 {
		if _, err := tc.conn.Write(tc.now, make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			tc.pump()
			for alive.take() != nil {
			}
			alive.send(dataAck)
		}
	}
	tc.advance(time.Second)
	dead.find("the same bytes on the first subflow, mapped as before", holds("bytes of the first subflow"), maps(2, 28),
		wants("place in the subflow", func(f *testFlow, again *wire.Segment) bool { return again.Seq == s.Seq }))
}
