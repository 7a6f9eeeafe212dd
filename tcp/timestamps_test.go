package tcp

import (
	"testing"
	"time"
)

const tsOptions = "mss 1460, ws 7, sackok, ts 100 1000"

// A segment with an older timestamp is a duplicate from another time: it is
// answered and dropped (RFC 7323 section 5.3).
func TestPAWS(t *testing.T) {
	tc := established(t, Config{}, tsOptions)
	tc.inject("PA 1:11 ack 1 <ts 200 1000>")
	tc.want("taken", "A 1 ack 11 <ts 1100 200>")
	tc.inject("PA 11:21 ack 1 <ts 199 1000>")
	tc.want("an old duplicate", "A 1 ack 11 <ts 1100 200>")
	wantEqual(t, "rejected", tc.c.Info().Stats.PAWSRejected, 1)
	tc.inject("PA 11:21 ack 1 <ts 200 1000>")
	tc.want("equal is not older", "A 1 ack 21 <ts 1100 200>")
	tc.inject("PA 21:31 ack 1 <ts 2147483847 1000>")
	tc.want("half the clock ahead", "A 1 ack 31 <ts 1100 2147483847>")
	tc.inject("PA 31:41 ack 1 <ts 4294967000 1000>", "PA 41:51 ack 1 <ts 4 1000>")
	tc.want("up to the wrap", "A 1 ack 41 <ts 1100 4294967000>")
	tc.want("and beyond", "A 1 ack 51 <ts 1100 4>")
}

// PAWS does not protect against RST, nor may it protect from it (RFC 7323
// section 5.2).
func TestPAWSAndRST(t *testing.T) {
	tc := established(t, Config{}, tsOptions)
	tc.inject("R 1 <ts 50 0>")
	tc.wantClosed("a RST's timestamp does not matter", ErrReset)
	tc = established(t, Config{}, tsOptions)
	tc.inject("R 1")
	tc.wantClosed("nor does it need one", ErrReset)
}

// After 24 days TS.Recent says nothing any more, and the next segment sets it
// anew (RFC 7323 section 5.5).
func TestPAWSAfterLongIdle(t *testing.T) {
	tc := established(t, Config{}, tsOptions)
	tc.inject("PA 1:11 ack 1 <ts 3000000000 1000>") // older than 100, by the sign
	tc.want("rejected at first", "A 1 ack 1")
	tc.advance(pawsIdle - time.Second)
	tc.inject("PA 1:11 ack 1 <ts 3000000000 1000>")
	tc.want("rejected still", "A 1 ack 1")
	tc.advance(2 * time.Second)
	tc.inject("PA 1:11 ack 1 <ts 3000000000 1000>")
	if len(tc.sent) == 0 {
		t.Fatal("not answered")
	}
	if got := tc.sent[0].text; !segMatches("A 1 ack 11", got) {
		t.Fatalf("after long idle: %s", got)
	}
	wantEqual(t, "TS.Recent", tc.c.ts.recent, 3000000000)
	tc.take()
	tc.inject("PA 11:21 ack 1 <ts 2999999999 1000>")
	wantEqual(t, "rejected by the new one", tc.c.Info().Stats.PAWSRejected, 3)
}

// TS.Recent comes from the segment that begins where the last acknowledgement
// ended, or before: with a delayed acknowledgement the earliest one's is
// echoed, and one that comes early echoes nothing of its own (RFC 7323 section 4.3).
func TestTSRecent(t *testing.T) {
	tc := established(t, Config{}, tsOptions)
	tc.c.ack.count = quickAcks // no quick acknowledgements
	tc.inject("A 1:1449 ack 1 <ts 200 1000>", "A 1449:2897 ack 1 <ts 210 1000>")
	tc.want("two segments, the first one's timestamp", "A 1 ack 2897 <ts 1100 200>")
	tc.wantIdle("one acknowledgement for two")
	tc.inject("A 4345:5793 ack 1 <ts 230 1000>")
	tc.want("a gap: the last one's before it", "A 1 ack 2897 <ts 1100 200, sack 4345-5793>")
	tc.inject("A 2897:4345 ack 1 <ts 240 1000>")
	tc.want("the gap is filled: the filler's", "A 1 ack 5793 <ts 1100 240>")
	tc.inject("A 1:1449 ack 1 <ts 250 1000>")
	tc.want("a duplicate below does not count", "A 1 ack 5793 <ts 1100 240>")
}

// Our own clock is the timestamp's, from its own start, in milliseconds.
func TestTimestampClock(t *testing.T) {
	tc := established(t, Config{}, tsOptions)
	tc.write(10)
	tc.want("after 100 ms", "PA 1:11 ack 1 <ts 1100 100>")
	tc.advance(7 * time.Millisecond)
	tc.write(10)
	tc.want("after 107 ms", "PA 11:21 ack 1 <ts 1107 100>")
}

// Deviation from RFC 7323 section 3.2: a segment that lacks the timestamp it
// should have is taken. Middleboxes that strip options mid-way exist, and the
// sequence number was checked anyway.
func TestMissingTimestamp(t *testing.T) {
	tc := established(t, Config{}, tsOptions)
	tc.inject("PA 1:11 ack 1")
	tc.want("taken all the same", "A 1 ack 11 <ts 1100 100>")
}

// Echoes that cannot be ours give no round-trip time.
func TestBogusEcho(t *testing.T) {
	for _, tc := range []struct {
		name, echo string
		ok         bool
	}{
		{"none", "0", false},
		{"in the future", "5000", false},
		{"a minute and more ago", "4294900000", false},
		{"right", "1090", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := established(t, Config{}, tsOptions)
			seg := c.segment("A 1 ack 1 <ts 300 " + tc.echo + ">")
			if _, ok := c.c.echoedRTT(c.now, seg); ok != tc.ok {
				t.Errorf("echoedRTT: %v, want %v", ok, tc.ok)
			}
		})
	}
}
