package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Protocol numbers of the upper layers that concern us.
const (
	ProtocolICMP   = 1
	ProtocolTCP    = 6
	ProtocolICMPv6 = 58
)

// The IPv6 extension headers that may stand before the upper layer (RFC 8200
// section 4).
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60
)

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
)

// IPHeader is what ParseIP finds in front of the upper layer.
type IPHeader struct {
	Version      int // 4 or 6
	HeaderLen    int // bytes up to the upper layer, with IPv4 options or IPv6 extension headers
	TotalLen     int // bytes of the whole packet; what lies behind is link padding
	Src, Dst     netip.Addr
	Protocol     uint8 // upper layer, after IPv6 extension headers
	TTL          uint8 // hop limit
	TOS          uint8 // traffic class; the low two bits are ECN
	Fragment     bool  // part of a datagram: the upper layer is not all here
	DontFragment bool  // always set for IPv6
}

// ParseIP reads the IP header of pkt: IPv4 with options (RFC 791) or IPv6 with
// hop-by-hop, routing, destination options and fragment headers (RFC 8200).
// The IPv4 header checksum is verified. pkt may be longer than the packet in
// it (link padding), never shorter; the length must be given, so that packets
// beyond 65,535 bytes (jumbograms, BIG TCP) are refused. Addresses are not
// judged. Errors: ErrShort, ErrIPVersion, ErrIPHeader, ErrIPLength,
// ErrIPChecksum.
func ParseIP(pkt []byte) (IPHeader, error) {
	var h IPHeader
	err := h.parse(pkt, true)
	return h, err
}

// parse reads the header at the start of pkt. With whole unset, pkt is the
// beginning of a packet quoted in an ICMP message: its length field may speak
// of more bytes than are here, and its checksum may be out of date.
func (h *IPHeader) parse(pkt []byte, whole bool) error {
	if len(pkt) == 0 {
		return ErrShort
	}
	switch pkt[0] >> 4 {
	case 4:
		return h.parseIPv4(pkt, whole)
	case 6:
		return h.parseIPv6(pkt, whole)
	}
	return ErrIPVersion
}

func (h *IPHeader) parseIPv4(pkt []byte, whole bool) error {
	if len(pkt) < ipv4HeaderLen {
		return ErrShort
	}
	h.Version = 4
	h.HeaderLen = int(pkt[0]&0xf) * 4
	if h.HeaderLen < ipv4HeaderLen {
		return ErrIPHeader
	}
	if len(pkt) < h.HeaderLen {
		return ErrShort
	}
	h.TotalLen = int(binary.BigEndian.Uint16(pkt[2:]))
	if h.TotalLen < h.HeaderLen || whole && h.TotalLen > len(pkt) {
		return ErrIPLength
	}
	if whole && Sum(pkt[:h.HeaderLen], 0) != 0xffff {
		return ErrIPChecksum
	}
	const dontFragment, moreOrOffset = 0x4000, 0x3fff
	frag := binary.BigEndian.Uint16(pkt[6:])
	h.Fragment = frag&moreOrOffset != 0
	h.DontFragment = frag&dontFragment != 0
	h.TOS, h.TTL, h.Protocol = pkt[1], pkt[8], pkt[9]
	h.Src = netip.AddrFrom4([4]byte(pkt[12:16]))
	h.Dst = netip.AddrFrom4([4]byte(pkt[16:20]))
	return nil
}

func (h *IPHeader) parseIPv6(pkt []byte, whole bool) error {
	if len(pkt) < ipv6HeaderLen {
		return ErrShort
	}
	payloadLen := int(binary.BigEndian.Uint16(pkt[4:]))
	h.Version = 6
	h.TotalLen = ipv6HeaderLen + payloadLen
	if whole && h.TotalLen > len(pkt) {
		return ErrIPLength
	}
	if payloadLen == 0 && len(pkt) > ipv6HeaderLen+0xffff {
		return ErrIPLength // a jumbogram (RFC 2675)
	}
	h.TOS = uint8(binary.BigEndian.Uint16(pkt) >> 4)
	h.TTL = pkt[7]
	h.Src = netip.AddrFrom16([16]byte(pkt[8:24]))
	h.Dst = netip.AddrFrom16([16]byte(pkt[24:40]))
	h.Fragment, h.DontFragment = false, true
	return h.skipExtensions(pkt[:min(len(pkt), h.TotalLen)])
}

