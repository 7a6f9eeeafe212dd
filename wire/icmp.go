package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// What can be wrong with an ICMP message, besides the errors of ParseIP.
var (
	ErrNotICMP      = errors.New("wire: not an ICMP message")
	ErrICMPChecksum = errors.New("wire: bad ICMP checksum")
	ErrICMPKind     = errors.New("wire: ICMP message of no concern to TCP")
	ErrICMPQuote    = errors.New("wire: ICMP message quotes no TCP segment")
)

// ICMPKind is what an ICMP error means for a TCP connection (RFC 9293 section
// 3.9.2.2).
type ICMPKind uint8

const (
	ICMPTooBig       ICMPKind = iota + 1 // the packet exceeds the path MTU (RFC 1191, RFC 8201)
	ICMPHard                             // destination unreachable, and will stay so: protocol, port, prohibited (IPv6)
	ICMPSoft                             // destination unreachable for now, or a parameter problem
	ICMPTimeExceeded                     // hop limit or reassembly time
)

func (k ICMPKind) String() string {
	switch k {
	case ICMPTooBig:
		return "too big"
	case ICMPHard:
		return "hard error"
	case ICMPSoft:
		return "soft error"
	case ICMPTimeExceeded:
		return "time exceeded"
	}
	return "unknown"
}

// ICMP is an ICMP error about a TCP segment of ours. Nothing proves that it is
// genuine: Seq must be checked against what is in flight (RFC 5927 section 4).
type ICMP struct {
	Kind     ICMPKind
	Code     uint8          // as on the wire
	MTU      int            // ICMPTooBig: of the next hop, in bytes; 0 where an old router did not say
	Src, Dst netip.AddrPort // of the quoted segment, so Src is ours
	Seq      uint32         // of the quoted segment
}

// ICMP types and codes (RFC 792, RFC 4443).
const (
	icmpv4Unreachable  = 3
	icmpv4TimeExceeded = 11
	icmpv4Parameter    = 12
	icmpv4CodeTooBig   = 4

	icmpv6Unreachable  = 1
	icmpv6TooBig       = 2
	icmpv6TimeExceeded = 3
	icmpv6Parameter    = 4
)

const (
	icmpHeaderLen = 8
	tcpQuoteLen   = 8 // ports and sequence number: what every error quotes at least
)

// ParseICMP reads the IP packet pkt as an ICMP or ICMPv6 error about a TCP
// segment; its checksum is verified. Errors: those of ParseIP, ErrFragment,
// ErrNotICMP, ErrICMPChecksum, ErrICMPKind for echo and the like, ErrICMPQuote
// when it is not TCP that is quoted or too little of it.
func ParseICMP(pkt []byte) (ICMP, error) {
	var outer IPHeader
	var m ICMP
	if err := outer.parse(pkt, true); err != nil {
		return m, err
	}
	v4 := outer.Version == 4 && outer.Protocol == ProtocolICMP
	v6 := outer.Version == 6 && outer.Protocol == ProtocolICMPv6
	if !v4 && !v6 {
		return m, ErrNotICMP
	}
	if outer.Fragment {
		return m, ErrFragment
	}
	msg := pkt[outer.HeaderLen:outer.TotalLen]
	if len(msg) < icmpHeaderLen {
		return m, ErrShort
	}
	var sum uint16
	if v6 {
		sum = pseudoSum(pkt, ProtocolICMPv6, len(msg))
	}
	if Sum(msg, sum) != 0xffff {
		return m, ErrICMPChecksum
	}
	m.Code = msg[1]
	if v4 {
		m.Kind = icmpv4Kind(msg[0], m.Code)
	} else {
		m.Kind = icmpv6Kind(msg[0], m.Code)
	}
	switch {
	case m.Kind == 0:
		return m, ErrICMPKind
	case m.Kind == ICMPTooBig && v4:
		m.MTU = int(binary.BigEndian.Uint16(msg[6:]))
	case m.Kind == ICMPTooBig:
		// The field has 32 bits; an int has no fewer where it counts.
		m.MTU = int(min(binary.BigEndian.Uint32(msg[4:]), 1<<31-1))
	}
	return m, m.parseQuote(msg[icmpHeaderLen:], outer.Version)
}

