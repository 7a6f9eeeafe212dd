package wire

import (
	"encoding/binary"
	"net/netip"
)

// MPTCP option subtypes (RFC 8684 section 7.2).
const (
	subCapable    = 0
	subJoin       = 1
	subDSS        = 2
	subAddAddr    = 3
	subRemoveAddr = 4
	subPrio       = 5
	subFail       = 6
	subFastClose  = 7
	subReset      = 8
)

// Bits of the third and fourth byte of MPTCP options.
const (
	joinBackup     = 0x01
	prioBackup     = 0x01
	addAddrEcho    = 0x01 // E
	resetTransient = 0x01 // T

	dssFin   = 0x10 // F
	dssDSN64 = 0x08 // m
	dssMap   = 0x04 // M
	dssAck64 = 0x02 // a
	dssAck   = 0x01 // A
)

// parseMPTCP reads one whole MPTCP option. What a subtype's parser refuses,
// for its length, counts as bad; it leaves the fields of a first good option
// of that subtype alone.
func (o *Options) parseMPTCP(b []byte) {
	if len(b) < 3 {
		o.Set |= HasBadMPTCP
		return
	}
	var has OptionSet
	var ok bool
	switch b[2] >> 4 {
	case subCapable:
		var v Capable
		if has, ok = HasCapable, v.parse(b); ok && !o.Has(has) {
			o.Capable = v
		}
	case subJoin:
		var v Join
		if has, ok = HasJoin, v.parse(b); ok && !o.Has(has) {
			o.Join = v
		}
	case subDSS:
		var v DSS
		if has, ok = HasDSS, v.parse(b); ok && !o.Has(has) {
			o.DSS = v
		}
	case subAddAddr:
		var v AddAddr
		if has, ok = HasAddAddr, v.parse(b); ok && o.AddAddrLen < len(o.AddAddr) {
			o.AddAddr[o.AddAddrLen] = v
			o.AddAddrLen++
		}
	case subRemoveAddr:
		var v RemoveAddr
		if has, ok = HasRemoveAddr, v.parse(b); ok && !o.Has(has) {
			o.RemoveAddr = v
		}
	case subPrio:
		var v Prio
		if has, ok = HasPrio, v.parse(b); ok && !o.Has(has) {
			o.Prio = v
		}
	case subFail:
		var v Fail
		if has, ok = HasFail, v.parse(b); ok && !o.Has(has) {
			o.Fail = v
		}
	case subFastClose:
		var v FastClose
		if has, ok = HasFastClose, v.parse(b); ok && !o.Has(has) {
			o.FastClose = v
		}
	case subReset:
		var v Reset
		if has, ok = HasReset, v.parse(b); ok && !o.Has(has) {
			o.Reset = v
		}
	default:
		has, ok = HasUnknownMPTCP, true
	}
	if !ok {
		has = HasBadMPTCP
	}
	o.Set |= has
}

// parse reads MP_CAPABLE. Version 0 has the forms of 12 and 20 bytes only
// (RFC 6824 section 3.1); versions above ours are read like version 1, so that
// the answer can name the version it takes (RFC 8684 section 3.1).
func (c *Capable) parse(b []byte) bool {
	n := len(b)
	switch n {
	case 4, 22, 24:
		if b[2]&0xf == V0 {
			return false
		}
	case 12, 20:
	default:
		return false
	}
	c.Version = b[2] & 0xf
	c.Flags = CapableFlags(b[3])
	if n >= 12 {
		c.Keys = 1
		c.SenderKey = Key(binary.BigEndian.Uint64(b[4:]))
	}
	if n >= 20 {
		c.Keys = 2
		c.ReceiverKey = Key(binary.BigEndian.Uint64(b[12:]))
	}
	if n >= 22 {
		c.HasData = true
		c.DataLen = binary.BigEndian.Uint16(b[20:])
	}
	if n == 24 {
		c.HasChecksum = true
		c.Checksum = binary.BigEndian.Uint16(b[22:])
	}
	return true
}

// parse reads MP_JOIN (RFC 8684 figures 5 to 7).
func (j *Join) parse(b []byte) bool {
	switch len(b) {
	case 12:
		j.Form = JoinSYN
		j.Token = binary.BigEndian.Uint32(b[4:])
		j.Nonce = binary.BigEndian.Uint32(b[8:])
	case 16:
		j.Form = JoinSYNACK
		copy(j.HMAC[:8], b[4:12])
		j.Nonce = binary.BigEndian.Uint32(b[12:])
	case 24:
		j.Form = JoinACK
		copy(j.HMAC[:], b[4:])
		return true // the bits of the other forms are reserved in this one
	default:
		return false
	}
	j.Backup = b[2]&joinBackup != 0
	j.ID = b[3]
	return true
}

