package wire

import (
	"bytes"
	"net/netip"
	"testing"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// testSegment is a segment as it travels in the middle of a connection.
func testSegment(src, dst string, payload []byte) *Segment {
	return &Segment{
		Src: ap(src), Dst: ap(dst), TTL: 64, TOS: 0x02,
		Seq: 0x01020304, Ack: 0xa0b0c0d0, Flags: ACK | PSH, Window: 0xfffe, Urgent: 7,
		Options: Options{
			Set: HasTimestamps | HasDSS, TSVal: 1, TSEcr: 2,
			DSS: DSS{HasAck: true, Ack64: true, Ack: 5, HasMap: true, DSN64: true, DSN: 6, SSN: 7, Len: uint16(len(payload))},
		},
		Payload: payload,
	}
}

func TestSegmentRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 2, 1399, 1400, 65000} {
		payload := bytes.Repeat([]byte{0xa5, 0x5a, 0x77}, size/3+1)[:size]
		for _, addr := range [][2]string{
			{"192.0.2.1:1234", "198.51.100.2:80"},
			{"[2001:db8::1]:1234", "[2001:db8::2]:80"},
		} {
			want := testSegment(addr[0], addr[1], payload)
			pkt := AppendSegment([]byte{1, 2, 3}, want)[3:]
			var got Segment
			if err := ParseSegment(pkt, &got, false); err != nil {
				t.Fatalf("%v, %d bytes: %v", addr, size, err)
			}
			if got.Src != want.Src || got.Dst != want.Dst || got.TTL != want.TTL || got.TOS != want.TOS ||
				got.Seq != want.Seq || got.Ack != want.Ack || got.Flags != want.Flags ||
				got.Window != want.Window || got.Urgent != want.Urgent || got.Options != want.Options ||
				!bytes.Equal(got.Payload, want.Payload) {
				t.Errorf("%v, %d bytes: got %+v, want %+v", addr, size, got, want)
			}
			if n := HeaderLen(want); n != len(pkt)-size {
				t.Errorf("HeaderLen: got %d, want %d", n, len(pkt)-size)
			}
		}
	}
}

func netipAddrPort(addr string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(ip(addr), port)
}

// A SYN and a data segment put together with Python's struct.pack, checksums
// included.
func TestSegmentVectors(t *testing.T) {
	syn := &Segment{
		Src: ap("192.0.2.1:49152"), Dst: ap("198.51.100.2:443"), TTL: 64,
		Seq: 0x01020304, Flags: SYN, Window: 64240,
		Options: Options{
			Set: HasMSS | HasSACKPermitted | HasTimestamps | HasWindowScale | HasCapable,
			MSS: 1460, TSVal: 1, WindowScale: 7, Capable: Capable{Version: V1, Flags: CapableChecksum | CapableHMAC},
		},
	}
	want := unhex(t, "450000400000400040064e81c0000201c6336402c00001bb0102030400000000b002faf06b8c0000"+
		"020405b40402080a0000000100000000010303071e040181")
	if got := AppendSegment(nil, syn); !bytes.Equal(got, want) {
		t.Errorf("SYN:\n got %x\nwant %x", got, want)
	}
	data := &Segment{
		Src: ap("[2001:db8::1]:443"), Dst: ap("[2001:db8::2]:49152"), TTL: 64,
		Seq: 1, Ack: 2, Flags: ACK | PSH, Window: 1000, Payload: []byte("abc"),
	}
	want = unhex(t, "01bbc0000000000100000002501803e8ca4b0000616263")
	if got := AppendSegment(nil, data)[40:]; !bytes.Equal(got, want) {
		t.Errorf("data:\n got %x\nwant %x", got, want)
	}
}

func TestParseSegmentErrors(t *testing.T) {
	whole := func(change func(pkt []byte)) []byte {
		pkt := AppendSegment(nil, testSegment("192.0.2.1:1", "192.0.2.2:2", []byte("payload")))
		change(pkt)
		return fixIPv4(pkt)
	}
	for _, tc := range []struct {
		name string
		pkt  []byte
		want error
	}{
		{"good", whole(func([]byte) {}), nil},
		{"UDP", whole(func(p []byte) { p[9] = 17 }), ErrNotTCP},
		{"fragment", whole(func(p []byte) { p[6] = 0x20 }), ErrFragment},
		{"no room for a header", whole(func(p []byte) { p[2], p[3] = 0, 39 }), ErrShort},
		{"data offset 4", whole(func(p []byte) { p[32] = 0x40 }), ErrDataOffset},
		{"data offset beyond the end", whole(func(p []byte) { p[2], p[3], p[32] = 0, 20+36, 0xf0 }), ErrDataOffset},
		{"checksum", whole(func(p []byte) { p[len(p)-1]++ }), ErrTCPChecksum},
		{"address changed", whole(func(p []byte) { p[15]++ }), ErrTCPChecksum},
	} {
		var s Segment
		if err := ParseSegment(tc.pkt, &s, false); err != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
		if err := ParseSegment(tc.pkt, &s, true); (err != nil) != (tc.want != nil && tc.want != ErrTCPChecksum) {
			t.Errorf("%s, verified: got %v", tc.name, err)
		}
	}
}

