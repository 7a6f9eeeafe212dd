package sim

import (
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

func TestDrop(t *testing.T) {
	b := &Drop{Pick{Kinds: SYN, When: func(s *wire.Segment) bool { return s.Options.Has(wire.HasCapable) }, Count: 2}}
	bt := newBoxTest(t, b)
	capable := segment(AB, wire.SYN, 100, 0, "")
	capable.Options = wire.Options{Set: wire.HasCapable, Capable: wire.Capable{Version: 1, Flags: wire.CapableHMAC}}
	bt.wantGone("first SYN with MP_CAPABLE", AB, capable)
	bt.through("plain SYN", AB, segment(AB, wire.SYN, 100, 0, ""))
	bt.wantGone("second SYN with MP_CAPABLE", AB, capable)
	bt.through("third SYN with MP_CAPABLE", AB, capable)
	if b.Picked != 2 {
		t.Errorf("counted %d, want 2", b.Picked)
	}
}

func TestHold(t *testing.T) {
	bt := newBoxTest(t, &Hold{Pick: Pick{Kinds: ThirdACK}, For: 20 * time.Millisecond})
	bt.send(AB, segment(AB, wire.SYN, 100, 0, ""))
	bt.send(BA, segment(BA, wire.SYN|wire.ACK, 900, 101, ""))
	bt.take(AB)
	bt.wantGone("third ACK", AB, segment(AB, wire.ACK, 101, 901, ""))
	bt.through("first data", AB, segment(AB, wire.ACK, 101, 901, "data"))
	bt.wait(19 * time.Millisecond)
	if got := bt.take(AB); len(got) != 0 {
		t.Fatalf("%v came out too early", got[0])
	}
	bt.wait(time.Millisecond)
	if got := bt.take(AB); len(got) != 1 || got[0].Seq != 101 || len(got[0].Payload) != 0 {
		t.Fatalf("got %v, want the third ACK", got)
	}
	if next := bt.link.Next(); !next.IsZero() {
		t.Errorf("something is left at %v", next)
	}
}

func TestRefuseHoles(t *testing.T) {
	b := &RefuseHoles{Way: OnlyAB}
	bt := newBoxTest(t, b)
	bt.handshake()
	bt.through("in order", AB, segment(AB, wire.ACK, 101, 901, "abc"))
	bt.wantGone("behind a hole", AB, segment(AB, wire.ACK, 107, 901, "ghi"))
	bt.wantGone("FIN behind a hole", AB, segment(AB, wire.ACK|wire.FIN, 110, 901, ""))
	bt.through("an ACK behind a hole", AB, segment(AB, wire.ACK, 107, 901, ""))
	bt.through("retransmission", AB, segment(AB, wire.ACK, 101, 901, "abc"))
	bt.through("the hole", AB, segment(AB, wire.ACK, 104, 901, "def"))
	bt.through("behind the hole", AB, segment(AB, wire.ACK, 107, 901, "ghi"))
	bt.through("FIN", AB, segment(AB, wire.ACK|wire.FIN, 110, 901, ""))
	bt.through("the other way", BA, segment(BA, wire.ACK, 950, 111, "hole"))
	if b.Refused != 2 {
		t.Errorf("counted %d, want 2", b.Refused)
	}
}

func TestRefuseHolesWrapsAround(t *testing.T) {
	bt := newBoxTest(t, &RefuseHoles{})
	bt.through("SYN", AB, segment(AB, wire.SYN, 0xfffffffd, 0, ""))
	bt.through("across the wrap", AB, segment(AB, wire.ACK, 0xfffffffe, 1, "abcd"))
	bt.wantGone("behind a hole", AB, segment(AB, wire.ACK, 3, 1, "f"))
	bt.through("in order", AB, segment(AB, wire.ACK, 2, 1, "e"))
}

func TestGuardACKs(t *testing.T) {
	for _, correct := range []bool{false, true} {
		b := &GuardACKs{Correct: correct}
		bt := newBoxTest(t, b)
		bt.handshake()
		bt.through("data", AB, segment(AB, wire.ACK, 101, 901, "abc"))
		if got := bt.through("its ACK", BA, segment(BA, wire.ACK, 901, 104, "")); got.Ack != 104 {
			t.Errorf("the ACK became %d", got.Ack)
		}
		unseen := segment(BA, wire.ACK, 901, 110, "x")
		if !correct {
			bt.wantGone("ACK for unseen data", BA, unseen)
		} else if got := bt.through("ACK for unseen data", BA, unseen); got.Ack != 104 || string(got.Payload) != "x" {
			t.Errorf("it became %v, want ACK 104", got)
		}
		if b.Guarded != 1 {
			t.Errorf("counted %d, want 1", b.Guarded)
		}
	}
}
