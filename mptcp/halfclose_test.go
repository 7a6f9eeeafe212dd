package mptcp_test

import (
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
)

// A half-closed connection waits in silence: its DATA_FIN is acknowledged, and
// nothing of ours is under way that a timer would have to watch.
func TestHalfClosedIsQuiet(t *testing.T) {
	tc := newTestConn(t, mptcp.Config{})
	f := tc.server()
	tc.skip()
	tc.conn.CloseWrite(tc.now)
	tc.pump()
	f.want("DATA_FIN", isDataFin)
	f.send(dataAck)
	tc.advance(time.Minute)
	tc.wantIdle("a minute later")
	if at := tc.conn.NextTimeout(); !at.IsZero() {
		t.Errorf("a timer is set to %v from now", at.Sub(tc.now))
	}
	f.send(payload("late"), mapTo(2), dataAck)
	tc.wantRead("data that came late", "late")
}
