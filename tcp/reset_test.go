package tcp

import (
	"fmt"
	"testing"
	"time"
)

const plainOptions = "mss 1460, ws 7, sackok" // without timestamps

// inState is a connection in the given state with nothing in flight but, in
// the closing states, our FIN. The peer's next position is 1, or 2 after its FIN.
func inState(t testing.TB, cfg Config, want State) *testConn {
	t.Helper()
	tc := established(t, cfg, plainOptions)
	switch want {
	case StateFinWait1:
		tc.closeWrite()
	case StateFinWait2:
		tc.closeWrite()
		tc.inject("A 1 ack 2")
	case StateCloseWait:
		tc.inject("FA 1 ack 1")
	case StateClosing:
		tc.closeWrite()
		tc.inject("FA 1 ack 1")
	case StateLastAck:
		tc.inject("FA 1 ack 1")
		tc.closeWrite()
	case StateTimeWait:
		tc.closeWrite()
		tc.inject("FA 1 ack 2")
	}
	tc.take()
	for _, ok := tc.s.NextEvent(); ok; _, ok = tc.s.NextEvent() {
	}
	tc.wantState("set up", want)
	return tc
}

var synchronizedStates = []State{StateEstablished, StateFinWait1, StateFinWait2, StateCloseWait,
	StateClosing, StateLastAck, StateTimeWait}

// A RST ends a connection only at exactly RCV.NXT; elsewhere in the window it
// is challenged, and outside ignored (RFC 5961 section 3.2). In TIME-WAIT it
// does nothing (RFC 1337 section 3).
func TestReset(t *testing.T) {
	for _, state := range synchronizedStates {
		t.Run(state.String(), func(t *testing.T) {
			tc := inState(t, Config{}, state)
			nxt := int(tc.c.RcvNxt())
			ack := fmt.Sprintf("A %d ack %d", tc.c.SndNxt(), nxt)

			tc.inject(fmt.Sprintf("R %d", nxt-1))
			tc.wantIdle("a RST before the window is ignored")
			tc.inject(fmt.Sprintf("R %d", nxt+1<<17))
			tc.wantIdle("a RST beyond the window is ignored")
			tc.inject(fmt.Sprintf("R %d", nxt+1))
			tc.want("a RST in the window is challenged", ack)
			tc.inject(fmt.Sprintf("R %d", nxt+30000))
			tc.want("a RST in the window is challenged", ack)
			tc.wantState("no guess was right", state)

			tc.inject(fmt.Sprintf("R %d", nxt))
			tc.wantIdle("a RST is never answered")
			if state == StateTimeWait {
				tc.wantState("RFC 1337", StateTimeWait)
				return
			}
			tc.wantClosed("a RST where it has to be", ErrReset)
			tc.wantEvent("a RST where it has to be", Closed)
		})
	}
}

// A SYN on a synchronized connection is challenged, whatever its number (RFC
// 5961 section 4.2); nothing of it is taken.
func TestSYNOnSynchronized(t *testing.T) {
	for _, state := range synchronizedStates {
		t.Run(state.String(), func(t *testing.T) {
			tc := inState(t, Config{}, state)
			ack := fmt.Sprintf("A %d ack %d", tc.c.SndNxt(), tc.c.RcvNxt())
			for _, in := range []string{"S 0 win 1000", "S 1", "S 30", "S 999999", "SA 0 ack 1"} {
				tc.inject(in)
				tc.want(in, ack)
				tc.wantIdle(in)
				tc.wantState(in, state)
			}
			tc.inject("S 40:50")
			tc.wantIdle("the rate has a limit")
			tc.wantReadError("nothing taken", tc.readError())
		})
	}
}

// readError is what Read gives in the connection's state.
func (tc *testConn) readError() error {
	_, err := tc.s.Read(tc.now, make([]byte, 1))
	return err
}

// Acknowledgements of what was never sent, or of what was acknowledged long
// ago, are challenged and the data they come with is dropped (RFC 5961 section 5.2).
func TestUnacceptableAck(t *testing.T) {
	for _, tc := range []struct {
		name, in, out string
		taken         int
	}{
		{"of what was not sent", "PA 1:11 ack 5002", "A 5001 ack 1", 0},
		{"older than any window", "PA 1:11 ack -70000", "A 5001 ack 1", 0},
		{"old", "PA 1:11 ack 1", "A 5001 ack 11", 10},
		{"in order", "PA 1:11 ack 5001", "A 5001 ack 11", 10},
		{"no ACK at all", "P 1:11", "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := established(t, Config{}, "mss 1460")
			c.window = 60000
			c.inject("A 1 ack 1")
			c.write(5000)
			c.inject("A 1 ack 5001")
			c.take()
			c.inject(tc.in)
			if tc.out != "" {
				c.want(tc.name, tc.out)
			}
			c.wantIdle(tc.name)
			if tc.taken > 0 {
				c.wantRead(tc.name, tc.taken)
			}
			c.wantReadError(tc.name, ErrWouldBlock)
		})
	}
}

