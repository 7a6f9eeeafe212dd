package wire

import "testing"

func TestSegmentString(t *testing.T) {
	for _, tc := range []struct {
		s    Segment
		want string
	}{
		{
			Segment{Src: ap("192.0.2.1:49152"), Dst: ap("198.51.100.2:443"), Seq: 7, Flags: SYN, Window: 64240,
				Options: Options{Set: HasMSS | HasSACKPermitted | HasTimestamps | HasWindowScale | HasCapable,
					MSS: 1460, TSVal: 1, WindowScale: 7, Capable: Capable{Version: V1, Flags: CapableChecksum | CapableHMAC}}},
			"192.0.2.1:49152 > 198.51.100.2:443: Flags [S], seq 7, win 64240, options [mss 1460,sackOK,TS val 1 ecr 0,wscale 7,mptcp capable v1 flags 0x81], length 0",
		},
		{
			Segment{Src: ap("[2001:db8::1]:1"), Dst: ap("[2001:db8::2]:2"), Seq: 10, Ack: 20, Flags: ACK | PSH | FIN | URG, Window: 5, Urgent: 2,
				Options: Options{Set: HasDSS, DSS: DSS{HasAck: true, Ack: 9, HasMap: true, DSN64: true, DSN: 1 << 40, SSN: 1, Len: 3, HasChecksum: true, Checksum: 0xbeef, Fin: true}},
				Payload: []byte("abc")},
			"[2001:db8::1]:1 > [2001:db8::2]:2: Flags [FP.U], seq 10:13, ack 20, win 5, urg 2, options [mptcp dss fin ack 9/32 seq 1099511627776 subseq 1 len 3 csum 0xbeef], length 3",
		},
		{
			Segment{Src: ap("192.0.2.1:1"), Dst: ap("192.0.2.2:2")},
			"192.0.2.1:1 > 192.0.2.2:2: Flags [none], seq 0, win 0, length 0",
		},
	} {
		if got := tc.s.String(); got != tc.want {
			t.Errorf("\n got %s\nwant %s", got, tc.want)
		}
	}
}

func TestOptionsString(t *testing.T) {
	for hex, want := range map[string]string{
		"2202": "tfo cookiereq",
		"220601020304 051200000001000000020000000300000004":    "tfo cookie 01020304,sack 2 {1:2} {3:4}",
		"1312 00112233445566778899aabbccddeeff 1d04 0000":      "md5,tcp-ao",
		"1e180181 0123456789abcdef fedcba9876543210 0578 beef": "mptcp capable v1 flags 0x81 {0123456789abcdef,fedcba9876543210} len 1400 csum 0xbeef",
		"1e0c1107 01020304 a1a2a3a4":                           "mptcp join backup id 7 token 01020304 nonce a1a2a3a4",
		"1e101000 d0d1d2d3d4d5d6d7 a1a2a3a4":                   "mptcp join id 0 hmac d0d1d2d3d4d5d6d7 nonce a1a2a3a4",
		"1e181000 303132333435363738393a3b3c3d3e3f40414243":    "mptcp join hmac 303132333435363738393a3b3c3d3e3f40414243",
		"1e103005 c0000221 d0d1d2d3d4d5d6d7 1e0a3106c00002221f90": "mptcp add-addr id 5 192.0.2.33 hmac d0d1d2d3d4d5d6d7," +
			"mptcp add-addr echo id 6 192.0.2.34 port 8080",
		"1e083405c0000221": "mptcp add-addr v0 id 5 192.0.2.33",
		"1e0540 0900":      "mptcp rem-addr id 9 id 0",
		"1e045109":         "mptcp prio backup id 9",
		"1e0c60000000000000000001 1e0c7000fedcba9876543210 1e048106": "mptcp fail seq 1,mptcp fast-close key fedcba9876543210,mptcp tcprst transient middlebox interference",
		"1e0480aa 1e0490ff 1e02":                                     "mptcp tcprst reason 0xaa,mptcp unknown,mptcp bad",
	} {
		o := parseOptions(unhex(t, hex))
		if got := o.String(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", hex, got, want)
		}
	}
}
