package wire

import "encoding/binary"

// mptcpLen is the length of the MPTCP options present, each rounded by round.
func (o *Options) mptcpLen(round func(int) int) int {
	n := 0
	if o.Any(HasCapable) {
		n += round(o.Capable.wireLen())
	}
	if o.Any(HasJoin) {
		n += round(o.Join.wireLen())
	}
	if o.Any(HasDSS) {
		n += round(o.DSS.wireLen())
	}
	if o.Any(HasAddAddr) {
		for i := range o.AddAddrLen {
			n += round(o.AddAddr[i].wireLen())
		}
	}
	if o.Any(HasRemoveAddr) {
		n += round(3 + o.RemoveAddr.Len)
	}
	if o.Any(HasPrio) {
		n += round(o.Prio.wireLen())
	}
	if o.Any(HasFail) {
		n += 12
	}
	if o.Any(HasFastClose) {
		n += 12
	}
	if o.Any(HasReset) {
		n += 4
	}
	return n
}

// appendMPTCP appends the MPTCP options of o in the order of their subtypes.
func (w *optionWriter) appendMPTCP(o *Options) {
	if o.Any(HasCapable) {
		w.align()
		w.b = o.Capable.append(w.b)
	}
	if o.Any(HasJoin) {
		w.align()
		w.b = o.Join.append(w.b)
	}
	if o.Any(HasDSS) {
		w.align()
		w.b = o.DSS.append(w.b)
	}
	if o.Any(HasAddAddr) {
		for i := range o.AddAddrLen {
			w.align()
			w.b = o.AddAddr[i].append(w.b)
		}
	}
	if o.Any(HasRemoveAddr) {
		w.align()
		w.b = o.RemoveAddr.append(w.b)
	}
	if o.Any(HasPrio) {
		w.align()
		w.b = o.Prio.append(w.b)
	}
	if o.Any(HasFail) {
		w.align()
		w.b = append(w.b, kindMPTCP, 12, subFail<<4, 0)
		w.b = binary.BigEndian.AppendUint64(w.b, o.Fail.DSN)
	}
	if o.Any(HasFastClose) {
		w.align()
		w.b = append(w.b, kindMPTCP, 12, subFastClose<<4, 0)
		w.b = binary.BigEndian.AppendUint64(w.b, uint64(o.FastClose.ReceiverKey))
	}
	if o.Any(HasReset) {
		w.align()
		w.b = append(w.b, kindMPTCP, 4, subReset<<4|bit(o.Reset.Transient, resetTransient), uint8(o.Reset.Reason))
	}
}

// bit is flag if on, else 0.
func bit(on bool, flag uint8) uint8 {
	if on {
		return flag
	}
	return 0
}

func (c *Capable) wireLen() int {
	n := 4 + 8*int(c.Keys)
	if c.Keys > 2 || c.HasData && c.Keys != 2 || c.HasChecksum && !c.HasData ||
		c.Version == V0 && (c.Keys == 0 || c.HasData) {
		panic("BUG: wire: MP_CAPABLE of no known form")
	}
	if c.HasData {
		n += 2
	}
	if c.HasChecksum {
		n += 2
	}
	return n
}

func (c *Capable) append(b []byte) []byte {
	b = append(b, kindMPTCP, uint8(c.wireLen()), subCapable<<4|c.Version&0xf, uint8(c.Flags))
	if c.Keys >= 1 {
		b = binary.BigEndian.AppendUint64(b, uint64(c.SenderKey))
	}
	if c.Keys >= 2 {
		b = binary.BigEndian.AppendUint64(b, uint64(c.ReceiverKey))
	}
	if c.HasData {
		b = binary.BigEndian.AppendUint16(b, c.DataLen)
	}
	if c.HasChecksum {
		b = binary.BigEndian.AppendUint16(b, c.Checksum)
	}
	return b
}

func (j *Join) wireLen() int {
	switch j.Form {
	case JoinSYN:
		return 12
	case JoinSYNACK:
		return 16
	case JoinACK:
		return 24
	}
	panic("BUG: wire: MP_JOIN of no known form")
}