// Challenges are limited in rate (RFC 5961 section 7), and those that anybody
// can provoke do not use up the answers to keep-alives and window probes.
func TestChallengeLimit(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	for range 100 {
		tc.inject("S 500")
	}
	if got := len(tc.take()); got != ackLimitMax {
		t.Errorf("%d challenges at once, want %d", got, ackLimitMax)
	}
	tc.inject("A 0 ack 1")
	tc.want("a keep-alive is answered still", "A 1 ack 1")
	tc.inject("PA 0:1 ack 1")
	tc.want("data that came before is answered still", "A 1 ack 1")
	tc.advance(ackLimitEvery)
	tc.inject("S 500")
	tc.want("later there is a challenge again", "A 1 ack 1")
	wantEqual(t, "challenges counted", tc.c.Info().Stats.ChallengeACKs, ackLimitMax+1)
}

// Two ends that disagree about what was sent must not answer each other's
// acknowledgements for ever.
func TestNoAckLoop(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	for range 1000 {
		tc.inject("A 0 ack 1")
	}
	if got := len(tc.take()); got > ackLimitMax {
		t.Errorf("%d answers at once to acknowledgements that are one behind, want at most %d", got, ackLimitMax)
	}
}

// Data that arrives when the application is gone is answered with a reset (RFC
// 1122 section 4.2.2.13, RFC 9293 section 3.6.1).
func TestDataAfterClose(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.close()
	tc.want("closed", "FA 1 ack 1")
	tc.inject("A 1 ack 2")
	tc.inject("PA 1:11 ack 2")
	tc.want("nobody reads this", "RA 2 ack 1")
	tc.wantClosed("nobody reads this", ErrAborted)
}

// Data that was read before comes again with the FIN: nothing is lost by that.
func TestOldDataAfterClose(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("PA 1:11 ack 1")
	tc.wantRead("before closing", 10)
	tc.close()
	tc.take()
	tc.inject("FPA 1:11 ack 2")
	tc.want("orderly", "A 2 ack 12")
	tc.wantState("orderly", StateTimeWait)
}

// A FIN with nothing before it is no data: closing both ways is orderly.
func TestFINAfterClose(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.close()
	tc.take()
	tc.inject("FA 1 ack 2")
	tc.want("orderly", "A 2 ack 2")
	tc.wantState("orderly", StateTimeWait)
}

// Closing with unread data tells the peer that it was lost (RFC 1122 section
// 4.2.2.13).
func TestCloseWithUnreadData(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("PA 1:11 ack 1")
	tc.take()
	tc.close()
	tc.want("data was lost", "RA 1 ack 11")
	tc.wantClosed("data was lost", ErrAborted)
}

func TestAbort(t *testing.T) {
	for _, state := range synchronizedStates {
		t.Run(state.String(), func(t *testing.T) {
			tc := inState(t, Config{}, state)
			rst := fmt.Sprintf("RA %d ack %d", tc.c.SndNxt(), tc.c.RcvNxt())
			tc.abort()
			if state != StateTimeWait { // RFC 9293 section 3.10.5
				tc.want("abort", rst)
			}
			tc.wantIdle("abort")
			tc.wantClosed("abort", ErrAborted)
			tc.inject("PA 1:100 ack 1")
			tc.wantIdle("over is over")
		})
	}
}

// What is unsent at an abort is lost, and nothing keeps its memory.
func TestAbortDropsData(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(100000)
	tc.take()
	tc.abort()
	tc.want("abort", "RA 14601 ack 1")
	if tc.s.Pending() || tc.s.out.Len() != 0 || !tc.c.sent.empty() {
		t.Error("data is kept after an abort")
	}
	if _, err := tc.s.Write(tc.now, []byte{1}); err != ErrAborted {
		t.Errorf("Write: %v, want ErrAborted", err)
	}
}

// An orphan in FIN-WAIT-2 does not wait for ever.
func TestOrphanInFinWait2(t *testing.T) {
	tc := established(t, Config{FinTimeout: 10 * time.Second}, plainOptions)
	tc.close()
	tc.inject("A 1 ack 2")
	tc.wantState("our FIN is acknowledged", StateFinWait2)
	tc.advance(10*time.Second - 1)
	tc.wantState("still waiting", StateFinWait2)
	tc.advance(1)
	tc.wantClosed("waited long enough", nil)

	tc = established(t, Config{FinTimeout: 10 * time.Second}, plainOptions)
	tc.closeWrite()
	tc.inject("A 1 ack 2")
	tc.advance(time.Hour)
	tc.wantState("somebody still reads", StateFinWait2)
	tc.close()
	tc.advance(10 * time.Second)
	tc.wantClosed("and then not any more", nil)
}
