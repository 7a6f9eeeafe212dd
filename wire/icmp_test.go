package wire

import (
	"testing"
)

func TestParseICMP(t *testing.T) {
	v4 := testSegment("192.0.2.1:1234", "198.51.100.2:80", make([]byte, 1400))
	v6 := testSegment("[2001:db8::1]:1234", "[2001:db8::2]:80", make([]byte, 1400))
	r4, r6 := ip("203.0.113.1"), ip("2001:db8:ffff::1")
	orig4, orig6 := AppendSegment(nil, v4), AppendSegment(nil, v6)
	about := func(s *Segment, kind ICMPKind, code uint8, mtu int) ICMP {
		return ICMP{Kind: kind, Code: code, MTU: mtu, Src: s.Src, Dst: s.Dst, Seq: s.Seq}
	}
	type test struct {
		name string
		pkt  []byte
		want ICMP
	}
	tests := []test{
		{"too big", AppendICMPTooBig(nil, r4, 1280, orig4), about(v4, ICMPTooBig, 4, 1280)},
		{"too big, no MTU told", AppendICMPTooBig(nil, r4, 0, orig4), about(v4, ICMPTooBig, 4, 0)},
		{"too big, IPv6", AppendICMPTooBig(nil, r6, 1300, orig6), about(v6, ICMPTooBig, 0, 1300)},
		{"too big, IPv6, large", AppendICMPTooBig(nil, r6, 100000, orig6), about(v6, ICMPTooBig, 0, 100000)},
		{"time", AppendICMPTimeExceeded(nil, r4, orig4), about(v4, ICMPTimeExceeded, 0, 0)},
		{"time, IPv6", AppendICMPTimeExceeded(nil, r6, orig6), about(v6, ICMPTimeExceeded, 0, 0)},
		{"least quote", AppendICMPUnreachable(nil, r4, 3, orig4[:28]), about(v4, ICMPHard, 3, 0)},
		{"least quote, IPv6", AppendICMPUnreachable(nil, r6, 4, orig6[:48]), about(v6, ICMPHard, 4, 0)},
		{"parameter", appendICMP(nil, r4, icmpv4Parameter, 0, 0, orig4), about(v4, ICMPSoft, 0, 0)},
		{"parameter, IPv6", appendICMP(nil, r6, icmpv6Parameter, 1, 0, orig6), about(v6, ICMPSoft, 1, 0)},
	}
	for code := range uint8(16) {
		if code == 4 {
			continue
		}
		kind := ICMPSoft
		if code == 2 || code == 3 {
			kind = ICMPHard
		}
		tests = append(tests, test{"unreachable", AppendICMPUnreachable(nil, r4, code, orig4), about(v4, kind, code, 0)})
	}
	for code := range uint8(8) {
		kind := ICMPSoft
		if code == 1 || code == 4 {
			kind = ICMPHard
		}
		tests = append(tests, test{"unreachable, IPv6", AppendICMPUnreachable(nil, r6, code, orig6), about(v6, kind, code, 0)})
	}
	for _, tc := range tests {
		got, err := ParseICMP(tc.pkt)
		if err != nil || got != tc.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", tc.name, got, err, tc.want)
		}
		// It comes to the source of the original, and is not too long.
		h, err := ParseIP(tc.pkt)
		if err != nil || h.Dst != tc.want.Src.Addr() || h.TotalLen != len(tc.pkt) ||
			h.Version == 4 && h.TotalLen > 576 || h.TotalLen > 1280 {
			t.Errorf("%s: IP header %+v, %v", tc.name, h, err)
		}
		for n := range tc.pkt {
			if _, err := ParseICMP(tc.pkt[:n:n]); err == nil {
				t.Errorf("%s cut to %d bytes: no error", tc.name, n)
			}
		}
	}
}

// A router need not have mended the quoted checksum after lowering the TTL, and
// what is quoted is shorter than its length field says.
func TestParseICMPVector(t *testing.T) {
	pkt := unhex(t, "45000038 0000 0000 40 01 0000 cb007101 c0000201"+
		"03 04 0000 0000 0500"+
		"450005dc 0001 4000 3f 06 ffff c0000201 c6336402"+
		"04d2 0050 a1a2a3a4")
	sum := ^Sum(pkt[20:], 0)
	pkt[22], pkt[23] = byte(sum>>8), byte(sum)
	got, err := ParseICMP(fixIPv4(pkt))
	want := ICMP{Kind: ICMPTooBig, Code: 4, MTU: 1280, Src: ap("192.0.2.1:1234"), Dst: ap("198.51.100.2:80"), Seq: 0xa1a2a3a4}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestParseICMPErrors(t *testing.T) {
	orig := AppendSegment(nil, testSegment("192.0.2.1:1234", "198.51.100.2:80", nil))
	router := ip("203.0.113.1")
	changed := func(change func(orig []byte)) []byte {
		o := append([]byte(nil), orig...)
		change(o)
		return AppendICMPTooBig(nil, router, 1000, o)
	}
	bad := AppendICMPTooBig(nil, router, 1000, orig)
	bad[27]++
	frag := AppendICMPTooBig(nil, router, 1000, orig)
	frag[6] = 0x20
	six := AppendSegment(nil, testSegment("[2001:db8::1]:1234", "[2001:db8::2]:80", nil))
	for _, tc := range []struct {
		name string
		pkt  []byte
		want error
	}{
		{"TCP", orig, ErrNotICMP},
		{"checksum", bad, ErrICMPChecksum},
		{"fragment", fixIPv4(frag), ErrFragment},
		{"echo", appendICMP(nil, router, 8, 0, 0, orig), ErrICMPKind},
		{"neighbour advertisement", appendICMP(nil, ip("fe80::1"), 136, 0, 0, six), ErrICMPKind},
		{"quotes UDP", changed(func(o []byte) { o[9] = 17 }), ErrICMPQuote},
		{"quotes a later fragment", changed(func(o []byte) { o[7] = 8 }), ErrICMPQuote},
		{"quotes too little", AppendICMPTooBig(nil, router, 1000, orig[:27]), ErrICMPQuote},
	} {
		if got, err := ParseICMP(tc.pkt); err != tc.want {
			t.Errorf("%s: got %+v, %v, want %v", tc.name, got, err, tc.want)
		}
	}
}

// A quoted packet of the other family never counts.
func TestParseICMPMixedFamilies(t *testing.T) {
	four := AppendSegment(nil, testSegment("192.0.2.1:1234", "198.51.100.2:80", nil))
	six := AppendICMPTooBig(nil, ip("2001:db8::9"), 1280, AppendSegment(nil, testSegment("[2001:db8::1]:1234", "[2001:db8::2]:80", nil)))
	pkt := append(six[:ipv6HeaderLen+icmpHeaderLen:ipv6HeaderLen+icmpHeaderLen], four...)
	pkt[4], pkt[5] = 0, byte(len(pkt)-ipv6HeaderLen)
	msg := pkt[ipv6HeaderLen:]
	msg[2], msg[3] = 0, 0
	sum := ^Sum(msg, pseudoSum(pkt, ProtocolICMPv6, len(msg)))
	msg[2], msg[3] = byte(sum>>8), byte(sum)
	if got, err := ParseICMP(pkt); err != ErrICMPQuote {
		t.Errorf("got %+v, %v, want %v", got, err, ErrICMPQuote)
	}
}
