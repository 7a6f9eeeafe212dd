package vnet

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/braid-mptcp/braid/link"
)

// packet makes an IP packet with a TCP header of tcpLen bytes and a payload.
func packet(version, ipLen, tcpLen, payload int, flags byte) []byte {
	b := make([]byte, ipLen+tcpLen+payload)
	if version == 4 {
		b[0], b[9] = byte(4<<4|ipLen/4), 6
	} else {
		b[0], b[6] = 6<<4, 6
	}
	b[ipLen+12] = byte(tcpLen / 4 << 4)
	b[ipLen+13] = flags
	return b
}

func TestEncode(t *testing.T) {
	udp := packet(4, 20, 20, 0, 0)
	udp[9] = 17
	longTCP := packet(4, 20, 60, 0, 0)[:60]
	for _, tt := range []struct {
		name       string
		p          link.Packet
		linkHeader int
		flags, gso byte
		headerLen  int
		segSize    int
		sumStart   int
		err        error
	}{
		{name: "no offload", p: link.Packet{Data: packet(4, 20, 20, 10, 0)}},
		{name: "no offload, not IP", p: link.Packet{Data: []byte("?")}},
		{name: "checksum v4", p: link.Packet{Data: packet(4, 20, 32, 10, 0), PartialChecksum: true},
			flags: 1, headerLen: 52, sumStart: 20},
		{name: "segments v4", p: link.Packet{Data: packet(4, 24, 40, 9000, 0), PartialChecksum: true, SegSize: 1400},
			flags: 1, gso: 1, headerLen: 64, sumStart: 24, segSize: 1400},
		{name: "segments v6 behind Ethernet", p: link.Packet{Data: packet(6, 40, 52, 9000, 0), PartialChecksum: true, SegSize: 1400},
			linkHeader: 14, flags: 1, gso: 4, headerLen: 106, sumStart: 54, segSize: 1400},
		{name: "congestion window reduced", p: link.Packet{Data: packet(4, 20, 20, 9000, 0x90), PartialChecksum: true, SegSize: 1400},
			flags: 1, gso: 0x81, headerLen: 40, sumStart: 20, segSize: 1400},
		{name: "largest piece", p: link.Packet{Data: packet(4, 20, 20, 9000, 0), PartialChecksum: true, SegSize: 1460},
			flags: 1, gso: 1, headerLen: 40, sumStart: 20, segSize: 1460},
		{name: "piece over the MTU", p: link.Packet{Data: packet(4, 20, 32, 9000, 0), PartialChecksum: true, SegSize: 1460}, err: ErrSegSize},
		{name: "segments with a full checksum", p: link.Packet{Data: packet(4, 20, 20, 9000, 0), SegSize: 1400}, err: ErrSegSize},
		{name: "negative", p: link.Packet{Data: packet(4, 20, 20, 9000, 0), PartialChecksum: true, SegSize: -1}, err: ErrSegSize},
		{name: "UDP", p: link.Packet{Data: udp, PartialChecksum: true}, err: ErrNotTCP},
		{name: "short", p: link.Packet{Data: []byte{0x45}, PartialChecksum: true}, err: ErrNotTCP},
		{name: "options cut off", p: link.Packet{Data: longTCP, PartialChecksum: true}, err: ErrNotTCP},
		{name: "IPv4 header of 4 bytes", p: link.Packet{Data: append([]byte{0x41}, packet(4, 20, 20, 0, 0)[1:]...), PartialChecksum: true}, err: ErrNotTCP},
		{name: "IP version 9", p: link.Packet{Data: append([]byte{0x95}, packet(4, 20, 20, 0, 0)[1:]...), PartialChecksum: true}, err: ErrNotTCP},
		{name: "TCP header of 8 bytes", p: link.Packet{Data: packet(4, 20, 8, 40, 0), PartialChecksum: true}, err: ErrNotTCP},
		{name: "IPv6 cut in TCP", p: link.Packet{Data: packet(6, 40, 20, 0, 0)[:59], PartialChecksum: true}, err: ErrNotTCP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Header{1, 2, 3, 4, 5, 6, 7, 8, 9, 10} // has to be overwritten whole
			if err := h.Encode(&tt.p, tt.linkHeader, 1500); !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if tt.err != nil {
				return
			}
			field := func(off int) int { return int(binary.NativeEndian.Uint16(h[off:])) }
			sumOffset := 0
			if tt.flags != 0 {
				sumOffset = 16
			}
			if h[0] != tt.flags || h[1] != tt.gso || field(2) != tt.headerLen || field(4) != tt.segSize ||
				field(6) != tt.sumStart || field(8) != sumOffset {
				t.Errorf("got % x", h)
			}
			// What is written reads back as it was.
			got := link.Packet{SegSize: -1}
			h.Decode(&got)
			if got.SegSize != tt.p.SegSize || got.PartialChecksum != tt.p.PartialChecksum {
				t.Errorf("decoded SegSize %d, PartialChecksum %v", got.SegSize, got.PartialChecksum)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	size := func(flags, gso byte) (h Header) {
		h[offFlags], h[offGSOType] = flags, gso
		h.put(offGSOSize, 1400)
		return h
	}
	for _, tt := range []struct {
		name    string
		h       Header
		segSize int
		partial bool
	}{
		{"plain", size(0, 0), 0, false},
		{"verified by the driver", size(2, 0), 0, true},
		{"TCP over IPv6 with ECN", size(1, 0x84), 1400, true},
		{"UDP segments are no TCP segments", size(1, 5), 0, true},
	} {
		p := link.Packet{SegSize: -1}
		tt.h.Decode(&p)
		if p.SegSize != tt.segSize || p.PartialChecksum != tt.partial {
			t.Errorf("%s: got %d %v, want %d %v", tt.name, p.SegSize, p.PartialChecksum, tt.segSize, tt.partial)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add(packet(4, 20, 20, 10, 0), 1400)
	f.Add(packet(6, 40, 32, 10, 0), 0)
	f.Fuzz(func(t *testing.T, b []byte, segSize int) {
		var h Header
		p := link.Packet{Data: b, SegSize: segSize, PartialChecksum: true}
		if h.Encode(&p, 14, 1500) != nil {
			return
		}
		if start := int(binary.NativeEndian.Uint16(h[offSumStart:])); start-14+20 > len(b) {
			t.Errorf("checksum at %d of %d bytes", start, len(b))
		}
	})
}
