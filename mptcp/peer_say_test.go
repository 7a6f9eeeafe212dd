package mptcp_test

import (
	"net/netip"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// What the peer of a testConn says.

// part is something a segment of the peer consists of. Parts are applied in
// order.
type part func(f *testFlow, s *wire.Segment)

// send sends a segment of the peer: an ACK, and what the parts make of it. What
// it sends next continues behind it, if it continued what was sent before.
func (f *testFlow) send(parts ...part) {
	f.tc.t.Helper()
	s := f.segment(parts...)
	if s.Seq == seq.Wrap32(f.next, f.isn) {
		f.next += seq.Pos(s.Len())
	}
	f.tc.input(s)
}

func (f *testFlow) segment(parts ...part) *wire.Segment {
	s := &wire.Segment{
		Src: f.local, Dst: f.remote, TTL: 64, Flags: wire.ACK, Window: f.window,
		Seq: seq.Wrap32(f.next, f.isn), Ack: seq.Wrap32(f.ack, f.irs),
	}
	for _, p := range parts {
		p(f, s)
	}
	return s
}

func flags(set wire.Flags) part {
	return func(_ *testFlow, s *wire.Segment) { s.Flags = set }
}

func payload(b string) part {
	return func(_ *testFlow, s *wire.Segment) { s.Payload = []byte(b) }
}

// at puts the segment at a position of the subflow.
func at(p seq.Pos) part {
	return func(f *testFlow, s *wire.Segment) { s.Seq = seq.Wrap32(p, f.isn) }
}

// acking acknowledges up to a position of the stack's subflow.
func acking(p seq.Pos) part {
	return func(f *testFlow, s *wire.Segment) { s.Ack = seq.Wrap32(p, f.irs) }
}

func window(n uint16) part {
	return func(_ *testFlow, s *wire.Segment) { s.Window = n }
}

// option adds an option by hand.
func option(set wire.OptionSet, fill func(o *wire.Options)) part {
	return func(_ *testFlow, s *wire.Segment) {
		s.Options.Set |= set
		if fill != nil {
			fill(&s.Options)
		}
	}
}

// synOptions are the TCP options of the peer's SYN.
func synOptions(_ *testFlow, s *wire.Segment) {
	s.Options.Set |= wire.HasMSS
	s.Options.MSS = 1460
}

// dataAck adds the peer's Data ACK.
func dataAck(f *testFlow, s *wire.Segment) { dataAckAt(f.tc.ack)(f, s) }

func dataAckAt(p seq.Pos) part {
	return func(f *testFlow, s *wire.Segment) {
		if d := f.dss(s); f.tc.short {
			d.HasAck, d.Ack64, d.Ack = true, false, uint64(uint32(f.tc.ourDSN(p)))
		} else {
			d.HasAck, d.Ack64, d.Ack = true, true, f.tc.ourDSN(p)
		}
	}
}

// dss is the segment's DSS, made empty if it had none.
func (f *testFlow) dss(s *wire.Segment) *wire.DSS {
	if !s.Options.Has(wire.HasDSS) {
		s.Options.Set |= wire.HasDSS
		s.Options.DSS = wire.DSS{}
	}
	return &s.Options.DSS
}

// mapTo maps the segment's bytes to a position in the peer's stream.
func mapTo(data seq.Pos) part {
	return func(f *testFlow, s *wire.Segment) {
		mapAs(seq.Unwrap32(f.next, f.isn, s.Seq), data, string(s.Payload))(f, s)
	}
}

// mapAs maps bytes of the subflow, which need not be all in this segment, to a
// position in the peer's stream.
func mapAs(ssn, data seq.Pos, bytes string) part {
	return func(f *testFlow, s *wire.Segment) {
		d := f.dss(s)
		d.HasMap, d.DSN64, d.DSN = true, !f.tc.short, f.tc.dsn(data)
		if f.tc.short {
			d.DSN = uint64(uint32(d.DSN))
		}
		d.SSN, d.Len = uint32(ssn), uint16(len(bytes))
		if d.HasChecksum = f.tc.checksum; d.HasChecksum {
			d.Checksum = wire.DSSChecksum(f.tc.dsn(data), uint32(ssn), d.Len, wire.Sum([]byte(bytes), 0))
		}
	}
}

// dataFin ends the peer's stream at a position: behind the bytes mapped, or
// with a mapping of its own.
func dataFin(at seq.Pos) part {
	return func(f *testFlow, s *wire.Segment) {
		if !s.Options.Has(wire.HasDSS) || !s.Options.DSS.HasMap {
			mapAs(0, at, "")(f, s)
		}
		d := &s.Options.DSS
		d.Fin = true
		d.Len++
		if d.HasChecksum {
			d.Checksum = wire.DSSChecksum(f.tc.dsn(at-seq.Pos(d.Len-1)), d.SSN, d.Len, wire.Sum(s.Payload, 0))
		}
	}
}

// sendData sends the next bytes of the peer's stream, mapped.
func (f *testFlow) sendData(b string) {
	f.tc.t.Helper()
	from := f.tc.next
	f.tc.next += seq.Pos(len(b))
	f.send(payload(b), mapTo(from), dataAck)
}

// addrHMAC is the HMAC that the peer's ADD_ADDR has to carry.
func (tc *testConn) addrHMAC(a *wire.AddAddr) [8]byte { return wire.AddAddrHMAC(tc.key, tc.ours, a) }

// addAddr announces an address of the peer.
func addAddr(id uint8, addr netip.Addr, port uint16) part {
	return func(f *testFlow, s *wire.Segment) {
		a := wire.AddAddr{Version: wire.V1, ID: id, Addr: addr, Port: port}
		a.HMAC = f.tc.addrHMAC(&a)
		s.Options.Set |= wire.HasAddAddr
		s.Options.AddAddr[0], s.Options.AddAddrLen = a, 1
	}
}

// removeAddr takes addresses of the peer back.
func removeAddr(ids ...uint8) part {
	return func(_ *testFlow, s *wire.Segment) {
		s.Options.Set |= wire.HasRemoveAddr
		s.Options.RemoveAddr.Len = copy(s.Options.RemoveAddr.IDs[:], ids)
	}
}

// prio asks for a change of priority.
func prio(backup bool) part {
	return option(wire.HasPrio, func(o *wire.Options) { o.Prio = wire.Prio{Backup: backup} })
}

// fastClose adds MP_FASTCLOSE with the right key.
func fastClose(f *testFlow, s *wire.Segment) {
	s.Options.Set |= wire.HasFastClose
	s.Options.FastClose = wire.FastClose{ReceiverKey: f.tc.ours}
}

// fail adds MP_FAIL for a position in the stack's stream.
func fail(p seq.Pos) part {
	return func(f *testFlow, s *wire.Segment) {
		s.Options.Set |= wire.HasFail
		s.Options.Fail = wire.Fail{DSN: f.tc.ourDSN(p)}
	}
}

// tcpRST adds MP_TCPRST.
func tcpRST(reason wire.ResetReason, transient bool) part {
	return option(wire.HasReset, func(o *wire.Options) { o.Reset = wire.Reset{Reason: reason, Transient: transient} })
}
