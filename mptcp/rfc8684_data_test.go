package mptcp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// Sections 3.3 and 3.3.1: mappings.
var mappingItems = []item{
	{"D3_checksum_not_negotiated", func(t *testing.T) {
		forBothNumbers(t, mptcp.Config{}, false, func(tc *testConn, f *testFlow) {
			tc.checksum = true
			f.sendData("abc")
			f.want("a reset", isRST, resetFor(wire.ResetMPTCP))
			tc.wantRead("nothing", "")
		})
	}},
	{"D3_on_first_data", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.accept()
		f.send(payload("abc"), capable(2, withData("abc", true)))
		f.want("a reset", isRST, resetFor(wire.ResetMPTCP))
	}},
	{"D4_no_checksum_though_negotiated", func(t *testing.T) {
		forBothNumbers(t, mptcp.Config{Checksum: true}, true, func(tc *testConn, f *testFlow) {
			tc.checksum = false
			f.sendData("abc")
			f.want("a reset", isRST, resetFor(wire.ResetMPTCP))
			tc.wantRead("nothing", "")
		})
	}},
	{"D4_on_first_data", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{Checksum: true})
		f := tc.accept()
		f.send(payload("abc"), capable(2, withData("abc", false)))
		f.want("a reset", isRST, resetFor(wire.ResetMPTCP))
	}},
	{"D5_reason", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		tc.checksum = true
		g.sendData("abc")
		g.want("MP_TCPRST 1 on the subflow at fault", isRST, carries(wire.HasReset), resetFor(wire.ResetMPTCP))
		tc.wantIdle("nothing on the other")
		tc.checksum = false
		tc.next -= 3
		f.sendData("abc")
		tc.wantRead("the same data on the other", "abc")
	}},
	{"D7_first_copy_wins", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		g.send(payload("CDE"), mapTo(4), dataAck)
		f.send(payload("bcdef"), mapTo(3), dataAck)
		f.send(payload("a"), mapTo(2), dataAck)
		f.find("all acknowledged", acksData(8))
		tc.wantRead("the bytes that came first", "abCDEf")
		if got := tc.info().Stats.BytesDuplicate; got != 3 {
			t.Errorf("counted %d bytes twice, want 3", got)
		}
	}},
	{"D8_relative_subflow_numbers", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		for i := range 10 {
			tc.write("0123456789")
			s := f.find("data", holds("0123456789"))
			if got, want := s.Options.DSS.SSN, uint32(2+10*i); got != want {
				t.Errorf("got SSN %d, want %d", got, want)
			}
			f.sendData("abcdefghij") // its sequence numbers wrap on the way
		}
		tc.wantRead("the peer's", strings.Repeat("abcdefghij", 10))
	}},
	{"D12_urgent_data", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		tc.next += 6
		f.send(payload("ur"), mapTo(2), dataAck)
		f.send(flags(wire.ACK|wire.URG), payload("gent"), mapTo(4), dataAck,
			func(_ *testFlow, s *wire.Segment) { s.Urgent = 2 })
		tc.wantRead("urgent data in its place", "urgent")
		f.find("its Data ACK", acksData(8))
	}},
	{"D13_unmapped_data_acknowledged_on_subflow", func(t *testing.T) {
		tc, _, g := twoFlows(t, mptcp.Config{})
		g.send(payload("unmapped"), dataAck)
		tc.advance(100 * time.Millisecond)
		g.want("the subflow's ACK, no Data ACK", isACK, acksData(2),
			wants("ACK of it", func(g *testFlow, s *wire.Segment) bool { return s.Ack == seq.Wrap32(g.next, g.isn) }))
		tc.wantRead("nothing", "")
	}},
	{"D14_held_until_mapped", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		from := f.next
		f.send(payload("held"), dataAck)
		f.want("the subflow's ACK", isACK, acksData(2))
		f.send(payload(" up"), mapAs(from, 2, "held up"), dataAck)
		f.want("a Data ACK once the mapping came", acksData(9))
		tc.wantRead("it", "held up")
	}},
	{"D14_outside_the_window", func(t *testing.T) {
		tc, _, g := twoFlows(t, mptcp.Config{RecvBuffer: 32 << 10})
		g.sendData("y")
		before := g.want("the window offered", isACK, acksData(3)).Window
		g.send(payload(strings.Repeat("x", 1000)), dataAck)
		if got := g.want("the ACK of unmapped data", isACK, acksData(3)).Window; got != before {
			t.Errorf("the window went from %d to %d", before, got)
		}
		tc.wantRead("what was mapped", "y")
	}},
	{"D15_no_mapping", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		g.send(payload("never mapped"), dataAck)
		tc.skip()
		tc.advance(5 * time.Second)
		g.find("a reset", isRST, resetFor(wire.ResetMiddlebox))
		tc.wantRead("nothing", "")
		f.sendData("abc")
		tc.wantRead("mapped data on the other subflow", "abc")
	}},
	{"D16_64_bits_inside", func(t *testing.T) {
		for _, start := range []uint64{1<<32 - 6, ^uint64(5), 1<<63 - 6, 1<<31 - 6} {
			for _, short := range []bool{true, false} {
				tc := newTestConn(t, mptcp.Config{})
				f := tc.server()
				tc.renumber(start)
				tc.short = short
				f.sendData("four")
				f.find("a Data ACK before the wrap", acksData(6))
				f.sendData("wraps")
				f.find("a Data ACK behind it", acksData(11))
				f.sendData("on")
				tc.wantRead(fmt.Sprintf("data across %#x", start), "fourwrapson")
				tc.write("ours wraps too")
				f.find("a mapping across the wrap", holds("ours wraps too"), maps(2, 16))
				f.send(dataAck)
				if got := tc.info().BytesAcked; got != 15 {
					t.Errorf("%#x: got %d bytes acknowledged, want 15", start, got)
				}
			}
		}
	}},
	{"D17_widths_mixed", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		want := ""
		for i := range 8 {
			tc.short = i%3 != 0
			f.sendData(fmt.Sprint(i))
			want += fmt.Sprint(i)
		}
		tc.wantRead("either width in any segment", want)
	}},
	{"D19_promotion_to_64_bits", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		tc.short = true
		tc.renumber(5<<32 - 3)
		f.sendData("abc")
		f.sendData("def")
		tc.wantRead("numbers of 32 bits across 2^32", "abcdef")
		tc.short = false
		f.sendData("ghi")
		tc.wantRead("and then the whole number", "ghi")
	}},
	{"D20_no_false_wrap", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{})
		tc.renumber(5<<32 - 3)
		tc.short = true
		tc.next = 11
		g.send(payload("ghi"), mapTo(8), dataAck)
		f.send(payload("def"), mapTo(5), dataAck)
		g.send(payload("c"), mapTo(4), dataAck)
		f.send(payload("ab"), mapTo(2), dataAck)
		f.send(payload("ab"), mapTo(2), dataAck) // late, from before the wrap
		f.sendData("j")
		f.find("all acknowledged", acksData(12))
		tc.wantRead("data reordered around the wrap", "abcdefghij")
	}},
	{"D21_mapping_over_many_segments", func(t *testing.T) {
		const piece, pieces = "0123456789", 10
		whole := strings.Repeat(piece, pieces)
		for _, in := range []int{0, 5, pieces - 1} {
			for _, sum := range []bool{false, true} {
				tc := newTestConn(t, mptcp.Config{Checksum: sum})
				tc.checksum = sum
				f := tc.server()
				from := f.next
				for i := range pieces {
					if i == in {
						f.send(payload(piece), mapAs(from, 2, whole), dataAck)
					} else {
						f.send(payload(piece), dataAck)
					}
				}
				f.find(fmt.Sprintf("a Data ACK of all with the mapping in segment %d", in), acksData(2+pieces*seq.Pos(len(piece))))
				tc.wantRead("all of it", whole)
			}
		}
	}},
	{"D21_mapping_of_other_bytes", func(t *testing.T) {
		tc, _, g := twoFlows(t, mptcp.Config{})
		from := g.next
		g.send(payload("aaa"), mapAs(from+3, 2, "bbb"), dataAck) // covers nothing of its segment
		g.send(payload("bbb"), dataAck)
		tc.wantRead("a mapping that says nothing of its own segment", "")
		g.send(dataAck, mapAs(from, 2, "aaabbb")) // nor does one without payload
		tc.wantRead("a mapping on a pure ACK", "")
	}},
	{"D21_mapping_begins_before_the_segment", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		f.sendData("abc")
		f.send(payload("def"), mapAs(f.next-3, 2, "abcdef"), dataAck)
		tc.wantRead("both", "abcdef")
	}},
	{"D22_infinite_mapping", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		f.send(payload("from here on"), mapTo(2), option(0, func(o *wire.Options) { o.DSS.Len = 0 }))
		tc.wantFallback("an infinite mapping", mptcp.PeerFellBack)
		f.send(payload(" it is TCP"))
		tc.wantRead("all that comes", "from here on it is TCP")
	}},
}

// forBothNumbers runs a test as initiator and as responder, with a peer that
// sends checksums or not.
func forBothNumbers(t *testing.T, cfg mptcp.Config, checksum bool, test func(tc *testConn, f *testFlow)) {
	both(func() *testConn {
		tc := newTestConn(t, cfg)
		tc.checksum = checksum
		return tc
	}, test)
}

// twoFlows is a connection the peer opened, with a second subflow of the
// peer's. Each stream has had one byte.
func twoFlows(t *testing.T, cfg mptcp.Config) (tc *testConn, f, g *testFlow) {
	tc = newTestConn(t, cfg)
	tc.addAddress(1, 0)
	f = tc.server()
	g = tc.join(1)
	tc.skip()
	tc.wantIdle("two subflows at rest")
	return tc, f, g
}
