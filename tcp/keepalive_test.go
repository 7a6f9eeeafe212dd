package tcp

import (
	"testing"
	"time"
)

var keepAliveConfig = Config{KeepAlive: KeepAlive{Idle: time.Hour, Interval: 10 * time.Second, Count: 3}}

// RFC 9293 section 3.8.4: after silence a probe that the peer has to answer,
// and only several without an answer end the connection.
func TestKeepAlive(t *testing.T) {
	tc := established(t, keepAliveConfig, plainOptions)
	tc.wantAfter("first probe", time.Hour, "A 0 ack 1")
	tc.inject("A 1 ack 1")
	tc.wantAfter("the answer begins the silence anew", time.Hour, "A 0 ack 1")
	tc.wantAfter("second probe", 10*time.Second, "A 0 ack 1")
	tc.inject("PA 1:11 ack 1") // any sign of life will do
	tc.take()
	tc.wantAfter("silence", time.Hour, "A 0 ack 11")
	tc.wantAfter("second probe", 10*time.Second, "A 0 ack 11")
	tc.wantAfter("third probe", 10*time.Second, "A 0 ack 11")
	tc.wantAfter("given up", 10*time.Second, "RA 1 ack 11")
	tc.wantClosed("given up", ErrTimeout)
}

// It is off unless asked for (RFC 9293 section 3.8.4, MUST-25).
func TestKeepAliveOff(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	wantEqual(t, "a timer", tc.c.NextTimeout().IsZero(), true)
}

// While data is in flight the retransmission timer watches, while a window is
// closed the persist timer.
func TestKeepAliveBesideOtherTimers(t *testing.T) {
	cfg := Config{KeepAlive: KeepAlive{Idle: time.Second, Interval: time.Second, Count: 1}}
	tc := established(t, cfg, plainOptions)
	tc.write(10)
	tc.take()
	tc.advance(10 * time.Second)
	for _, s := range tc.take() {
		if !segMatches("PA 1:11 ack 1", s.text) {
			t.Errorf("beside retransmissions: %s", s.text)
		}
	}
	tc.wantState("beside retransmissions", StateEstablished)

	tc = established(t, cfg, plainOptions)
	tc.inject("A 1 ack 1 win 0")
	tc.write(10)
	tc.advance(20 * time.Second)
	tc.wantState("beside window probes", StateEstablished)
	if n := len(tc.take()); n > 7 {
		t.Errorf("%d probes of a closed window in 20 s: more than the backoff allows", n)
	}
}

// A keep-alive of the peer is answered, with or without a byte of old data
// (RFC 9293 section 3.8.4).
func TestKeepAliveOfPeer(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.inject("PA 1:11 ack 1")
	tc.take()
	for range 3 {
		tc.advance(time.Hour)
		tc.inject("A 10 ack 1")
		tc.want("empty", "A 1 ack 11")
		tc.inject("A 10:11 ack 1")
		tc.want("with a byte", "A 1 ack 11")
	}
	tc.wantRead("once", 10)
	tc.wantReadError("once", ErrWouldBlock)
}

// Probe is a sign of life on request.
func TestProbe(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.c.Probe()
	tc.drain()
	tc.want("a probe", "A 0 ack 1")
	tc.advance(time.Second)
	before := tc.c.LastHeard()
	tc.inject("A 1 ack 1")
	wantEqual(t, "heard", tc.c.LastHeard().Sub(before), time.Second)
}

// In TIME-WAIT nobody asks any more.
func TestNoKeepAliveInTimeWait(t *testing.T) {
	cfg := Config{KeepAlive: KeepAlive{Idle: time.Second, Interval: time.Second, Count: 1}}
	tc := inState(t, cfg, StateTimeWait)
	tc.inject("A 2 ack 2")
	tc.advance(timeWait - 1)
	tc.wantIdle("silence")
	tc.wantState("to the end", StateTimeWait)
	tc.advance(1)
	tc.wantClosed("to the end", nil)
}
