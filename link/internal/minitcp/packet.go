package minitcp

import (
	"encoding/binary"
	"net/netip"
)

// TCP flags.
const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	psh = 0x08
	ack = 0x10
)

const (
	protocolTCP = 6
	// tsOption is the aligned timestamp option that every segment carries
	// (RFC 7323 appendix A).
	tsOption = 12
)

// segment is a TCP segment taken apart.
type segment struct {
	src, dst netip.AddrPort
	seq, ack uint32
	flags    byte
	window   uint16
	wscale   int // of a SYN; -1 when absent
	tsVal    uint32
	hasTS    bool
	payload  []byte
}

func parse(b []byte) (s segment, ok bool) {
	var ipLen, total int
	var src, dst netip.Addr
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && b[9] == protocolTCP:
		ipLen, total = int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	case len(b) >= 40 && b[0]>>4 == 6 && b[6] == protocolTCP:
		ipLen, total = 40, 40+int(binary.BigEndian.Uint16(b[4:]))
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	default:
		return s, false
	}
	if total > len(b) || total < ipLen+20 {
		return s, false
	}
	t := b[ipLen:total]
	dataOffset := int(t[12]>>4) * 4
	if dataOffset < 20 || dataOffset > len(t) {
		return s, false
	}
	s = segment{
		src:     netip.AddrPortFrom(src, binary.BigEndian.Uint16(t)),
		dst:     netip.AddrPortFrom(dst, binary.BigEndian.Uint16(t[2:])),
		seq:     binary.BigEndian.Uint32(t[4:]),
		ack:     binary.BigEndian.Uint32(t[8:]),
		flags:   t[13],
		window:  binary.BigEndian.Uint16(t[14:]),
		wscale:  -1,
		payload: t[dataOffset:],
	}
	s.parseOptions(t[20:dataOffset])
	return s, true
}

func (s *segment) parseOptions(o []byte) {
	for len(o) > 1 && o[0] != 0 {
		if o[0] == 1 {
			o = o[1:]
			continue
		}
		n := int(o[1])
		if n < 2 || n > len(o) {
			return
		}
		switch {
		case o[0] == 3 && n == 3:
			s.wscale = int(o[2])
		case o[0] == 8 && n == 10:
			s.tsVal, s.hasTS = binary.BigEndian.Uint32(o[2:]), true
		}
		o = o[n:]
	}
}

// appendHeaders appends the IP and TCP headers of s, with options, for a
// payload of the given length. The checksum field gets the sum of the pseudo
// header alone.
func appendHeaders(b []byte, s *segment, options []byte, payload int) []byte {
	tcpLen := 20 + len(options) + payload
	src, dst := s.src.Addr(), s.dst.Addr()
	start := len(b)
	if src.Is4() {
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(20+tcpLen))
		b = append(b, 0, 0, 0x40, 0, 64, protocolTCP, 0, 0)
	} else {
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(tcpLen))
		b = append(b, protocolTCP, 64)
	}
	b = append(b, src.AsSlice()...)
	b = append(b, dst.AsSlice()...)
	if src.Is4() {
		binary.BigEndian.PutUint16(b[start+10:], ^fold(sum(b[start:])))
	}
	pseudo := sum(src.AsSlice()) + sum(dst.AsSlice()) + protocolTCP + uint32(tcpLen)

	b = binary.BigEndian.AppendUint16(b, s.src.Port())
	b = binary.BigEndian.AppendUint16(b, s.dst.Port())
	b = binary.BigEndian.AppendUint32(b, s.seq)
	b = binary.BigEndian.AppendUint32(b, s.ack)
	b = append(b, byte((20+len(options))/4<<4), s.flags)
	b = binary.BigEndian.AppendUint16(b, s.window)
	b = binary.BigEndian.AppendUint16(b, fold(pseudo))
	b = append(b, 0, 0)
	return append(b, options...)
}

func sum(b []byte) (s uint32) {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
