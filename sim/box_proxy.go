package sim

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// EarlyACK acknowledges data in place of its receiver, as performance
// enhancing proxies do (RFC 3135), and may lose some of what it acknowledged.
// It keeps no data: what is lost behind it is lost to the connection for good.
type EarlyACK struct {
	Way Way // of the data that is acknowledged early
	// After is how many bytes of each stream are left to their receiver
	// first.
	After seq.Pos
	// Lose, if set, picks segments among those acknowledged early that the
	// box loses.
	Lose *Pick

	Acked int // ACKs sent

	seg   wire.Segment
	flows flows[earlyACK]
	buf   []byte
}

// earlyACK is what the proxy knows of a connection.
type earlyACK struct {
	acked [2]seq.Pos // up to where it acknowledged each stream
	edge  [2]seq.Pos // up to where the receiver of each stream has room
	tsval [2]uint32  // the last timestamp from each end
	scale [2]uint8   // of the windows each end sends
	wants [2]bool    // offered scaling
}

// scaleOf is the scale of the windows sent in a direction (RFC 7323 section
// 2.2: none unless both ends want it).
func (e *earlyACK) scaleOf(dir Dir) uint8 {
	if e.wants[AB] && e.wants[BA] {
		return min(e.scale[dir], 14)
	}
	return 0
}

// window is what the window field of an ACK at acked[stream] must say so that
// the receiver is not given more than it has room for.
func (e *earlyACK) window(stream Dir) uint16 {
	room := max(e.edge[stream]-e.acked[stream], 0)
	return uint16(min(room>>e.scaleOf(stream.Reverse()), 65535))
}

// Handle implements Middlebox.
func (b *EarlyACK) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if wire.ParseSegment(pkt, &b.seg, false) != nil {
		out.Send(dir, pkt)
		return
	}
	f := b.flows.of(dir, &b.seg)
	b.learn(f, dir)
	b.raiseACK(f, dir.Reverse(), pkt)
	if b.Way.allows(dir) && b.ackEarly(f, dir, out) && b.Lose != nil && b.Lose.pick(dir, pkt) {
		return
	}
	out.Send(dir, pkt)
}

// learn takes note of what the segment at hand says about its sender.
func (b *EarlyACK) learn(f *flow[earlyACK], dir Dir) {
	s, e, rev := &b.seg, &f.own, dir.Reverse()
	if s.Options.Has(wire.HasTimestamps) {
		e.tsval[dir] = s.Options.TSVal
	}
	scale := e.scaleOf(dir)
	if s.Flags.Has(wire.SYN) {
		e.acked[dir] = 1
		e.wants[dir], e.scale[dir] = s.Options.Has(wire.HasWindowScale), s.Options.WindowScale
		scale = 0 // RFC 7323 section 2.2: the window of a SYN is not scaled
	}
	if s.Flags.Has(wire.ACK) {
		e.edge[rev] = max(e.edge[rev], f.pos(rev, s.Ack)+seq.Pos(s.Window)<<scale)
	}
}

// raiseACK lets the receiver's own ACK not fall behind what was acknowledged
// in its name.
func (b *EarlyACK) raiseACK(f *flow[earlyACK], stream Dir, pkt []byte) {
	if !b.seg.Flags.Has(wire.ACK) || b.seg.Flags.Has(wire.SYN) || f.own.acked[stream] <= b.After || f.pos(stream, b.seg.Ack) >= f.own.acked[stream] {
		return
	}
	v := viewOf(pkt)
	v.setAck(f.number(stream, f.own.acked[stream]))
	v.setWindow(f.own.window(stream))
	for option := range eachOption(v.options) {
		if option[0] == optionSACK { // would lie below the ACK
			blank(option)
		}
	}
	v.finish()
}

// ackEarly acknowledges the data at hand, if there is room for it and nothing
// before it is missing.
func (b *EarlyACK) ackEarly(f *flow[earlyACK], dir Dir, out Outlet) bool {
	s, e, rev := &b.seg, &f.own, dir.Reverse()
	from := f.pos(dir, s.Seq)
	end := from + seq.Pos(len(s.Payload))
	if from > e.acked[dir] || end <= e.acked[dir] || end > e.edge[dir] ||
		!s.Flags.Has(wire.ACK) || s.Flags.Has(wire.SYN) {
		return false
	}
	e.acked[dir] = end
	if end <= b.After {
		return false
	}
	ack := wire.Segment{Src: s.Dst, Dst: s.Src, TTL: 64, Flags: wire.ACK,
		Seq: s.Ack, Ack: f.number(dir, end), Window: e.window(dir)}
	if s.Options.Has(wire.HasTimestamps) {
		ack.Options.Set, ack.Options.TSVal, ack.Options.TSEcr = wire.HasTimestamps, e.tsval[rev], s.Options.TSVal
	}
	b.Acked++
	b.buf = wire.AppendSegment(b.buf[:0], &ack)
	out.Send(rev, b.buf)
	return true
}