// icmpv4Kind sorts the codes as RFC 9293 section 3.9.2.2 does. Those invented
// since count as soft: a forged one must not be able to do more.
func icmpv4Kind(typ, code uint8) ICMPKind {
	switch typ {
	case icmpv4Unreachable:
		switch code {
		case icmpv4CodeTooBig:
			return ICMPTooBig
		case 2, 3: // protocol, port
			return ICMPHard
		}
		return ICMPSoft
	case icmpv4TimeExceeded:
		return ICMPTimeExceeded
	case icmpv4Parameter:
		return ICMPSoft
	}
	return 0
}

func icmpv6Kind(typ, code uint8) ICMPKind {
	switch typ {
	case icmpv6Unreachable:
		switch code {
		case 1, 4: // administratively prohibited, port
			return ICMPHard
		}
		return ICMPSoft
	case icmpv6TooBig:
		return ICMPTooBig
	case icmpv6TimeExceeded:
		return ICMPTimeExceeded
	case icmpv6Parameter:
		return ICMPSoft
	}
	return 0
}

// parseQuote reads the beginning of the segment the message is about.
func (m *ICMP) parseQuote(b []byte, version int) error {
	var ip IPHeader
	if ip.parse(b, false) != nil || ip.Version != version || ip.Protocol != ProtocolTCP || ip.Fragment {
		return ErrICMPQuote
	}
	if len(b) < ip.HeaderLen+tcpQuoteLen {
		return ErrICMPQuote
	}
	b = b[ip.HeaderLen:]
	m.Src = netip.AddrPortFrom(ip.Src, binary.BigEndian.Uint16(b))
	m.Dst = netip.AddrPortFrom(ip.Dst, binary.BigEndian.Uint16(b[2:]))
	m.Seq = binary.BigEndian.Uint32(b[4:])
	return nil
}

// AppendICMPTooBig appends the IP packet in which the router from tells the
// source of orig, an IP packet, that the next hop takes mtu bytes only.
func AppendICMPTooBig(b []byte, from netip.Addr, mtu int, orig []byte) []byte {
	if from.Is4() {
		return appendICMP(b, from, icmpv4Unreachable, icmpv4CodeTooBig, uint32(mtu)&0xffff, orig)
	}
	return appendICMP(b, from, icmpv6TooBig, 0, uint32(mtu), orig)
}

// AppendICMPUnreachable appends the IP packet in which from tells the source of
// orig that its destination cannot be reached; code is that of ICMP or ICMPv6,
// after from's family.
func AppendICMPUnreachable(b []byte, from netip.Addr, code uint8, orig []byte) []byte {
	typ := uint8(icmpv6Unreachable)
	if from.Is4() {
		typ = icmpv4Unreachable
	}
	return appendICMP(b, from, typ, code, 0, orig)
}

// AppendICMPTimeExceeded appends the IP packet in which the router from tells
// the source of orig that the hop limit ran out.
func AppendICMPTimeExceeded(b []byte, from netip.Addr, orig []byte) []byte {
	typ := uint8(icmpv6TimeExceeded)
	if from.Is4() {
		typ = icmpv4TimeExceeded
	}
	return appendICMP(b, from, typ, 0, 0, orig)
}

// appendICMP appends an ICMP error about orig, which must be an IP packet of
// from's family. It quotes as much of orig as an error may have: 576 bytes in
// all for IPv4 (RFC 1812 section 4.3.2.3), the least MTU for IPv6 (RFC 4443
// section 3).
func appendICMP(b []byte, from netip.Addr, typ, code uint8, rest uint32, orig []byte) []byte {
	var ip IPHeader
	if ip.parse(orig, false) != nil || ip.Src.Is4() != from.Is4() {
		panic("BUG: wire: ICMP error about something that is no IP packet of that family")
	}
	limit, proto := 1280, uint8(ProtocolICMPv6)
	if from.Is4() {
		limit, proto = 576, ProtocolICMP
	}
	headerLen := ipHeaderLen(from) + icmpHeaderLen
	quote := orig[:min(len(orig), ip.TotalLen, limit-headerLen)]

	start := len(b)
	b = grow(b, headerLen)
	b = append(b, quote...)
	const hopLimit = 64
	n := putIP(b[start:], from, ip.Src, proto, hopLimit, 0, 0, headerLen+len(quote))
	msg := b[start+n:]
	msg[0], msg[1], msg[2], msg[3] = typ, code, 0, 0
	binary.BigEndian.PutUint32(msg[4:], rest)
	var sum uint16
	if !from.Is4() {
		sum = pseudoSum(b[start:], proto, len(msg))
	}
	binary.BigEndian.PutUint16(msg[2:], ^Sum(msg, sum))
	return b
}
