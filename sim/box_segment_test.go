package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

func TestResegment(t *testing.T) {
	for _, repeat := range []bool{false, true} {
		b := &Resegment{Size: 3, Repeat: repeat, Pick: Pick{Count: 1}}
		bt := newBoxTest(t, b)
		data := dataSegment(AB)
		data.Flags |= wire.FIN
		bt.send(AB, data)
		got := bt.take(AB)
		if len(got) != 3 {
			t.Fatalf("%d pieces, want 3", len(got))
		}
		for i, want := range []string{"pay", "loa", "d"} {
			s, last := got[i], i == 2
			if string(s.Payload) != want || s.Seq != 101+uint32(3*i) || s.Flags.Has(wire.FIN|wire.PSH) != last {
				t.Errorf("piece %d is %v", i, s)
			}
			if has := s.Options.Has(wire.HasDSS); has != (repeat || i == 0) || has && s.Options.DSS != data.Options.DSS {
				t.Errorf("repeat=%v: piece %d has options %b", repeat, i, s.Options.Set)
			}
			if !s.Options.Has(wire.HasTimestamps) {
				t.Errorf("piece %d has no timestamps", i)
			}
		}
		if got := bt.through("beyond the count", AB, data); len(got.Payload) != 7 {
			t.Errorf("got %v, want it whole", got)
		}
		if got := bt.through("short", AB, segment(AB, wire.ACK, 1, 1, "abc")); len(got.Payload) != 3 || b.Picked != 1 {
			t.Errorf("a short segment became %v, %d were picked", got, b.Picked)
		}
	}
}

func TestCoalesce(t *testing.T) {
	for _, keepLast := range []bool{false, true} {
		b := &Coalesce{Max: 20, Hold: 10 * time.Millisecond, KeepLast: keepLast, Pick: Pick{Way: OnlyAB}}
		bt := newBoxTest(t, b)
		first, second := dataSegment(AB), dataSegment(AB)
		second.Seq, second.Ack, second.Options.DSS.DSN = 108, 950, 999
		bt.wantGone("first", AB, first)
		got := bt.through("second", AB, second)
		want := first.Options.DSS
		if keepLast {
			want = second.Options.DSS
		}
		if string(got.Payload) != "payloadpayload" || got.Seq != 101 || got.Ack != 950 || got.Options.DSS != want {
			t.Errorf("keepLast=%v: got %v", keepLast, got)
		}
		if !bt.link.Next().IsZero() {
			t.Errorf("something is still held")
		}
	}
}

func TestCoalesceLetsGo(t *testing.T) {
	hold := func() *boxTest {
		bt := newBoxTest(t, &Coalesce{Max: 20, Hold: 10 * time.Millisecond})
		bt.wantGone("first", AB, segment(AB, wire.ACK, 101, 901, "first"))
		return bt
	}
	t.Run("in time", func(t *testing.T) {
		bt := hold()
		if got := bt.link.Next(); got != Epoch.Add(10*time.Millisecond) {
			t.Errorf("is due at %v", got)
		}
		bt.wait(10 * time.Millisecond)
		if got := bt.take(AB); len(got) != 1 || string(got[0].Payload) != "first" {
			t.Errorf("got %v", got)
		}
		if !bt.link.Next().IsZero() {
			t.Errorf("something is still held")
		}
	})
	for name, tt := range map[string]struct {
		next *wire.Segment
		kept bool // held in its turn
	}{
		"for an ACK":          {segment(AB, wire.ACK, 106, 901, ""), false},
		"for old data":        {segment(AB, wire.ACK, 105, 901, "next"), true},
		"for a gap":           {segment(AB, wire.ACK, 107, 901, "next"), true},
		"for too much":        {segment(AB, wire.ACK, 106, 901, strings.Repeat("x", 16)), true},
		"for another's data":  {&wire.Segment{Src: portA, Dst: portA, TTL: 1, Seq: 106, Flags: wire.ACK, Payload: []byte("x")}, true},
		"for a large segment": {segment(AB, wire.ACK, 106, 901, strings.Repeat("x", 20)), false},
	} {
		t.Run(name, func(t *testing.T) {
			bt := hold()
			bt.send(AB, tt.next)
			bt.send(BA, segment(BA, wire.ACK, 901, 106, ""))
			got := bt.take(AB)
			want := 2
			if tt.kept {
				want = 1
			}
			if len(got) != want || string(got[0].Payload) != "first" || len(bt.take(BA)) != 1 {
				t.Errorf("got %v, want %d", got, want)
			}
			bt.wait(time.Second)
			if got := bt.take(AB); len(got) != 2-want {
				t.Errorf("later %d packets came, want %d", len(got), 2-want)
			}
		})
	}
}
