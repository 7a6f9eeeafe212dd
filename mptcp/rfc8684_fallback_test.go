package mptcp_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/wire"
)

// Section 3.7: fallback.
var fallbackItems = []item{
	{"K1_no_option_on_either_SYN", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.syn()
		f.want("no option for none", isSYNACK, isPlain)
		f.send()
		plainExchange(tc, f)
		tc = newTestConn(t, mptcp.Config{})
		f = tc.dial(nil)
		f.send(flags(wire.SYN|wire.ACK), synOptions)
		f.want("no option for none", isACK, isPlain)
		plainExchange(tc, f)
		if tc.info().LocalToken != 0 {
			t.Error("a token is left")
		}
	}},
	{"K2_DSS_in_every_segment_until_acknowledged", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.accept()
		for range 5 {
			tc.write("data")
			f.want("data with a mapping", isData, carries(wire.HasDSS), says("mapping", func(o *wire.Options) bool { return o.DSS.HasMap && o.DSS.HasAck }))
		}
		tc.advance(time.Second)
		f.want("a retransmission with a mapping", isData, carries(wire.HasDSS), says("mapping", func(o *wire.Options) bool { return o.DSS.HasMap && o.DSS.HasAck }))
	}},
	{"K3_added_subflow_without_Data_ACK", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		f.send(prio(true))
		tc.write("lost options")
		g.find("data", holds("lost options"))
		g.send()
		g.find("a reset", isRST, resetFor(wire.ResetMiddlebox))
		tc.advance(time.Second)
		f.find("the data on the other subflow", holds("lost options"), carries(wire.HasDSS))
		tc.wantMultipath("the connection lives")
	}},
	{"K3_added_subflow_with_unmapped_data", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		g.send(payload("no options"))
		g.find("a reset", isRST, resetFor(wire.ResetMiddlebox))
		f.sendData("no options")
		tc.wantRead("the data on the other subflow", "no options")
	}},
	{"K4_first_data_acknowledged_without_Data_ACK", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.connect(nil)
		tc.write("GET")
		f.want("first data", isData, carries(wire.HasCapable))
		f.send()
		tc.wantFallback("an ACK without Data ACK", mptcp.NoDataAck)
		tc.wantEvent("it is told", stack.Fallback)
		tc.write(" /")
		f.want("one infinite mapping", holds(" /"), infinite(4, 4))
		tc.write(" HTTP")
		f.want("and then no options", holds(" HTTP"), isPlain)
		f.send(payload("200"))
		f.want("nor Data ACKs", isACK, isPlain)
		tc.wantRead("plain data", "200")
		plainEnd(tc, f)
	}},
	{"K4_first_data_unmapped", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.accept()
		f.send(payload("GET"))
		tc.wantFallback("data without a mapping", mptcp.FirstDataUnmapped)
		tc.wantRead("it", "GET")
		f.want("no Data ACK", isACK, isPlain)
		tc.write("200")
		f.want("one infinite mapping", holds("200"), infinite(1, 1))
		tc.write("OK")
		f.want("and then no options", holds("OK"), isPlain)
		plainEnd(tc, f)
	}},
	{"K4_infinite_mapping_repeated_with_its_data", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.accept()
		f.send(payload("GET"))
		tc.skip()
		tc.write("200")
		f.want("an infinite mapping", holds("200"), infinite(1, 1))
		tc.write("OK")
		f.want("and then no options", holds("OK"), isPlain)
		tc.advance(time.Second)
		f.want("the first again with it", holds("200"), infinite(1, 1))
	}},
	{"K4_all_that_was_acknowledged_is_done_with", func(t *testing.T) {
		// The send buffer is full of data that TCP has delivered.
		tc := newTestConn(t, mptcp.Config{SendBuffer: 1000})
		f := tc.connect(nil)
		tc.write(strings.Repeat("x", 1000))
		f.want("first data", isData)
		if _, err := tc.conn.Write(tc.now, []byte("y")); err != mptcp.ErrWouldBlock {
			t.Fatalf("got %v, want a full buffer", err)
		}
		f.send()
		tc.wantFallback("an ACK without Data ACK", mptcp.NoDataAck)
		if got := tc.info().BytesAcked; got != 1000 {
			t.Errorf("got %d bytes acknowledged, want 1000", got)
		}
		tc.write("y")
		f.want("more", holds("y"))
	}},
	{"K5_options_lost_later_on_one_of_several", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		g.sendData("mapped")
		g.send(payload("and not"))
		tc.skip()
		tc.advance(5 * time.Second)
		g.find("a reset", isRST, resetFor(wire.ResetMiddlebox))
		tc.wantRead("what was mapped", "mapped")
		f.sendData("and not")
		tc.wantRead("the rest by the other way", "and not")
	}},
	{"K5_options_lost_later_on_the_only_one", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		f.sendData("mapped")
		f.send(payload(" and not"))
		tc.advance(5 * time.Second)
		tc.wantFallback("data without mappings", mptcp.OptionsLost)
		tc.wantRead("all of it", "mapped and not")
		tc.skip()
		tc.write("x")
		f.want("an infinite mapping", holds("x"), infinite(2, 2))
		plainEnd(tc, f)
	}},
	{"K5_one_mapping_lost", func(t *testing.T) {
		for _, sum := range []bool{false, true} {
			tc := newTestConn(t, mptcp.Config{Checksum: sum})
			tc.checksum = sum
			f := tc.server()
			f.send(payload("lost"), dataAck) // a box joined two segments
			f.send(payload("kept"), mapTo(6), dataAck)
			tc.advance(5 * time.Second)
			tc.wantMultipath("only one was lost")
			tc.skip()
			f.send(payload("lost"), mapTo(2), dataAck)
			tc.wantRead("the bytes sent again", "lostkept")
			f.find("a Data ACK of all", acksData(10))
			tc.next = 10
			f.sendData("more")
			tc.wantRead("and all goes on", "more")
		}
	}},
	{"K5_Data_ACKs_lost_later", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		tc.write("data")
		f.want("mapped data", holds("data"), carries(wire.HasDSS))
		f.send() // TCP has it
		for range 4 {
			tc.advance(time.Second)
			f.send()
		}
		for s := f.take(); s != nil; s = f.take() {
			if len(s.Payload) > 0 {
				t.Errorf("sent once more: %v", s)
			}
		}
		tc.wantFallback("nothing but TCP comes back", mptcp.OptionsLost)
		if got := tc.info().BytesAcked; got != 5 {
			t.Errorf("got %d bytes acknowledged, want 5", got)
		}
		tc.write("more")
		f.want("an infinite mapping", holds("more"), infinite(6, 6))
		plainEnd(tc, f)
	}},
	{"K5_Data_ACK_late_behind_a_proxy", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		tc.write("data")
		f.want("mapped data", holds("data"), carries(wire.HasDSS))
		f.send() // a proxy's ACK
		tc.advance(600 * time.Millisecond)
		f.find("the peer is asked", isACK, before)
		f.send(dataAckAt(2)) // and has not got it
		tc.advance(5 * time.Second)
		f.find("the data again", holds("data"), carries(wire.HasDSS), maps(2, 6))
		tc.wantMultipath("options pass")
		f.send(dataAck)
		if got := tc.info().BytesAcked; got != 5 {
			t.Errorf("got %d bytes acknowledged, want 5", got)
		}
	}},
	{"K5_no_fallback_once_data_was_repeated", func(t *testing.T) {
		// The places of the subflow are not those of the stream any more.
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		tc.write("data")
		f.want("mapped data", holds("data"), carries(wire.HasDSS))
		f.send(dataAckAt(2))
		tc.advance(3 * time.Second)
		f.find("the data again", holds("data"), maps(2, 6))
		f.send(dataAck)
		f.send(fail(6))
		tc.wantMultipath("MP_FAIL without a reset")
		tc.skip()
		f.send(payload("no mapping"))
		tc.advance(time.Second)
		f.find("a reset", isRST, resetFor(wire.ResetMiddlebox))
	}},
	{"K5_FIN_without_options", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		f.sendData("the end")
		f.send(flags(wire.FIN | wire.ACK))
		tc.wantFallback("the end of a TCP connection", mptcp.OptionsLost)
		tc.wantRead("all", "the end")
		tc.wantEnd("and the end", io.EOF)
	}},
	{"K6_checksum_fails_on_one_of_several", func(t *testing.T) {
		tc, f, g := twoFlowsChecked(t)
		from := g.next
		g.send(payload("altered"), mapAs(from, 2, "correct"), dataAck)
		g.find("a reset with MP_FAIL and the mapping's number", isRST, says("it", func(o *wire.Options) bool {
			return o.Has(wire.HasFail) && o.Fail.DSN == tc.dsn(2)
		}))
		tc.wantRead("nothing of it", "")
		f.sendData("correct")
		tc.wantRead("the data by the other way", "correct")
		if got := tc.info().Stats.ChecksumFailures; got != 1 {
			t.Errorf("counted %d, want 1", got)
		}
		tc.wantMultipath("the connection lives")
	}},
	{"K6_in_the_middle_of_a_mapping", func(t *testing.T) {
		tc, _, g := twoFlowsChecked(t)
		from := g.next
		g.send(payload("abc"), mapAs(from, 2, "abcdef"), dataAck)
		g.send(payload("dXf"), dataAck)
		g.find("a reset with MP_FAIL", isRST, says("it", func(o *wire.Options) bool {
			return o.Has(wire.HasFail) && o.Fail.DSN == tc.dsn(2)
		}))
		tc.wantRead("not even the part that was right", "")
	}},
	{"K7_all_behind_the_failure_is_discarded", func(t *testing.T) {
		tc, f, g := twoFlowsChecked(t)
		from := g.next
		g.send(at(from+5), payload("later"), mapAs(from+5, 7, "later"), dataAck)
		g.send(at(from), payload("XXXXX"), mapAs(from, 2, "first"), dataAck)
		g.find("a reset with MP_FAIL", isRST, says("MP_FAIL", func(o *wire.Options) bool { return o.Has(wire.HasFail) }))
		f.send(dataAck)
		tc.next = 2
		f.sendData("first")
		f.sendData("later")
		tc.wantRead("both by the other way", "firstlater")
	}},
	{"K8_failed_data_is_not_acknowledged", func(t *testing.T) {
		_, f, g := twoFlowsChecked(t)
		g.send(payload("altered"), mapAs(g.next, 2, "correct"), dataAck)
		f.send(payload("x"), mapTo(9), dataAck)
		f.want("no Data ACK of it", acksData(2))
	}},
	{"K8_our_data_goes_elsewhere", func(t *testing.T) {
		tc, f, g := twoFlowsChecked(t)
		f.send(prio(true))
		tc.write("precious")
		s := g.find("data", holds("precious"))
		f.wantIdle("not here")
		g.send(flags(wire.RST|wire.ACK), acking(g.pos(s)), fail(2), tcpRST(wire.ResetMiddlebox, true))
		f.find("the data again", holds("precious"), maps(2, 10))
		tc.wantMultipath("the connection lives")
	}},
	{"K9_checksum_fails_on_the_only_subflow", func(t *testing.T) {
		both(func() *testConn {
			tc := newTestConn(t, mptcp.Config{Checksum: true})
			tc.checksum = true
			return tc
		}, func(tc *testConn, f *testFlow) {
			f.sendData("PORT 1")
			tc.skip()
			f.send(payload("PORT 2"), mapAs(f.next, 8, "PORT 3"), dataAck)
			f.find("MP_FAIL on an ACK", isACK, carries(wire.HasFail), says("DSN of the mapping", func(o *wire.Options) bool {
				return o.Fail.DSN == tc.dsn(8)
			}))
			tc.wantFallback("altered data", mptcp.ChecksumFailed)
			tc.wantRead("what TCP would have got", "PORT 1PORT 2")
			f.send(fail(2), dataAck) // the peer's own
			f.send(payload("more"), mapTo(14), option(0, func(o *wire.Options) { o.DSS.Len, o.DSS.Checksum = 0, 0 }))
			tc.wantRead("and all that follows", "more")
			tc.skip()
			tc.write("ours")
			f.want("an infinite mapping of ours", holds("ours"), infinite(2, 2))
			plainEnd(tc, f)
		})
	}},
	{"K9_first_mapping_fails", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{Checksum: true})
		tc.checksum = true
		f := tc.accept()
		f.send(payload("GET /b"), capable(2, withData("GET /a", true)))
		tc.wantFallback("altered first data", mptcp.ChecksumFailed)
		tc.wantRead("it", "GET /b")
		f.find("MP_FAIL", isACK, carries(wire.HasFail))
		tc.write("200")
		f.want("an infinite mapping", holds("200"), infinite(1, 1))
		plainEnd(tc, f)
	}},
	{"K10_answer_to_MP_FAIL", func(t *testing.T) {
		both(func() *testConn { return newTestConn(t, mptcp.Config{}) }, func(tc *testConn, f *testFlow) {
			tc.write("altered on its way")
			s := f.find("data", holds("altered on its way"))
			f.send(acking(f.pos(s)+18), fail(2))
			f.want("MP_FAIL in answer", isACK, carries(wire.HasFail))
			tc.wantFallback("MP_FAIL", mptcp.PeerFailed)
			tc.write("next")
			f.want("an infinite mapping where it is due", holds("next"), infinite(20, 20))
			tc.write("last")
			f.want("and no more options", holds("last"), isPlain)
			f.send(payload("plain"), acking(f.ack))
			tc.wantRead("the peer's", "plain")
			f.find("its ACK", isACK, isPlain)
			plainEnd(tc, f)
		})
	}},
	{"K10_with_a_mapping_half_received", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{Checksum: true})
		tc.checksum = true
		f := tc.server()
		f.send(payload("half "), mapAs(f.next, 2, "half and half"), dataAck)
		f.send(fail(2))
		tc.wantFallback("MP_FAIL", mptcp.PeerFailed)
		f.send(payload("and half"))
		tc.wantRead("the bytes in their place", "half and half")
	}},
	{"K11_not_contiguous", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{Checksum: true})
		tc.checksum = true
		f := tc.server()
		f.send(at(f.next+5), payload("later"), mapAs(f.next+5, 7, "wrong"), dataAck)
		f.find("a reset with MP_FAIL", isRST, says("it", func(o *wire.Options) bool { return o.Has(wire.HasFail) && o.Fail.DSN == tc.dsn(7) }))
		tc.wantRead("nothing", "")
		tc.wantMultipath("it waits for another subflow")
	}},
	{"K13_TCP_acknowledges_alone", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{SendBuffer: 4})
		f := tc.connect(nil)
		tc.write("abcd")
		f.want("first data", isData)
		f.send()
		tc.wantFallback("no Data ACK", mptcp.NoDataAck)
		for range 10 {
			tc.write("wxyz")
			f.want("the next", holds("wxyz"))
			f.send()
		}
		if got := tc.info().BytesAcked; got != 44 {
			t.Errorf("got %d bytes acknowledged, want 44", got)
		}
	}},
	{"K14_no_Data_ACK_for_an_infinite_mapping", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		tc.skip()
		f.send(payload("plain"), mapTo(2), option(0, func(o *wire.Options) { o.DSS.Len = 0 }))
		f.want("an ACK without Data ACK", isACK, isPlain)
	}},
	{"K15_not_with_several_subflows", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		g.send(payload("plain"), mapTo(2), option(0, func(o *wire.Options) { o.DSS.Len = 0 }), dataAck)
		g.find("a reset", isRST, resetFor(wire.ResetMPTCP))
		tc.wantMultipath("an infinite mapping beside another subflow")
		f.sendData("mapped")
		tc.wantRead("the other's", "mapped")
	}},
	{"K15_MP_FAIL_with_several_subflows", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		g.send(fail(2), dataAck)
		tc.wantMultipath("MP_FAIL without reset beside another subflow")
		f.sendData("mapped")
		tc.wantRead("the other's", "mapped")
	}},
	{"K16_no_way_back", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow|mptcp.EndpointSignal)
		f := tc.syn(capable(0))
		tc.ours = f.want("SYN/ACK", isSYNACK).Options.Capable.SenderKey
		f.send()
		tc.wantFallback("no third option", mptcp.NoThirdAck)
		f.send(capable(2))
		f.send(payload("x"), capable(2, withData("x", false)))
		f.send(payload("y"), mapTo(2), dataAck)
		f.send(addAddr(2, peerAddr(1), 0))
		tc.joinSYN(1).want("no join", isRST)
		tc.wantRead("plain data whatever the options say", "xy")
		tc.write("z")
		f.find("plain data", holds("z"), isPlain)
		tc.advance(time.Minute)
		tc.wantNoSYN("no join of ours")
		tc.wantFallback("it stays so", mptcp.NoThirdAck)
	}},
	{"K17_plain_FIN_closes", func(t *testing.T) {
		// DATA_FIN was said, and means nothing after the fallback.
		tc := newTestConn(t, mptcp.Config{})
		f := tc.connect(nil)
		tc.write("GET")
		tc.conn.CloseWrite(tc.now)
		tc.pump()
		f.want("first data", holds("GET"))
		f.send()
		tc.wantFallback("no Data ACK", mptcp.NoDataAck)
		f.find("a plain FIN", isFIN, isPlain)
		f.send(payload("200"), dataFin(4)) // what a middlebox left of it
		tc.wantRead("data", "200")
		f.send(payload(" OK"))
		tc.wantRead("and more behind a DATA_FIN", " OK")
		f.send(flags(wire.FIN | wire.ACK))
		tc.wantEnd("FIN is the end", io.EOF)
	}},
	{"K17_DATA_FIN_whose_Data_ACK_never_comes", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		tc.conn.CloseWrite(tc.now)
		tc.pump()
		f.find("DATA_FIN", isDataFin)
		for range 10 {
			f.send()
			tc.advance(time.Second)
		}
		tc.wantFallback("nothing but TCP comes back", mptcp.OptionsLost)
		f.find("a plain FIN", isFIN, isPlain)
	}},
}

