package mptcp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/wire"
)

// Section 3.1: the first subflow's handshake.
var handshakeItems = []item{
	{"B1_lengths_as_sent", testHandshakeForms},
	{"B2_highest_version", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.dial(nil)
		tc.advance(time.Second)
		f.want("the SYN again, with version 1", isSYN, carries(wire.HasCapable),
			says("version 1", func(o *wire.Options) bool { return o.Capable.Version == wire.V1 }))
	}},
	{"B3_answer_to_higher_version", func(t *testing.T) {
		for v := uint8(2); v < 16; v++ {
			tc := newTestConn(t, mptcp.Config{})
			f := tc.syn(capable(0, func(cp *wire.Capable) { cp.Version = v }))
			f.want(fmt.Sprintf("an offer of version %d answered with 1", v), isSYNACK, carries(wire.HasCapable),
				says("version 1", func(o *wire.Options) bool { return o.Capable.Version == wire.V1 }))
		}
	}},
	{"B3_answer_above_the_offer", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.dial(nil)
		f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1, func(cp *wire.Capable) { cp.Version = 2 }))
		f.want("a third packet without options", isACK, isPlain)
		tc.wantFallback("an answer with a version that was not offered", mptcp.BadAnswer)
	}},
	{"B4_plain_at_once", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.dial(nil)
		f.send(flags(wire.SYN|wire.ACK), synOptions)
		f.want("a third packet without options", isACK, isPlain)
		tc.wantFallback("a SYN/ACK without option", mptcp.NotAccepted)
		plainExchange(tc, f)
	}},
	{"B8_third_packet_without_data_fields", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.dial(nil)
		f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1))
		f.want("the third packet with both keys and no data fields", isACK, carries(wire.HasCapable),
			says("two keys alone", func(o *wire.Options) bool {
				return o.Capable.Keys == 2 && !o.Capable.HasData && o.Capable.ReceiverKey == tc.key
			}))
	}},
	{"B9_first_data_repeats_keys", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.connect(nil)
		tc.write("hello")
		first := []check{isData, holds("hello"), carries(wire.HasCapable), maps(1, 6),
			says("both keys", func(o *wire.Options) bool {
				return o.Capable.Keys == 2 && o.Capable.SenderKey == tc.ours && o.Capable.ReceiverKey == tc.key
			})}
		f.want("first data with the keys in place of DSS", first...)
		tc.advance(3 * time.Second)
		f.want("first data again, with the same option", first...)
	}},
	{"B9_first_data_with_checksum", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{Checksum: true})
		tc.checksum = true
		f := tc.connect(nil)
		tc.write("hello")
		want := wire.DSSChecksum(tc.ourDSN(1), 1, 5, wire.Sum([]byte("hello"), 0))
		f.want("first data with its checksum", isData, carries(wire.HasCapable),
			says(fmt.Sprintf("checksum %#x", want), func(o *wire.Options) bool {
				return o.Capable.HasChecksum && o.Capable.Checksum == want
			}))
	}},
	{"B9_first_data_instead_of_third_packet", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.syn(capable(0))
		tc.ours = f.want("the SYN/ACK", isSYNACK).Options.Capable.SenderKey
		f.send(at(6), payload("lost!"), mapTo(6), dataAck)
		f.wantIdle("data behind first data that has not come")
		f.next = 1
		f.send(payload("hello"), capable(2, withData("hello", false)))
		tc.wantMultipath("keys that come with the first data")
		tc.wantRead("first data", "hello")
		f.want("a Data ACK", acksData(6))
	}},
	{"B10_duplicate_option_tolerated", func(t *testing.T) {
		// As segmentation offload leaves it: the option on both pieces.
		tc := newTestConn(t, mptcp.Config{})
		f := tc.accept()
		f.send(payload("abc"), capable(2, withData("abcdef", false)))
		f.send(payload("def"), capable(2, withData("abcdef", false)))
		tc.wantMultipath("the option twice")
		tc.wantRead("both pieces", "abcdef")
		f.find("a Data ACK of both", acksData(7))
	}},
	{"B10_mapping_in_place_of_option", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.accept()
		f.sendData("abc")
		tc.wantMultipath("first data with DSS")
		tc.wantRead("it", "abc")
		f.send(at(1), payload("abcdef"), capable(2, withData("abcdef", false)))
		tc.wantMultipath("a mapping repeated and continued by MP_CAPABLE")
	}},
	{"B10_server_speaks_first", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.accept()
		tc.write("220 ready")
		f.want("the greeting mapped", holds("220 ready"), carries(wire.HasDSS), maps(1, 10))
		f.send(payload("EHLO"), capable(2, withData("EHLO", false))) // crossed it
		tc.wantRead("the client's first data", "EHLO")
		f.want("a Data ACK", acksData(5))
		f.send(dataAckAt(10))
		tc.wantMultipath("first data that cross")
		if got := tc.info().BytesAcked; got != 9 {
			t.Errorf("got %d bytes acknowledged, want 9", got)
		}
	}},
	{"B11_wrong_key_echoed", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.syn(capable(0))
		f.want("the SYN/ACK", isSYNACK)
		tc.ours = 0xbad
		f.send(capable(2))
		tc.wantFallback("another key than ours in the third packet", mptcp.BadAnswer)
		plainExchange(tc, f)
	}},
	{"B11_wrong_acknowledgement", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.dial(nil)
		f.send(flags(wire.SYN|wire.ACK), synOptions, acking(77), capable(1))
		f.want("a reset", isRST)
	}},
	{"B12_no_join_before_DSS", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, mptcp.EndpointSubflow)
		f := tc.connect(nil)
		tc.write("w")
		f.want("first data", isData)
		f.send(addAddr(2, peerAddr(1), 0))
		tc.advance(2 * time.Second)
		tc.wantNoSYN("nothing but an ADD_ADDR came")
		f.send(acking(2), dataAckAt(2))
		f = tc.wantSYN("a join once a DSS came", carries(wire.HasJoin), isJoin(wire.JoinSYN))
		if f.local.Addr() != peerAddr(1) || f.remote.Addr() != ourAddr(1) {
			t.Errorf("the join is from %v to %v", f.remote, f.local)
		}
	}},
	{"B13_flag_A_by_configuration", func(t *testing.T) {
		for _, want := range []bool{true, false} {
			tc := newTestConn(t, mptcp.Config{Checksum: want})
			tc.dial(nil)
			s := tc.syn(capable(0)).want("the SYN/ACK", isSYNACK)
			if got := s.Options.Capable.Flags&wire.CapableChecksum != 0; got != want {
				t.Errorf("responder: got flag A %v, want %v", got, want)
			}
			tc = newTestConn(t, mptcp.Config{Checksum: want})
			f := tc.dial(nil)
			tc.advance(time.Second)
			s = f.want("the SYN again", isSYN)
			if got := s.Options.Capable.Flags&wire.CapableChecksum != 0; got != want {
				t.Errorf("initiator: got flag A %v, want %v", got, want)
			}
		}
	}},
	{"B14_checksums_if_either_wants_them", testChecksumNegotiation},
	{"B15_refusal_of_checksums", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{RefuseChecksum: true})
		tc.checksum = true
		f := tc.syn(capable(0))
		f.want("a SYN/ACK without option", isSYNACK, isPlain)
		f.send()
		tc.wantFallback("an offer with A set", mptcp.ChecksumRefused)
		plainExchange(tc, f)

		tc = newTestConn(t, mptcp.Config{RefuseChecksum: true})
		tc.checksum = true
		f = tc.dial(nil)
		f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1))
		f.want("a third packet without option", isACK, isPlain)
		tc.wantFallback("an answer with A set", mptcp.ChecksumRefused)
		plainExchange(tc, f)
	}},
	{"B16_flag_B", func(t *testing.T) {
		b := capFlags(wire.CapableHMAC | wire.CapableExtensible)
		tc := newTestConn(t, mptcp.Config{})
		f := tc.syn(capable(0, b))
		f.want("a SYN/ACK as if there had been no option", isSYNACK, isPlain)

		tc = newTestConn(t, mptcp.Config{})
		f = tc.dial(nil)
		f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1, b))
		f.want("a third packet without option", isACK, isPlain)
		tc.wantFallback("B set in the answer", mptcp.BadAnswer)

		tc = newTestConn(t, mptcp.Config{})
		f = tc.syn(capable(0))
		tc.ours = f.want("the SYN/ACK", isSYNACK).Options.Capable.SenderKey
		f.send(capable(2, b))
		tc.wantFallback("B set in the third packet", mptcp.NoThirdAck)
		plainExchange(tc, f)
	}},
	{"B17_flag_C", testNoJoinToHere},
	{"B18_algorithm_bits", func(t *testing.T) {
		onlyH := says("H alone of the algorithm bits, B clear", func(o *wire.Options) bool {
			return o.Capable.Flags&^wire.CapableChecksum == wire.CapableHMAC
		})
		tc := newTestConn(t, mptcp.Config{Checksum: true})
		f := tc.dial(nil)
		tc.advance(time.Second)
		f.want("SYN", isSYN, onlyH)
		f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1))
		f.want("third packet", isACK, onlyH)
		tc.syn(capable(0)).want("SYN/ACK", isSYNACK, onlyH)
	}},
	{"B19_no_algorithm", func(t *testing.T) {
		for _, set := range []wire.CapableFlags{0, wire.CapableChecksum} {
			tc := newTestConn(t, mptcp.Config{})
			f := tc.syn(capable(0, capFlags(set)))
			f.want("a SYN/ACK as if there had been no option", isSYNACK, isPlain)

			tc = newTestConn(t, mptcp.Config{})
			f = tc.dial(nil)
			f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1, capFlags(set)))
			f.want("a third packet without option", isACK, isPlain)
			plainExchange(tc, f)
		}
	}},
	{"B20_one_algorithm_chosen", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.syn(capable(0, capFlags(wire.CapableCrypto)))
		f.want("H chosen of all that were offered", isSYNACK, carries(wire.HasCapable),
			says("H alone", func(o *wire.Options) bool { return o.Capable.Flags&wire.CapableCrypto == wire.CapableHMAC }))
		tc = newTestConn(t, mptcp.Config{})
		f = tc.syn(capable(0, capFlags(0x10)))
		f.want("no option where no algorithm is ours", isSYNACK, isPlain)
	}},
	{"B20_answer_with_more_than_one", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.dial(nil)
		f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1, capFlags(wire.CapableHMAC|0x02)))
		f.want("a third packet without option", isACK, isPlain)
		tc.wantFallback("an algorithm that was not offered", mptcp.BadAnswer)
	}},
	{"B22_own_key_each", func(t *testing.T) {
		both(func() *testConn { return newTestConn(t, mptcp.Config{}) }, func(tc *testConn, f *testFlow) {
			if tc.ours == tc.key {
				t.Fatal("both ends have one key")
			}
			tc.write("x")
			s := f.want("data numbered from our own key's hash", isData, carries(wire.HasDSS))
			if got, want := uint32(s.Options.DSS.DSN), uint32(wire.IDSN(tc.ours, wire.V1)+2); got != want {
				t.Errorf("got DSN %#x, want %#x", got, want)
			}
		})
	}},
	{"B23_first_byte", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.accept()
		tc.write("x")
		s := f.want("the first byte, numbered IDSN+1", isData, carries(wire.HasDSS))
		if got, want := uint32(s.Options.DSS.DSN), uint32(wire.IDSN(tc.ours, wire.V1)+1); got != want || s.Options.DSS.SSN != 1 {
			t.Errorf("got DSN %#x at %d, want %#x at 1", got, s.Options.DSS.SSN, want)
		}
		f.send(payload("y"), capable(2, withData("y", false)))
		tc.wantRead("a first byte although the SYN was never acknowledged at data level", "y")
	}},
	{"B24_option_stripped_from_answer", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.dial(nil)
		f.send(flags(wire.SYN|wire.ACK), synOptions)
		f.want("a third packet without option", isACK, isPlain)
		plainExchange(tc, f)
	}},
	{"B25_no_option_in_answer_to_none", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.syn()
		f.want("a SYN/ACK without option", isSYNACK, isPlain)
		f.send()
		tc.wantFallback("a SYN without option", mptcp.NotOffered)
		plainExchange(tc, f)
	}},
	{"B26_third_packet_without_option", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.syn(capable(0))
		f.want("the SYN/ACK", isSYNACK)
		f.send()
		tc.wantFallback("a third packet without option", mptcp.NoThirdAck)
		plainExchange(tc, f)
	}},
	{"B26_plain_data_as_third_packet", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.syn(capable(0))
		f.want("the SYN/ACK", isSYNACK)
		f.send(payload("GET"))
		tc.wantFallback("plain data as third packet", mptcp.NoThirdAck)
		tc.wantRead("that data", "GET")
		f.want("its ACK", isACK, isPlain)
		plainExchange(tc, f)
	}},
	{"B27_plain_SYN_after_two", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.dial(nil)
		tc.advance(time.Second)
		f.want("a second SYN with the option", isSYN, carries(wire.HasCapable))
		tc.advance(2 * time.Second)
		f.want("a third without", isSYN, isPlain)
		f.send(flags(wire.SYN|wire.ACK), synOptions)
		f.want("a third packet without option", isACK, isPlain)
		tc.wantFallback("SYNs with the option unanswered", mptcp.SYNsLost)
		plainExchange(tc, f)
	}},
	{"B27_never_if_so_configured", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{SYNsBeforeTCP: -1})
		f := tc.dial(nil)
		tc.advance(40 * time.Second)
		for range 5 {
			f.want("every SYN with the option", isSYN, carries(wire.HasCapable))
		}
	}},
}

