package sim

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

func TestRewriteSameLength(t *testing.T) {
	bt := newBoxTest(t, &Rewrite{Find: []byte("10.0.0.1"), Put: []byte("10.9.9.9"), Pick: Pick{Way: OnlyAB}})
	bt.handshake()
	got := bt.through("PORT", AB, segment(AB, wire.ACK, 101, 901, "PORT 10.0.0.1 and 10.0.0.1!"))
	if string(got.Payload) != "PORT 10.9.9.9 and 10.9.9.9!" || got.Seq != 101 {
		t.Errorf("got %v %q", got, got.Payload)
	}
	if got := bt.through("ACK", BA, segment(BA, wire.ACK, 901, 128, "10.0.0.1")); got.Ack != 128 || string(got.Payload) != "10.0.0.1" {
		t.Errorf("the way back: got %v %q", got, got.Payload)
	}
}

func TestRewriteOtherLength(t *testing.T) {
	bt := newBoxTest(t, &Rewrite{Find: []byte("short"), Put: []byte("much longer"), Pick: Pick{Count: 1}})
	bt.handshake()
	data := segment(AB, wire.ACK, 101, 901, "a short word")
	if got := bt.through("data", AB, data); string(got.Payload) != "a much longer word" || got.Seq != 101 {
		t.Errorf("got %v %q", got, got.Payload)
	}
	if got := bt.through("later data", AB, segment(AB, wire.ACK, 113, 901, ", not short")); string(got.Payload) != ", not short" || got.Seq != 119 {
		t.Errorf("later data: got %v %q, want it at 119", got, got.Payload)
	}
	if got := bt.through("retransmission", AB, data); string(got.Payload) != "a much longer word" || got.Seq != 101 {
		t.Errorf("retransmission: got %v %q", got, got.Payload)
	}
	if got := bt.through("retransmission, cut otherwise", AB, segment(AB, wire.ACK, 105, 901, "ort wor")); string(got.Payload) != " wor" || got.Seq != 114 {
		t.Errorf("half of it: got %v %q, want %q at 114", got, got.Payload, " wor")
	}
	if got := bt.through("FIN", AB, segment(AB, wire.ACK|wire.FIN, 124, 901, "")); got.Seq != 130 {
		t.Errorf("FIN at %d, want 130", got.Seq)
	}
	for ack, want := range map[uint32]uint32{101: 101, 103: 103, 104: 103, 113: 103, 114: 108, 119: 113, 131: 125} {
		if got := bt.through("ACK", BA, segment(BA, wire.ACK, 901, ack, "")); got.Ack != want {
			t.Errorf("ACK %d became %d, want %d", ack, got.Ack, want)
		}
	}
	sack := segment(BA, wire.ACK, 901, 101, "")
	sack.Options = wire.Options{Set: wire.HasSACK, SACKLen: 1, SACK: [4]wire.SACKBlock{{Left: 119, Right: 130}}}
	if got := bt.through("SACK", BA, sack); got.Options.SACK[0] != (wire.SACKBlock{Left: 113, Right: 124}) {
		t.Errorf("the SACK block became %v", got.Options.SACK[0])
	}
}

func TestRewriteLeavesAloneWhatHasPassed(t *testing.T) {
	bt := newBoxTest(t, &Rewrite{Find: []byte("short"), Put: []byte("much longer")})
	bt.handshake()
	bt.through("half", AB, segment(AB, wire.ACK, 101, 901, "sho"))
	bt.through("the other half", AB, segment(AB, wire.ACK, 104, 901, "rt"))
	if got := bt.through("both again", AB, segment(AB, wire.ACK, 101, 901, "short, short")); string(got.Payload) != "short, much longer" || got.Seq != 101 {
		t.Errorf("got %v %q", got, got.Payload)
	}
}

func TestRewriteForgetsAnOldConnection(t *testing.T) {
	bt := newBoxTest(t, &Rewrite{Find: []byte("short"), Put: []byte("much longer")})
	bt.handshake()
	bt.through("data", AB, segment(AB, wire.ACK, 101, 901, "a short word"))
	bt.through("SYN", AB, segment(AB, wire.SYN, 5000, 0, ""))
	if got := bt.through("data", AB, segment(AB, wire.ACK, 5001, 901, "another connection")); string(got.Payload) != "another connection" {
		t.Errorf("got %v %q", got, got.Payload)
	}
	if got := bt.through("more", AB, segment(AB, wire.ACK, 5019, 901, "!")); got.Seq != 5019 {
		t.Errorf("later data at %d, want 5019", got.Seq)
	}
}

