package tcp

import (
	"testing"
	"time"
)

// A receiver that sends no data still learns the round-trip time from the
// timestamps that data echoes (RFC 7323 section 3), and lets its buffer grow by it.
func TestReceiverLearnsRTT(t *testing.T) {
	p := newTestPair(t, 1)
	p.delay = 25 * time.Millisecond
	p.a.buf.Send, p.b.buf.Recv = 8<<20, 8<<20
	p.a.send, p.a.shut = pattern(16<<20, 1), true
	p.connect()
	p.run("the stream is read to its end", time.Minute, func() bool { return p.b.err != nil })
	if got, want := p.b.s.Conn.RecvRTT(), 50*time.Millisecond; got < want || got > want+2*clockGrain {
		t.Errorf("RecvRTT = %v, want %v", got, want)
	}
	if got := p.b.s.in.Limit(); got < 1<<20 || got > 8<<20 {
		t.Errorf("receive buffer has grown to %d bytes, want 1 to 8 MiB", got)
	}
	if p.now.Sub(epoch) > 2*time.Second {
		t.Errorf("16 MiB over 50 ms took %v: the window held the sender back", p.now.Sub(epoch))
	}
}

func TestRecvRTTWithoutTimestamps(t *testing.T) {
	p := newTestPair(t, 1)
	p.a.cfg.NoTimestamps = true
	p.a.send, p.a.shut = pattern(1<<20, 1), true
	p.connect()
	p.run("the stream is read to its end", time.Minute, func() bool { return p.b.err != nil })
	if got, want := p.b.s.Conn.RecvRTT(), p.b.s.Conn.SRTT(); got != want || got == 0 {
		t.Errorf("RecvRTT = %v, want SRTT = %v", got, want)
	}
}

// Only the first segment that echoes a timestamp was waiting for it.
func TestRecvRTTSamples(t *testing.T) {
	tc := established(t, Config{}, tsOptions) // at 100 ms, so our clock shows 1100
	tc.advance(50 * time.Millisecond)
	tc.inject("A 1:101 ack 1 <ts 200 1100>")
	wantEqual(t, "first sample", tc.c.RecvRTT(), 50*time.Millisecond)
	tc.advance(400 * time.Millisecond)
	tc.inject("A 101:201 ack 1 <ts 600 1100>")
	wantEqual(t, "the same echo again", tc.c.RecvRTT(), 50*time.Millisecond)
	tc.inject("A 1 ack 1 <ts 600 1550>")
	wantEqual(t, "no data", tc.c.RecvRTT(), 50*time.Millisecond)
	tc.inject("A 201:301 ack 1 <ts 600 1460>")
	wantEqual(t, "a larger one counts for an eighth", tc.c.RecvRTT(), 55*time.Millisecond)
	tc.inject("A 301:401 ack 1 <ts 600 1550>")
	wantEqual(t, "a smaller one for half, and the clock has a grain", tc.c.RecvRTT(), 28*time.Millisecond)
}
