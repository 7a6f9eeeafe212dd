package sim

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// NAT translates the addresses and ports of connections that begin at end A
// to one public address (RFC 3022). Nobody at end B can open a connection to
// A, whatever addresses A announces.
type NAT struct {
	Public netip.Addr
	// Idle is how long a connection is remembered after its last packet; 0
	// for ever.
	Idle time.Duration
	// Reset answers packets of connections not remembered with RST. Otherwise
	// they are lost in silence.
	Reset bool

	Forgotten int // connections dropped for being idle
	Refused   int // packets that belonged to none

	seg     wire.Segment
	inside  map[flowKey]*binding // by the addresses seen at end A
	outside map[flowKey]*binding // by those seen at end B
	port    uint16
	buf     []byte
}

// binding is one translated connection.
type binding struct {
	private, public, remote netip.AddrPort
	last                    time.Time
}

// Handle implements Middlebox.
func (b *NAT) Handle(now time.Time, dir Dir, pkt []byte, out Outlet) {
	err := wire.ParseSegment(pkt, &b.seg, false)
	switch {
	case err == nil && dir == AB:
		b.leave(now, pkt, out)
	case err == nil:
		b.enter(now, pkt, out)
	case dir == BA:
		b.enterICMP(pkt, out)
	}
	// Nothing else gets across, damaged packets least of all.
}

// leave translates a packet from A.
func (b *NAT) leave(now time.Time, pkt []byte, out Outlet) {
	s := &b.seg
	if s.Src.Addr().Is4() != b.Public.Is4() {
		out.Send(AB, pkt) // the other IP version is not translated
		return
	}
	bind := b.inside[flowKey{s.Src, s.Dst}]
	switch {
	case b.fresh(now, bind):
	case s.Flags.Has(wire.SYN) && !s.Flags.Has(wire.ACK):
		bind = b.bind(s)
	default:
		b.refuse(AB, out)
		return
	}
	bind.last = now
	translate(pkt, 0, bind.public)
	out.Send(AB, pkt)
}

// enter translates a packet for A.
func (b *NAT) enter(now time.Time, pkt []byte, out Outlet) {
	s := &b.seg
	if s.Dst.Addr().Is4() != b.Public.Is4() {
		out.Send(BA, pkt)
		return
	}
	bind := b.outside[flowKey{s.Dst, s.Src}]
	if !b.fresh(now, bind) {
		b.refuse(BA, out)
		return
	}
	bind.last = now
	translate(pkt, 1, bind.private)
	out.Send(BA, pkt)
}

// enterICMP translates an ICMP error about a packet of A's. The quoted packet
// is translated back too, or A would not know it (RFC 5508 section 4).
func (b *NAT) enterICMP(pkt []byte, out Outlet) {
	msg, err := wire.ParseICMP(pkt)
	if err != nil {
		return
	}
	bind := b.outside[flowKey{msg.Src, msg.Dst}]
	if bind == nil {
		return
	}
	ip, err := wire.ParseIP(pkt)
	if err != nil || msg.Kind != wire.ICMPTooBig {
		return // the simulator sends no other
	}
	quoted := wire.AppendSegment(nil, &wire.Segment{Src: bind.private, Dst: bind.remote, TTL: 64, Seq: msg.Seq})
	out.Send(BA, wire.AppendICMPTooBig(nil, ip.Src, msg.MTU, quoted))
}

// fresh reports whether a binding exists and is not too old; one that is gets
// forgotten.
func (b *NAT) fresh(now time.Time, bind *binding) bool {
	if bind == nil {
		return false
	}
	if b.Idle <= 0 || now.Sub(bind.last) <= b.Idle {
		return true
	}
	b.Forgotten++
	delete(b.inside, flowKey{bind.private, bind.remote})
	delete(b.outside, flowKey{bind.public, bind.remote})
	return false
}