// parse reads DSS (RFC 8684 figure 9). The flags say how long it is, but for
// the checksum, which is there if the length says so.
func (d *DSS) parse(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	flags := b[3]
	d.Fin = flags&dssFin != 0
	d.HasAck = flags&dssAck != 0
	d.Ack64 = d.HasAck && flags&dssAck64 != 0
	d.HasMap = flags&dssMap != 0
	d.DSN64 = d.HasMap && flags&dssDSN64 != 0
	d.HasChecksum = d.HasMap && len(b) == d.wireLen()+2
	if len(b) != d.wireLen() {
		return false
	}
	b = b[4:]
	if d.HasAck {
		d.Ack, b = dataNumber(b, d.Ack64)
	}
	if !d.HasMap {
		return true
	}
	d.DSN, b = dataNumber(b, d.DSN64)
	d.SSN = binary.BigEndian.Uint32(b)
	d.Len = binary.BigEndian.Uint16(b[4:])
	if d.HasChecksum {
		d.Checksum = binary.BigEndian.Uint16(b[6:])
	}
	return true
}

// dataNumber takes a data sequence number of 8 or 4 bytes off b.
func dataNumber(b []byte, wide bool) (uint64, []byte) {
	if wide {
		return binary.BigEndian.Uint64(b), b[8:]
	}
	return uint64(binary.BigEndian.Uint32(b)), b[4:]
}

// parse reads ADD_ADDR of both versions. The lengths tell them apart: with E
// unset, version 1 has 8 bytes of HMAC that version 0 has not, and E is set in
// neither of the IP versions that version 0 writes in its place (RFC 8684
// figure 12, RFC 6824 figure 12).
func (a *AddAddr) parse(b []byte) bool {
	n := len(b)
	if n < 8 {
		return false
	}
	ipVer := b[2] & 0xf // version 0 only
	a.Echo = b[2]&addAddrEcho != 0
	a.Version = V1
	a.ID = b[3]
	rest := b[4:]
	switch {
	case a.Echo:
	case n == 8 || n == 10:
		a.Version = V0
		if ipVer != 4 {
			return false
		}
	case n == 20 || n == 22:
		a.Version = V0
		if ipVer != 6 {
			return false
		}
	case n >= 16:
		rest = rest[:len(rest)-len(a.HMAC)]
		copy(a.HMAC[:], b[n-len(a.HMAC):])
	default:
		return false
	}
	switch len(rest) {
	case 4, 6:
		a.Addr = netip.AddrFrom4([4]byte(rest))
		rest = rest[4:]
	case 16, 18:
		a.Addr = netip.AddrFrom16([16]byte(rest))
		rest = rest[16:]
	default:
		return false
	}
	if len(rest) == 2 {
		a.Port = binary.BigEndian.Uint16(rest)
	}
	return true
}

// parse reads REMOVE_ADDR (RFC 8684 section 3.4.2).
func (r *RemoveAddr) parse(b []byte) bool {
	if len(b) < 4 || len(b)-3 > len(r.IDs) {
		return false
	}
	r.Len = copy(r.IDs[:], b[3:])
	return true
}

// parse reads MP_PRIO, where version 0 may add an address ID (RFC 6824 section 3.3.8).
func (p *Prio) parse(b []byte) bool {
	if len(b) != 3 && len(b) != 4 {
		return false
	}
	p.Backup = b[2]&prioBackup != 0
	if len(b) == 4 {
		p.HasID, p.ID = true, b[3]
	}
	return true
}

// parse reads MP_FAIL (RFC 8684 section 3.7).
func (f *Fail) parse(b []byte) bool {
	if len(b) != 12 {
		return false
	}
	f.DSN = binary.BigEndian.Uint64(b[4:])
	return true
}

// parse reads MP_FASTCLOSE (RFC 8684 section 3.5).
func (f *FastClose) parse(b []byte) bool {
	if len(b) != 12 {
		return false
	}
	f.ReceiverKey = Key(binary.BigEndian.Uint64(b[4:]))
	return true
}

// parse reads MP_TCPRST (RFC 8684 section 3.6).
func (r *Reset) parse(b []byte) bool {
	if len(b) != 4 {
		return false
	}
	r.Transient = b[2]&resetTransient != 0
	r.Reason = ResetReason(b[3])
	return true
}
