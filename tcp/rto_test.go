package tcp

import (
	"fmt"
	"testing"
	"time"
)

// RFC 6298 section 2, in exact numbers.
func TestRTOComputing(t *testing.T) {
	const ms = time.Millisecond
	var r rttEstimator
	r.init()
	wantEqual(t, "before the first sample (2.1)", r.rto, time.Second)
	for i, step := range []struct{ sample, srtt, rttvar, rto time.Duration }{
		{100 * ms, 100 * ms, 50 * ms, 300 * ms}, // 2.2
		{100 * ms, 100 * ms, 37500 * time.Microsecond, 300 * ms},
		{180 * ms, 110 * ms, 48125 * time.Microsecond, 310 * ms}, // 2.3: variance first
		{990 * ms, 220 * ms, 256093750, 220*ms + 1024375*time.Microsecond},
		{time.Hour, 450192500 * time.Microsecond, 900137070312, 60 * time.Second}, // 2.5
	} {
		r.sample(epoch, step.sample)
		wantEqual(t, fmt.Sprintf("SRTT after sample %d", i), r.srtt, step.srtt)
		wantEqual(t, fmt.Sprintf("RTTVAR after sample %d", i), r.rttvar, step.rttvar)
		wantEqual(t, fmt.Sprintf("RTO after sample %d", i), r.rto, step.rto)
	}
}

func TestRTOBackoff(t *testing.T) {
	r := rttEstimator{rto: 300 * time.Millisecond}
	for n, want := range []time.Duration{300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 60000, 60000} {
		wantEqual(t, fmt.Sprintf("after %d timeouts", n), r.backoff(n), want*time.Millisecond)
	}
	wantEqual(t, "after very many", r.backoff(1<<30), maxRTO)
}

// The smallest round-trip time is believed for a while.
func TestMinRTT(t *testing.T) {
	var r rttEstimator
	r.sample(epoch, 30*time.Millisecond)
	r.sample(epoch.Add(time.Minute), 20*time.Millisecond)
	r.sample(epoch.Add(2*time.Minute), 50*time.Millisecond)
	wantEqual(t, "smallest", r.min, 20*time.Millisecond)
	r.sample(epoch.Add(time.Minute+minRTTWindow+1), 40*time.Millisecond)
	wantEqual(t, "smallest of the recent past", r.min, 40*time.Millisecond)
	r.sample(epoch.Add(time.Hour), 0)
	if r.min <= 0 {
		t.Error("a round trip of no time at all")
	}
}

// Samples are taken from bytes sent once (Karn's algorithm, RFC 6298 section
// 3), or from timestamps, which tell (RFC 7323 section 4).
func TestKarn(t *testing.T) {
	for _, tc := range []struct {
		name, options, ack string
		sample             time.Duration // SRTT is 100 ms before it
	}{
		{"no timestamps", plainOptions, "A 1 ack 101", 100 * time.Millisecond},
		{"echo of the first", tsOptions, "A 1 ack 101 <ts 200 1100>", 350 * time.Millisecond},
		{"echo of the second", tsOptions, "A 1 ack 101 <ts 200 1400>", 50 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := established(t, Config{}, tc.options)
			c.write(100)
			c.advance(300 * time.Millisecond) // sent again now
			c.take()
			c.advance(50 * time.Millisecond)
			c.inject(tc.ack)
			wantEqual(t, "SRTT", c.c.SRTT(), (7*100*time.Millisecond+tc.sample)/8)
		})
	}
}

// A retransmission that is acknowledged selectively gives no sample either.
func TestKarnWithSACK(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(14600)
	tc.advance(100 * time.Millisecond)
	tc.inject("A 1 ack 1 <sack 2921-14601>")
	tc.want("first lost", "A 1:1461 ack 1")
	tc.want("second lost", "A 1461:2921 ack 1")
	tc.advance(180 * time.Millisecond)
	tc.inject("A 1 ack 1 <sack 1461-14601>")
	wantEqual(t, "SRTT", tc.c.SRTT(), 100*time.Millisecond)
}

// The threshold stays where the first timeout put it, however little of the
// same data is outstanding at the next (RFC 5681 section 3.1).
func TestThresholdOfRepeatedTimeout(t *testing.T) {
	tc := established(t, Config{CongestionControl: "reno"}, plainOptions)
	tc.write(14600)
	tc.advance(tc.c.RTO())
	wantEqual(t, "half of what was in flight", tc.c.Info().SlowStart, 7300)
	tc.inject("A 1 ack 1 <sack 2921-14601>") // the acknowledgement of the first copies was late
	tc.advance(2 * time.Second)
	wantEqual(t, "timeouts", tc.c.Timeouts(), 2)
	wantEqual(t, "threshold", tc.c.Info().SlowStart, 7300)
	wantEqual(t, "window", tc.c.Window() <= 7300, true)
}

// Without SACK an acknowledgement that covers a retransmission and what came
// after it says nothing about the round trip.
func TestKarnWithoutSACK(t *testing.T) {
	tc := established(t, Config{}, "mss 1460")
	tc.write(5840)
	tc.advance(100 * time.Millisecond)
	tc.inject("A 1 ack 1", "A 1 ack 1", "A 1 ack 1")
	tc.advance(150 * time.Millisecond)
	tc.inject("A 1 ack 5841")
	wantEqual(t, "SRTT", tc.c.SRTT(), 100*time.Millisecond)
}

