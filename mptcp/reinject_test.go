package mptcp_test

import (
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// soleFlow is a connection whose data all take its second subflow, with the
// peer's SYN options for it. The first is a backup.
func soleFlow(t *testing.T, syn part) (tc *testConn, spare, sole *testFlow) {
	tc = newTestConn(t, mptcp.Config{})
	tc.addAddress(1, 0)
	spare = tc.server()
	sole = tc.join(1, syn)
	spare.send(prio(true), dataAck)
	tc.skip()
	return tc, spare, sole
}

// A subflow that is reset leaves nothing behind that the peer could use but
// what it has acknowledged in order: bytes it acknowledged selectively go to
// another subflow too.
func TestReinjectsWhatWasSACKed(t *testing.T) {
	const n = 6000
	tc, spare, sole := soleFlow(t, option(wire.HasSACKPermitted, nil))
	if _, err := tc.conn.Write(tc.now, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	tc.pump()
	if got := sent(sole); got != n {
		t.Fatalf("%d bytes took the subflow, want %d", got, n)
	}
	sole.send(acking(1), dataAckAt(2), option(wire.HasSACK, func(o *wire.Options) {
		o.SACK[0] = wire.SACKBlock{Left: seq.Wrap32(1+2000, sole.irs), Right: seq.Wrap32(1+n, sole.irs)}
		o.SACKLen = 1
	}))
	tc.skip()
	sole.send(flags(wire.RST), acking(1))
	tc.advance(time.Millisecond)
	if got := sent(spare); got != n {
		t.Errorf("%d bytes took the other one, want %d", got, n)
	}
}

// Bytes that TCP delivered and that never get a Data ACK are sent again, a few
// at first. Where Data ACKs show that it was many, it does not take the timer
// to send the rest.
func TestRepairSpeedsUp(t *testing.T) {
	const n = 240 << 10
	tc, _, sole := soleFlow(t, option(wire.HasWindowScale, func(o *wire.Options) { o.WindowScale = 10 }))
	if _, err := tc.conn.Write(tc.now, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	tc.pump()
	total := 0
	for range 100 {
		total += sent(sole)
		sole.send(dataAckAt(2)) // TCP has all so far
	}
	if total != n {
		t.Fatalf("%d bytes were sent, want %d", total, n)
	}
	tc.advance(600 * time.Millisecond)
	again := sent(sole)
	if again == 0 || again > 64<<10 {
		t.Fatalf("%d bytes were sent again at first, want up to 64 KiB", again)
	}
	for range 100 { // and no time passes
		sole.send(dataAckAt(2 + seq.Pos(again)))
		again += sent(sole)
	}
	if again != n {
		t.Errorf("then %d of %d bytes", again, n)
	}
}