func TestSegmentTruncated(t *testing.T) {
	for _, addr := range [][2]string{{"192.0.2.1:1", "192.0.2.2:2"}, {"[2001:db8::1]:1", "[2001:db8::2]:2"}} {
		pkt := AppendSegment(nil, testSegment(addr[0], addr[1], []byte("payload")))
		for n := range pkt {
			var s Segment
			if err := ParseSegment(pkt[:n:n], &s, true); err == nil {
				t.Errorf("%v: no error when cut to %d of %d bytes", addr, n, len(pkt))
			}
		}
	}
}

func TestParseSegmentDropsPadding(t *testing.T) {
	pkt := AppendSegment(nil, testSegment("192.0.2.1:1", "192.0.2.2:2", []byte("x")))
	var s Segment
	if err := ParseSegment(append(pkt, 0, 0, 0, 0, 0), &s, false); err != nil || string(s.Payload) != "x" {
		t.Errorf("got %q, %v, want x", s.Payload, err)
	}
}

func TestFinishPartial(t *testing.T) {
	for _, addr := range [][2]string{{"192.0.2.1:1234", "198.51.100.2:80"}, {"[2001:db8::1]:1234", "[2001:db8::2]:80"}} {
		s := testSegment(addr[0], addr[1], bytes.Repeat([]byte{1, 2, 3}, 333))
		want := AppendSegment(nil, s)
		got := bytes.Clone(want)
		off := ipHeaderLen(s.Dst.Addr())
		got[off+16], got[off+17] = 0xaa, 0xaa
		Finish(got, Offload{PartialChecksum: true})
		if bytes.Equal(got, want) {
			t.Errorf("%v: the checksum is complete", addr)
		}
		// What a device does: the sum from the TCP header on, with what is in
		// the checksum field as part of it (virtio 1.2 section 5.1.6.2).
		sum := ^Sum(got[off:], 0)
		got[off+16], got[off+17] = byte(sum>>8), byte(sum)
		if !bytes.Equal(got, want) {
			t.Errorf("%v: a device completes it to\n%x, want\n%x", addr, got, want)
		}
		got[off+16], got[off+17] = 0xaa, 0xaa
		Finish(got, Offload{})
		if !bytes.Equal(got, want) {
			t.Errorf("%v: finished as\n%x, want\n%x", addr, got, want)
		}
	}
}

func TestPutHeadersMeetsAppendSegment(t *testing.T) {
	s := testSegment("192.0.2.1:1234", "198.51.100.2:80", []byte("some payload"))
	want := AppendSegment(nil, s)
	got := bytes.Repeat([]byte{0xee}, 200) // a buffer used before
	n := PutHeaders(got, s, len(s.Payload))
	n += copy(got[n:], s.Payload)
	Finish(got[:n], Offload{})
	if !bytes.Equal(got[:n], want) {
		t.Errorf("\n got %x\nwant %x", got[:n], want)
	}
	if got[n] != 0xee {
		t.Error("wrote beyond the headers")
	}
}

func TestSegmentLimits(t *testing.T) {
	for _, tc := range []struct {
		src, dst string
		max      int
	}{
		{"192.0.2.1:1", "192.0.2.2:2", 65535 - 40},
		{"[2001:db8::1]:1", "[2001:db8::2]:2", 65535 - 20},
	} {
		s := &Segment{Src: ap(tc.src), Dst: ap(tc.dst), TTL: 1, Payload: make([]byte, tc.max)}
		var got Segment
		if err := ParseSegment(AppendSegment(nil, s), &got, false); err != nil || len(got.Payload) != tc.max {
			t.Errorf("%s: got %d bytes, %v, want %d", tc.src, len(got.Payload), err, tc.max)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic for a packet too large", tc.src)
				}
			}()
			PutHeaders(make([]byte, 100), s, tc.max+1)
		}()
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	var addr = [][2]string{{"192.0.2.1:1234", "198.51.100.2:80"}, {"[2001:db8::1]:1234", "[2001:db8::2]:80"}}
	for _, a := range addr {
		s := testSegment(a[0], a[1], make([]byte, 5000))
		pkt := AppendSegment(nil, s)
		buf := make([]byte, 0, 2*len(pkt))
		scratch := make([]byte, 2000)
		var parsed Segment
		pieces := 0
		count := func([]byte) { pieces++ }
		for name, f := range map[string]func(){
			"ParseSegment":  func() { _ = ParseSegment(pkt, &parsed, false) },
			"AppendSegment": func() { buf = AppendSegment(buf[:0], s) },
			"PutHeaders":    func() { Finish(pkt[:PutHeaders(pkt, s, 0)], Offload{PartialChecksum: true}); copy(pkt, buf) },
			"Split":         func() { Split(buf, 1400, scratch, count) },
			"JoinHMAC":      func() { JoinHMAC(keyA, keyB, 1, 2, V1); JoinHMAC(keyA, keyB, 1, 2, V0) },
			"AddAddrHMAC":   func() { AddAddrHMAC(keyA, keyB, &AddAddr{Addr: s.Src.Addr(), Port: 1}) },
			"Token":         func() { Token(keyA, V1); IDSN(keyA, V0) },
		} {
			buf = AppendSegment(buf[:0], s)
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%s %s: got %v allocations, want none", a[0], name, n)
			}
		}
	}
	for _, v := range optionVectors {
		area, buf := unhex(t, v.hex), make([]byte, 0, 40)
		var o Options
		if n := testing.AllocsPerRun(10, func() { ParseOptions(area, &o); buf = AppendOptions(buf[:0], &o) }); n != 0 {
			t.Errorf("%s: got %v allocations, want none", v.name, n)
		}
	}
}
