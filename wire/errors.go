package wire

import "errors"

// What can be wrong with a packet. ParseIP, ParseSegment and ParseICMP return
// these values as they are, so that == finds them.
var (
	ErrShort       = errors.New("wire: packet is cut short")
	ErrIPVersion   = errors.New("wire: neither IPv4 nor IPv6")
	ErrIPHeader    = errors.New("wire: bad IP header")
	ErrIPLength    = errors.New("wire: IP length does not fit the packet")
	ErrIPChecksum  = errors.New("wire: bad IPv4 header checksum")
	ErrFragment    = errors.New("wire: IP fragment")
	ErrNotTCP      = errors.New("wire: not a TCP segment")
	ErrDataOffset  = errors.New("wire: bad TCP data offset")
	ErrTCPChecksum = errors.New("wire: bad TCP checksum")
)