// SYNProxy answers SYNs from end A itself, without any option but MSS, and
// opens the connection to end B only when the third packet shows that the
// client exists, as protections against floods do. It keeps no data either:
// what the client sends before B has answered must be sent again.
type SYNProxy struct {
	Seed uint64

	seg   wire.Segment
	flows flows[synProxy]
	buf   []byte
}

// synProxy is a connection through the proxy.
type synProxy struct {
	state  proxyState
	isn    uint32 // the proxy's own, towards the client
	server uint32 // the server's
	mss    uint16
	window uint16
}

type proxyState uint8

const (
	proxyIdle    proxyState = iota
	proxyAnswers            // SYN/ACK sent to the client
	proxyOpens              // SYN sent to the server
	proxyOpen
)

// Handle implements Middlebox.
func (b *SYNProxy) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if wire.ParseSegment(pkt, &b.seg, false) != nil {
		out.Send(dir, pkt)
		return
	}
	s := &b.seg
	f := b.flows.of(dir, s)
	switch {
	case dir == AB && s.Flags.Has(wire.SYN):
		b.answer(f, out)
	case dir == AB && f.own.state == proxyAnswers && s.Flags.Has(wire.ACK) && s.Ack == f.own.isn+1:
		f.own.state, f.own.window = proxyOpens, s.Window
		b.open(f, out)
	case dir == AB && f.own.state == proxyOpens && !s.Flags.Has(wire.RST):
		b.open(f, out) // the SYN to the server may have been lost
	case dir == BA && f.own.state == proxyOpens && s.Flags.Has(wire.SYN|wire.ACK):
		f.own.state, f.own.server = proxyOpen, s.Seq
		b.complete(f, out)
	case dir == BA && f.own.state == proxyOpen && s.Flags.Has(wire.SYN):
		b.complete(f, out)
	case f.own.state == proxyOpen || f.own.state == proxyIdle:
		b.shift(f, dir, pkt)
		out.Send(dir, pkt)
	}
}

func (b *SYNProxy) send(dir Dir, out Outlet, s *wire.Segment) {
	s.TTL = 64
	b.buf = wire.AppendSegment(b.buf[:0], s)
	out.Send(dir, b.buf)
}

// answer plays the server towards the client, whose SYN is at hand.
func (b *SYNProxy) answer(f *flow[synProxy], out Outlet) {
	s, p := &b.seg, &f.own
	if p.state == proxyIdle {
		p.state = proxyAnswers
		p.isn = newRand(b.Seed, uint64(len(b.flows.table))).Uint32()
		p.mss = 536 // RFC 9293 section 3.7.1: where the SYN says nothing
		if s.Options.Has(wire.HasMSS) {
			p.mss = s.Options.MSS
		}
	}
	reply := wire.Segment{Src: s.Dst, Dst: s.Src, Seq: p.isn, Ack: s.Seq + 1, Flags: wire.SYN | wire.ACK, Window: 65535}
	reply.Options.Set, reply.Options.MSS = wire.HasMSS, p.mss
	b.send(BA, out, &reply)
}

// open plays the client towards the server; a packet of the client's is at
// hand.
func (b *SYNProxy) open(f *flow[synProxy], out Outlet) {
	s := &b.seg
	syn := wire.Segment{Src: s.Src, Dst: s.Dst, Seq: f.isn[AB], Flags: wire.SYN, Window: f.own.window}
	syn.Options.Set, syn.Options.MSS = wire.HasMSS, f.own.mss
	b.send(AB, out, &syn)
}

// complete ends the handshake with the server, whose SYN/ACK is at hand.
func (b *SYNProxy) complete(f *flow[synProxy], out Outlet) {
	s := &b.seg
	b.send(AB, out, &wire.Segment{Src: s.Dst, Dst: s.Src, Seq: s.Ack, Ack: s.Seq + 1, Flags: wire.ACK, Window: f.own.window})
}

// shift translates between the sequence numbers of the server and those the
// proxy told the client.
func (b *SYNProxy) shift(f *flow[synProxy], dir Dir, pkt []byte) {
	if f.own.state != proxyOpen {
		return
	}
	v := viewOf(pkt)
	if by := f.own.isn - f.own.server; dir == BA {
		v.setSeq(v.seq() + by)
	} else if v.flags().Has(wire.ACK) {
		v.setAck(v.ack() - by)
	}
	v.finish()
}
