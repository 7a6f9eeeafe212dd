package kernel

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// view reads fields of a kernel structure in the machine's byte order. A field
// beyond the end, which an older kernel did not fill, is zero.
type view []byte

func (v view) u8(off int) uint8 {
	if off+1 > len(v) {
		return 0
	}
	return v[off]
}

func (v view) u16(off int) uint16 {
	if off+2 > len(v) {
		return 0
	}
	return binary.NativeEndian.Uint16(v[off:])
}

func (v view) u32(off int) uint32 {
	if off+4 > len(v) {
		return 0
	}
	return binary.NativeEndian.Uint32(v[off:])
}

func (v view) u64(off int) uint64 {
	if off+8 > len(v) {
		return 0
	}
	return binary.NativeEndian.Uint64(v[off:])
}

func (v view) micros(off int) time.Duration { return time.Duration(v.u32(off)) * time.Microsecond }
func (v view) millis(off int) time.Duration { return time.Duration(v.u32(off)) * time.Millisecond }

// Values of sa_family on Linux, written out since this file builds everywhere.
const (
	afInet  = 2
	afInet6 = 10
)

// sockaddr reads a struct sockaddr_in or sockaddr_in6.
func (v view) sockaddr() netip.AddrPort {
	switch v.u16(0) {
	case afInet:
		if len(v) >= 8 {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(v[4:8])), binary.BigEndian.Uint16(v[2:]))
		}
	case afInet6:
		if len(v) >= 24 {
			// An IPv4 subflow of an IPv6 socket shows as ::ffff:a.b.c.d.
			a := netip.AddrFrom16([16]byte(v[8:24])).Unmap()
			return netip.AddrPortFrom(a, binary.BigEndian.Uint16(v[2:]))
		}
	}
	return netip.AddrPort{}
}

// sockaddrSize is the size of struct sockaddr_storage.
const sockaddrSize = 128

// addrs reads a struct mptcp_subflow_addrs.
func (v view) addrs() (local, remote netip.AddrPort) {
	if len(v) < 2*sockaddrSize {
		return
	}
	return v[:sockaddrSize].sockaddr(), v[sockaddrSize:].sockaddr()
}