// plainExchange checks that a connection is TCP and nothing else: no option
// either way, and data passes.
func plainExchange(tc *testConn, f *testFlow) {
	tc.t.Helper()
	tc.write("ping")
	f.want("plain data", holds("ping"), isPlain)
	f.send(payload("pong"))
	f.want("a plain ACK", isACK, isPlain)
	tc.wantRead("plain data of the peer", "pong")
	tc.conn.CloseWrite(tc.now)
	tc.pump()
	f.want("a FIN without DATA_FIN", isFIN, isPlain)
	f.send(flags(wire.FIN | wire.ACK))
	f.want("its ACK", isACK, isPlain)
	tc.advance(10 * time.Minute)
	tc.wantIdle("the end")
	if n := tc.stack.Stats().Connections; n != 0 {
		tc.t.Errorf("%d connections left", n)
	}
}

func testHandshakeForms(t *testing.T) {
	tc := newTestConn(t, mptcp.Config{})
	form := func(keys uint8, data bool) check {
		return says(fmt.Sprintf("MP_CAPABLE with %d keys, data %v", keys, data), func(o *wire.Options) bool {
			return o.Capable.Keys == keys && o.Capable.HasData == data && !o.Capable.HasChecksum
		})
	}
	f := tc.dial(nil)
	tc.advance(time.Second)
	f.want("SYN", isSYN, carries(wire.HasCapable), form(0, false))
	f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1))
	tc.ours = f.want("third packet", isACK, carries(wire.HasCapable), form(2, false)).Options.Capable.SenderKey
	tc.write("x")
	f.want("first data", isData, carries(wire.HasCapable), form(2, true))
	tc.write("y")
	f.want("second data", isData, carries(wire.HasDSS))
	tc.syn(capable(0)).want("SYN/ACK", isSYNACK, carries(wire.HasCapable), form(1, false))
}

