package mptcp_test

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Sections 3 and 5: rules for all options, and security.
var generalItems = []item{
	{"A3_duplicate_ACK_with_option", func(t *testing.T) {
		for name, tc := range map[string]struct {
			with part
			want bool // a fast retransmit
		}{
			"ADD_ADDR":    {addAddr(9, peerAddr(5), 0), false},
			"REMOVE_ADDR": {removeAddr(99), false},
			"MP_PRIO":     {prio(false), false},
			"DSS":         {dataAckAt(2), true},
		} {
			c := newTestConn(t, mptcp.Config{TCP: tcp.Config{NoSACK: true}})
			f := c.server()
			c.write(strings.Repeat("x", 14000)) // ten segments
			c.skip()
			f.ack, c.ack = 2, 2
			for range 5 {
				f.send(acking(2), tc.with)
			}
			got := false
			for s := f.take(); s != nil; s = f.take() {
				got = got || len(s.Payload) > 0 && f.pos(s) == 2
			}
			if got != tc.want {
				t.Errorf("five duplicate ACKs with %s: fast retransmit %v, want %v", name, got, tc.want)
			}
		}
	}},
	{"A4_two_duplicate_ACKs_in_a_row", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		for i := range 7 {
			tc.addAddress(i+1, mptcp.EndpointSignal)
		}
		f := tc.accept()
		for i := range 8 { // each of which is to be echoed
			f.send(addAddr(uint8(i+10), peerAddr(i+10), 0))
		}
		announced, echoed := map[uint8]bool{}, map[uint8]bool{}
		for range 1000 {
			n := 0
			for s := f.take(); s != nil; s = f.take() {
				if a := &s.Options.AddAddr[0]; !s.Options.Has(wire.HasAddAddr) {
				} else if a.Echo {
					echoed[a.ID] = true
				} else {
					announced[a.ID] = true
				}
				n++
			}
			if n > 2 {
				t.Errorf("got %d duplicate ACKs at once", n)
			}
			tc.advance(10 * time.Millisecond)
		}
		if len(announced) != 7 || len(echoed) != 8 {
			t.Errorf("got %d announcements and %d echoes, want 7 and 8", len(announced), len(echoed))
		}
	}},
	{"A5_outside_the_window", func(t *testing.T) {
		for name, with := range map[string][]part{
			"MP_FASTCLOSE": {fastClose}, "REMOVE_ADDR": {removeAddr(0)}, "MP_FAIL": {fail(1)}, "MP_PRIO": {prio(true)},
			"ADD_ADDR":                       {addAddr(2, peerAddr(1), 0)},
			"DSS":                            {dataFin(2), dataAck},
			"an infinite mapping":            {payload("x"), mapTo(2), option(0, func(o *wire.Options) { o.DSS.Len = 0 })},
			"MP_FASTCLOSE on RST":            {flags(wire.RST | wire.ACK), fastClose},
			"an ACK of what was never sent":  {acking(1000), fastClose},
			"MP_TCPRST on RST in the window": nil,
		} {
			tc := newTestConn(t, mptcp.Config{})
			tc.addAddress(1, mptcp.EndpointSubflow)
			f := tc.client(nil)
			before := tc.info()
			if with == nil {
				f.send(flags(wire.RST|wire.ACK), at(f.next+1), tcpRST(wire.ResetProhibited, false))
			} else if strings.HasPrefix(name, "an ACK") {
				f.send(with...)
			} else {
				f.send(append([]part{at(f.next + 1<<20)}, with...)...)
			}
			tc.advance(100 * time.Millisecond)
			for s := f.take(); s != nil; s = f.take() {
				if s.Flags != wire.ACK || s.Options.Set&wire.HasMPTCP&^wire.HasDSS != 0 {
					t.Errorf("%s: answered with %v", name, s)
				}
			}
			tc.wantNoSYN(name)
			after := tc.info()
			if !after.Multipath || after.Stats != before.Stats || len(after.Subflows) != 1 || after.Subflows[0].PeerBackup {
				t.Errorf("%s: the connection changed from %+v to %+v", name, before, after)
			}
		}
	}},
	{"A9_Data_ACK_before_SACK_blocks", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.syn(capable(0), option(wire.HasSACKPermitted|wire.HasTimestamps, func(o *wire.Options) { o.TSVal = 1 }))
		tc.ours = f.want("SYN/ACK", isSYNACK, says("SACK and timestamps", func(o *wire.Options) bool {
			return o.Has(wire.HasSACKPermitted | wire.HasTimestamps)
		})).Options.Capable.SenderKey
		ts := option(wire.HasTimestamps, func(o *wire.Options) { o.TSVal, o.TSEcr = 2, 1 })
		f.send(capable(2), ts)
		f.send(payload("r"), capable(2, withData("r", false)), ts)
		for i := range 4 {
			p := f.next + seq.Pos(10+20*i)
			f.send(at(p), payload("0123456789"), mapTo(p), dataAck, ts)
		}
		var last *wire.Segment
		for s := f.take(); s != nil; s = f.take() {
			last = s
		}
		o := &last.Options
		if !o.Has(wire.HasDSS|wire.HasSACK|wire.HasTimestamps) || !o.DSS.HasAck || o.SACKLen < 1 || o.SACKLen > 3 || o.Len() > 40 {
			t.Errorf("got %v, want a Data ACK, and as many SACK blocks as fit beside it", last)
		}
	}},
	{"B5_keys_and_tokens_are_unique", testCollision},
	{"B6_token_checked_before_the_key_is_sent", testCollision},
	{"L2_a_nonce_for_each_join", func(t *testing.T) {
		tc, _, g := joining(t)
		seen := map[uint32]bool{g.theirs: true}
		for range 6 {
			g.send(flags(wire.RST|wire.ACK), acking(1), tcpRST(wire.ResetNoResources, true))
			tc.advance(time.Minute)
			g = tc.wantSYN("another attempt", isJoin(wire.JoinSYN))
			if seen[g.theirs] {
				t.Fatalf("nonce %#x came twice", g.theirs)
			}
			seen[g.theirs] = true
			tc.said = nil
		}
		tc.addAddress(2, 0)
		for range 6 {
			h := tc.joinSYN(2)
			h.want("an answer", isSYNACK, isJoin(wire.JoinSYNACK))
			if seen[h.theirs] {
				t.Fatalf("nonce %#x came twice", h.theirs)
			}
			seen[h.theirs] = true
			h.send(flags(wire.RST | wire.ACK))
		}
	}},
	{"L2_proof_of_another_attempt", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		tc.server()
		g := tc.joinSYN(1)
		g.want("an answer", isSYNACK, isJoin(wire.JoinSYNACK))
		old := g.hmac()
		g.send(flags(wire.RST | wire.ACK))
		g = tc.joinSYN(1)
		g.want("another", isSYNACK, isJoin(wire.JoinSYNACK))
		g.send(joinAck, option(0, func(o *wire.Options) { o.Join.HMAC = old }))
		g.want("the old proof is none", isRST, resetFor(wire.ResetMPTCP))
	}},
	{"L3_nothing_before_the_proof", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		tc.addAddress(1, 0)
		f := tc.server()
		f.send(prio(true), window(0), dataAck)
		g := tc.joinSYN(1)
		g.want("SYN/ACK", isSYNACK, isJoin(wire.JoinSYNACK))
		tc.write("not for strangers")
		tc.advance(time.Second / 2)
		g.wantIdle("the address is not verified")
		g.send(joinAck)
		g.find("data", holds("not for strangers"))
	}},
	{"L6_echoes_that_wait", func(t *testing.T) {
		tc := newTestConn(t, mptcp.Config{})
		f := tc.server()
		for i := range 1000 {
			f.send(addAddr(9, peerAddr(9), uint16(1+i)))
			tc.said = nil
		}
		n := 0
		for range 1000 {
			tc.advance(10 * time.Millisecond)
			for s := f.take(); s != nil; s = f.take() {
				if s.Options.Has(wire.HasAddAddr) {
					n++
				}
			}
		}
		if n > 40 {
			t.Errorf("%d echoes had been waiting", n)
		}
	}},
	{"L6_memory_of_a_connection", func(t *testing.T) {
		tc, f, g := twoFlows(t, mptcp.Config{RecvBuffer: 64 << 10})
		most := 0
		look := func() {
			most = max(most, tc.stack.Stats().BufferBytes)
			if n := tc.conn.HeldMappings(); n > 1<<14 {
				t.Fatalf("holds %d mappings", n)
			}
		}
		big := strings.Repeat("x", 1400)
		for i := range 2000 {
			// Everything but the byte that is missing, far beyond any window,
			f.send(payload(big), mapTo(seq.Pos(3+1400*i)), dataAck)
			// and bytes without a mapping.
			g.send(payload(big), dataAck)
			tc.said = nil
			look()
		}
		// Single bytes with holes between them.
		for i := range 5000 {
			f.send(at(f.next+seq.Pos(2*i+1)), payload("h"), mapTo(seq.Pos(1<<20+2*i)), dataAck)
			f.send(addAddr(uint8(i), peerAddr(i%200), uint16(i)))
			tc.said = nil
			look()
		}
		if limit := 5 * 64 << 10; most > limit+256<<10 {
			t.Errorf("held %d bytes, want about %d at most", most, limit)
		}
	}},
}

// testCollision: a key whose token is taken is not given to a second
// connection.
func testCollision(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var again []uint64
	tc := newTestConnRand(t, mptcp.Config{}, func() uint64 {
		if len(again) > 0 {
			v := again[0]
			again = again[1:]
			return v
		}
		return r.Uint64()
	})
	tc.accept()
	first := tc.ours
	again = []uint64{uint64(first), uint64(first), uint64(first)}
	f := tc.newFlow(netip.AddrPortFrom(peerAddr(0), peerPort+1), netip.AddrPortFrom(ourAddr(0), ourPort))
	f.send(flags(wire.SYN), synOptions, capable(0))
	s := f.want("the answer to a second connection", isSYNACK, carries(wire.HasCapable))
	if k := s.Options.Capable.SenderKey; k == first || wire.Token(k, wire.V1) == wire.Token(first, wire.V1) {
		t.Errorf("got key %#x a second time", uint64(k))
	}
	if len(again) != 0 {
		t.Errorf("%d of the numbers that collide were not asked for", len(again))
	}
}
