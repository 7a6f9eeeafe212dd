package mptcp_test

import (
	"net/netip"
	"slices"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/wire"
)

// The ways a testConn and its subflows come to be.

// capable adds MP_CAPABLE with no, one or both keys; the peer is its sender.
func capable(keys int, more ...func(*wire.Capable)) part {
	return func(f *testFlow, s *wire.Segment) {
		cp := wire.Capable{Version: wire.V1, Flags: wire.CapableHMAC, Keys: uint8(keys), SenderKey: f.tc.key, ReceiverKey: f.tc.ours}
		if f.tc.checksum {
			cp.Flags |= wire.CapableChecksum
		}
		for _, m := range more {
			m(&cp)
		}
		s.Options.Set |= wire.HasCapable
		s.Options.Capable = cp
	}
}

// withData makes MP_CAPABLE map the first bytes of the stream.
func withData(b string, checksum bool) func(*wire.Capable) {
	return func(cp *wire.Capable) {
		cp.HasData, cp.DataLen = true, uint16(len(b))
		if cp.HasChecksum = checksum; checksum {
			cp.Checksum = wire.DSSChecksum(wire.IDSN(cp.SenderKey, wire.V1)+1, 1, cp.DataLen, wire.Sum([]byte(b), 0))
		}
	}
}

func capFlags(set wire.CapableFlags) func(*wire.Capable) {
	return func(cp *wire.Capable) { cp.Flags = set }
}

// dial lets the stack open a connection, and takes its SYN.
func (tc *testConn) dial(cfg *mptcp.Config) *testFlow {
	tc.t.Helper()
	remote := netip.AddrPortFrom(peerAddr(0), otherPort)
	c, err := tc.stack.Dial(tc.now, netip.AddrPortFrom(ourAddr(0), 0), remote, cfg)
	if err != nil {
		tc.t.Fatal(err)
	}
	tc.conn = c
	tc.pump()
	return tc.wantSYN("the SYN of a connection")
}

// wantSYN takes the first SYN the stack sent that belongs to no flow yet, and
// makes one of it.
func (tc *testConn) wantSYN(what string, checks ...check) *testFlow {
	tc.t.Helper()
	f, s := tc.newSYN()
	if f == nil {
		tc.t.Fatalf("%s: no SYN came", what)
	}
	for _, c := range checks {
		if wrong := c(f, s); wrong != "" {
			tc.t.Fatalf("%s: %s in %v", what, wrong, s)
		}
	}
	return f
}

func (tc *testConn) newSYN() (*testFlow, *wire.Segment) {
	for i, s := range tc.said {
		known := func(f *testFlow) bool { return f.remote == s.Src && f.local == s.Dst && f.irs == s.Seq }
		if s.Flags&(wire.SYN|wire.ACK) != wire.SYN || slices.ContainsFunc(tc.flows, known) {
			continue
		}
		f := tc.newFlow(s.Dst, s.Src)
		if s.Options.Has(wire.HasJoin) {
			f.theirs = s.Options.Join.Nonce
		}
		tc.said = slices.Delete(tc.said, i, i+1)
		f.received(s)
		return f, s
	}
	return nil, nil
}

// wantNoSYN fails if the stack sent a SYN that belongs to no flow.
func (tc *testConn) wantNoSYN(what string) {
	tc.t.Helper()
	if _, s := tc.newSYN(); s != nil {
		tc.t.Fatalf("%s: got %v", what, s)
	}
}

// connect lets the stack open a connection, up to the third packet.
func (tc *testConn) connect(cfg *mptcp.Config) *testFlow {
	tc.t.Helper()
	f := tc.dial(cfg)
	f.send(flags(wire.SYN|wire.ACK), synOptions, capable(1))
	third := f.want("the third packet with both keys", isACK, carries(wire.HasCapable))
	tc.ours = third.Options.Capable.SenderKey
	return f
}

// client is connect up to the first DSS of the peer, with a byte of data in
// each direction.
func (tc *testConn) client(cfg *mptcp.Config) *testFlow {
	tc.t.Helper()
	f := tc.connect(cfg)
	tc.write("w")
	f.want("the first data with both keys", isData, carries(wire.HasCapable))
	f.sendData("r")
	tc.wantRead("the peer's first byte", "r")
	f.want("its acknowledgement", acksData(2))
	return f
}

// syn lets the peer send the SYN of a connection.
func (tc *testConn) syn(parts ...part) *testFlow {
	tc.t.Helper()
	f := tc.newFlow(netip.AddrPortFrom(peerAddr(0), peerPort), netip.AddrPortFrom(ourAddr(0), ourPort))
	f.send(append([]part{flags(wire.SYN), synOptions}, parts...)...)
	return f
}