func (j *Join) append(b []byte) []byte {
	n := uint8(j.wireLen())
	if j.Form == JoinACK {
		b = append(b, kindMPTCP, n, subJoin<<4, 0)
		return append(b, j.HMAC[:]...)
	}
	b = append(b, kindMPTCP, n, subJoin<<4|bit(j.Backup, joinBackup), j.ID)
	if j.Form == JoinSYN {
		b = binary.BigEndian.AppendUint32(b, j.Token)
	} else {
		b = append(b, j.HMAC[:8]...)
	}
	return binary.BigEndian.AppendUint32(b, j.Nonce)
}

func (d *DSS) wireLen() int {
	n := 4
	if d.HasAck {
		n += 4
		if d.Ack64 {
			n += 4
		}
	}
	if d.HasMap {
		n += 10
		if d.DSN64 {
			n += 4
		}
		if d.HasChecksum {
			n += 2
		}
	}
	return n
}

func (d *DSS) append(b []byte) []byte {
	flags := bit(d.Fin, dssFin) |
		bit(d.HasAck, dssAck) | bit(d.HasAck && d.Ack64, dssAck64) |
		bit(d.HasMap, dssMap) | bit(d.HasMap && d.DSN64, dssDSN64)
	b = append(b, kindMPTCP, uint8(d.wireLen()), subDSS<<4, flags)
	if d.HasAck {
		b = appendDataNumber(b, d.Ack, d.Ack64)
	}
	if !d.HasMap {
		return b
	}
	b = appendDataNumber(b, d.DSN, d.DSN64)
	b = binary.BigEndian.AppendUint32(b, d.SSN)
	b = binary.BigEndian.AppendUint16(b, d.Len)
	if d.HasChecksum {
		b = binary.BigEndian.AppendUint16(b, d.Checksum)
	}
	return b
}

// appendDataNumber is the inverse of dataNumber.
func appendDataNumber(b []byte, n uint64, wide bool) []byte {
	if wide {
		return binary.BigEndian.AppendUint64(b, n)
	}
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// hasHMAC reports whether the option carries an HMAC: not an echo, and not in
// version 0.
func (a *AddAddr) hasHMAC() bool { return a.Version != V0 && !a.Echo }

func (a *AddAddr) wireLen() int {
	if !a.Addr.IsValid() {
		panic("BUG: wire: ADD_ADDR without an address")
	}
	n := 4 + a.Addr.BitLen()/8
	if a.Port != 0 {
		n += 2
	}
	if a.hasHMAC() {
		n += len(a.HMAC)
	}
	return n
}

func (a *AddAddr) append(b []byte) []byte {
	low := bit(a.Echo, addAddrEcho)
	if a.Version == V0 {
		low = 6
		if a.Addr.Is4() {
			low = 4
		}
	}
	b = append(b, kindMPTCP, uint8(a.wireLen()), subAddAddr<<4|low, a.ID)
	b = a.appendAddrPort(b)
	if a.hasHMAC() {
		b = append(b, a.HMAC[:]...)
	}
	return b
}

// appendAddrPort appends the address, and the port if there is one.
func (a *AddAddr) appendAddrPort(b []byte) []byte {
	if a.Addr.Is4() {
		ip := a.Addr.As4()
		b = append(b, ip[:]...)
	} else {
		ip := a.Addr.As16()
		b = append(b, ip[:]...)
	}
	if a.Port != 0 {
		b = binary.BigEndian.AppendUint16(b, a.Port)
	}
	return b
}

func (r *RemoveAddr) append(b []byte) []byte {
	if r.Len < 1 {
		panic("BUG: wire: REMOVE_ADDR without an address ID")
	}
	b = append(b, kindMPTCP, uint8(3+r.Len), subRemoveAddr<<4)
	return append(b, r.IDs[:r.Len]...)
}

func (p *Prio) wireLen() int {
	if p.HasID {
		return 4
	}
	return 3
}

func (p *Prio) append(b []byte) []byte {
	b = append(b, kindMPTCP, uint8(p.wireLen()), subPrio<<4|bit(p.Backup, prioBackup))
	if p.HasID {
		b = append(b, p.ID)
	}
	return b
}
