package host

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/wire"
)

func TestCutter(t *testing.T) {
	packet := func(payload, seg int, partial bool) link.Packet {
		s := wire.Segment{Src: netip.MustParseAddrPort("10.0.0.1:1"), Dst: netip.MustParseAddrPort("10.0.0.2:2"),
			TTL: 64, Flags: wire.ACK, Payload: bytes.Repeat([]byte{7}, payload)}
		data := wire.AppendSegment(nil, &s)
		if partial {
			wire.Finish(data, wire.Offload{PartialChecksum: true})
		}
		return link.Packet{Data: data, SegSize: seg, PartialChecksum: partial}
	}
	apart := func(p link.Packet) link.Packet {
		p.Payload = [][]byte{p.Data[40:60:60], p.Data[60:]}
		p.Data = p.Data[:40:40]
		return p
	}
	all := link.Features{MTU: 1500, MaxPacket: 65535, Checksum: true}
	gather := link.Features{MTU: 1500, MaxPacket: 3000, Checksum: true, Gather: true}
	tests := []struct {
		name     string
		features link.Features
		in       []link.Packet
		want     []int // payload of each packet written
	}{
		{"all by the device", all, []link.Packet{packet(100, 0, true), packet(5000, 1000, true)}, []int{100, 5000}},
		{"nothing by the device", link.Features{MTU: 1500},
			[]link.Packet{packet(100, 0, true), packet(2500, 1000, true), packet(5, 0, false), packet(1001, 1000, false)},
			[]int{100, 1000, 1000, 500, 5, 1000, 1}},
		{"only checksums", link.Features{MTU: 1500, Checksum: true},
			[]link.Packet{packet(2500, 1000, true), packet(100, 0, true)}, []int{1000, 1000, 500, 100}},
		{"small large packets", link.Features{MTU: 1500, MaxPacket: 3000, Checksum: true},
			[]link.Packet{packet(2500, 1000, true), packet(3500, 1000, true)}, []int{2500, 1000, 1000, 1000, 500}},
		{"pieces for a device that takes them", gather,
			[]link.Packet{apart(packet(2500, 1000, true)), apart(packet(3500, 1000, true))}, []int{2500, 1000, 1000, 1000, 500}},
		{"pieces for one that does not", all,
			[]link.Packet{apart(packet(2500, 1000, true)), packet(5, 0, true), apart(packet(3500, 1000, true))}, []int{2500, 5, 3500}},
		{"pieces for one that does nothing", link.Features{MTU: 1500},
			[]link.Packet{apart(packet(100, 0, true)), apart(packet(1500, 1000, true))}, []int{100, 1000, 500}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c cutter
			var got []int
			for rest := tt.in; len(rest) > 0; {
				var ready []link.Packet
				ready, rest = c.prepare(rest, tt.features)
				for _, p := range ready {
					if p.Payload != nil {
						if !tt.features.Gather {
							t.Error("the device takes no pieces")
						}
						p.Data = p.Append(nil)
					}
					if p.PartialChecksum && !tt.features.Checksum || p.SegSize > 0 && len(p.Data) > tt.features.MaxPacket {
						t.Errorf("the device cannot do %d bytes, %d, %v", len(p.Data), p.SegSize, p.PartialChecksum)
					}
					var s wire.Segment
					if err := wire.ParseSegment(p.Data, &s, p.PartialChecksum); err != nil {
						t.Error(err)
					}
					got = append(got, len(s.Payload))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("payloads %v, want %v", got, tt.want)
			}
		})
	}
}