// accept lets the peer open a connection, up to the third packet.
func (tc *testConn) accept() *testFlow {
	tc.t.Helper()
	f := tc.syn(capable(0))
	s := f.want("the SYN/ACK with a key", isSYNACK, carries(wire.HasCapable))
	tc.ours = s.Options.Capable.SenderKey
	f.send(capable(2))
	if tc.conn == nil {
		tc.t.Fatal("no connection was accepted")
	}
	return f
}

// server is accept up to the first DSS of the peer, with a byte of data in each
// direction.
func (tc *testConn) server() *testFlow {
	tc.t.Helper()
	f := tc.accept()
	f.send(payload("r"), capable(2, withData("r", tc.checksum)))
	tc.next++
	tc.wantRead("the peer's first byte", "r")
	f.want("its acknowledgement", acksData(2))
	tc.write("w")
	f.want("the stack's first byte", holds("w"), carries(wire.HasDSS))
	f.send(dataAck)
	return f
}

// both runs a test with the stack as initiator and as responder.
func both(tc func() *testConn, test func(tc *testConn, f *testFlow)) {
	c := tc()
	test(c, c.client(nil))
	c = tc()
	test(c, c.server())
}

// joinSYN is the peer's SYN of an additional subflow between addresses i.
func (tc *testConn) joinSYN(i int, parts ...part) *testFlow {
	tc.t.Helper()
	f := tc.newFlow(netip.AddrPortFrom(peerAddr(i), peerPort), netip.AddrPortFrom(ourAddr(i), ourPort))
	join := option(wire.HasJoin, func(o *wire.Options) {
		o.Join = wire.Join{ID: uint8(i + 1), Token: wire.Token(tc.ours, wire.V1), Nonce: f.nonce}
	})
	f.send(append([]part{flags(wire.SYN), synOptions, join}, parts...)...)
	return f
}

// hmac is the proof of the peer, theirHMAC that of the stack.
func (f *testFlow) hmac() [20]byte {
	return wire.JoinHMAC(f.tc.key, f.tc.ours, f.nonce, f.theirs, wire.V1)
}

func (f *testFlow) theirHMAC() [20]byte {
	return wire.JoinHMAC(f.tc.ours, f.tc.key, f.theirs, f.nonce, wire.V1)
}

// joinAck adds the proof that the third packet of a join carries.
func joinAck(f *testFlow, s *wire.Segment) {
	s.Options.Set |= wire.HasJoin
	s.Options.Join = wire.Join{Form: wire.JoinACK, HMAC: f.hmac()}
}

// joinReply adds the answer to a SYN of the stack.
func joinReply(id uint8) part {
	return func(f *testFlow, s *wire.Segment) {
		s.Options.Set |= wire.HasJoin
		s.Options.Join = wire.Join{Form: wire.JoinSYNACK, ID: id, Nonce: f.nonce, HMAC: f.hmac()}
	}
}

// isJoin checks for the n-th packet of a join's handshake, with a valid proof.
func isJoin(form wire.JoinForm) check {
	return wants("valid MP_JOIN", func(f *testFlow, s *wire.Segment) bool {
		j := &s.Options.Join
		if !s.Options.Has(wire.HasJoin) || j.Form != form {
			return false
		}
		switch form {
		case wire.JoinSYN:
			return j.Token == wire.Token(f.tc.key, wire.V1)
		case wire.JoinSYNACK:
			f.theirs = j.Nonce
			want := f.theirHMAC()
			return [8]byte(want[:8]) == [8]byte(j.HMAC[:8])
		}
		return j.HMAC == f.theirHMAC()
	})
}

// join lets the peer open an additional subflow between addresses i.
func (tc *testConn) join(i int, parts ...part) *testFlow {
	tc.t.Helper()
	f := tc.joinSYN(i, parts...)
	f.want("the answer to MP_JOIN", isSYNACK, isJoin(wire.JoinSYNACK))
	f.send(joinAck)
	f.find("the fourth packet", isACK, carries(wire.HasDSS))
	return f
}

// joined lets the peer answer a join that the stack began.
func (tc *testConn) joined(i int) *testFlow {
	tc.t.Helper()
	f := tc.wantSYN("the SYN of a join", carries(wire.HasJoin), isJoin(wire.JoinSYN))
	if f.local.Addr() != peerAddr(i) || f.remote.Addr() != ourAddr(i) {
		tc.t.Fatalf("the join is from %v to %v", f.remote, f.local)
	}
	f.send(flags(wire.SYN|wire.ACK), synOptions, joinReply(uint8(i+1)))
	f.want("the third packet of the join", isACK, isJoin(wire.JoinACK))
	f.send(dataAck)
	return f
}
