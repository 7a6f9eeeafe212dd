package wire

import "strconv"

// String gives the flags as tcpdump writes them: S, F, R, P, U, E, W and a dot
// for ACK.
func (f Flags) String() string { return string(appendFlags(nil, f)) }

func appendFlags(b []byte, f Flags) []byte {
	if f == 0 {
		return append(b, "none"...)
	}
	for _, l := range [...]struct {
		flag   Flags
		letter byte
	}{{FIN, 'F'}, {SYN, 'S'}, {RST, 'R'}, {PSH, 'P'}, {ACK, '.'}, {URG, 'U'}, {ECE, 'E'}, {CWR, 'W'}} {
		if f.Has(l.flag) {
			b = append(b, l.letter)
		}
	}
	return b
}

// String gives the segment in one line in the manner of tcpdump, with raw
// sequence numbers and the window as on the wire.
func (s *Segment) String() string {
	b := s.Src.AppendTo(make([]byte, 0, 256))
	b = append(b, " > "...)
	b = s.Dst.AppendTo(b)
	b = append(b, ": Flags ["...)
	b = appendFlags(b, s.Flags)
	b = append(b, ']')
	b = appendField(b, ", seq ", uint64(s.Seq))
	if n := len(s.Payload); n > 0 {
		b = appendField(b, ":", uint64(s.Seq+uint32(n)))
	}
	if s.Flags.Has(ACK) {
		b = appendField(b, ", ack ", uint64(s.Ack))
	}
	b = appendField(b, ", win ", uint64(s.Window))
	if s.Flags.Has(URG) {
		b = appendField(b, ", urg ", uint64(s.Urgent))
	}
	if s.Options.Set != 0 {
		b = append(b, ", options ["...)
		b = s.Options.appendString(b)
		b = append(b, ']')
	}
	b = appendField(b, ", length ", uint64(len(s.Payload)))
	return string(b)
}

// String gives the options separated by commas, in the manner of tcpdump.
func (o *Options) String() string { return string(o.appendString(nil)) }

func (o *Options) appendString(b []byte) []byte {
	start := len(b)
	next := func(has OptionSet, name string) bool {
		if !o.Any(has) {
			return false
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, name...)
		return true
	}
	if next(HasMSS, "mss ") {
		b = strconv.AppendUint(b, uint64(o.MSS), 10)
	}
	next(HasSACKPermitted, "sackOK")
	if next(HasTimestamps, "TS val ") {
		b = strconv.AppendUint(b, uint64(o.TSVal), 10)
		b = appendField(b, " ecr ", uint64(o.TSEcr))
	}
	if next(HasWindowScale, "wscale ") {
		b = strconv.AppendUint(b, uint64(o.WindowScale), 10)
	}
	if next(HasFastOpen, "tfo ") {
		if o.FastOpen.Len == 0 {
			b = append(b, "cookiereq"...)
		} else {
			b = appendHexBytes(append(b, "cookie "...), o.FastOpen.Cookie[:o.FastOpen.Len])
		}
	}
	if next(HasSACK, "sack ") {
		b = strconv.AppendInt(b, int64(o.SACKLen), 10)
		for _, s := range o.SACK[:o.SACKLen] {
			b = appendField(b, " {", uint64(s.Left))
			b = appendField(b, ":", uint64(s.Right))
			b = append(b, '}')
		}
	}
	next(HasMD5, "md5")
	next(HasAO, "tcp-ao")
	if next(HasCapable, "mptcp capable") {
		b = o.Capable.appendString(b)
	}
	if next(HasJoin, "mptcp join") {
		b = o.Join.appendString(b)
	}
	if next(HasDSS, "mptcp dss") {
		b = o.DSS.appendString(b)
	}
	if o.Any(HasAddAddr) {
		for i := range o.AddAddrLen {
			next(HasAddAddr, "mptcp add-addr")
			b = o.AddAddr[i].appendString(b)
		}
	}
	if next(HasRemoveAddr, "mptcp rem-addr") {
		for _, id := range o.RemoveAddr.IDs[:o.RemoveAddr.Len] {
			b = appendField(b, " id ", uint64(id))
		}
	}
	if next(HasPrio, "mptcp prio") {
		if o.Prio.Backup {
			b = append(b, " backup"...)
		}
		if o.Prio.HasID {
			b = appendField(b, " id ", uint64(o.Prio.ID))
		}
	}
	if next(HasFail, "mptcp fail") {
		b = appendField(b, " seq ", o.Fail.DSN)
	}
	if next(HasFastClose, "mptcp fast-close") {
		b = appendHex(append(b, " key "...), uint64(o.FastClose.ReceiverKey), 16)
	}
	if next(HasReset, "mptcp tcprst") {
		if o.Reset.Transient {
			b = append(b, " transient"...)
		}
		b = append(b, ' ')
		b = append(b, o.Reset.Reason.String()...)
	}
	next(HasUnknownMPTCP, "mptcp unknown")
	next(HasBadMPTCP, "mptcp bad")
	return b
}

