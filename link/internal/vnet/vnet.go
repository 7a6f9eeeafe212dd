// Package vnet writes and reads struct virtio_net_hdr, the ten bytes ahead of
// a packet with which a Linux TUN or packet socket is told, and tells, how the
// packet is to be cut and whether its checksum is complete.
package vnet

import (
	"encoding/binary"
	"errors"

	"github.com/braid-mptcp/braid/link"
)

// Size is the length of the header in bytes.
const Size = 10

// Values from linux/virtio_net.h.
const (
	flagNeedsChecksum = 1
	flagDataValid     = 2

	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoECN   = 0x80
)

// Offsets of the header's fields, all in the machine's byte order.
const (
	offFlags     = 0
	offGSOType   = 1
	offHeaderLen = 2
	offGSOSize   = 4
	offSumStart  = 6
	offSumOffset = 8
)

const (
	protocolTCP    = 6
	tcpSumOffset   = 16
	tcpFlagsOffset = 13
	tcpFlagCWR     = 0x80
)

var (
	// ErrNotTCP says that SegSize or PartialChecksum was set on what is not a
	// whole TCP packet.
	ErrNotTCP = errors.New("offload asked for a packet that is not TCP")
	// ErrSegSize says that SegSize is negative, was set without
	// PartialChecksum, or makes pieces which with their headers do not fit the
	// MTU. The kernel drops the latter in silence.
	ErrSegSize = errors.New("segment size does not fit")
)

// Header is the header in the form the kernel takes it.
type Header [Size]byte

// Encode fills h for p, which is about to be written to a device of the given
// MTU. linkHeader is the number of bytes between h and p on the wire, such as
// an Ethernet header's.
func (h *Header) Encode(p *link.Packet, linkHeader, mtu int) error {
	*h = Header{}
	if p.SegSize == 0 && !p.PartialChecksum {
		return nil
	}
	tcpStart, headerLen, gso, ok := parse(p.Data)
	if !ok {
		return ErrNotTCP
	}
	if p.SegSize != 0 && (p.SegSize < 0 || !p.PartialChecksum || headerLen+p.SegSize > mtu) {
		return ErrSegSize
	}
	h[offFlags] = flagNeedsChecksum
	h.put(offSumStart, linkHeader+tcpStart)
	h.put(offSumOffset, tcpSumOffset)
	h.put(offHeaderLen, linkHeader+headerLen)
	if p.SegSize != 0 {
		h[offGSOType] = gso
		if p.Data[tcpStart+tcpFlagsOffset]&tcpFlagCWR != 0 {
			h[offGSOType] |= gsoECN // CWR goes on the first piece alone (RFC 3168 6.1.2)
		}
		h.put(offGSOSize, p.SegSize)
	}
	return nil
}

// Decode sets SegSize and PartialChecksum of p, which was read after h.
func (h *Header) Decode(p *link.Packet) {
	p.PartialChecksum = h[offFlags]&(flagNeedsChecksum|flagDataValid) != 0
	p.SegSize = 0
	switch h[offGSOType] &^ gsoECN {
	case gsoTCPv4, gsoTCPv6:
		p.SegSize = int(binary.NativeEndian.Uint16(h[offGSOSize:]))
	}
}

func (h *Header) put(offset, v int) {
	binary.NativeEndian.PutUint16(h[offset:], uint16(v))
}

// parse finds where TCP begins in an IP packet and where its payload does. An
// IPv6 packet with extension headers is refused: no stack of ours sends one.
func parse(b []byte) (tcpStart, headerLen int, gso byte, ok bool) {
	if len(b) < 20 {
		return 0, 0, 0, false
	}
	var protocol byte
	switch b[0] >> 4 {
	case 4:
		tcpStart, protocol, gso = int(b[0]&15)*4, b[9], gsoTCPv4
	case 6:
		tcpStart, protocol, gso = 40, b[6], gsoTCPv6
	}
	if protocol != protocolTCP || tcpStart < 20 || len(b) < tcpStart+20 {
		return 0, 0, 0, false
	}
	headerLen = tcpStart + int(b[tcpStart+12]>>4)*4
	return tcpStart, headerLen, gso, headerLen >= tcpStart+20 && headerLen <= len(b)
}
