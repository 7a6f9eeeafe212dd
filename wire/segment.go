package wire

import "net/netip"

// Flags are the control bits of a TCP header (RFC 9293 section 3.1).
type Flags uint8

const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Has reports whether all bits of want are set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// Segment is one TCP segment together with what TCP cares about of the IP
// packet around it. A Segment filled by ParseSegment refers to the packet's
// bytes and is good only as long as they are.
type Segment struct {
	Src, Dst netip.AddrPort
	TTL      uint8 // hop limit
	TOS      uint8 // traffic class; the low two bits are ECN
	Seq, Ack uint32
	Flags    Flags
	Window   uint16 // as on the wire, not scaled
	Urgent   uint16
	Options  Options
	Payload  []byte
}

// Len is the segment's length in sequence space: payload, SYN and FIN.
func (s *Segment) Len() int {
	n := len(s.Payload)
	if s.Flags.Has(SYN) {
		n++
	}
	if s.Flags.Has(FIN) {
		n++
	}
	return n
}