// bind remembers a new connection under the next free public port.
func (b *NAT) bind(s *wire.Segment) *binding {
	if b.inside == nil {
		b.inside, b.outside = make(map[flowKey]*binding), make(map[flowKey]*binding)
	}
	const first = 40000 // ports count up from here and begin again
	bind := &binding{private: s.Src, remote: s.Dst}
	for range 65536 - first {
		b.port = max(first, b.port+1)
		bind.public = netip.AddrPortFrom(b.Public, b.port)
		if b.outside[flowKey{bind.public, s.Dst}] == nil {
			break
		}
	}
	b.inside[flowKey{s.Src, s.Dst}] = bind
	b.outside[flowKey{bind.public, s.Dst}] = bind
	return bind
}

// refuse deals with the packet at hand, which belongs to no connection.
func (b *NAT) refuse(dir Dir, out Outlet) {
	b.Refused++
	if b.Reset && !b.seg.Flags.Has(wire.RST) {
		b.buf = appendReset(b.buf[:0], &b.seg)
		out.Send(dir.Reverse(), b.buf)
	}
}

// appendReset appends the RST that answers a segment of no connection (RFC
// 9293 section 3.10.7.1).
func appendReset(b []byte, s *wire.Segment) []byte {
	r := wire.Segment{Src: s.Dst, Dst: s.Src, TTL: 64}
	if s.Flags.Has(wire.ACK) {
		r.Flags, r.Seq = wire.RST, s.Ack
	} else {
		r.Flags, r.Ack = wire.RST|wire.ACK, s.Seq+uint32(s.Len())
	}
	return wire.AppendSegment(b, &r)
}

// translate overwrites the source (which 0) or destination (which 1) of a TCP
// packet.
func translate(pkt []byte, which int, to netip.AddrPort) {
	v := viewOf(pkt)
	if pkt[0]>>4 == 4 {
		*(*[4]byte)(pkt[12+4*which:]) = to.Addr().As4()
	} else {
		*(*[16]byte)(pkt[8+16*which:]) = to.Addr().As16()
	}
	binary.BigEndian.PutUint16(v.tcp[2*which:], to.Port())
	v.finish()
}

// Balance makes one address stand for several hosts at end B, as a load
// balancer in front of them, an anycast address or ECMP does: each connection
// goes to one host, and a second subflow of a Multipath TCP connection as
// likely as not to another.
type Balance struct {
	Virtual netip.Addr
	Hosts   []netip.Addr
	// Choose gives the index in Hosts for a new connection, the n-th; nil
	// takes them in turn.
	Choose func(n int, syn *wire.Segment) int

	seg   wire.Segment
	hosts map[flowKey]netip.Addr // by the addresses seen at end A
	back  map[flowKey]bool       // the connections, by the addresses seen at end B
	count int
}

// Handle implements Middlebox.
func (b *Balance) Handle(_ time.Time, dir Dir, pkt []byte, out Outlet) {
	if wire.ParseSegment(pkt, &b.seg, false) == nil {
		key := keyOf(dir, &b.seg)
		switch {
		case dir == AB && key.b.Addr() == b.Virtual:
			translate(pkt, 1, netip.AddrPortFrom(b.host(key), key.b.Port()))
		case dir == BA && b.back[key]:
			translate(pkt, 0, netip.AddrPortFrom(b.Virtual, key.b.Port()))
		}
	}
	out.Send(dir, pkt)
}

// host gives the host a connection goes to.
func (b *Balance) host(key flowKey) netip.Addr {
	if host, ok := b.hosts[key]; ok {
		return host
	}
	if b.hosts == nil {
		b.hosts, b.back = make(map[flowKey]netip.Addr), make(map[flowKey]bool)
	}
	i := b.count
	if b.Choose != nil {
		i = b.Choose(b.count, &b.seg)
	}
	b.count++
	host := b.Hosts[i%len(b.Hosts)]
	b.hosts[key] = host
	b.back[flowKey{key.a, netip.AddrPortFrom(host, key.b.Port())}] = true
	return host
}