// TestRewriteKeepsAStream sends a stream in random segments, some of them again
// and cut otherwise, and checks that the receiver gets the changed stream and
// that its ACKs mean to the sender what they should.
func TestRewriteKeepsAStream(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		stream := make([]byte, 2000)
		for i := range stream {
			stream[i] = 'a' + byte(i%26)
		}
		edits, want := randomEdits(rng, stream)
		bt := newBoxTest(t, &Rewrite{Edits: edits, Pick: Pick{Way: OnlyAB}})
		isn := rng.Uint32()
		bt.through("SYN", AB, segment(AB, wire.SYN, isn, 0, ""))
		bt.through("SYN/ACK", BA, segment(BA, wire.SYN|wire.ACK, 900, isn+1, ""))

		got := make([]byte, len(want)+1000)
		var received seq.Set
		sent := 0
		for sent < len(stream) {
			from := max(0, sent-rng.IntN(300))
			to := min(len(stream), from+1+rng.IntN(400))
			out := bt.through("data", AB, segment(AB, wire.ACK, isn+1+uint32(from), 901, string(stream[from:to])))
			at := int(int32(out.Seq - isn - 1))
			if at < 0 || at+len(out.Payload) > len(want) {
				t.Fatalf("seed %d: [%d, %d) came out as [%d, %d) of %d", seed, from, to, at, at+len(out.Payload), len(want))
			}
			copy(got[at:], out.Payload)
			received.Add(seq.Range{Lo: seq.Pos(at), Hi: seq.Pos(at + len(out.Payload))})
			sent = max(sent, to)

			end := seq.Pos(0)
			if r := received.Ranges(); len(r) > 0 && r[0].Lo == 0 {
				end = r[0].Hi
			}
			ack := bt.through("ACK", BA, segment(BA, wire.ACK, 901, isn+1+uint32(end), ""))
			if acked := int(int32(ack.Ack - isn - 1)); acked < 0 || acked > sent {
				t.Fatalf("seed %d: with %d bytes sent, ACK of %d became one of %d", seed, sent, end, acked)
			} else if whole := int(end) == len(want) && sent == len(stream); whole != (acked == len(stream)) {
				t.Fatalf("seed %d: ACK of %d of %d became one of %d of %d", seed, end, len(want), acked, len(stream))
			}
		}
		if !bytes.Equal(got[:len(want)], want) || !received.Contains(seq.Range{Hi: seq.Pos(len(want))}) {
			t.Fatalf("seed %d: %v made\n%q, want\n%q", seed, edits, got[:len(want)], want)
		}
	}
}

// randomEdits gives edits and the stream they make.
func randomEdits(rng *rand.Rand, stream []byte) (edits []Edit, want []byte) {
	at := 0
	for range rng.IntN(5) {
		next := at + rng.IntN(300)
		e := Edit{At: seq.Pos(next + 1), Cut: rng.IntN(20), Put: []byte(strings.Repeat("X", rng.IntN(20)))}
		edits = append(edits, e)
		want = slices.Concat(want, stream[at:next], e.Put)
		at = next + max(e.Cut, 0)
		if e.Cut == 0 { // two insertions at one place would be one
			want = append(want, stream[at])
			at++
		}
	}
	return edits, append(want, stream[at:]...)
}

func TestRewriteSequenceNumbersWrap(t *testing.T) {
	bt := newBoxTest(t, &Rewrite{Edits: []Edit{{At: 3, Cut: 1, Put: []byte("---")}}})
	bt.through("SYN", AB, segment(AB, wire.SYN, 0xfffffffc, 0, ""))
	got := bt.through("data", AB, segment(AB, wire.ACK, 0xfffffffd, 1, "abcdef"))
	if string(got.Payload) != "ab---def" || got.Seq != 0xfffffffd {
		t.Errorf("got %v %q", got, got.Payload)
	}
	if got := bt.through("more", AB, segment(AB, wire.ACK, 3, 1, "ghi")); got.Seq != 5 {
		t.Errorf("later data at %d, want 5", got.Seq)
	}
	if got := bt.through("ACK", BA, segment(BA, wire.ACK, 1, 8, "")); got.Ack != 6 {
		t.Errorf("ACK became %d, want 6", got.Ack)
	}
}
