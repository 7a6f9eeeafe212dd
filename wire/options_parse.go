package wire

import "encoding/binary"

// TCP option kinds (RFC 9293 section 3.1 and the documents of each).
const (
	kindEnd           = 0
	kindNOP           = 1
	kindMSS           = 2
	kindWindowScale   = 3
	kindSACKPermitted = 4
	kindSACK          = 5
	kindTimestamps    = 8
	kindMD5           = 19
	kindAO            = 29
	kindMPTCP         = 30
	kindFastOpen      = 34
)

// ParseOptions reads the options area of a TCP header into o, whatever o held
// before. Bytes from the network are never an error here: an option of a kind
// or length not known is skipped, an option whose length reaches outside the
// area ends the parsing, and what came before it counts. Of options of one
// kind the first counts; two ADD_ADDR are kept. An MPTCP option that is
// truncated or whose length fits none of its forms sets HasBadMPTCP.
func ParseOptions(b []byte, o *Options) {
	o.Set, o.SACKLen, o.AddAddrLen = 0, 0, 0
	for len(b) > 0 {
		kind := b[0]
		if kind == kindEnd {
			return
		}
		if kind == kindNOP {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			if kind == kindMPTCP {
				o.Set |= HasBadMPTCP
			}
			return
		}
		n := int(b[1])
		if kind == kindMPTCP {
			o.parseMPTCP(b[:n])
		} else {
			o.parseOption(kind, b[2:n])
		}
		b = b[n:]
	}
}

// parseOption reads one option that is not MPTCP's; b is what follows kind and
// length.
func (o *Options) parseOption(kind uint8, b []byte) {
	switch kind {
	case kindMSS:
		if len(b) == 2 && !o.Has(HasMSS) {
			o.Set |= HasMSS
			o.MSS = binary.BigEndian.Uint16(b)
		}
	case kindWindowScale:
		if len(b) == 1 && !o.Has(HasWindowScale) {
			o.Set |= HasWindowScale
			o.WindowScale = b[0]
		}
	case kindSACKPermitted:
		if len(b) == 0 {
			o.Set |= HasSACKPermitted
		}
	case kindSACK:
		o.parseSACK(b)
	case kindTimestamps:
		if len(b) == 8 && !o.Has(HasTimestamps) {
			o.Set |= HasTimestamps
			o.TSVal = binary.BigEndian.Uint32(b)
			o.TSEcr = binary.BigEndian.Uint32(b[4:])
		}
	case kindMD5:
		if len(b) == 16 {
			o.Set |= HasMD5
		}
	case kindAO:
		if len(b) >= 2 {
			o.Set |= HasAO
		}
	case kindFastOpen:
		o.parseFastOpen(b)
	}
}

// parseSACK reads the blocks of a SACK option (RFC 2018 section 3).
func (o *Options) parseSACK(b []byte) {
	n := len(b) / 8
	if n == 0 || n > len(o.SACK) || len(b)%8 != 0 || o.Has(HasSACK) {
		return
	}
	o.Set |= HasSACK
	o.SACKLen = n
	for i := range n {
		o.SACK[i] = SACKBlock{
			Left:  binary.BigEndian.Uint32(b[8*i:]),
			Right: binary.BigEndian.Uint32(b[8*i+4:]),
		}
	}
}

// parseFastOpen reads a Fast Open cookie or the request for one. A cookie has
// 4 to 16 bytes and an even number of them (RFC 7413 section 4.1.1).
func (o *Options) parseFastOpen(b []byte) {
	n := len(b)
	if n == 0 || n >= 4 && n <= 16 && n%2 == 0 {
		if !o.Has(HasFastOpen) {
			o.Set |= HasFastOpen
			o.FastOpen.Len = uint8(copy(o.FastOpen.Cookie[:], b))
		}
	}
}
