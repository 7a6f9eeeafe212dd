package mptcp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
)

// A peer whose TCP has everything, and whose Data ACK stopped before that, is
// asked for the rest as soon as that keeps the application from writing.
func TestDataAckAskedFor(t *testing.T) {
	const buffer = 4000
	tc := newTestConn(t, mptcp.Config{SendBuffer: buffer})
	f := tc.server()
	behind := tc.ack

	tc.write(strings.Repeat("x", buffer/2))
	sent(f)
	f.send(dataAckAt(behind))
	tc.advance(400 * time.Millisecond)
	f.wantIdle("there is room in the send buffer")

	tc.write(strings.Repeat("y", buffer/2))
	sent(f)
	f.send(dataAckAt(behind))
	f.wantIdle("the answer may be on its way")
	for _, wait := range []time.Duration{5, 10, 20} {
		tc.advance(wait * time.Millisecond)
		s := f.want("a question")
		if len(s.Payload) != 1 || f.pos(s) != f.ack-1 {
			t.Fatalf("got %v, want an octet that was acknowledged before", s)
		}
		f.send(dataAckAt(behind))
	}

	f.send(dataAck)
	if got, want := tc.info().BytesAcked, uint64(1+buffer); got != want {
		t.Errorf("got %d bytes acknowledged, want %d", got, want)
	}
	tc.advance(time.Minute)
	f.wantIdle("all is acknowledged")
}
