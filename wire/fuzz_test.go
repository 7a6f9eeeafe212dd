package wire

import (
	"bytes"
	"testing"
)

func addPackets(f *testing.F) {
	for _, v := range optionVectors {
		for _, addr := range [][2]string{{"192.0.2.1:1", "192.0.2.2:2"}, {"[2001:db8::1]:1", "[2001:db8::2]:2"}} {
			s := testSegment(addr[0], addr[1], []byte("payload"))
			s.Options = v.want
			f.Add(AppendSegment(nil, s))
		}
	}
	f.Add(unhex(f, ipv4UDP))
	f.Add(unhex(f, ipv4Opt))
}

func FuzzParseIP(f *testing.F) {
	addPackets(f)
	f.Fuzz(func(t *testing.T, pkt []byte) {
		h, err := ParseIP(fixIPv4(pkt))
		if err != nil {
			return
		}
		if h.HeaderLen > h.TotalLen || h.TotalLen > len(pkt) || h.HeaderLen < ipv4HeaderLen ||
			!h.Src.IsValid() || h.Src.Is4() != h.Dst.Is4() || h.Src.Is4() != (h.Version == 4) {
			t.Errorf("%x: got %+v", pkt, h)
		}
	})
}

func FuzzParseSegment(f *testing.F) {
	addPackets(f)
	f.Fuzz(func(t *testing.T, pkt []byte) {
		var s, verified Segment
		fixIPv4(pkt)
		err, verr := ParseSegment(pkt, &s, false), ParseSegment(pkt, &verified, true)
		if err == nil && verr != nil {
			t.Errorf("%x: good, and yet when verified %v", pkt, verr)
		}
		if verr == nil {
			_ = verified.String()
		}
	})
}

// Whatever is understood of a packet can be written, and is the same when read
// again.
func FuzzRoundTrip(f *testing.F) {
	addPackets(f)
	f.Fuzz(func(t *testing.T, pkt []byte) {
		var want, got Segment
		if len(pkt) > 60000 || ParseSegment(fixIPv4(pkt), &want, true) != nil {
			return
		}
		want.Options.Set &^= notWritten
		out := AppendSegment(nil, &want)
		if err := ParseSegment(out, &got, false); err != nil {
			t.Fatalf("%x written as %x: %v", pkt, out, err)
		}
		if !bytes.Equal(got.Payload, want.Payload) {
			t.Errorf("%x: got payload %x, want %x", pkt, got.Payload, want.Payload)
		}
		got.Payload, want.Payload = nil, nil
		if got.String() != want.String() || got.Options != want.Options || got.TTL != want.TTL || got.TOS != want.TOS {
			t.Errorf("%x:\n got %+v\nwant %+v", pkt, got, want)
		}
	})
}

func FuzzParseOptions(f *testing.F) {
	for _, v := range optionVectors {
		f.Add(unhex(f, v.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxOptionsLen {
			var o Options
			ParseOptions(b, &o) // no more is asked of what no header can hold
			return
		}
		checkReparse(t, b)
	})
}

func FuzzParseICMP(f *testing.F) {
	orig4 := AppendSegment(nil, testSegment("192.0.2.1:1234", "198.51.100.2:80", nil))
	orig6 := AppendSegment(nil, testSegment("[2001:db8::1]:1234", "[2001:db8::2]:80", nil))
	f.Add(AppendICMPTooBig(nil, ip("192.0.2.9"), 1280, orig4))
	f.Add(AppendICMPTooBig(nil, ip("2001:db8::9"), 1280, orig6))
	f.Add(AppendICMPUnreachable(nil, ip("192.0.2.9"), 3, orig4))
	f.Add(AppendICMPTimeExceeded(nil, ip("2001:db8::9"), orig6))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		fixICMP(pkt)
		m, err := ParseICMP(pkt)
		if err == nil && (m.Kind == 0 || !m.Src.IsValid() || m.Src.Addr().Is4() != (pkt[0]>>4 == 4)) {
			t.Errorf("%x: got %+v", pkt, m)
		}
	})
}

// fixICMP makes the checksums of an ICMP message right, so that fuzzing gets
// past them.
func fixICMP(pkt []byte) {
	h, err := ParseIP(fixIPv4(pkt))
	if err != nil || h.TotalLen < h.HeaderLen+4 {
		return
	}
	msg := pkt[h.HeaderLen:h.TotalLen]
	msg[2], msg[3] = 0, 0
	var sum uint16
	if h.Version == 6 {
		sum = pseudoSum(pkt, ProtocolICMPv6, len(msg))
	}
	sum = ^Sum(msg, sum)
	msg[2], msg[3] = byte(sum>>8), byte(sum)
}

func FuzzSplit(f *testing.F) {
	f.Add(true, uint32(1), uint8(ACK|PSH), uint16(0), uint16(1400), []byte("some payload"))
	f.Add(false, uint32(1<<32-2), uint8(ACK|FIN|URG|CWR), uint16(3), uint16(2), []byte("some payload"))
	f.Fuzz(func(t *testing.T, v4 bool, seq uint32, flags uint8, urgent, segSize uint16, payload []byte) {
		if len(payload) > 60000 {
			return
		}
		Split(fixIPv4(bytes.Clone(payload)), int(segSize), nil, func([]byte) {}) // as a packet of its own
		s := testSegment("[2001:db8::1]:1", "[2001:db8::2]:2", payload)
		if v4 {
			s = testSegment("192.0.2.1:1", "192.0.2.2:2", payload)
		}
		s.Seq, s.Flags, s.Urgent = seq, Flags(flags), urgent
		checkSplit(t, s, int(segSize))
	})
}
