package stream

import "time"

// InitialRecv is the receive window in bytes to begin with where a Tuner will
// raise it: enough for most connections, and little to lose to the others.
const InitialRecv = 256 << 10

// tunerSlack is added to what a Tuner asks for: the window is advertised in
// steps, and trails what is read by them.
const tunerSlack = 64 << 10

// Tuner finds how large a receive buffer has to be for the window not to be
// what limits the sender (dynamic right-sizing): twice what the application
// reads in a round-trip time, since a sender in slow start sends twice as much
// in the next. A reader that does not keep up leaves the buffer as it is.
//
// Max must be set; the rest starts at zero.
type Tuner struct {
	Max int // bytes; the buffer is never asked to be larger

	since time.Time // when this round began
	bytes int       // read in it
	last  int       // the most read in any round before
}

// Read notes that the application took n bytes where the round-trip time, as
// the receiver sees it, is rtt (0: not known yet). It gives the limit the
// buffer should now have at least, in bytes, or 0: leave it.
func (t *Tuner) Read(now time.Time, n int, rtt time.Duration) (grow int) {
	if t.since.IsZero() {
		t.since = now
	}
	t.bytes += n
	if rtt <= 0 || now.Sub(t.since) < rtt {
		return 0
	}
	round, before := t.bytes, t.last
	t.since, t.bytes = now, 0
	if round <= before {
		return 0
	}
	t.last = round
	return min(wantedWindow(round, before)+tunerSlack, t.Max)
}

// wantedWindow is twice the bytes of a round, and more where rounds still
// grow: what is advertised now meets the round after the next.
func wantedWindow(round, before int) int {
	want := 2 * int64(round)
	if growth := int64(round - before); before > 0 && growth < int64(before) {
		want += want * growth / int64(before)
	} else {
		want *= 2
	}
	return int(min(want, 1<<31-1))
}