func testChecksumNegotiation(t *testing.T) {
	hasA := func(want bool) check {
		return says(fmt.Sprintf("flag A %v", want), func(o *wire.Options) bool {
			return o.Capable.Flags&wire.CapableChecksum != 0 == want
		})
	}
	for _, ours := range []bool{true, false} {
		for _, theirs := range []bool{true, false} {
			on := ours || theirs
			tc := newTestConn(t, mptcp.Config{Checksum: ours})
			f := tc.dial(nil)
			tc.checksum = theirs
			f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1))
			tc.checksum = on
			tc.ours = f.want("a third packet that confirms", isACK, hasA(on)).Options.Capable.SenderKey
			tc.write("w")
			f.want("first data", isData, says("checksum as negotiated", func(o *wire.Options) bool { return o.Capable.HasChecksum == on }))
			f.sendData("r")
			tc.wantRead("data with checksum as negotiated", "r")
			tc.skip()
			checksummed(tc, f, on)

			tc = newTestConn(t, mptcp.Config{Checksum: ours})
			tc.checksum = theirs
			f = tc.syn(capable(0))
			tc.ours = f.want("the SYN/ACK", isSYNACK, hasA(on)).Options.Capable.SenderKey
			tc.checksum = on
			f.send(capable(2))
			f.send(payload("r"), capable(2, withData("r", on)))
			tc.next++
			tc.wantRead("first data with checksum as negotiated", "r")
			tc.skip()
			tc.write("w")
			f.want("our first byte", isData)
			checksummed(tc, f, on)
		}
	}
}

