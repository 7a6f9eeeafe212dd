package sim

import (
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

func TestShrinkWindow(t *testing.T) {
	bt := newBoxTest(t, &ShrinkWindow{Pick: Pick{Way: OnlyBA}, Max: 500})
	for _, tt := range []struct {
		dir       Dir
		has, want uint16
	}{{BA, 1000, 500}, {BA, 500, 500}, {BA, 20, 20}, {AB, 1000, 1000}} {
		s := segment(tt.dir, wire.ACK, 1, 1, "")
		s.Window = tt.has
		if got := bt.through("ACK", tt.dir, s); got.Window != tt.want {
			t.Errorf("%v: window %d became %d, want %d", tt.dir, tt.has, got.Window, tt.want)
		}
	}
}

func TestSetECN(t *testing.T) {
	for _, six := range []bool{false, true} {
		for _, tt := range []struct{ to, has, want uint8 }{
			{NotECT, 0xb9, 0xb8}, {NotECT, 0xba, 0xb8}, {NotECT, 0xbb, 0xb8}, {NotECT, 0xb8, 0xb8},
			{CE, 0x02, 0x03}, {CE, 0xff, 0xff}, {CE, 0xfc, 0xfc}, {ECT0, 0x01, 0x02},
		} {
			bt := newBoxTest(t, &SetECN{To: tt.to})
			s := segment(AB, wire.ACK, 1, 1, "")
			s.TOS = tt.has
			if six {
				over6(s)
			}
			if got := bt.through("packet", AB, s); got.TOS != tt.want || got.TTL != 64 || got.Src != s.Src {
				t.Errorf("six=%v, to %d: %#x became %#x, want %#x", six, tt.to, tt.has, got.TOS, tt.want)
			}
		}
	}
	b := &SetECN{Pick: Pick{Count: 1}}
	bt := newBoxTest(t, b)
	plain, marked := segment(AB, wire.ACK, 1, 1, ""), segment(AB, wire.ACK, 1, 1, "")
	marked.TOS = CE
	bt.through("without ECN", AB, plain)
	if got := bt.through("with ECN", AB, marked); got.TOS != 0 {
		t.Errorf("packets without ECN were counted")
	}
}

func TestShiftISN(t *testing.T) {
	for _, fix := range []bool{false, true} {
		bt := newBoxTest(t, &ShiftISN{Seed: 5, FixSACK: fix})
		syn := bt.through("SYN", AB, segment(AB, wire.SYN, 100, 0, ""))
		shiftA := syn.Seq - 100
		reply := bt.through("SYN/ACK", BA, segment(BA, wire.SYN|wire.ACK, 900, syn.Seq+1, ""))
		shiftB := reply.Seq - 900
		if shiftA == 0 || shiftB == 0 || shiftA == shiftB || reply.Ack != 101 || syn.Ack != 0 {
			t.Fatalf("got %v and %v", syn, reply)
		}
		data := segment(AB, wire.ACK, 101, reply.Seq+1, "data")
		data.Options = wire.Options{Set: wire.HasSACK, SACKLen: 1, SACK: [4]wire.SACKBlock{{Left: reply.Seq + 11, Right: reply.Seq + 21}}}
		got := bt.through("data", AB, data)
		if got.Seq != 101+shiftA || got.Ack != 901 {
			t.Errorf("data became %v", got)
		}
		want := data.Options.SACK[0]
		if fix {
			want = wire.SACKBlock{Left: 911, Right: 921}
		}
		if got.Options.SACK[0] != want {
			t.Errorf("fix=%v: the SACK block became %v, want %v", fix, got.Options.SACK[0], want)
		}
		if got := bt.through("RST without ACK", AB, segment(AB, wire.RST, 105, 0, "")); got.Seq != 105+shiftA || got.Ack != 0 {
			t.Errorf("RST became %v", got)
		}
		other := segment(AB, wire.SYN, 100, 0, "")
		other.Dst = portA
		if got := bt.through("another SYN", AB, other); got.Seq == syn.Seq {
			t.Errorf("two connections are shifted alike")
		}
	}
}

func TestForge(t *testing.T) {
	forged := wire.AddAddr{Version: 1, ID: 9, Addr: hostA}
	b := &Forge{Pick: Pick{Kinds: Data, Count: 1}, Make: func(_ time.Time, dir Dir, s *wire.Segment, send func(Dir, *wire.Segment)) {
		s.Payload = nil
		s.Options = wire.Options{Set: wire.HasAddAddr, AddAddrLen: 1, AddAddr: [2]wire.AddAddr{forged}}
		send(dir, s)
		send(dir.Reverse(), &wire.Segment{Src: s.Dst, Dst: s.Src, TTL: 64, Flags: wire.RST, Seq: s.Ack})
	}}
	bt := newBoxTest(t, b)
	bt.send(AB, segment(AB, wire.ACK, 101, 901, "data"))
	got, back := bt.take(AB), bt.take(BA)
	if len(got) != 2 || string(got[0].Payload) != "data" || len(got[1].Payload) != 0 || got[1].Options.AddAddr[0] != forged {
		t.Errorf("got %v, want the data and a forged ADD_ADDR behind it", got)
	}
	if len(back) != 1 || !back[0].Flags.Has(wire.RST) || back[0].Seq != 901 {
		t.Errorf("the sender got %v, want a forged RST", back)
	}
	bt.through("beyond the count", AB, segment(AB, wire.ACK, 105, 901, "data"))
}
