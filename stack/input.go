package stack

import (
	"errors"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// Input is InputBuffer for a packet in memory that stays the caller's.
func (s *Stack) Input(now time.Time, pkt []byte, off wire.Offload) {
	s.InputBuffer(now, pkt, off, nil)
}

// Buffer gives memory of n bytes to read a packet into, for InputBuffer.
func (s *Stack) Buffer(n int) *stream.Buffer { return s.pool.Buffer(n) }

// InputBuffer takes an IP packet from a device. It lies in memory of in, which a
// connection may keep: the next packet goes into what in.Renew gives.
func (s *Stack) InputBuffer(now time.Time, pkt []byte, off wire.Offload, in *stream.Buffer) {
	s.stats.PacketsIn++
	seg := &s.in
	if err := wire.ParseSegment(pkt, seg, off.PartialChecksum); err != nil {
		if !errors.Is(err, wire.ErrNotTCP) || !s.inputICMP(now, pkt) {
			s.stats.BadPackets++
		}
		return
	}
	t := fourTuple{seg.Dst, seg.Src}
	if sub, ok := s.bySegment[t]; ok {
		if !sub.sf.Crosses(seg) {
			sub.e.conn.Input(now, sub.sf, seg, in)
			return
		}
		if s.byToken[seg.Options.Join.Token] != sub.e || !sub.sf.GiveWay(now) {
			return
		}
	}
	if !validPeer(t.remote.Addr()) {
		s.stats.BadPackets++
		return
	}
	if _, ours := s.address(t.local.Addr()); !ours {
		s.stats.BadPackets++
		return
	}
	s.inputStray(now, t, seg)
}

// validPeer reports whether a can be the address of one host (RFC 9293
// section 3.9.2.3).
func validPeer(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// inputStray takes a segment of no connection: what is left of an old one, the
// beginning of a new one, a new path of one, or something that has to be told
// so (RFC 9293 section 3.10.7.1).
func (s *Stack) inputStray(now time.Time, t fourTuple, seg *wire.Segment) {
	if s.waits.input(now, t, seg) {
		return
	}
	if seg.Flags&(wire.SYN|wire.ACK|wire.RST|wire.FIN) != wire.SYN {
		s.reset(seg, nil)
		return
	}
	if seg.Options.Has(wire.HasJoin) {
		s.inputJoin(now, t, seg)
		return
	}
	if l := s.listenerFor(t.local); l != nil {
		s.inputListen(now, l, t, seg)
		return
	}
	s.reset(seg, nil)
}

// inputJoin takes a SYN with MP_JOIN. The token names the connection; the port
// does not matter (RFC 8684 section 3.2).
func (s *Stack) inputJoin(now time.Time, t fourTuple, syn *wire.Segment) {
	e := s.byToken[syn.Options.Join.Token]
	if syn.Options.Join.Form != wire.JoinSYN || e == nil || e.conn == nil {
		s.stats.JoinsUnknown++
		s.reset(syn, &wire.Reset{Reason: wire.ResetMPTCP})
		return
	}
	if err := e.conn.CheckJoin(now, syn); err != nil {
		s.stats.JoinsRefused++
		reset := &wire.Reset{Reason: wire.ResetMPTCP}
		var join *mptcp.JoinError
		if errors.As(err, &join) {
			reset.Reason = join.Reason
			reset.Transient = join.Reason == wire.ResetNoResources
		}
		s.reset(syn, reset)
		return
	}
	a, ok := s.address(t.local.Addr())
	if !ok {
		return
	}
	tcpCfg := e.conn.TCPConfig()
	s.fill(now, &tcpCfg, a, t)
	s.bySegment[t] = subflow{e, e.conn.AcceptJoin(now, tcpCfg, syn)}
	e.Wake(e.conn)
}

// maxReplies bounds the segments that wait to tell strangers off.
const maxReplies = 64

// reset answers a segment of no connection (RFC 9293 section 3.10.7.1).
func (s *Stack) reset(seg *wire.Segment, why *wire.Reset) {
	if seg.Flags.Has(wire.RST) || len(s.replies) >= maxReplies {
		return
	}
	r := wire.Segment{Src: seg.Dst, Dst: seg.Src, TTL: 64, Flags: wire.RST}
	if seg.Flags.Has(wire.ACK) {
		r.Seq = seg.Ack
	} else {
		r.Flags |= wire.ACK
		r.Ack = seg.Seq + uint32(seg.Len())
	}
	if why != nil {
		r.Options.Set = wire.HasReset
		r.Options.Reset = *why
	}
	s.replies = append(s.replies, r)
	s.stats.ResetsSent++
}

func (s *Stack) outputReply(buf []byte) int {
	n := len(wire.AppendSegment(buf[:0], &s.replies[0]))
	if s.replies = s.replies[1:]; len(s.replies) == 0 {
		s.replies = nil
	}
	s.stats.PacketsOut++
	return n
}

// inputICMP takes an ICMP error about one of our segments. It is believed only
// if it quotes one in flight (RFC 5927). It reports whether pkt was ICMP.
func (s *Stack) inputICMP(now time.Time, pkt []byte) bool {
	icmp, err := wire.ParseICMP(pkt)
	if err != nil {
		return false
	}
	sub, ok := s.bySegment[fourTuple{icmp.Src, icmp.Dst}]
	if !ok || !sub.sf.TCP().InFlightWire(icmp.Seq) {
		s.stats.ICMPIgnored++
		return true
	}
	switch icmp.Kind {
	case wire.ICMPTooBig:
		sub.sf.TCP().PacketTooBig(now, icmp.MTU)
	case wire.ICMPHard:
		sub.sf.TCP().Unreachable(now, true)
	case wire.ICMPSoft, wire.ICMPTimeExceeded:
		sub.sf.TCP().Unreachable(now, false)
	}
	sub.e.Wake(sub.e.conn)
	return true
}