// checksummed checks data in both directions and our DATA_FIN.
func checksummed(tc *testConn, f *testFlow, on bool) {
	tc.t.Helper()
	tc.write("text")
	from := tc.ack
	s := f.want("data with checksum as negotiated", holds("text"), carries(wire.HasDSS))
	want := wire.DSSChecksum(tc.ourDSN(from), s.Options.DSS.SSN, 4, wire.Sum([]byte("text"), 0))
	if d := &s.Options.DSS; d.HasChecksum != on || on && d.Checksum != want {
		tc.t.Errorf("got checksum %v %#x, want %v %#x", d.HasChecksum, d.Checksum, on, want)
	}
	f.sendData("data")
	tc.wantRead("the peer's", "data")
	f.send(dataAck)
	tc.skip()
	tc.conn.CloseWrite(tc.now)
	tc.pump()
	s = f.find("DATA_FIN", says("DATA_FIN", func(o *wire.Options) bool { return o.DSS.Fin }))
	want = wire.DSSChecksum(tc.ourDSN(tc.ack-1), 0, 1, 0)
	if d := &s.Options.DSS; d.HasChecksum != on || on && d.Checksum != want {
		tc.t.Errorf("DATA_FIN: got checksum %v %#x, want %v %#x", d.HasChecksum, d.Checksum, on, want)
	}
}

