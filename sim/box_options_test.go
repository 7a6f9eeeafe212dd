package sim

import (
	"testing"

	"github.com/braid-mptcp/braid/wire"
)

// dataSegment is data with as many options as fit: timestamps and a DSS.
func dataSegment(dir Dir) *wire.Segment {
	s := segment(dir, wire.ACK|wire.PSH, 101, 901, "payload")
	s.Options = wire.Options{Set: wire.HasTimestamps | wire.HasDSS, TSVal: 11, TSEcr: 22, DSS: wire.DSS{
		HasAck: true, Ack64: true, Ack: 1 << 40, HasMap: true, DSN64: true, DSN: 1 << 50, SSN: 1, Len: 7, HasChecksum: true, Checksum: 0xabcd,
	}}
	return s
}

// fullSYN is a SYN with the options of a common stack and MP_CAPABLE.
func fullSYN() *wire.Segment {
	s := segment(AB, wire.SYN, 100, 0, "")
	s.Options = wire.Options{
		Set:         wire.HasMSS | wire.HasSACKPermitted | wire.HasTimestamps | wire.HasWindowScale | wire.HasCapable,
		MSS:         1460,
		WindowScale: 7,
		TSVal:       1,
		Capable:     wire.Capable{Version: 1, Flags: wire.CapableHMAC},
	}
	return s
}

func TestStrip(t *testing.T) {
	fastOpen := fullSYN()
	fastOpen.Options.Set |= wire.HasFastOpen
	tests := []struct {
		name string
		box  Strip
		seg  *wire.Segment
		gone wire.OptionSet
	}{
		{"MPTCP from a SYN", Strip{}, fullSYN(), wire.HasCapable},
		{"MPTCP from data", Strip{}, dataSegment(AB), wire.HasDSS},
		{"one subtype, not there", Strip{Options: wire.HasJoin}, fullSYN(), 0},
		{"one subtype", Strip{Options: wire.HasDSS}, dataSegment(AB), wire.HasDSS},
		{"timestamps", Strip{Options: wire.HasTimestamps}, dataSegment(AB), wire.HasTimestamps},
		{"everything unknown", Strip{Unknown: true}, fastOpen, wire.HasCapable | wire.HasFastOpen},
		{"only from data", Strip{Pick: Pick{Kinds: Data}}, fullSYN(), 0},
		{"only one way", Strip{Pick: Pick{Way: OnlyBA}}, dataSegment(AB), 0},
	}
	for _, tt := range tests {
		for _, compact := range []bool{false, true} {
			for _, six := range []bool{false, true} {
				s := *tt.seg
				if six {
					over6(&s)
				}
				box := tt.box
				box.Compact = compact
				bt := newBoxTest(t, &box)
				before := len(wire.AppendSegment(nil, &s))
				bt.send(AB, &s)
				got, size := bt.got[AB][0], len(bt.raw[AB][0])
				if want := s.Options.Set &^ tt.gone; got.Options.Set != want {
					t.Errorf("%s, compact=%v: options %b are left, want %b", tt.name, compact, got.Options.Set, want)
				}
				if shorter := compact && tt.gone != 0; shorter != (size < before) {
					t.Errorf("%s, compact=%v: %d bytes became %d", tt.name, compact, before, size)
				}
				if string(got.Payload) != string(s.Payload) || got.Seq != s.Seq || got.Flags != s.Flags {
					t.Errorf("%s, compact=%v: %v became %v", tt.name, compact, &s, got)
				}
			}
		}
	}
}

func TestStripRemovesWhatNobodyKnows(t *testing.T) {
	s := segment(AB, wire.ACK, 1, 1, "")
	pkt := wire.AppendSegment(nil, s)
	v := viewOf(pkt)
	// An MPTCP option of subtype 12, and one too short to have a subtype.
	v = v.rebuild(nil, []byte{30, 5, 0xc0, 1, 2, 30, 2, 1}, nil)
	bt := newBoxTest(t, &Strip{})
	bt.sendRaw(AB, v.pkt)
	if got := bt.got[AB][0].Options.Set; got != 0 {
		t.Errorf("options %b are left", got)
	}
}

func TestAlter(t *testing.T) {
	version := &Alter{Options: wire.HasCapable, Edit: func(option []byte) { option[2] = option[2]&0xf0 | 5 }}
	bt := newBoxTest(t, version)
	if got := bt.through("SYN", AB, fullSYN()); !got.Options.Has(wire.HasCapable) || got.Options.Capable.Version != 5 {
		t.Errorf("got %v, want version 5", got)
	}
	if got := bt.through("data", AB, dataSegment(AB)); got.Options.DSS != dataSegment(AB).Options.DSS {
		t.Errorf("got %v, want the DSS unchanged", got)
	}
	all := &Alter{Edit: func(option []byte) { option[len(option)-1] ^= 0xff }}
	bt = newBoxTest(t, all)
	got := bt.through("data", AB, dataSegment(AB))
	if got.Options.DSS.Checksum != 0xab32 || got.Options.TSEcr != 22 {
		t.Errorf("got %v, want the checksum changed and nothing else", got)
	}
}

func TestEcho(t *testing.T) {
	b := &Echo{}
	bt := newBoxTest(t, b)
	if got := bt.through("SYN", AB, fullSYN()); got.Options.Has(wire.HasCapable) || !got.Options.Has(wire.HasMSS|wire.HasTimestamps) {
		t.Errorf("the server gets %v, want no MP_CAPABLE", got)
	}
	reply := segment(BA, wire.SYN|wire.ACK, 900, 101, "")
	reply.Options = wire.Options{Set: wire.HasMSS | wire.HasCapable, MSS: 1400, Capable: wire.Capable{Version: 1, Flags: wire.CapableHMAC, Keys: 1, SenderKey: 5}}
	got := bt.through("SYN/ACK", BA, reply)
	if !got.Options.Has(wire.HasMSS|wire.HasCapable) || got.Options.Capable.Keys != 0 || got.Options.MSS != 1400 {
		t.Errorf("the client gets %v, want its own MP_CAPABLE without key", got)
	}
	if b.Echoed != 1 {
		t.Errorf("counted %d, want 1", b.Echoed)
	}
	if got := bt.through("data", AB, dataSegment(AB)); !got.Options.Has(wire.HasDSS) {
		t.Errorf("data became %v", got)
	}
}
