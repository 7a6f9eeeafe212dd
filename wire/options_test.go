package wire

import (
	"bytes"
	"net/netip"
	"testing"
)

func parseOptions(b []byte) Options {
	var o Options
	ParseOptions(b, &o)
	return o
}

func TestOptionVectors(t *testing.T) {
	for _, v := range optionVectors {
		t.Run(v.name, func(t *testing.T) {
			b := unhex(t, v.hex)
			if got := parseOptions(b); got != v.want {
				t.Errorf("parsed\n got %+v\nwant %+v", got, v.want)
			}
			if got := AppendOptions(nil, &v.want); !bytes.Equal(got, b) {
				t.Errorf("appended\n got %x\nwant %x", got, b)
			}
			if got := v.want.Len(); got != len(b) {
				t.Errorf("Len: got %d, want %d", got, len(b))
			}
		})
	}
}

// A vector cut anywhere, or with any one byte different, never panics, and what
// is understood can be written and understood again.
func TestOptionsDamaged(t *testing.T) {
	for _, v := range optionVectors {
		whole := unhex(t, v.hex)
		for n := range whole {
			checkReparse(t, whole[:n:n])
			for _, x := range []byte{0, 1, 2, 3, 4, 5, 8, 12, 20, 30, 40, 0x7f, 0xff, whole[n] + 1, whole[n] ^ 0x10} {
				b := bytes.Clone(whole)
				b[n] = x
				checkReparse(t, b)
			}
		}
	}
}

// notWritten are the bits that AppendOptions has nothing for.
const notWritten = HasMD5 | HasAO | HasUnknownMPTCP | HasBadMPTCP

func checkReparse(t *testing.T, b []byte) {
	t.Helper()
	want := parseOptions(b)
	want.Set &^= notWritten
	out := AppendOptions(nil, &want)
	if len(out) != want.Len() || len(out)%4 != 0 || len(out) > 40 {
		t.Errorf("%x: wrote %d bytes, Len %d", b, len(out), want.Len())
	}
	if got := parseOptions(out); got != want {
		t.Errorf("%x: written as %x\n got %+v\nwant %+v", b, out, got, want)
	}
}

func TestParseOptionsTruncatedMPTCP(t *testing.T) {
	for _, v := range optionVectors {
		if v.want.Set == 0 || v.want.Set&^HasMPTCP != 0 || v.want.AddAddrLen > 1 {
			continue
		}
		b := unhex(t, v.hex)
		for n := 1; n < int(b[1]) && int(b[1]) <= len(b); n++ {
			if got := parseOptions(b[:n]).Set; got != HasBadMPTCP {
				t.Errorf("%s cut to %d bytes: got %#x, want HasBadMPTCP alone", v.name, n, got)
			}
		}
	}
}