func (c *Capable) appendString(b []byte) []byte {
	b = appendField(b, " v", uint64(c.Version))
	b = appendHex(append(b, " flags 0x"...), uint64(c.Flags), 2)
	if c.Keys >= 1 {
		b = appendHex(append(b, " {"...), uint64(c.SenderKey), 16)
		if c.Keys >= 2 {
			b = appendHex(append(b, ','), uint64(c.ReceiverKey), 16)
		}
		b = append(b, '}')
	}
	if c.HasData {
		b = appendField(b, " len ", uint64(c.DataLen))
	}
	if c.HasChecksum {
		b = appendHex(append(b, " csum 0x"...), uint64(c.Checksum), 4)
	}
	return b
}

func (j *Join) appendString(b []byte) []byte {
	if j.Form == JoinACK {
		return appendHexBytes(append(b, " hmac "...), j.HMAC[:])
	}
	if j.Backup {
		b = append(b, " backup"...)
	}
	b = appendField(b, " id ", uint64(j.ID))
	if j.Form == JoinSYN {
		b = appendHex(append(b, " token "...), uint64(j.Token), 8)
	} else {
		b = appendHexBytes(append(b, " hmac "...), j.HMAC[:8])
	}
	return appendHex(append(b, " nonce "...), uint64(j.Nonce), 8)
}

func (d *DSS) appendString(b []byte) []byte {
	if d.Fin {
		b = append(b, " fin"...)
	}
	if d.HasAck {
		b = appendField(b, " ack ", d.Ack)
		if !d.Ack64 {
			b = append(b, "/32"...)
		}
	}
	if !d.HasMap {
		return b
	}
	b = appendField(b, " seq ", d.DSN)
	if !d.DSN64 {
		b = append(b, "/32"...)
	}
	b = appendField(b, " subseq ", uint64(d.SSN))
	b = appendField(b, " len ", uint64(d.Len))
	if d.HasChecksum {
		b = appendHex(append(b, " csum 0x"...), uint64(d.Checksum), 4)
	}
	return b
}

func (a *AddAddr) appendString(b []byte) []byte {
	if a.Version == V0 {
		b = append(b, " v0"...)
	}
	if a.Echo {
		b = append(b, " echo"...)
	}
	b = appendField(b, " id ", uint64(a.ID))
	b = append(b, ' ')
	b = a.Addr.AppendTo(b)
	if a.Port != 0 {
		b = appendField(b, " port ", uint64(a.Port))
	}
	if a.hasHMAC() {
		b = appendHexBytes(append(b, " hmac "...), a.HMAC[:])
	}
	return b
}

// String names the reason in the words of RFC 8684 section 3.6.
func (r ResetReason) String() string {
	names := [resetReasonsKnown]string{
		ResetUnspecified: "unspecified",
		ResetMPTCP:       "MPTCP-specific error",
		ResetNoResources: "lack of resources",
		ResetProhibited:  "administratively prohibited",
		ResetOutstanding: "too much outstanding data",
		ResetPerformance: "unacceptable performance",
		ResetMiddlebox:   "middlebox interference",
	}
	if int(r) < len(names) {
		return names[r]
	}
	return string(appendHex([]byte("reason 0x"), uint64(r), 2))
}

func appendField(b []byte, name string, v uint64) []byte {
	return strconv.AppendUint(append(b, name...), v, 10)
}

const hexDigits = "0123456789abcdef"

// appendHex appends v in the given number of hexadecimal digits.
func appendHex(b []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, hexDigits[v>>(4*i)&0xf])
	}
	return b
}

func appendHexBytes(b, v []byte) []byte {
	for _, x := range v {
		b = appendHex(b, uint64(x), 2)
	}
	return b
}
