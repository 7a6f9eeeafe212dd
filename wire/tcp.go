package wire

import (
	"encoding/binary"
	"net/netip"
)

const (
	tcpHeaderLen  = 20
	maxOptionsLen = 40 // RFC 9293 section 3.1: a data offset of 15 words at most
)

// ParseSegment reads the IP packet pkt into s. verified says that the device
// vouches for the TCP checksum, which is then not looked at. s refers to pkt's
// bytes afterwards; after an error its content means nothing. Options that are
// malformed are left out and are no error (see ParseOptions).
//
// Errors: those of ParseIP, and ErrNotTCP, ErrFragment, ErrShort,
// ErrDataOffset, ErrTCPChecksum.
func ParseSegment(pkt []byte, s *Segment, verified bool) error {
	var ip IPHeader
	if err := ip.parse(pkt, true); err != nil {
		return err
	}
	if ip.Protocol != ProtocolTCP {
		return ErrNotTCP
	}
	if ip.Fragment {
		return ErrFragment
	}
	tcp := pkt[ip.HeaderLen:ip.TotalLen]
	if len(tcp) < tcpHeaderLen {
		return ErrShort
	}
	dataOffset := int(tcp[12]>>4) * 4
	if dataOffset < tcpHeaderLen || dataOffset > len(tcp) {
		return ErrDataOffset
	}
	if !verified && Sum(tcp, pseudoSum(pkt, ProtocolTCP, len(tcp))) != 0xffff {
		return ErrTCPChecksum
	}
	s.Src = netip.AddrPortFrom(ip.Src, binary.BigEndian.Uint16(tcp[0:]))
	s.Dst = netip.AddrPortFrom(ip.Dst, binary.BigEndian.Uint16(tcp[2:]))
	s.TTL, s.TOS = ip.TTL, ip.TOS
	s.Seq = binary.BigEndian.Uint32(tcp[4:])
	s.Ack = binary.BigEndian.Uint32(tcp[8:])
	s.Flags = Flags(tcp[13])
	s.Window = binary.BigEndian.Uint16(tcp[14:])
	s.Urgent = binary.BigEndian.Uint16(tcp[18:])
	ParseOptions(tcp[tcpHeaderLen:dataOffset], &s.Options)
	s.Payload = tcp[dataOffset:]
	return nil
}

// HeaderLen is the number of bytes PutHeaders writes for s: IP and TCP header
// with options.
func HeaderLen(s *Segment) int {
	return ipHeaderLen(s.Dst.Addr()) + tcpHeaderLen + s.Options.Len()
}

// PutHeaders writes the IP and TCP headers of s into buf for a payload of
// payloadLen bytes, which the caller puts behind them; s.Payload is not looked
// at. It gives the headers' length, and buf must have room for it. The TCP
// checksum field is left zero for Finish.
//
// The packet must not exceed what IP can say: 65,535 bytes, for IPv6 40 more.
func PutHeaders(buf []byte, s *Segment, payloadLen int) int {
	optionsLen := s.Options.Len()
	src, dst := s.Src.Addr(), s.Dst.Addr()
	var flow uint32
	if !dst.Is4() {
		flow = flowLabel(s.Src, s.Dst)
	}
	upperLen := tcpHeaderLen + optionsLen + payloadLen
	n := putIP(buf, src, dst, ProtocolTCP, s.TTL, s.TOS, flow, ipHeaderLen(dst)+upperLen)
	tcp := buf[n : n+tcpHeaderLen+optionsLen]
	binary.BigEndian.PutUint16(tcp[0:], s.Src.Port())
	binary.BigEndian.PutUint16(tcp[2:], s.Dst.Port())
	binary.BigEndian.PutUint32(tcp[4:], s.Seq)
	binary.BigEndian.PutUint32(tcp[8:], s.Ack)
	tcp[12], tcp[13] = uint8(len(tcp)/4)<<4, uint8(s.Flags)
	binary.BigEndian.PutUint16(tcp[14:], s.Window)
	binary.BigEndian.PutUint16(tcp[16:], 0)
	binary.BigEndian.PutUint16(tcp[18:], s.Urgent)
	if optionsLen > 0 {
		AppendOptions(tcp[:tcpHeaderLen], &s.Options)
	}
	return n + len(tcp)
}

// Finish fills in the TCP checksum of a complete packet: the checksum itself,
// or with off.PartialChecksum the sum of the pseudo-header, not complemented,
// from which a device completes it. What the checksum field held does not
// matter. pkt must be a whole TCP packet and nothing more, such as PutHeaders
// and a payload make.
func Finish(pkt []byte, off Offload) {
	var ip IPHeader
	if ip.parse(pkt, false) != nil || ip.Protocol != ProtocolTCP || len(pkt) < ip.HeaderLen+tcpHeaderLen {
		panic("BUG: wire: Finish of something that is no TCP packet")
	}
	finish(pkt, ip.HeaderLen, off.PartialChecksum)
}

// FinishHeaders is Finish with off.PartialChecksum for headers that PutHeaders
// made, whose payload of payloadLen bytes lies elsewhere.
func FinishHeaders(hdr []byte, payloadLen int) {
	off := ipv4HeaderLen
	if hdr[0]>>4 == 6 {
		off = ipv6HeaderLen
	}
	tcp := hdr[off:]
	binary.BigEndian.PutUint16(tcp[16:], pseudoSum(hdr, ProtocolTCP, len(tcp)+payloadLen))
}

// finish is Finish for a packet whose TCP header is known to begin at off.
func finish(pkt []byte, off int, partial bool) {
	tcp := pkt[off:]
	sum := pseudoSum(pkt, ProtocolTCP, len(tcp))
	if !partial {
		binary.BigEndian.PutUint16(tcp[16:], 0)
		sum = ^Sum(tcp, sum)
	}
	binary.BigEndian.PutUint16(tcp[16:], sum)
}

// AppendSegment appends s as a whole packet, payload and checksum included.
func AppendSegment(b []byte, s *Segment) []byte {
	start, n := len(b), HeaderLen(s)
	b = grow(b, n)
	PutHeaders(b[start:], s, len(s.Payload))
	b = append(b, s.Payload...)
	finish(b[start:], ipHeaderLen(s.Dst.Addr()), false)
	return b
}

// grow makes b longer by n bytes of no particular content.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b[:len(b)+n]
	}
	return append(b, make([]byte, n)...)
}
