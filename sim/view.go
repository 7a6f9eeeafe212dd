package sim

import (
	"encoding/binary"
	"iter"

	"github.com/braid-mptcp/braid/wire"
)

// view is a packet by its parts, which are slices of the packet itself. A
// packet that is not a whole TCP segment has no parts from tcp on.
type view struct {
	pkt     []byte
	segment []byte // all behind the IP header
	tcp     []byte // the fixed TCP header
	options []byte
	payload []byte
}

const tcpHeaderLen = 20

func viewOf(pkt []byte) view {
	ip, err := wire.ParseIP(pkt)
	if err != nil {
		return view{pkt: pkt}
	}
	v := view{pkt: pkt[:ip.TotalLen], segment: pkt[ip.HeaderLen:ip.TotalLen]}
	if ip.Protocol != wire.ProtocolTCP || ip.Fragment || len(v.segment) < tcpHeaderLen {
		return v
	}
	offset := int(v.segment[12]>>4) * 4
	if offset < tcpHeaderLen || offset > len(v.segment) {
		return v
	}
	v.tcp, v.options, v.payload = v.segment[:tcpHeaderLen], v.segment[tcpHeaderLen:offset], v.segment[offset:]
	return v
}

// isTCP reports whether the packet is a whole TCP segment.
func (v *view) isTCP() bool { return v.tcp != nil }

func (v *view) seq() uint32        { return binary.BigEndian.Uint32(v.tcp[4:]) }
func (v *view) ack() uint32        { return binary.BigEndian.Uint32(v.tcp[8:]) }
func (v *view) flags() wire.Flags  { return wire.Flags(v.tcp[13]) }
func (v *view) setSeq(n uint32)    { binary.BigEndian.PutUint32(v.tcp[4:], n) }
func (v *view) setAck(n uint32)    { binary.BigEndian.PutUint32(v.tcp[8:], n) }
func (v *view) setWindow(n uint16) { binary.BigEndian.PutUint16(v.tcp[14:], n) }

// finish makes lengths and checksums fit after a change.
func (v *view) finish() {
	if v.pkt[0]>>4 == 4 {
		binary.BigEndian.PutUint16(v.pkt[2:], uint16(len(v.pkt)))
		header := v.pkt[:len(v.pkt)-len(v.segment)]
		binary.BigEndian.PutUint16(header[10:], 0)
		binary.BigEndian.PutUint16(header[10:], ^wire.Sum(header, 0))
	} else {
		binary.BigEndian.PutUint16(v.pkt[4:], uint16(len(v.pkt)-40))
	}
	if v.isTCP() {
		wire.Finish(v.pkt, wire.Offload{})
	}
}

// rebuild makes in b[:0] a packet with v's headers, and with options (padded
// to words, 40 bytes at most) and payload of its own.
func (v *view) rebuild(b, options, payload []byte) view {
	ipLen := len(v.pkt) - len(v.segment)
	b = append(b[:0], v.pkt[:ipLen+tcpHeaderLen]...)
	b = append(b, options...)
	for (len(b)-ipLen)%4 != 0 {
		b = append(b, optionEnd)
	}
	b[ipLen+12] = b[ipLen+12]&0xf | byte((len(b)-ipLen)/4)<<4
	b = append(b, payload...)
	out := view{pkt: b, segment: b[ipLen:]}
	offset := int(out.segment[12]>>4) * 4
	out.tcp, out.options, out.payload = out.segment[:tcpHeaderLen], out.segment[tcpHeaderLen:offset], out.segment[offset:]
	out.finish()
	return out
}

// TCP option kinds (RFC 9293 section 3.1 and the IANA registry).
const (
	optionEnd           = 0
	optionNOP           = 1
	optionMSS           = 2
	optionWindowScale   = 3
	optionSACKPermitted = 4
	optionSACK          = 5
	optionTimestamps    = 8
	optionMPTCP         = 30
	optionFastOpen      = 34
)

// eachOption walks the options of a segment, kind and length bytes included
// and padding left out, and stops where they make no sense.
func eachOption(options []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(options) > 0 {
			switch options[0] {
			case optionEnd:
				return
			case optionNOP:
				options = options[1:]
				continue
			}
			if len(options) < 2 {
				return
			}
			n := int(options[1])
			if n < 2 || n > len(options) || !yield(options[:n]) {
				return
			}
			options = options[n:]
		}
	}
}

// optionSet tells which bit of a wire.OptionSet stands for an option, 0 if none
// does.
func optionSet(option []byte) wire.OptionSet {
	switch option[0] {
	case optionMSS:
		return wire.HasMSS
	case optionWindowScale:
		return wire.HasWindowScale
	case optionSACKPermitted:
		return wire.HasSACKPermitted
	case optionSACK:
		return wire.HasSACK
	case optionTimestamps:
		return wire.HasTimestamps
	case optionFastOpen:
		return wire.HasFastOpen
	case optionMPTCP:
		if len(option) < 3 {
			return wire.HasBadMPTCP
		}
		if sub := int(option[2] >> 4); sub < len(subtypes) {
			return subtypes[sub]
		}
		return wire.HasUnknownMPTCP
	}
	return 0
}

// subtypes are the MPTCP options by subtype (RFC 8684 section 7.2).
var subtypes = [...]wire.OptionSet{
	wire.HasCapable, wire.HasJoin, wire.HasDSS, wire.HasAddAddr, wire.HasRemoveAddr,
	wire.HasPrio, wire.HasFail, wire.HasFastClose, wire.HasReset,
}

// mapSACK replaces both edges of every SACK block.
func mapSACK(options []byte, edge func(uint32) uint32) {
	for option := range eachOption(options) {
		if option[0] != optionSACK {
			continue
		}
		for b := option[2:]; len(b) >= 4; b = b[4:] {
			binary.BigEndian.PutUint32(b, edge(binary.BigEndian.Uint32(b)))
		}
	}
}

// blank overwrites an option with padding, as boxes that keep the segment's
// length do.
func blank(option []byte) {
	for i := range option {
		option[i] = optionNOP
	}
}
