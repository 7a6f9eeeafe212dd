package wire

import "encoding/binary"

// Split cuts the TCP packet pkt into packets of at most segSize bytes of
// payload, as segmentation offload does, and calls emit with each in order.
// Every piece has the options of the whole; PSH and FIN stay with the last,
// CWR with the first (RFC 3168 section 6.1.2), and checksums are complete
// whether or not pkt's was.
//
// The pieces are built one after the other in scratch, so that emit must not
// keep them; scratch is replaced by a larger buffer if it does not hold a
// piece. segSize 0 means one piece. What is not a whole TCP packet is emitted
// as it is.
func Split(pkt []byte, segSize int, scratch []byte, emit func(piece []byte)) {
	var ip IPHeader
	if ip.parse(pkt, true) != nil || ip.Protocol != ProtocolTCP || ip.Fragment ||
		ip.TotalLen < ip.HeaderLen+tcpHeaderLen {
		emit(pkt)
		return
	}
	tcpStart := ip.HeaderLen
	headerLen := tcpStart + int(pkt[tcpStart+12]>>4)*4
	if headerLen < tcpStart+tcpHeaderLen || headerLen > ip.TotalLen {
		emit(pkt)
		return
	}
	header, payload := pkt[:headerLen], pkt[headerLen:ip.TotalLen]
	if segSize <= 0 {
		segSize = max(len(payload), 1)
	}
	for off := 0; off == 0 || off < len(payload); off += segSize {
		part := payload[off:min(off+segSize, len(payload))]
		piece := append(append(scratch[:0], header...), part...)
		scratch = piece
		fixPieceIP(piece, &ip, off/segSize)
		fixPieceTCP(piece[tcpStart:], off, off+len(part) == len(payload))
		finish(piece, tcpStart, false)
		emit(piece)
	}
}

// fixPieceIP sets the IP length of piece number i, and the ID where it means
// something: without DF every packet needs its own (RFC 6864 section 4).
func fixPieceIP(piece []byte, ip *IPHeader, i int) {
	if ip.Version == 6 {
		binary.BigEndian.PutUint16(piece[4:], uint16(len(piece)-ipv6HeaderLen))
		return
	}
	binary.BigEndian.PutUint16(piece[2:], uint16(len(piece)))
	if !ip.DontFragment {
		binary.BigEndian.PutUint16(piece[4:], binary.BigEndian.Uint16(piece[4:])+uint16(i))
	}
	piece[10], piece[11] = 0, 0
	binary.BigEndian.PutUint16(piece[10:], ^Sum(piece[:ip.HeaderLen], 0))
}

// fixPieceTCP turns the header of the whole into that of the piece that begins
// off bytes into the payload.
func fixPieceTCP(tcp []byte, off int, last bool) {
	flags := Flags(tcp[13])
	if off > 0 {
		flags &^= CWR
		binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+uint32(off))
	}
	if !last {
		flags &^= FIN | PSH
	}
	if flags.Has(URG) && off > 0 {
		// The pointer counts from the segment's own sequence number.
		if urgent := int(binary.BigEndian.Uint16(tcp[18:])); urgent > off {
			binary.BigEndian.PutUint16(tcp[18:], uint16(urgent-off))
		} else {
			flags &^= URG
			binary.BigEndian.PutUint16(tcp[18:], 0)
		}
	}
	tcp[13] = uint8(flags)
}
