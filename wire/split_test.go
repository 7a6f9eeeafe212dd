package wire

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// checkSplit splits the packet of s and holds the pieces against what TCP says
// of them together.
func checkSplit(t *testing.T, s *Segment, segSize int) {
	t.Helper()
	pkt := AppendSegment(nil, s)
	Finish(pkt, Offload{PartialChecksum: true}) // as it would come to a device
	var payload []byte
	seq, n := s.Seq, 0
	Split(pkt, segSize, nil, func(piece []byte) {
		var got Segment
		if err := ParseSegment(piece, &got, false); err != nil {
			t.Fatalf("piece %d: %v", n, err)
		}
		want := *s
		want.Seq, want.Payload = seq, got.Payload
		last := len(payload)+len(got.Payload) == len(s.Payload)
		if n > 0 {
			want.Flags &^= CWR
		}
		if !last {
			want.Flags &^= FIN | PSH
		}
		if s.Flags.Has(URG) {
			if off := int(seq - s.Seq); off > 0 && off >= int(s.Urgent) {
				want.Flags &^= URG
				want.Urgent = 0
			} else {
				want.Urgent = s.Urgent - uint16(off)
			}
		}
		if got.String() != want.String() || got.TTL != s.TTL || got.TOS != s.TOS {
			t.Errorf("piece %d of size %d:\n got %v\nwant %v", n, segSize, &got, &want)
		}
		if full := len(got.Payload) == segSize; segSize > 0 && !full && !last || len(got.Payload) > segSize && segSize > 0 {
			t.Errorf("piece %d has %d bytes, want %d", n, len(got.Payload), segSize)
		}
		payload = append(payload, got.Payload...)
		seq += uint32(len(got.Payload))
		n++
	})
	if !bytes.Equal(payload, s.Payload) {
		t.Errorf("size %d: %d pieces hold %d bytes that are not the %d of the whole", segSize, n, len(payload), len(s.Payload))
	}
	if want := 1; len(s.Payload) == 0 && n != want {
		t.Errorf("no payload: got %d pieces, want %d", n, want)
	}
}

func TestSplit(t *testing.T) {
	payload := make([]byte, 5000)
	for i := range payload {
		payload[i] = byte(i * i >> 3)
	}
	for _, size := range []int{0, 1, 1399, 1400, 1401, 2800, 5000} {
		for _, segSize := range []int{0, 100, 1400, 5000, 70000} {
			for _, flags := range []Flags{ACK, ACK | PSH | FIN | CWR | ECE, ACK | URG} {
				for _, addr := range [][2]string{{"192.0.2.1:1", "192.0.2.2:2"}, {"[2001:db8::1]:1", "[2001:db8::2]:2"}} {
					s := testSegment(addr[0], addr[1], payload[:size])
					s.Flags, s.Urgent, s.Seq = flags, 1500, 0xfffff000
					if !flags.Has(URG) {
						s.Urgent = 0
					}
					checkSplit(t, s, segSize)
				}
			}
		}
	}
}

func TestSplitUsesScratch(t *testing.T) {
	pkt := AppendSegment(nil, testSegment("192.0.2.1:1", "192.0.2.2:2", make([]byte, 3000)))
	scratch := make([]byte, 2000)
	Split(pkt, 1000, scratch, func(piece []byte) {
		if &piece[0] != &scratch[0] {
			t.Error("a piece is not in scratch")
		}
	})
}

func TestSplitIPv4ID(t *testing.T) {
	for _, tc := range []struct {
		frag uint16
		want []uint16
	}{
		{0x4000, []uint16{0xffff, 0xffff, 0xffff}}, // DF: the ID means nothing
		{0x0000, []uint16{0xffff, 0x0000, 0x0001}},
	} {
		pkt := AppendSegment(nil, testSegment("192.0.2.1:1", "192.0.2.2:2", make([]byte, 3000)))
		binary.BigEndian.PutUint16(pkt[4:], 0xffff)
		binary.BigEndian.PutUint16(pkt[6:], tc.frag)
		i := 0
		Split(fixIPv4(pkt), 1000, nil, func(piece []byte) {
			if got := binary.BigEndian.Uint16(piece[4:]); i < 3 && got != tc.want[i] {
				t.Errorf("fragment field %#x, piece %d: got ID %#x, want %#x", tc.frag, i, got, tc.want[i])
			}
			i++
		})
		if i != 3 {
			t.Errorf("got %d pieces, want 3", i)
		}
	}
}

func TestSplitLeavesOthersAlone(t *testing.T) {
	for _, h := range []string{"", "00", ipv4UDP, "60000000 0000 3b 40" + v6Addrs, ipv4Opt} {
		pkt := fixIPv4(unhex(t, h))
		n := 0
		Split(pkt, 1, nil, func(piece []byte) {
			n++
			if !bytes.Equal(piece, pkt) {
				t.Errorf("got %x, want %x", piece, pkt)
			}
		})
		if n != 1 {
			t.Errorf("%s: got %d pieces, want 1", h, n)
		}
	}
}