// infinite checks for the one infinite mapping: where the stack's stream goes
// on, in the subflow and in the stream.
func infinite(ssn uint32, data seq.Pos) check {
	return wants(fmt.Sprintf("infinite mapping from %d", data), func(f *testFlow, s *wire.Segment) bool {
		d := &s.Options.DSS
		return s.Options.Has(wire.HasDSS) && d.HasMap && d.Len == 0 && !d.HasAck && d.Checksum == 0 &&
			d.SSN == ssn && d.DSN == f.tc.ourDSN(data)
	})
}

// plainEnd closes a plain connection both ways.
func plainEnd(tc *testConn, f *testFlow) {
	tc.t.Helper()
	f.send()
	tc.skip()
	tc.conn.CloseWrite(tc.now)
	tc.pump()
	f.want("a plain FIN", isFIN, isPlain)
	f.send(flags(wire.FIN | wire.ACK))
	f.want("its ACK", isACK, isPlain)
	tc.wantEnd("the end", io.EOF)
	tc.advance(5 * time.Minute)
	if n := tc.stack.Stats().Connections; n != 0 {
		tc.t.Errorf("%d connections left", n)
	}
}

// twoFlowsChecked is twoFlows with checksums.
func twoFlowsChecked(t *testing.T) (tc *testConn, f, g *testFlow) {
	tc = newTestConn(t, mptcp.Config{Checksum: true})
	tc.checksum = true
	tc.addAddress(1, 0)
	f = tc.server()
	g = tc.join(1)
	tc.skip()
	return tc, f, g
}