func TestParseOptionsOddities(t *testing.T) {
	for _, tc := range []struct {
		name, hex string
		want      Options
	}{
		{"end of list ends the list", "00 020405b4", Options{}},
		{"NOPs between", "01 020405b4 01 01 030307 01", Options{Set: HasMSS | HasWindowScale, MSS: 1460, WindowScale: 7}},
		{"unaligned", "030307 020405b4 00", Options{Set: HasMSS | HasWindowScale, MSS: 1460, WindowScale: 7}},
		{"unknown kind skipped", "fd04f989 020405b4", Options{Set: HasMSS, MSS: 1460}},
		{"unknown kind with length 0 ends the list", "020405b4 fd00 030307", Options{Set: HasMSS, MSS: 1460}},
		{"length 1 ends the list", "020405b4 0301 030307", Options{Set: HasMSS, MSS: 1460}},
		{"length beyond the area ends the list", "020405b4 030907", Options{Set: HasMSS, MSS: 1460}},
		{"kind without length", "020405b4 03", Options{Set: HasMSS, MSS: 1460}},
		{"first MSS counts", "020405b4 02040200", Options{Set: HasMSS, MSS: 1460}},
		{"first window scale counts", "030307 030308", Options{Set: HasWindowScale, WindowScale: 7}},
		{"first timestamps count", "080a0000000100000002 080a0000000300000004", Options{Set: HasTimestamps, TSVal: 1, TSEcr: 2}},
		{"first SACK counts", "050a0000000100000002 050a0000000300000004",
			Options{Set: HasSACK, SACKLen: 1, SACK: [4]SACKBlock{{1, 2}}}},
		{"a bad one does not count as first", "0203aa 020405b4", Options{Set: HasMSS, MSS: 1460}},
		{"MSS too long", "0205000000", Options{}},
		{"SACK permitted too long", "040300", Options{}},
		{"SACK without blocks", "0502", Options{}},
		{"SACK of one and a half blocks", "050e000000010000000200000003", Options{}},
		{"timestamps too short", "080900000001000000", Options{}},
		{"cookie of 2", "22040102", Options{}},
		{"cookie of 5", "22070102030405", Options{}},
		{"cookie of 18", "2214" + "010203040506070809101112131415161718", Options{}},
		{"MD5", "1312 00112233445566778899aabbccddeeff", Options{Set: HasMD5}},
		{"MD5 too short", "1304 0011", Options{}},
		{"AO", "1d10 0102 000102030405060708090a0b", Options{Set: HasAO}},
		{"AO too short", "1d03 01", Options{}},
		{"MPTCP without subtype", "1e02 020405b4", Options{Set: HasMSS | HasBadMPTCP, MSS: 1460}},
		{"MPTCP with length 0", "020405b4 1e00", Options{Set: HasMSS | HasBadMPTCP, MSS: 1460}},
		{"MPTCP as last byte", "020405b4 1e", Options{Set: HasMSS | HasBadMPTCP, MSS: 1460}},
		{"good after bad MPTCP", "1e0510ff01 1e048003", Options{Set: HasBadMPTCP | HasReset, Reset: Reset{Reason: ResetProhibited}}},
		{"first DSS counts", "1e08200100000001 1e08200100000002", Options{Set: HasDSS, DSS: DSS{HasAck: true, Ack: 1}}},
		{"third ADD_ADDR is dropped", "1e083101c0000201 1e083102c0000202 1e083103c0000203",
			addAddr(AddAddr{Version: V1, Echo: true, ID: 1, Addr: ip("192.0.2.1")}, AddAddr{Version: V1, Echo: true, ID: 2, Addr: ip("192.0.2.2")})},
		{"ADD_ADDR with port zero", "1e0a3101c00002010000", addAddr(AddAddr{Version: V1, Echo: true, ID: 1, Addr: ip("192.0.2.1")})},
		{"ADD_ADDR of an IPv4-mapped address stays IPv6", "1e143101 00000000000000000000ffffc0000201",
			addAddr(AddAddr{Version: V1, Echo: true, ID: 1, Addr: ip("::ffff:192.0.2.1")})},
		{"v0 ADD_ADDR whose IP version denies its length", "1e083601c0000201", Options{Set: HasBadMPTCP}},
		{"v0 MP_CAPABLE without key", "1e040001", Options{Set: HasBadMPTCP}},
		{"v0 MP_CAPABLE with data", "1e160001 0123456789abcdef fedcba9876543210 0001", Options{Set: HasBadMPTCP}},
		{"reserved bits are ignored", "1e0c1e07 01020304 a1a2a3a4 1e082fe1 00000001 1e035e 1e048e03",
			Options{Set: HasJoin | HasDSS | HasPrio | HasReset, Join: Join{ID: 7, Token: 0x01020304, Nonce: 0xa1a2a3a4},
				DSS: DSS{HasAck: true, Ack: 1}, Reset: Reset{Reason: ResetProhibited}}},
		{"reserved bits of MP_JOIN ACK, MP_FAIL", "1e181fff" + "303132333435363738393a3b3c3d3e3f40414243" + "1e0c6fff0102030405060708",
			Options{Set: HasJoin | HasFail, Join: Join{Form: JoinACK, HMAC: seqBytes(0x30, 20)}, Fail: Fail{DSN: 0x0102030405060708}}},
	} {
		if got := parseOptions(unhex(t, tc.hex)); got != tc.want {
			t.Errorf("%s:\n got %+v\nwant %+v", tc.name, got, tc.want)
		}
	}
}

