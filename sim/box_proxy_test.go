package sim

import (
	"strings"
	"testing"

	"github.com/braid-mptcp/braid/wire"
)

// open opens a connection of window scale 1 towards A and 2 towards B, where
// B has room for 4,000 bytes.
func (bt *boxTest) openScaled() {
	syn := segment(AB, wire.SYN, 100, 0, "")
	syn.Options = wire.Options{Set: wire.HasWindowScale | wire.HasTimestamps, WindowScale: 1, TSVal: 10}
	bt.send(AB, syn)
	reply := segment(BA, wire.SYN|wire.ACK, 900, 101, "")
	reply.Options = wire.Options{Set: wire.HasWindowScale | wire.HasTimestamps, WindowScale: 2, TSVal: 70, TSEcr: 10}
	reply.Window = 4000
	bt.send(BA, reply)
	bt.send(BA, reply) // its window is not scaled this time either
	bt.send(AB, segment(AB, wire.ACK, 101, 901, ""))
	bt.take(AB)
	bt.take(BA)
}

func TestEarlyACKAfter(t *testing.T) {
	bt := newBoxTest(t, &EarlyACK{After: 4})
	bt.handshake()
	bt.through("the first bytes", AB, segment(AB, wire.ACK, 101, 901, "abc"))
	if got := bt.take(BA); len(got) != 0 {
		t.Fatalf("they were acknowledged: %v", got)
	}
	if got := bt.through("the receiver's ACK", BA, segment(BA, wire.ACK, 901, 101, "")); got.Ack != 101 {
		t.Errorf("it became %v", got)
	}
	bt.send(AB, segment(AB, wire.ACK, 104, 901, "def"))
	if got := bt.take(BA); len(got) != 1 || got[0].Ack != 107 {
		t.Errorf("the next: A got %v, want an ACK of 107", got)
	}
}

func TestEarlyACK(t *testing.T) {
	b := &EarlyACK{Way: OnlyAB, Lose: &Pick{Skip: 1, Count: 1}}
	bt := newBoxTest(t, b)
	bt.openScaled()
	wantACK := func(what string, ack uint32, window uint16) {
		t.Helper()
		got := bt.take(BA)
		if len(got) != 1 || got[0].Ack != ack || got[0].Seq != 901 || got[0].Window != window || got[0].Flags != wire.ACK || len(got[0].Payload) > 0 {
			t.Fatalf("%s: A got %v, want an ACK of %d with window %d", what, got, ack, window)
		}
	}
	data := segment(AB, wire.ACK, 101, 901, strings.Repeat("x", 1000))
	data.Options = wire.Options{Set: wire.HasTimestamps, TSVal: 11, TSEcr: 70}
	bt.send(AB, data)
	ts := bt.got[BA][0].Options
	if !ts.Has(wire.HasTimestamps) || ts.TSVal != 70 || ts.TSEcr != 11 {
		t.Errorf("the early ACK has timestamps %d %d, want 70 11", ts.TSVal, ts.TSEcr)
	}
	wantACK("data", 1101, 3000>>2)
	if got := bt.take(AB); len(got) != 1 {
		t.Fatalf("the data did not come through")
	}
	bt.wantGone("data to be lost", AB, segment(AB, wire.ACK, 1101, 901, strings.Repeat("x", 1000)))
	wantACK("lost data", 2101, 2000>>2)
	bt.through("data behind a hole", AB, segment(AB, wire.ACK, 3101, 901, "x"))
	if got := bt.take(BA); len(got) != 0 {
		t.Errorf("data behind a hole was acknowledged: %v", got)
	}
	sack := segment(BA, wire.ACK, 901, 1101, "")
	sack.Options = wire.Options{Set: wire.HasSACK, SACKLen: 1, SACK: [4]wire.SACKBlock{{Left: 3101, Right: 3102}}}
	sack.Window = 3000 >> 2
	if got := bt.through("the receiver's ACK", BA, sack); got.Ack != 2101 || got.Window != 2000>>2 || got.Options.Has(wire.HasSACK) {
		t.Errorf("it became %v, want ACK 2101 without SACK", got)
	}
	bt.send(AB, segment(AB, wire.ACK, 2101, 901, strings.Repeat("x", 2001)))
	if got := bt.take(BA); len(got) != 0 {
		t.Errorf("data beyond the receiver's window was acknowledged: %v", got)
	}
	bt.send(BA, segment(BA, wire.ACK, 901, 101, "the other way"))
	bt.take(BA)
	if got := bt.take(AB); len(got) != 1 || len(got[0].Payload) != 2001 {
		t.Errorf("B got %v", got)
	}
	update := segment(BA, wire.ACK, 901, 1101, "")
	update.Window = 6000 >> 2
	bt.send(BA, update)
	bt.take(BA)
	bt.send(AB, segment(AB, wire.ACK, 2101, 901, strings.Repeat("x", 2001)))
	wantACK("the same data with room for it", 4102, 2999>>2)
	if b.Acked != 3 {
		t.Errorf("counted %d, want 3", b.Acked)
	}
}

func TestSYNProxy(t *testing.T) {
	bt := newBoxTest(t, &SYNProxy{Seed: 3})
	bt.send(AB, fullSYN())
	if got := bt.take(AB); len(got) != 0 {
		t.Fatalf("the server got %v before the client was known", got)
	}
	reply := bt.take(BA)[0]
	if reply.Flags != wire.SYN|wire.ACK || reply.Ack != 101 || reply.Options.Set != wire.HasMSS || reply.Options.MSS != 1460 {
		t.Fatalf("the client got %v", reply)
	}
	bt.wantGone("an ACK that guesses", AB, segment(AB, wire.ACK, 101, reply.Seq+7, ""))
	opening := bt.through("third packet", AB, segment(AB, wire.ACK, 101, reply.Seq+1, ""))
	if opening.Flags != wire.SYN || opening.Seq != 100 || opening.Options.Set != wire.HasMSS {
		t.Fatalf("the server got %v", opening)
	}
	if got := bt.through("data too early", AB, segment(AB, wire.ACK, 101, reply.Seq+1, "data")); got.Flags != wire.SYN || len(got.Payload) != 0 {
		t.Fatalf("the server got %v, want the SYN again", got)
	}
	bt.wantGone("SYN/ACK", BA, segment(BA, wire.SYN|wire.ACK, 900, 101, ""))
	if got := bt.take(AB); len(got) != 1 || got[0].Flags != wire.ACK || got[0].Seq != 101 || got[0].Ack != 901 {
		t.Fatalf("the server got %v, want the third packet", got)
	}
	if got := bt.through("data", AB, segment(AB, wire.ACK, 101, reply.Seq+1, "data")); got.Seq != 101 || got.Ack != 901 || string(got.Payload) != "data" {
		t.Errorf("the data became %v", got)
	}
	if got := bt.through("answer", BA, segment(BA, wire.ACK, 901, 105, "answer")); got.Seq != reply.Seq+1 || got.Ack != 105 {
		t.Errorf("the answer became %v", got)
	}
	bt.wantGone("SYN/ACK again", BA, segment(BA, wire.SYN|wire.ACK, 900, 101, ""))
	if got := bt.take(AB); len(got) != 1 || got[0].Ack != 901 {
		t.Errorf("the server got %v, want the third packet again", got)
	}
}