func testNoJoinToHere(t *testing.T) {
	noJoin := capFlags(wire.CapableHMAC | wire.CapableNoJoinToHere)
	tc := newTestConn(t, mptcp.Config{})
	tc.addAddress(1, mptcp.EndpointSubflow|mptcp.EndpointFullmesh)
	f := tc.dial(nil)
	f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1, noJoin))
	tc.ours = f.want("third packet", isACK).Options.Capable.SenderKey
	tc.write("w")
	f.want("first data", isData)
	f.sendData("r")
	tc.advance(time.Minute)
	tc.wantNoSYN("flag C came: no join to that address and port")
	f.send(addAddr(7, peerAddr(1), 0))
	tc.wantSYN("a join to the address that was announced", isJoin(wire.JoinSYN),
		wants("destination of the announcement", func(f *testFlow, s *wire.Segment) bool { return s.Dst.Addr() == peerAddr(1) }))

	// Nor when the first subflow is gone.
	f.send(flags(wire.RST|wire.ACK), at(f.next))
	for range 20 {
		tc.advance(time.Second)
		for {
			g, s := tc.newSYN()
			if g == nil {
				break
			}
			if s.Dst.Addr() == peerAddr(0) {
				t.Fatalf("a join to the address of flag C: %v", s)
			}
			g.send(flags(wire.RST|wire.ACK), acking(1))
		}
	}
	// Ours is sent where it is configured.
	tc = newTestConn(t, mptcp.Config{NoJoinHere: true})
	tc.syn(capable(0)).want("flag C in the SYN/ACK", isSYNACK, says("C", func(o *wire.Options) bool {
		return o.Capable.Flags == wire.CapableHMAC|wire.CapableNoJoinToHere
	}))
}
