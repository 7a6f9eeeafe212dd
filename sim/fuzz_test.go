package sim

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// everyBox gives one of each middlebox, all of them doing what they can.
func everyBox() []Middlebox {
	return []Middlebox{
		&RefuseHoles{}, &GuardACKs{Correct: true}, &Strip{Pick: Pick{Every: 5}}, &Strip{Pick: Pick{Every: 7}, Unknown: true, Compact: true},
		&Alter{Edit: func(option []byte) { option[len(option)-1]++ }}, &Echo{},
		&Rewrite{Find: []byte("a"), Put: []byte("longer"), Edits: []Edit{{At: 4, Cut: 3}, {At: 9, Put: []byte("new")}}},
		&Resegment{Size: 3, Pick: Pick{Every: 2}}, &Coalesce{Max: 100, Hold: time.Millisecond}, &Hold{Pick: Pick{Every: 4}, For: time.Millisecond},
		&ShrinkWindow{Max: 5}, &SetECN{To: CE}, &ShiftISN{FixSACK: true}, &EarlyACK{Lose: &Pick{Every: 9}},
		&Forge{Pick: Pick{Every: 10}, Make: func(_ time.Time, dir Dir, s *wire.Segment, send func(Dir, *wire.Segment)) { send(dir.Reverse(), s) }},
		&NAT{Public: public, Idle: time.Second, Reset: true}, &Balance{Virtual: hostB, Hosts: []netip.Addr{hostB}}, &SYNProxy{}, &Drop{Pick{Every: 11}},
	}
}

// FuzzMiddleboxes sends segments of any content through a line with every box
// at once, and through each box alone. Nothing may panic, and what comes out
// must be sound packets.
func FuzzMiddleboxes(f *testing.F) {
	f.Add([]byte("\x00\x02\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x04\x1e\x04\x01\x00abcd"))
	for _, s := range []*wire.Segment{fullSYN(), dataSegment(AB), dataSegment(BA)} {
		v := viewOf(wire.AppendSegment(nil, s))
		var b []byte
		for range 3 {
			b = append(b, 0, byte(s.Flags))
			b = append(b, v.tcp[4:12]...)
			b = append(b, byte(len(v.options)/4), byte(len(v.payload)))
			b = append(append(b, v.options...), v.payload...)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for i := -1; i < len(everyBox()); i++ {
			boxes := everyBox()
			if i >= 0 {
				boxes = boxes[i : i+1]
			}
			bt := newBoxTest(t, boxes...)
			for b := data[:min(len(data), 1000)]; len(b) > 0; {
				var pkt []byte
				var dir Dir
				pkt, dir, b = fuzzPacket(b)
				bt.sendRaw(dir, pkt)
				bt.wait(time.Duration(len(b)) * 10 * time.Microsecond)
			}
			bt.wait(time.Second)
		}
	})
}

// fuzzPacket makes a sound packet of the first bytes of b, whatever they are.
func fuzzPacket(b []byte) (pkt []byte, dir Dir, rest []byte) {
	const fixed = 12
	b = append(b, make([]byte, max(0, fixed-len(b)))...)
	dir = Dir(b[0] & 1)
	s := segment(dir, wire.Flags(b[1]), binary.BigEndian.Uint32(b[2:]), binary.BigEndian.Uint32(b[6:]), "")
	if b[0]&2 != 0 {
		over6(s)
	}
	if b[0]&4 != 0 && dir == BA && s.Dst.Addr().Is4() {
		s.Dst = netip.AddrPortFrom(public, 40000)
	}
	options, payload := int(b[10]%11)*4, int(b[11])
	b = b[fixed:]
	options = min(options, len(b))
	payload = min(payload, len(b)-options)
	v := viewOf(wire.AppendSegment(nil, s))
	v = v.rebuild(nil, b[:options], b[options:options+payload])
	return v.pkt, dir, b[options+payload:]
}
