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