// RFC 6298 sections 5.1 to 5.3: the timer runs while something is in flight,
// and begins anew with every acknowledgement of new data.
func TestRetransmissionTimer(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	wantEqual(t, "nothing in flight", tc.c.NextTimeout().IsZero(), true)
	tc.write(100)
	sent := tc.now
	tc.advance(50 * time.Millisecond)
	tc.write(100)
	wantEqual(t, "(5.1) the timer runs from the first", tc.c.NextTimeout(), sent.Add(tc.c.RTO()))
	tc.advance(50 * time.Millisecond)
	tc.inject("A 1 ack 101")
	wantEqual(t, "(5.3) new data acknowledged", tc.c.NextTimeout(), tc.now.Add(tc.c.RTO()))
	tc.advance(50 * time.Millisecond)
	due := tc.c.NextTimeout()
	tc.inject("A 1 ack 101")
	wantEqual(t, "the same again", tc.c.NextTimeout(), due)
	tc.inject("A 1 ack 201")
	wantEqual(t, "(5.2) all acknowledged", tc.c.NextTimeout().IsZero(), true)
}

// After an acknowledgement the backoff is gone.
func TestBackoffEnds(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(100)
	tc.advance(3 * time.Second)
	wantEqual(t, "timeouts in a row", tc.c.Timeouts(), 3)
	tc.inject("A 1 ack 101")
	wantEqual(t, "timeouts in a row", tc.c.Timeouts(), 0)
	tc.take()
	tc.write(100)
	tc.want("", "PA 101:201 ack 1")
	tc.wantAfter("the plain timeout", tc.c.RTO(), "PA 101:201 ack 1")
}

// An Upper that bounds the backoff decides itself when to give up.
func TestCapBackoff(t *testing.T) {
	tc := established(t, Config{Retries: 2}, plainOptions)
	tc.c.CapBackoff(time.Second)
	tc.write(100)
	tc.take()
	tc.wantAfter("first", 300*time.Millisecond, "PA 1:101 ack 1")
	tc.wantAfter("second", 600*time.Millisecond, "PA 1:101 ack 1")
	for range 20 {
		tc.wantAfter("from then on each second", time.Second, "PA 1:101 ack 1")
	}
	tc.c.CapBackoff(0)
	tc.advance(time.Minute)
	tc.wantClosed("the bound taken away", ErrTimeout)
}

// A peer that never answers is given up after so many timeouts (R2 of RFC 9293
// section 3.8.3).
func TestRetries(t *testing.T) {
	tc := established(t, Config{Retries: 3}, plainOptions)
	tc.write(100)
	tc.take()
	for i := range 3 {
		tc.wantAfter("again", 300*time.Millisecond<<i, "PA 1:101 ack 1")
	}
	tc.advance(300 * time.Millisecond << 3)
	tc.want("given up", "RA 101 ack 1")
	tc.wantClosed("given up", ErrTimeout)
	tc.wantEvent("given up", Closed)
}

// The user timeout counts from the last progress, to the moment (RFC 9293
// section 3.9.1.1, RFC 5482).
func TestUserTimeout(t *testing.T) {
	tc := established(t, Config{UserTimeout: 5 * time.Second}, plainOptions)
	tc.write(100)
	tc.advance(100 * time.Millisecond)
	tc.write(100)
	tc.inject("A 1 ack 101")
	tc.advance(5*time.Second - 1)
	tc.wantState("not yet", StateEstablished)
	tc.inject("A 1 ack 101")
	tc.advance(1)
	tc.wantClosed("no progress, though the peer is there", ErrTimeout)

	tc = established(t, Config{UserTimeout: 5 * time.Second}, plainOptions)
	tc.advance(time.Hour)
	tc.wantState("nothing to wait for", StateEstablished)
}

// After a silence longer than the timeout the window is not used at once (RFC
// 5681 section 4.1).
func TestIdleRestart(t *testing.T) {
	tc := established(t, Config{CongestionControl: "reno"}, plainOptions)
	next := 1
	for range 5 {
		tc.write(200000)
		for len(tc.take()) > 0 {
			tc.advance(100 * time.Millisecond)
			next = int(tc.c.SndNxt())
			tc.inject(fmt.Sprintf("A 1 ack %d", next))
		}
	}
	grown := tc.c.Window()
	if grown < 100*1460 {
		t.Fatalf("window %d has not grown", grown)
	}
	tc.advance(tc.c.RTO() - 100*time.Millisecond) // the last was sent 100 ms ago
	tc.write(1)
	wantEqual(t, "a timeout's length changes nothing", tc.c.Window(), grown)
	tc.inject(fmt.Sprintf("A 1 ack %d", next+1))
	tc.advance(10 * time.Minute)
	tc.write(1)
	wantEqual(t, "after a long time it starts anew", tc.c.Window(), 14600)
}

// A window that is not used up does not grow (RFC 5681 section 3.1, RFC 7661).
func TestAppLimited(t *testing.T) {
	tc := established(t, Config{CongestionControl: "reno"}, plainOptions)
	for i := range 100 {
		tc.write(1460)
		tc.take()
		tc.advance(10 * time.Millisecond)
		tc.inject(fmt.Sprintf("A 1 ack %d", (i+1)*1460+1))
	}
	wantEqual(t, "window", tc.c.Window(), 14600)
}