// Every length of every subtype but those with a form is bad.
func TestParseMPTCPLengths(t *testing.T) {
	good := map[byte][]int{
		0x01: {4, 12, 20, 22, 24},
		0x00: {12, 20}, // version 0
		0x10: {12, 16, 24},
		0x30: {16, 18, 28, 30},
		0x31: {8, 10, 20, 22},
		0x34: {8, 10, 16, 18, 28, 30}, // version 0, or version 1 with a reserved bit
		0x36: {20, 22, 16, 18, 28, 30},
		0x50: {3, 4},
		0x60: {12},
		0x70: {12},
		0x80: {4},
	}
	for third, lengths := range good {
		for n := 3; n <= 40; n++ {
			b := make([]byte, n)
			b[0], b[1], b[2] = kindMPTCP, byte(n), third
			isGood := false
			for _, g := range lengths {
				isGood = isGood || g == n
			}
			got := parseOptions(b)
			if got.Any(HasBadMPTCP) == isGood || got.Any(HasMPTCP) != isGood {
				t.Errorf("third byte %#02x, %d bytes: got %v", third, n, &got)
			}
		}
	}
	for n := 4; n <= 40; n++ {
		b := make([]byte, n)
		b[0], b[1], b[2] = kindMPTCP, byte(n), 0x40
		if got := parseOptions(b); got.RemoveAddr.Len != n-3 || got.Set != HasRemoveAddr {
			t.Errorf("REMOVE_ADDR of %d bytes: got %v", n, &got)
		}
	}
}

// An Options used again says nothing of what it held before.
func TestParseOptionsReuse(t *testing.T) {
	var o Options
	for _, v := range optionVectors {
		ParseOptions(unhex(t, v.hex), &o)
		if o.Set != v.want.Set {
			t.Errorf("%s: got set %#x, want %#x", v.name, o.Set, v.want.Set)
		}
		if got := AppendOptions(nil, &o); !bytes.Equal(got, unhex(t, v.hex)) {
			t.Errorf("%s: got %x, want %s", v.name, got, v.hex)
		}
	}
}

func TestAppendOptionsKeepsPrefix(t *testing.T) {
	for _, v := range optionVectors {
		for _, prefix := range []string{"", "x", "abc"} {
			got := AppendOptions([]byte(prefix), &v.want)
			if want := append([]byte(prefix), unhex(t, v.hex)...); !bytes.Equal(got, want) {
				t.Errorf("%s behind %q: got %x, want %x", v.name, prefix, got, want)
			}
		}
	}
}

func TestAppendOptionsPanics(t *testing.T) {
	for name, o := range map[string]Options{
		"too long": {Set: HasTimestamps | HasSACK | HasFail | HasMSS, SACKLen: 2},
		"keys":     {Set: HasCapable, Capable: Capable{Version: V1, Keys: 3}},
		"data":     {Set: HasCapable, Capable: Capable{Version: V1, Keys: 1, HasData: true}},
		"v0 SYN":   {Set: HasCapable, Capable: Capable{Version: V0}},
		"v0 data":  {Set: HasCapable, Capable: Capable{Version: V0, Keys: 2, HasData: true}},
		"join":     {Set: HasJoin, Join: Join{Form: 9}},
		"no IDs":   {Set: HasRemoveAddr},
		"no addr":  addAddr(AddAddr{Version: V1}),
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			AppendOptions(nil, &o)
		}()
	}
}

func TestOptionsFit(t *testing.T) {
	timestamps := Options{Set: HasTimestamps}
	dss := Options{Set: HasTimestamps | HasDSS, DSS: DSS{HasAck: true, Ack64: true, HasMap: true, DSN64: true}}
	for _, c := range []struct {
		name string
		o    Options
		add  AddAddr
		want bool
	}{
		{"IPv4 beside timestamps", timestamps, AddAddr{Version: V1, Addr: netip.MustParseAddr("10.0.0.1")}, true},
		{"IPv6 beside timestamps, to the last byte", timestamps, AddAddr{Version: V1, Addr: netip.MustParseAddr("fd00::1")}, true},
		{"IPv6 and port beside timestamps, packed", timestamps, AddAddr{Version: V1, Addr: netip.MustParseAddr("fd00::1"), Port: 80}, true},
		{"IPv4 beside a mapping", dss, AddAddr{Version: V1, Addr: netip.MustParseAddr("10.0.0.1")}, false},
	} {
		c.o.Set |= HasAddAddr
		c.o.AddAddr[0], c.o.AddAddrLen = c.add, 1
		if got := c.o.Fits(); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