// skipExtensions finds the upper layer of an IPv6 packet (RFC 8200 section 4).
func (h *IPHeader) skipExtensions(pkt []byte) error {
	next, off := pkt[6], ipv6HeaderLen
	for !h.Fragment {
		var size int
		switch next {
		case extHopByHop, extRouting, extDestination, extFragment:
			if len(pkt) < off+8 {
				return ErrShort
			}
			size = 8 + 8*int(pkt[off+1])
		default:
			h.Protocol, h.HeaderLen = next, off
			return nil
		}
		switch {
		case next == extRouting && pkt[off+3] != 0:
			// Segments are left: this is not the packet's last
			// destination, and we forward nothing (RFC 8200 section 4.4).
			return ErrIPHeader
		case next == extFragment:
			size = 8
			// A fragment header on a whole datagram is none to us (RFC 6946).
			const moreOrOffset = 0xfff9
			h.Fragment = binary.BigEndian.Uint16(pkt[off+2:])&moreOrOffset != 0
		}
		if len(pkt) < off+size {
			return ErrShort
		}
		next = pkt[off]
		off += size
	}
	h.Protocol, h.HeaderLen = next, off
	return nil
}

// ipHeaderLen is the length of the header putIP writes.
func ipHeaderLen(dst netip.Addr) int {
	if dst.Is4() {
		return ipv4HeaderLen
	}
	return ipv6HeaderLen
}

// putIP writes the IP header of a packet of totalLen bytes and gives the
// header's length. IPv4 datagrams are atomic: DF set and ID 0 (RFC 6864
// section 4.1).
func putIP(b []byte, src, dst netip.Addr, proto, ttl, tos uint8, flow uint32, totalLen int) int {
	if src.Is4() != dst.Is4() {
		panic("BUG: wire: a packet between IPv4 and IPv6 addresses")
	}
	if !dst.Is4() {
		return putIPv6(b, src, dst, proto, ttl, tos, flow, totalLen)
	}
	if totalLen > 0xffff {
		panic("BUG: wire: IPv4 packet too large")
	}
	b = b[:ipv4HeaderLen]
	b[0], b[1] = 4<<4|ipv4HeaderLen/4, tos
	binary.BigEndian.PutUint16(b[2:], uint16(totalLen))
	binary.BigEndian.PutUint32(b[4:], 0x4000) // ID 0, DF
	b[8], b[9], b[10], b[11] = ttl, proto, 0, 0
	*(*[4]byte)(b[12:]) = src.As4()
	*(*[4]byte)(b[16:]) = dst.As4()
	binary.BigEndian.PutUint16(b[10:], ^Sum(b, 0))
	return ipv4HeaderLen
}

func putIPv6(b []byte, src, dst netip.Addr, proto, ttl, tos uint8, flow uint32, totalLen int) int {
	if totalLen > ipv6HeaderLen+0xffff {
		panic("BUG: wire: IPv6 packet too large")
	}
	b = b[:ipv6HeaderLen]
	binary.BigEndian.PutUint32(b, 6<<28|uint32(tos)<<20|flow&0xfffff)
	binary.BigEndian.PutUint16(b[4:], uint16(totalLen-ipv6HeaderLen))
	b[6], b[7] = proto, ttl
	*(*[16]byte)(b[8:]) = src.As16()
	*(*[16]byte)(b[24:]) = dst.As16()
	return ipv6HeaderLen
}

// flowLabel gives the IPv6 flow label of a TCP flow: the same for all its
// segments, spread evenly over flows, never zero (RFC 6437 section 3).
func flowLabel(src, dst netip.AddrPort) uint32 {
	a, b := src.Addr().As16(), dst.Addr().As16()
	h := uint64(src.Port())<<16 | uint64(dst.Port())
	for _, w := range [4]uint64{
		binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:]),
		binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]),
	} {
		const odd = 0x9e3779b97f4a7c15 // 2^64 / golden ratio
		hi, lo := bits.Mul64(h^w^odd, odd)
		h = hi ^ lo
	}
	return max(uint32(h>>44), 1)
}

// pseudoSum is the sum of the pseudo-header for an upper layer of upperLen
// bytes (RFC 9293 section 3.1, RFC 8200 section 8.1), read from the addresses
// in the packet.
func pseudoSum(pkt []byte, proto uint8, upperLen int) uint16 {
	addrs := pkt[12:20]
	if pkt[0]>>4 == 6 {
		addrs = pkt[8:40]
	}
	return fold(uint64(Sum(addrs, 0)) + uint64(proto) + uint64(upperLen))
}
