package tcp

import (
	"fmt"
	"io"
	"testing"
	"time"
)

// Every arc of RFC 9293 figure 5 between synchronized states, with what is
// sent along it. The scripts of testdata show the same as whole connections.
func TestTransitions(t *testing.T) {
	for _, tc := range []struct {
		from   State
		what   string
		do     func(*testConn)
		out    string
		to     State
		events []Event
	}{
		{StateEstablished, "close", (*testConn).closeWrite, "FA 1 ack 1", StateFinWait1, nil},
		{StateEstablished, "FIN", in("FA 1 ack 1"), "A 1 ack 2", StateCloseWait, []Event{PeerClosed}},
		{StateFinWait1, "ACK of FIN", in("A 1 ack 2"), "", StateFinWait2, nil},
		{StateFinWait1, "ACK of less", in("A 1 ack 1"), "", StateFinWait1, nil},
		{StateFinWait1, "FIN", in("FA 1 ack 1"), "A 2 ack 2", StateClosing, []Event{PeerClosed}},
		{StateFinWait1, "FIN and ACK of FIN", in("FA 1 ack 2"), "A 2 ack 2", StateTimeWait, []Event{PeerClosed, Waiting}},
		{StateFinWait2, "FIN", in("FA 1 ack 2"), "A 2 ack 2", StateTimeWait, []Event{PeerClosed, Waiting}},
		{StateFinWait2, "close again", (*testConn).closeWrite, "", StateFinWait2, nil},
		{StateCloseWait, "close", (*testConn).closeWrite, "FA 1 ack 2", StateLastAck, nil},
		{StateCloseWait, "FIN again", in("FA 1 ack 1"), "A 1 ack 2", StateCloseWait, nil},
		{StateCloseWait, "data behind the FIN", in("PA 2:12 ack 1"), "", StateCloseWait, nil},
		{StateClosing, "ACK of FIN", in("A 2 ack 2"), "", StateTimeWait, []Event{Waiting}},
		{StateClosing, "FIN again", in("FA 1 ack 1"), "A 2 ack 2", StateClosing, nil},
		{StateLastAck, "ACK of FIN", in("A 2 ack 2"), "", StateClosed, []Event{Closed}},
		{StateLastAck, "FIN again", in("FA 1 ack 1"), "A 2 ack 2", StateLastAck, nil},
		{StateLastAck, "close again", (*testConn).closeWrite, "", StateLastAck, nil},
		{StateTimeWait, "FIN again", in("FA 1 ack 2"), "A 2 ack 2", StateTimeWait, nil},
		{StateTimeWait, "close", (*testConn).closeWrite, "", StateTimeWait, nil},
		{StateTimeWait, "2 MSL", func(c *testConn) { c.advance(timeWait) }, "", StateClosed, []Event{Closed}},
	} {
		t.Run(fmt.Sprintf("%v/%s", tc.from, tc.what), func(t *testing.T) {
			c := inState(t, Config{}, tc.from)
			tc.do(c)
			if tc.out != "" {
				c.want(tc.what, tc.out)
			}
			c.wantIdle(tc.what)
			c.wantState(tc.what, tc.to)
			for _, e := range tc.events {
				c.wantEvent(tc.what, e)
			}
			c.wantEvent("no more", 0)
		})
	}
}

func in(text string) func(*testConn) {
	return func(tc *testConn) { tc.inject(text) }
}

// A FIN that finds no answer is sent again, in each state that has sent one.
func TestFINRetransmission(t *testing.T) {
	for _, tc := range []struct {
		state State
		fin   string
	}{
		{StateFinWait1, "FA 1 ack 1"},
		{StateClosing, "FA 1 ack 2"},
		{StateLastAck, "FA 1 ack 2"},
	} {
		t.Run(tc.state.String(), func(t *testing.T) {
			c := inState(t, Config{Retries: 2}, tc.state)
			c.wantAfter("first time", 300*time.Millisecond, tc.fin)
			c.wantAfter("second time", 600*time.Millisecond, tc.fin)
			c.advance(time.Minute)
			c.want("given up", "RA 2 ack "+fmt.Sprint(c.c.RcvNxt()))
			c.wantClosed("given up", ErrTimeout)
		})
	}
}

// Half-close of our side (RFC 9293 section 3.6): the peer's data comes in for
// as long as it likes.
func TestHalfCloseHere(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(10)
	tc.closeWrite()
	tc.want("data", "PA 1:11 ack 1")
	tc.want("FIN behind it", "FA 11 ack 1")
	if _, err := tc.s.Write(tc.now, []byte{1}); err != ErrClosed {
		t.Errorf("Write after CloseWrite: %v, want ErrClosed", err)
	}
	tc.inject("A 1 ack 12")
	for i := range 50 {
		tc.inject(fmt.Sprintf("PA %d:%d ack 12", i*1000+1, i*1000+1001))
		tc.wantRead("the peer's data", 1000)
		tc.advance(time.Minute)
	}
	tc.take()
	tc.inject("FA 50001 ack 12")
	tc.want("the peer's FIN", "A 12 ack 50002")
	tc.wantReadError("end of stream", io.EOF)
}

