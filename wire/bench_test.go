package wire

import "testing"

func BenchmarkSum64K(b *testing.B) {
	data := make([]byte, 64<<10)
	for i := range data {
		data[i] = byte(i * 7)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Sum(data, 0)
	}
}

func BenchmarkParseSegment(b *testing.B) {
	pkt := AppendSegment(nil, testSegment("192.0.2.1:1234", "198.51.100.2:80", make([]byte, 1400)))
	var s Segment
	for b.Loop() {
		if err := ParseSegment(pkt, &s, true); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseSegmentIPv6(b *testing.B) {
	pkt := AppendSegment(nil, testSegment("[2001:db8::1]:1234", "[2001:db8::2]:80", make([]byte, 1400)))
	var s Segment
	for b.Loop() {
		if err := ParseSegment(pkt, &s, true); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkPutHeaders(b *testing.B, src, dst string) {
	s := testSegment(src, dst, nil)
	buf := make([]byte, 2000)
	for b.Loop() {
		n := PutHeaders(buf, s, 1400)
		Finish(buf[:n+1400], Offload{SegSize: 1400, PartialChecksum: true})
	}
}

func BenchmarkPutHeaders(b *testing.B) {
	benchmarkPutHeaders(b, "192.0.2.1:1234", "198.51.100.2:80")
}

func BenchmarkPutHeadersIPv6(b *testing.B) {
	benchmarkPutHeaders(b, "[2001:db8::1]:1234", "[2001:db8::2]:80")
}
