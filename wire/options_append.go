package wire

import "encoding/binary"

// Len is the number of bytes AppendOptions appends: a multiple of 4, at most
// 40. Options that do not fit together are the caller's mistake.
func (o *Options) Len() int {
	n, _ := o.layout()
	return n
}

// Fits reports whether the options fit together into a TCP header.
func (o *Options) Fits() bool {
	return o.alignedLen() <= maxOptionsLen || o.packedLen() <= maxOptionsLen
}

// layout decides how the options are laid out. Aligned, every option ends (or
// with MPTCP's begins) at a multiple of 4, as receivers with a fast path like
// it; where that does not fit, packed leaves the NOPs to the end.
func (o *Options) layout() (n int, packed bool) {
	if n = o.alignedLen(); n <= maxOptionsLen {
		return n, false
	}
	if n = align4(o.packedLen()); n <= maxOptionsLen {
		return n, true
	}
	panic("BUG: wire: TCP options of more than 40 bytes")
}

func align4(n int) int { return (n + 3) &^ 3 }

func (o *Options) alignedLen() int {
	n := 0
	if o.Any(HasMSS) {
		n += 4
	}
	if o.Any(HasTimestamps) {
		n += 12 // with SACK-permitted in the place of the two NOPs
	} else if o.Any(HasSACKPermitted) {
		n += 4
	}
	if o.Any(HasWindowScale) {
		n += 4
	}
	if o.Any(HasFastOpen) {
		n += align4(2 + int(o.FastOpen.Len))
	}
	if o.Any(HasSACK) {
		n += 4 + 8*o.SACKLen
	}
	if o.Any(HasMPTCP) {
		n += o.mptcpLen(align4)
	}
	return n
}

func (o *Options) packedLen() int {
	n := 0
	if o.Any(HasMSS) {
		n += 4
	}
	if o.Any(HasSACKPermitted) {
		n += 2
	}
	if o.Any(HasTimestamps) {
		n += 10
	}
	if o.Any(HasWindowScale) {
		n += 3
	}
	if o.Any(HasFastOpen) {
		n += 2 + int(o.FastOpen.Len)
	}
	if o.Any(HasSACK) {
		n += 2 + 8*o.SACKLen
	}
	if o.Any(HasMPTCP) {
		n += o.mptcpLen(func(n int) int { return n })
	}
	return n
}

// AppendOptions appends the options of o in their wire form, Len bytes of it:
// MSS, SACK-permitted, timestamps, window scale, Fast Open, SACK, then MPTCP's
// by subtype, with NOPs for alignment and zeros at the end. MD5 and AO, whose content Options does
// not keep, are left out.
func AppendOptions(b []byte, o *Options) []byte {
	n, packed := o.layout()
	end := len(b) + n
	w := optionWriter{b: b, start: len(b), packed: packed}
	if o.Any(HasMSS) {
		w.b = append(w.b, kindMSS, 4, uint8(o.MSS>>8), uint8(o.MSS))
	}
	if o.Any(HasSACKPermitted) {
		if !o.Any(HasTimestamps) {
			w.endAligned(2)
		}
		w.b = append(w.b, kindSACKPermitted, 2)
	}
	if o.Any(HasTimestamps) {
		w.endAligned(10)
		w.b = append(w.b, kindTimestamps, 10)
		w.b = binary.BigEndian.AppendUint32(w.b, o.TSVal)
		w.b = binary.BigEndian.AppendUint32(w.b, o.TSEcr)
	}
	if o.Any(HasWindowScale) {
		w.endAligned(3)
		w.b = append(w.b, kindWindowScale, 3, o.WindowScale)
	}
	if o.Any(HasFastOpen) {
		n := int(o.FastOpen.Len)
		w.endAligned(2 + n)
		w.b = append(w.b, kindFastOpen, uint8(2+n))
		w.b = append(w.b, o.FastOpen.Cookie[:n]...)
	}
	if o.Any(HasSACK) {
		w.appendSACK(o.SACK[:o.SACKLen])
	}
	if o.Any(HasMPTCP) {
		w.appendMPTCP(o)
	}
	for len(w.b) < end { // not NOPs: four in an option list make analysers suspicious
		w.b = append(w.b, kindEnd)
	}
	return w.b
}

// optionWriter appends options one after the other.
type optionWriter struct {
	b      []byte
	start  int // where the options begin in b
	packed bool
}

// endAligned puts NOPs in front of an option of n bytes so that it ends at a
// multiple of 4.
func (w *optionWriter) endAligned(n int) {
	for !w.packed && (len(w.b)-w.start+n)&3 != 0 {
		w.b = append(w.b, kindNOP)
	}
}

// align puts NOPs behind what is there up to a multiple of 4.
func (w *optionWriter) align() { w.endAligned(0) }

func (w *optionWriter) appendSACK(blocks []SACKBlock) {
	n := 2 + 8*len(blocks)
	w.endAligned(n)
	w.b = append(w.b, kindSACK, uint8(n))
	for _, s := range blocks {
		w.b = binary.BigEndian.AppendUint32(w.b, s.Left)
		w.b = binary.BigEndian.AppendUint32(w.b, s.Right)
	}
}