// Half-close of the peer's side: ours goes on.
func TestHalfCloseThere(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("PA 1:11 ack 1", "FA 11 ack 1")
	tc.take()
	tc.wantRead("what came before the FIN", 10)
	tc.wantReadError("end of stream", io.EOF)
	for i := range 50 {
		tc.write(1000)
		tc.want("our data", fmt.Sprintf("PA %d:%d ack 12", i*1000+1, i*1000+1001))
		tc.advance(20 * time.Millisecond)
		tc.inject(fmt.Sprintf("A 12 ack %d", i*1000+1001))
	}
	tc.wantState("open as long as we like", StateCloseWait)
	tc.wantIdle("a FIN opens no window that anybody needs")
}

// A FIN that arrives before data it follows waits for that.
func TestFINOutOfOrder(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("FA 21 ack 1")
	tc.want("duplicate ACK", "A 1 ack 1")
	tc.inject("PA 11:21 ack 1")
	tc.want("duplicate ACK", "A 1 ack 1 <sack 11-21>")
	tc.wantState("the FIN waits", StateEstablished)
	tc.inject("PA 1:11 ack 1")
	tc.want("all of it, FIN included", "A 1 ack 22")
	tc.wantState("now it counts", StateCloseWait)
	tc.wantRead("data", 20)
	tc.wantReadError("end of stream", io.EOF)
}

// A FIN needs no room in the window, on the way in either.
func TestFINIntoOurClosedWindow(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.buf.Recv = 1000
	tc.establish(plainOptions)
	tc.inject("FPA 1:1001 ack 1")
	tc.want("all of it", "A 1 ack 1002 win 0")
	tc.wantState("closed", StateCloseWait)
	tc.write(10)
	tc.take()
	tc.inject("A 1002 ack 11")
	wantEqual(t, "acknowledgements from behind the FIN count", tc.c.SndUna(), 11)
}

// A FIN on data.
func TestFINWithData(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("FPA 1:11 ack 1")
	tc.want("both", "A 1 ack 12")
	tc.wantRead("data", 10)
	tc.wantReadError("end of stream", io.EOF)
}

// A peer that contradicts itself about where its stream ends does not confuse
// us: the first FIN stands, and none stands before bytes that have come.
func TestContradictoryFIN(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("PA 11:21 ack 1", "FA 15 ack 1")
	tc.inject("PA 1:11 ack 1")
	tc.wantState("a FIN before what came is none", StateEstablished)
	wantEqual(t, "received", tc.c.RcvNxt(), 21)
	tc.inject("FA 41 ack 1", "FA 31 ack 1", "PA 21:61 ack 1")
	tc.wantState("the first FIN ends the stream", StateCloseWait)
	wantEqual(t, "received", tc.c.RcvNxt(), 42)
	tc.wantRead("up to the FIN", 40)
	tc.wantReadError("end of stream", io.EOF)
}

// Our FIN is sent behind the last byte, however long that takes, and data that
// is lost is sent again with the FIN in place.
func TestFINBehindData(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("A 1 ack 1 win 2944") // the window, not congestion, holds it back
	tc.write(5000)
	tc.closeWrite()
	tc.want("first", "A 1:1461 ack 1")
	tc.want("second", "A 1461:2921 ack 1")
	tc.wantIdle("window full")
	tc.wantState("the FIN waits for the data", StateEstablished)
	tc.advance(100 * time.Millisecond)
	tc.inject("A 1 ack 2921 win 128000")
	tc.want("third", "A 2921:4381 ack 1")
	tc.want("last", "PA 4381:5001 ack 1")
	tc.want("FIN", "FA 5001 ack 1")
	tc.wantState("now it is sent", StateFinWait1)
	tc.advance(100 * time.Millisecond)
	tc.inject("A 1 ack 2921 <sack 4381-5002>")
	tc.wantAfter("the hole is filled after a quarter of a round trip", 25*time.Millisecond, "A 2921:4381 ack 1")
	tc.inject("A 1 ack 5002")
	tc.wantState("all acknowledged", StateFinWait2)
}

// A closed window does not keep the FIN back: it has a sequence number, but no
// byte that needs room.
func TestFINIntoClosedWindow(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("A 1 ack 1 win 0")
	tc.closeWrite()
	tc.want("FIN", "FA 1 ack 1")
}

// Nothing is left to do for a connection that is over.
func TestClosedIsSilent(t *testing.T) {
	tc := inState(t, Config{}, StateLastAck)
	tc.inject("A 2 ack 2")
	tc.wantClosed("over", nil)
	for _, seg := range []string{"PA 2:10 ack 2", "S 0", "R 2", "FA 1 ack 2", "A 2 ack 50"} {
		tc.inject(seg)
	}
	tc.c.Advance(tc.now.Add(time.Hour))
	tc.wantIdle("over")
	wantEqual(t, "Done", tc.c.Done(), true)
}
