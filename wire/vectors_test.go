package wire

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

const (
	keyA Key = 0x0123456789abcdef
	keyB Key = 0xfedcba9876543210
)

// unhex reads hexadecimal digits, blanks allowed.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func seqBytes(first byte, n int) (b [20]byte) {
	for i := range n {
		b[i] = first + byte(i)
	}
	return b
}

// optionVector is an option area written by hand from the figure of its
// document, and what it says.
type optionVector struct {
	name string
	hex  string
	want Options
}

var mac8 = [8]byte{0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7}

// optionVectors are in canonical form: appending want gives hex, with NOPs up
// to a multiple of 4.
var optionVectors = []optionVector{
	{"none", "", Options{}},
	{"MSS", "02 04 05b4", Options{Set: HasMSS, MSS: 1460}},
	{"SACK permitted", "01 01 04 02", Options{Set: HasSACKPermitted}},
	{"window scale", "01 03 03 0e", Options{Set: HasWindowScale, WindowScale: 14}},
	{"window scale beyond 14", "01 03 03 ff", Options{Set: HasWindowScale, WindowScale: 255}},
	{"timestamps", "01 01 08 0a 01020304 f5f6f7f8",
		Options{Set: HasTimestamps, TSVal: 0x01020304, TSEcr: 0xf5f6f7f8}},
	{"SYN of a common stack", "0204ffd7 0402 080a 00000001 00000000 01 030307",
		Options{Set: HasMSS | HasSACKPermitted | HasTimestamps | HasWindowScale, MSS: 65495, TSVal: 1, WindowScale: 7}},
	{"SYN without timestamps", "020405b4 0101 0402 01 030307",
		Options{Set: HasMSS | HasSACKPermitted | HasWindowScale, MSS: 1460, WindowScale: 7}},
	{"SACK of 1 block", "0101 050a 00000001 00000002",
		Options{Set: HasSACK, SACKLen: 1, SACK: [4]SACKBlock{{1, 2}}}},
	{"SACK of 3 blocks with timestamps", "0101 080a 00000001 00000002 0101 051a 00000001 00000002 00000003 00000004 ffffffff 00000005",
		Options{Set: HasSACK | HasTimestamps, TSVal: 1, TSEcr: 2, SACKLen: 3, SACK: [4]SACKBlock{{1, 2}, {3, 4}, {0xffffffff, 5}}}},
	{"SACK of 4 blocks", "0101 0522 00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008",
		Options{Set: HasSACK, SACKLen: 4, SACK: [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}, {7, 8}}}},
	{"Fast Open request", "0101 2202", Options{Set: HasFastOpen}},
	{"Fast Open cookie of 4", "0101 2206 01020304",
		Options{Set: HasFastOpen, FastOpen: FastOpen{Len: 4, Cookie: [16]byte{1, 2, 3, 4}}}},
	{"Fast Open cookie of 16", "0101 2212 0102030405060708090a0b0c0d0e0f10",
		Options{Set: HasFastOpen, FastOpen: FastOpen{Len: 16, Cookie: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}}},

	// RFC 8684 figure 4.
	{"MP_CAPABLE SYN", "1e04 01 81",
		Options{Set: HasCapable, Capable: Capable{Version: V1, Flags: CapableChecksum | CapableHMAC}}},
	{"MP_CAPABLE SYN of a version to come", "1e04 0f 01",
		Options{Set: HasCapable, Capable: Capable{Version: 15, Flags: CapableHMAC}}},
	{"MP_CAPABLE SYN/ACK", "1e0c 01 21 fedcba9876543210",
		Options{Set: HasCapable, Capable: Capable{Version: V1, Flags: CapableNoJoinToHere | CapableHMAC, Keys: 1, SenderKey: keyB}}},
	{"MP_CAPABLE ACK", "1e14 01 01 0123456789abcdef fedcba9876543210",
		Options{Set: HasCapable, Capable: Capable{Version: V1, Flags: CapableHMAC, Keys: 2, SenderKey: keyA, ReceiverKey: keyB}}},
	{"MP_CAPABLE with data", "1e16 01 01 0123456789abcdef fedcba9876543210 0578 0000",
		Options{Set: HasCapable, Capable: Capable{Version: V1, Flags: CapableHMAC, Keys: 2, SenderKey: keyA, ReceiverKey: keyB, HasData: true, DataLen: 1400}}},
	{"MP_CAPABLE with data and checksum", "1e18 01 81 0123456789abcdef fedcba9876543210 0578 beef",
		Options{Set: HasCapable, Capable: Capable{Version: V1, Flags: CapableChecksum | CapableHMAC, Keys: 2, SenderKey: keyA, ReceiverKey: keyB,
			HasData: true, DataLen: 1400, HasChecksum: true, Checksum: 0xbeef}}},
	// RFC 6824 section 3.1.
	{"MP_CAPABLE v0 SYN", "1e0c 00 81 0123456789abcdef",
		Options{Set: HasCapable, Capable: Capable{Version: V0, Flags: CapableChecksum | CapableHMAC, Keys: 1, SenderKey: keyA}}},
	{"MP_CAPABLE v0 ACK", "1e14 00 81 0123456789abcdef fedcba9876543210",
		Options{Set: HasCapable, Capable: Capable{Version: V0, Flags: CapableChecksum | CapableHMAC, Keys: 2, SenderKey: keyA, ReceiverKey: keyB}}},

	// RFC 8684 figures 5 to 7.
	{"MP_JOIN SYN", "1e0c 10 07 01020304 a1a2a3a4",
		Options{Set: HasJoin, Join: Join{Form: JoinSYN, ID: 7, Token: 0x01020304, Nonce: 0xa1a2a3a4}}},
	{"MP_JOIN SYN, backup", "1e0c 11 ff 01020304 a1a2a3a4",
		Options{Set: HasJoin, Join: Join{Form: JoinSYN, Backup: true, ID: 255, Token: 0x01020304, Nonce: 0xa1a2a3a4}}},
	{"MP_JOIN SYN/ACK", "1e10 11 00 d0d1d2d3d4d5d6d7 a1a2a3a4",
		Options{Set: HasJoin, Join: Join{Form: JoinSYNACK, Backup: true, Nonce: 0xa1a2a3a4, HMAC: seqBytes(0xd0, 8)}}},
	{"MP_JOIN ACK", "1e18 10 00 303132333435363738393a3b3c3d3e3f40414243",
		Options{Set: HasJoin, Join: Join{Form: JoinACK, HMAC: seqBytes(0x30, 20)}}},

	// RFC 8684 figure 9; every combination is in TestRFC8684/D1.
	{"DSS ack", "1e08 20 01 01020304", Options{Set: HasDSS, DSS: DSS{HasAck: true, Ack: 0x01020304}}},
	{"DSS wide ack", "1e0c 20 03 0102030405060708", Options{Set: HasDSS, DSS: DSS{HasAck: true, Ack64: true, Ack: 0x0102030405060708}}},
	{"DSS map", "1e0e 20 04 01020304 11121314 0578 0000",
		Options{Set: HasDSS, DSS: DSS{HasMap: true, DSN: 0x01020304, SSN: 0x11121314, Len: 1400}}},
	{"DSS all, wide, checksum, fin", "1e1c 20 1f 0102030405060708 2122232425262728 11121314 0578 beef",
		Options{Set: HasDSS, DSS: DSS{HasAck: true, Ack64: true, Ack: 0x0102030405060708, HasMap: true, DSN64: true, DSN: 0x2122232425262728,
			SSN: 0x11121314, Len: 1400, HasChecksum: true, Checksum: 0xbeef, Fin: true}}},
	{"timestamps and the longest DSS", "0101 080a 00000001 00000002 1e1c 20 0f 0102030405060708 2122232425262728 11121314 0578 beef",
		Options{Set: HasTimestamps | HasDSS, TSVal: 1, TSEcr: 2,
			DSS: DSS{HasAck: true, Ack64: true, Ack: 0x0102030405060708, HasMap: true, DSN64: true, DSN: 0x2122232425262728,
				SSN: 0x11121314, Len: 1400, HasChecksum: true, Checksum: 0xbeef}}},

	// RFC 8684 figure 12.
	{"ADD_ADDR v4", "1e10 30 05 c0000221 d0d1d2d3d4d5d6d7", addAddr(AddAddr{Version: V1, ID: 5, Addr: ip("192.0.2.33"), HMAC: mac8})},
	{"ADD_ADDR v4 port", "1e12 30 05 c0000221 1f90 d0d1d2d3d4d5d6d7 0000",
		addAddr(AddAddr{Version: V1, ID: 5, Addr: ip("192.0.2.33"), Port: 8080, HMAC: mac8})},
	{"ADD_ADDR v6", "1e1c 30 05 20010db8000000000000000000000005 d0d1d2d3d4d5d6d7",
		addAddr(AddAddr{Version: V1, ID: 5, Addr: ip("2001:db8::5"), HMAC: mac8})},
	{"ADD_ADDR v6 port", "1e1e 30 05 20010db8000000000000000000000005 1f90 d0d1d2d3d4d5d6d7 0000",
		addAddr(AddAddr{Version: V1, ID: 5, Addr: ip("2001:db8::5"), Port: 8080, HMAC: mac8})},
	{"ADD_ADDR v4 echo", "1e08 31 05 c0000221", addAddr(AddAddr{Version: V1, Echo: true, ID: 5, Addr: ip("192.0.2.33")})},
	{"ADD_ADDR v4 port echo", "1e0a 31 05 c0000221 1f90 0000",
		addAddr(AddAddr{Version: V1, Echo: true, ID: 5, Addr: ip("192.0.2.33"), Port: 8080})},
	{"ADD_ADDR v6 echo", "1e14 31 05 20010db8000000000000000000000005",
		addAddr(AddAddr{Version: V1, Echo: true, ID: 5, Addr: ip("2001:db8::5")})},
	{"ADD_ADDR v6 port echo", "1e16 31 05 20010db8000000000000000000000005 1f90 0000",
		addAddr(AddAddr{Version: V1, Echo: true, ID: 5, Addr: ip("2001:db8::5"), Port: 8080})},
	{"ADD_ADDR new and echoed", "1e10 30 05 c0000221 d0d1d2d3d4d5d6d7 1e0a 31 06 c0000222 1f90 0000",
		addAddr(AddAddr{Version: V1, ID: 5, Addr: ip("192.0.2.33"), HMAC: mac8},
			AddAddr{Version: V1, Echo: true, ID: 6, Addr: ip("192.0.2.34"), Port: 8080})},
	{"packed: timestamps and the longest ADD_ADDR", "080a 00000001 00000002 1e1e 30 05 20010db8000000000000000000000005 1f90 d0d1d2d3d4d5d6d7",
		func() Options {
			o := addAddr(AddAddr{Version: V1, ID: 5, Addr: ip("2001:db8::5"), Port: 8080, HMAC: mac8})
			o.Set |= HasTimestamps
			o.TSVal, o.TSEcr = 1, 2
			return o
		}()},
	// RFC 6824 section 3.4.1.
	{"ADD_ADDR v0 v4", "1e08 34 05 c0000221", addAddr(AddAddr{Version: V0, ID: 5, Addr: ip("192.0.2.33")})},
	{"ADD_ADDR v0 v4 port", "1e0a 34 05 c0000221 1f90 0000", addAddr(AddAddr{Version: V0, ID: 5, Addr: ip("192.0.2.33"), Port: 8080})},
	{"ADD_ADDR v0 v6", "1e14 36 05 20010db8000000000000000000000005", addAddr(AddAddr{Version: V0, ID: 5, Addr: ip("2001:db8::5")})},
	{"ADD_ADDR v0 v6 port", "1e16 36 05 20010db8000000000000000000000005 1f90 0000",
		addAddr(AddAddr{Version: V0, ID: 5, Addr: ip("2001:db8::5"), Port: 8080})},

	{"REMOVE_ADDR of 1", "1e04 40 09", removeAddr(9)},
	{"REMOVE_ADDR of 2", "1e05 40 09 00 000000", removeAddr(9, 0)},
	{"REMOVE_ADDR of 37", "1e28 40" + strings.Repeat("07", 37), removeAddr([]byte(strings.Repeat("\x07", 37))...)},
	{"MP_PRIO", "1e03 50 00", Options{Set: HasPrio}},
	{"MP_PRIO backup", "1e03 51 00", Options{Set: HasPrio, Prio: Prio{Backup: true}}},
	{"MP_PRIO v0 with ID", "1e04 51 09", Options{Set: HasPrio, Prio: Prio{Backup: true, HasID: true, ID: 9}}},
	{"MP_FAIL", "1e0c 60 00 0102030405060708", Options{Set: HasFail, Fail: Fail{DSN: 0x0102030405060708}}},
	{"MP_FASTCLOSE", "1e0c 70 00 fedcba9876543210", Options{Set: HasFastClose, FastClose: FastClose{ReceiverKey: keyB}}},
	{"MP_TCPRST", "1e04 80 01", Options{Set: HasReset, Reset: Reset{Reason: ResetMPTCP}}},
	{"MP_TCPRST transient", "1e04 81 05", Options{Set: HasReset, Reset: Reset{Transient: true, Reason: ResetPerformance}}},
	{"MP_FAIL, MP_FASTCLOSE, MP_TCPRST", "1e0c 60 00 0102030405060708 1e0c 70 00 fedcba9876543210 1e04 81 06",
		Options{Set: HasFail | HasFastClose | HasReset, Fail: Fail{DSN: 0x0102030405060708},
			FastClose: FastClose{ReceiverKey: keyB}, Reset: Reset{Transient: true, Reason: ResetMiddlebox}}},
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func addAddr(a ...AddAddr) Options {
	o := Options{Set: HasAddAddr}
	o.AddAddrLen = copy(o.AddAddr[:], a)
	return o
}

func removeAddr(ids ...uint8) Options {
	o := Options{Set: HasRemoveAddr}
	o.RemoveAddr.Len = copy(o.RemoveAddr.IDs[:], ids)
	return o
}
