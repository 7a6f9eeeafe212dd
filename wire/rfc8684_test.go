package wire

import (
	"bytes"
	"fmt"
	"testing"
)

// TestRFC8684 holds what RFC 8684 requires of the wire format. The names are
// the items of the compliance checklist.
func TestRFC8684(t *testing.T) {
	t.Run("A1_codec_round_trip", func(t *testing.T) {
		n := 0
		for _, v := range optionVectors {
			if !v.want.Any(HasMPTCP) {
				continue
			}
			n++
			b := unhex(t, v.hex)
			if got := parseOptions(b); got != v.want {
				t.Errorf("%s: got %v, want %v", v.name, &got, &v.want)
			}
			if got := AppendOptions(nil, &v.want); !bytes.Equal(got, b) {
				t.Errorf("%s: got %x, want %x", v.name, got, b)
			}
		}
		if n < 30 {
			t.Errorf("only %d vectors", n)
		}
	})
	t.Run("A2_subtypes", testSubtypes)
	t.Run("A9_option_space", testOptionSpace)
	t.Run("B1_lengths", func(t *testing.T) {
		for _, tc := range []struct {
			c    Capable
			want int
		}{
			{Capable{Version: V1}, 4},
			{Capable{Version: V1, Keys: 1}, 12},
			{Capable{Version: V1, Keys: 2}, 20},
			{Capable{Version: V1, Keys: 2, HasData: true, DataLen: 1}, 22},
			{Capable{Version: V1, Keys: 2, HasData: true, DataLen: 1, HasChecksum: true, Checksum: 1}, 24},
			{Capable{Version: V0, Keys: 1}, 12},
			{Capable{Version: V0, Keys: 2}, 20},
		} {
			b := AppendOptions(nil, &Options{Set: HasCapable, Capable: tc.c})
			if got := int(b[1]); got != tc.want {
				t.Errorf("%+v: got length %d, want %d", tc.c, got, tc.want)
			}
			if got := parseOptions(b); got.Set != HasCapable || got.Capable != tc.c {
				t.Errorf("%+v: got %+v back", tc.c, got.Capable)
			}
		}
	})
	t.Run("B21_token", func(t *testing.T) {
		for _, v := range keyVectors {
			if got := Token(v.key, v.version); got != v.token {
				t.Errorf("v%d key %#x: got %#x, want %#x", v.version, v.key, got, v.token)
			}
		}
	})
	t.Run("B22_idsn", func(t *testing.T) {
		for _, v := range keyVectors {
			if got := IDSN(v.key, v.version); got != v.idsn {
				t.Errorf("v%d key %#x: got %#x, want %#x", v.version, v.key, got, v.idsn)
			}
		}
	})
	t.Run("C1_join_forms", func(t *testing.T) {
		join := Join{Backup: true, ID: 3, Token: 0x01020304, Nonce: 0x0a0b0c0d, HMAC: seqBytes(0x80, 20)}
		for form, want := range map[JoinForm]string{
			JoinSYN:    "1e0c 11 03 01020304 0a0b0c0d",
			JoinSYNACK: "1e10 11 03 8081828384858687 0a0b0c0d",
			JoinACK:    "1e18 10 00 808182838485868788898a8b8c8d8e8f90919293",
		} {
			join.Form = form
			if got := AppendOptions(nil, &Options{Set: HasJoin, Join: join}); !bytes.Equal(got, unhex(t, want)) {
				t.Errorf("form %d: got %x, want %s", form, got, want)
			}
		}
	})
	t.Run("C2_join_hmac", testJoinHMAC)
	t.Run("C3_reserved_bits_zero", func(t *testing.T) {
		for _, join := range []Join{{Form: JoinSYN, Backup: true}, {Form: JoinSYNACK, Backup: true}, {Form: JoinACK, Backup: true, ID: 9}} {
			b := AppendOptions(nil, &Options{Set: HasJoin, Join: join})
			reserved := b[2] & 0x0e
			if join.Form == JoinACK {
				reserved |= b[2]&0x0f | b[3]
			}
			if reserved != 0 {
				t.Errorf("form %d: got reserved bits in %x", join.Form, b)
			}
		}
	})
	t.Run("D1_all_flag_combinations", testDSSFlags)
	t.Run("D2_reserved_bits_zero", func(t *testing.T) {
		for flags := range 32 {
			d := dssWithFlags(byte(flags))
			b := AppendOptions(nil, &Options{Set: HasDSS, DSS: d})
			if b[2] != 0x20 || b[3]&0xe0 != 0 {
				t.Errorf("%+v: got %x", d, b)
			}
		}
	})
	t.Run("D10_checksum", testDSSChecksum)
	t.Run("D17_both_widths", func(t *testing.T) {
		for _, tc := range []struct {
			hex  string
			want DSS
		}{
			{"1e0e2004 89abcdef 00000001 0005", DSS{HasMap: true, DSN: 0x89abcdef, SSN: 1, Len: 5}},
			{"1e12200c 0123456789abcdef 00000001 0005", DSS{HasMap: true, DSN64: true, DSN: 0x0123456789abcdef, SSN: 1, Len: 5}},
		} {
			if got := parseOptions(unhex(t, tc.hex)); got.Set != HasDSS || got.DSS != tc.want {
				t.Errorf("%s: got %+v, want %+v", tc.hex, got.DSS, tc.want)
			}
		}
	})
	t.Run("D22_infinite_mapping", func(t *testing.T) {
		// With checksums the option has the field, and it is zero.
		d := DSS{HasMap: true, DSN64: true, DSN: 0x0102030405060708, SSN: 9, Len: 0, HasChecksum: true, Checksum: 0}
		want := unhex(t, "1e14200c 0102030405060708 00000009 0000 0000")
		if got := AppendOptions(nil, &Options{Set: HasDSS, DSS: d}); !bytes.Equal(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
		if got := parseOptions(want); got.DSS != d {
			t.Errorf("got %+v, want %+v", got.DSS, d)
		}
	})
	t.Run("F2_data_fin_without_payload", func(t *testing.T) {
		// Computed with Python over struct.pack('>QIHH', dsn, 0, 1, 0).
		if got := DSSChecksum(0xdeadbeef00000001, 0, 1, 0); got != 0x6260 {
			t.Errorf("got %#x, want 0x6260", got)
		}
	})
	t.Run("G1_fastclose", func(t *testing.T) {
		want := unhex(t, "1e0c 7000 fedcba9876543210")
		if got := AppendOptions(nil, &Options{Set: HasFastClose, FastClose: FastClose{keyB}}); !bytes.Equal(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
	})
	t.Run("H2_reset_reserved_flags", func(t *testing.T) {
		for low := range 16 {
			o := parseOptions([]byte{kindMPTCP, 4, 0x80 | byte(low), 2})
			want := Reset{Transient: low&1 != 0, Reason: ResetNoResources}
			if o.Set != HasReset || o.Reset != want {
				t.Errorf("flags %04b: got %+v, want %+v", low, o.Reset, want)
			}
			if b := AppendOptions(nil, &o); b[2]&0x0e != 0 {
				t.Errorf("flags %04b: sent as %x", low, b)
			}
		}
	})
	t.Run("H5_reset_reasons", func(t *testing.T) {
		for code, want := range []ResetReason{ResetUnspecified, ResetMPTCP, ResetNoResources, ResetProhibited,
			ResetOutstanding, ResetPerformance, ResetMiddlebox, 7, 8} {
			o := parseOptions([]byte{kindMPTCP, 4, 0x80, byte(code)})
			if o.Reset.Reason != want {
				t.Errorf("code %d: got %v, want %v", code, o.Reset.Reason, want)
			}
		}
	})
	t.Run("J1_add_addr_lengths", testAddAddrLengths)
	t.Run("J2_add_addr_hmac", testAddAddrHMAC)
	t.Run("J9_add_addr_reserved_flags", func(t *testing.T) {
		for _, v := range optionVectors {
			if !v.want.Any(HasAddAddr) || v.want.AddAddrLen != 1 || v.want.AddAddr[0].Version != V1 || v.want.Any(HasTimestamps) {
				continue
			}
			for rsv := byte(0); rsv < 16; rsv += 2 {
				b := unhex(t, v.hex)
				if b[2]&0x0e != 0 {
					t.Errorf("%s: reserved bits sent", v.name)
				}
				b[2] |= rsv
				if got := parseOptions(b); got != v.want {
					t.Errorf("%s with flags %04b: got %v, want %v", v.name, b[2]&0xf, &got, &v.want)
				}
			}
		}
	})
	t.Run("J16_remove_addr", func(t *testing.T) {
		ids := make([]byte, 0, 37)
		for n := 1; n <= 37; n++ {
			ids = append(ids, byte(200+n))
			o := removeAddr(ids...)
			b := AppendOptions(nil, &o)
			if int(b[1]) != 3+n || b[2] != 0x40 || !bytes.Equal(b[3:3+n], ids) {
				t.Errorf("%d IDs: got %x", n, b)
			}
			if got := parseOptions(b); got != o {
				t.Errorf("%d IDs: got %v back, want %v", n, &got, &o)
			}
		}
	})
	t.Run("K6_fail", func(t *testing.T) {
		want := unhex(t, "1e0c 6000 8182838485868788")
		if got := AppendOptions(nil, &Options{Set: HasFail, Fail: Fail{0x8182838485868788}}); !bytes.Equal(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
	})
	t.Run("L7_prio_without_id", func(t *testing.T) {
		b := AppendOptions(nil, &Options{Set: HasPrio, Prio: Prio{Backup: true, ID: 5}})
		if b[1] != 3 {
			t.Errorf("got %x, want an option of 3 bytes", b)
		}
	})
	t.Run("L8_equal_hmac", func(t *testing.T) {
		a, b := JoinHMAC(keyA, keyB, 1, 2, V1), JoinHMAC(keyA, keyB, 1, 2, V1)
		if !EqualHMAC(a[:], b[:]) {
			t.Error("equal HMACs differ")
		}
		for i := range b {
			c := b
			c[i] ^= 1
			if EqualHMAC(a[:], c[:]) {
				t.Errorf("a difference in byte %d is not seen", i)
			}
		}
		if EqualHMAC(a[:8], b[:]) {
			t.Error("HMACs of different lengths are equal")
		}
	})
}

func testSubtypes(t *testing.T) {
	for _, tc := range []struct {
		subtype int
		n       int
		want    OptionSet
	}{
		{0, 12, HasCapable}, {1, 12, HasJoin}, {2, 4, HasDSS}, {3, 16, HasAddAddr}, {4, 4, HasRemoveAddr},
		{5, 3, HasPrio}, {6, 12, HasFail}, {7, 12, HasFastClose}, {8, 4, HasReset},
		{9, 3, HasUnknownMPTCP}, {10, 8, HasUnknownMPTCP}, {11, 8, HasUnknownMPTCP}, {12, 8, HasUnknownMPTCP},
		{13, 8, HasUnknownMPTCP}, {14, 8, HasUnknownMPTCP}, {15, 36, HasUnknownMPTCP},
	} {
		b := make([]byte, tc.n, tc.n+4)
		b[0], b[1], b[2] = kindMPTCP, byte(tc.n), byte(tc.subtype)<<4
		b = append(b, kindMSS, 4, 5, 0xb4) // what follows is still read
		if got := parseOptions(b).Set; got != tc.want|HasMSS {
			t.Errorf("subtype %d: got %#x, want %#x", tc.subtype, got, tc.want|HasMSS)
		}
	}
}

// testOptionSpace holds the combinations that must fit the 40 bytes.
func testOptionSpace(t *testing.T) {
	syn := Options{Set: HasMSS | HasSACKPermitted | HasTimestamps | HasWindowScale}
	with := func(o Options, set OptionSet, change func(*Options)) Options {
		o.Set |= set
		if change != nil {
			change(&o)
		}
		return o
	}
	ack := Options{Set: HasTimestamps}
	fullDSS := func(o *Options) {
		o.DSS = DSS{HasAck: true, Ack64: true, HasMap: true, DSN64: true, HasChecksum: true}
	}
	for name, tc := range map[string]struct {
		o    Options
		want int
	}{
		"SYN, MP_CAPABLE":          {with(syn, HasCapable, func(o *Options) { o.Capable.Version = V1 }), 24},
		"SYN/ACK, MP_CAPABLE":      {with(syn, HasCapable, func(o *Options) { o.Capable.Keys = 1 }), 32},
		"SYN, MP_JOIN":             {with(syn, HasJoin, nil), 32},
		"SYN/ACK, MP_JOIN":         {with(syn, HasJoin, func(o *Options) { o.Join.Form = JoinSYNACK }), 36},
		"SYN, v1, cookie of 8":     {with(syn, HasCapable|HasFastOpen, func(o *Options) { o.FastOpen.Len = 8; o.Capable.Version = V1 }), 36},
		"ACK, MP_JOIN":             {with(ack, HasJoin, func(o *Options) { o.Join.Form = JoinACK }), 36},
		"data, MP_CAPABLE":         {with(ack, HasCapable, func(o *Options) { o.Capable = Capable{Version: V1, Keys: 2, HasData: true, HasChecksum: true} }), 36},
		"data, DSS":                {with(ack, HasDSS, fullDSS), 40},
		"ACK, DSS ack, 2 blocks":   {with(ack, HasSACK|HasDSS, func(o *Options) { o.DSS = DSS{HasAck: true, Ack: 1}; o.SACKLen = 2 }), 40},
		"ACK, wide DSS ack, 1":     {with(ack, HasSACK|HasDSS, func(o *Options) { o.DSS = DSS{HasAck: true, Ack64: true}; o.SACKLen = 1 }), 36},
		"ACK, ADD_ADDR v6, packed": {with(ack, HasAddAddr, func(o *Options) { o.AddAddrLen = 1; o.AddAddr[0] = AddAddr{Version: V1, Addr: ip("::1"), Port: 1} }), 40},
	} {
		b := AppendOptions(nil, &tc.o)
		if got := tc.o.Len(); got != tc.want || len(b) != tc.want {
			t.Errorf("%s: got Len %d and %d bytes, want %d", name, got, len(b), tc.want)
		}
		if got := parseOptions(b); got != tc.o {
			t.Errorf("%s: got %v back, want %v", name, &got, &tc.o)
		}
	}
}

// dssWithFlags has the fields that the flag byte announces, filled.
func dssWithFlags(flags byte) DSS {
	d := DSS{Fin: flags&0x10 != 0}
	if flags&0x01 != 0 {
		d.HasAck, d.Ack = true, 0xa1a2a3a4
		if flags&0x02 != 0 {
			d.Ack64, d.Ack = true, 0xa1a2a3a4a5a6a7a8
		}
	}
	if flags&0x04 != 0 {
		d.HasMap, d.DSN, d.SSN, d.Len = true, 0xb1b2b3b4, 0xc1c2c3c4, 0xd1d2
		if flags&0x08 != 0 {
			d.DSN64, d.DSN = true, 0xb1b2b3b4b5b6b7b8
		}
	}
	return d
}

func testDSSFlags(t *testing.T) {
	for flags := range 32 {
		for _, checksum := range []bool{false, true} {
			want := dssWithFlags(byte(flags))
			// Written here field by field, not with AppendOptions.
			body := ""
			switch flags & 0x03 {
			case 0x01:
				body += "a1a2a3a4"
			case 0x03:
				body += "a1a2a3a4a5a6a7a8"
			}
			if flags&0x04 != 0 {
				body += "b1b2b3b4"
				if flags&0x08 != 0 {
					body += "b5b6b7b8"
				}
				body += "c1c2c3c4d1d2"
			}
			if checksum {
				body += "e1e2"
				want.HasChecksum, want.Checksum = true, 0xe1e2
			}
			b := unhex(t, fmt.Sprintf("1e%02x20%02x%s", 4+len(body)/2, flags, body))
			got := parseOptions(b)
			if checksum && !want.HasMap {
				// There is nothing to check: no form has this length.
				if got.Set != HasBadMPTCP {
					t.Errorf("flags %05b with a checksum: got %v, want bad", flags, &got)
				}
				continue
			}
			if got.Set != HasDSS || got.DSS != want {
				t.Errorf("flags %05b: got %+v, want %+v", flags, got.DSS, want)
			}
			// a and m mean nothing without A and M, and are not sent then.
			sent := byte(flags)
			if sent&0x01 == 0 {
				sent &^= 0x02
			}
			if sent&0x04 == 0 {
				sent &^= 0x08
			}
			out := AppendOptions(nil, &got)
			if out[3] != sent || !bytes.Equal(out[4:len(b)], b[4:]) {
				t.Errorf("flags %05b: sent as %x", flags, out)
			}
			for n := 4; n <= 40; n++ {
				other := make([]byte, 40)
				copy(other, b)
				other[1] = byte(n)
				fits := n == len(b) || want.HasMap && (checksum && n == len(b)-2 || !checksum && n == len(b)+2)
				if set := parseOptions(other[:n]).Set; (set == HasDSS) != fits {
					t.Errorf("flags %05b with length %d: got %#x", flags, n, set)
				}
			}
		}
	}
}

func testAddAddrLengths(t *testing.T) {
	want := map[int]bool{8: true, 10: true, 16: true, 18: true, 20: true, 22: true, 28: true, 30: true}
	for _, addr := range []string{"192.0.2.1", "2001:db8::1"} {
		for _, port := range []uint16{0, 443} {
			for _, echo := range []bool{false, true} {
				a := AddAddr{Version: V1, Echo: echo, ID: 1, Addr: ip(addr), Port: port}
				if !echo {
					a.HMAC = mac8
				}
				o := addAddr(a)
				b := AppendOptions(nil, &o)
				n := int(b[1])
				if !want[n] {
					t.Errorf("%v: length %d is wrong or came twice", a, n)
				}
				delete(want, n)
				if got := parseOptions(b); got != o {
					t.Errorf("%v: got %v back", &o, &got)
				}
			}
		}
	}
	if len(want) != 0 {
		t.Errorf("lengths %v never came", want)
	}
}
