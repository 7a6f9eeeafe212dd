package tcp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// nosyUpper is a Stream that adds a 12-byte option to every segment, as a
// subflow does, and acts on its connection when told of something.
type nosyUpper struct {
	*Stream
	rooms  []int // that Options was offered
	act    map[Event]func(now time.Time)
	notify []Event
	refuse bool // the SYN/ACK
	drop   bool // everything that is received
}

func (u *nosyUpper) Received(now time.Time, seg *wire.Segment) bool {
	if u.refuse && seg.Flags.Has(wire.SYN) {
		u.Conn.Refuse(now, seg)
	}
	if seg.Flags.Has(wire.RST) {
		u.Conn.Abort(now) // as a subflow does with its siblings
	}
	return !u.drop
}

func (u *nosyUpper) Options(now time.Time, seg *wire.Segment, ch *Chunk, room int) {
	u.rooms = append(u.rooms, room)
	seg.Options.Set |= wire.HasDSS
	seg.Options.DSS = wire.DSS{HasAck: true, Ack64: true}
}

func (u *nosyUpper) Overhead() int { return 12 }

func (u *nosyUpper) Notify(now time.Time, e Event) {
	u.notify = append(u.notify, e)
	u.Stream.Notify(now, e)
	if f := u.act[e]; f != nil {
		f(now)
	}
}

// nosy is a connection of a nosyUpper in ESTABLISHED.
func nosy(t *testing.T, options string) (*testConn, *nosyUpper) {
	t.Helper()
	tc, u := opening(t)
	tc.advance(10 * time.Millisecond)
	tc.inject("SA 0 ack 1 win 65535 <" + options + ">")
	tc.take()
	return tc, u
}

// Options share their 40 bytes: SACK blocks take what the Upper leaves, and a
// full segment has room for what the Upper adds.
func TestRoomForOptions(t *testing.T) {
	tc, u := nosy(t, tsOptions)
	for i := range 4 {
		tc.inject(fmt.Sprintf("A %d:%d ack 1 <ts 100 1000>", 200*i+101, 200*i+201))
	}
	for i, want := range []string{"sack 101-201", "sack 301-401", "sack 501-601", "sack 701-801"} {
		tc.want(fmt.Sprintf("one block beside timestamps and DSS (%d)", i), "A 1 ack 1 <"+want+">")
	}
	wantEqual(t, "room beside timestamps", u.rooms[len(u.rooms)-1], 28)
	tc.write(3000)
	first := tc.take()[0]
	wantEqual(t, "a full packet", first.wire, 1500)
	wantEqual(t, "segment size", tc.c.SegmentSize(), 1500-40-12-12)
}

// An Upper may abort in any notification, and that is the end.
func TestAbortInNotify(t *testing.T) {
	for _, tc := range []struct {
		event Event
		prep  func(*testConn)
		do    func(*testConn)
	}{
		{Established, nil, nil},
		{PeerClosed, nil, in("FA 1 ack 1")},
		{PeerClosed, func(c *testConn) { c.closeWrite(); c.inject("A 1 ack 2") }, in("FA 1 ack 2")},
		{Progress, func(c *testConn) { c.write(5000) }, in("A 1 ack 1461")},
		{Stalled, func(c *testConn) { c.write(5000) }, func(c *testConn) { c.advance(time.Second) }},
		{Waiting, (*testConn).closeWrite, in("FA 1 ack 2")},
	} {
		t.Run(tc.event.String(), func(t *testing.T) {
			c, u := opening(t)
			abort := func(now time.Time) { c.c.Abort(now) }
			if tc.event == Established {
				u.act[tc.event] = abort
			}
			c.inject("SA 0 ack 1 win 65535 <mss 1460, sackok>")
			if tc.prep != nil {
				tc.prep(c)
			}
			u.act[tc.event] = abort
			if tc.do != nil {
				tc.do(c)
			}
			c.wantClosed("aborted", ErrAborted)
			closed := 0
			for _, e := range u.notify {
				if e == Closed {
					closed++
				}
			}
			wantEqual(t, "told of the end", closed, 1)
			wantEqual(t, "last notification", u.notify[len(u.notify)-1], Closed)
		})
	}
}

// opening is a connection of a nosyUpper in SYN-SENT.
func opening(t *testing.T) (*testConn, *nosyUpper) {
	t.Helper()
	tc := newTestConn(t, Config{})
	u := &nosyUpper{Stream: newStream(&tc.cfg, tc.buf), act: map[Event]func(time.Time){}}
	tc.c = Connect(tc.now, tc.cfg, u)
	tc.s, u.Conn = u.Stream, tc.c
	tc.drain()
	tc.take()
	return tc, u
}

// An Upper that does not want a SYN/ACK has it answered with a reset that the
// peer must believe.
func TestRefuse(t *testing.T) {
	tc, u := opening(t)
	u.refuse = true
	tc.inject("SA 0 ack 1 win 65535 <mss 1460>")
	tc.want("refused", "RA 1 ack 1")
	tc.wantClosed("refused", ErrAborted)
}

// A segment that the Upper drops brings no bytes, but its acknowledgement counts.
func TestDroppedByUpper(t *testing.T) {
	tc, u := nosy(t, "mss 1460, sackok")
	tc.write(100)
	u.drop = true
	tc.take()
	tc.inject("PA 1:11 ack 101")
	wantEqual(t, "acknowledged", tc.c.SndUna(), 101)
	wantEqual(t, "received", tc.c.RcvNxt(), 1)
	u.drop = false
	tc.inject("PA 1:11 ack 101")
	wantEqual(t, "received when it comes again", tc.c.RcvNxt(), 11)
}

// No reset is answered with a reset, whatever the Upper does.
func TestNoResetForReset(t *testing.T) {
	tc, _ := nosy(t, "mss 1460")
	tc.inject("R 1")
	tc.wantIdle("silence")
	tc.wantClosed("by the peer", ErrReset)

	tc, _ = opening(t)
	tc.inject("RA 0 ack 1")
	tc.wantIdle("silence")
	tc.wantClosed("by the peer", ErrRefused)
}

// AckAlone goes out ahead of data, and without.
func TestAckAlone(t *testing.T) {
	tc, _ := nosy(t, "mss 1460")
	tc.c.AckAlone()
	if n, err := tc.s.Write(tc.now, []byte{ourByte(1)}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	tc.drain()
	tc.want("alone", "A 1 ack 1")
	tc.want("then the data", "PA 1:2 ack 1")
	tc.wantIdle("that is all")
}

// Request.Fit is what an Upper answers a request with.
func TestRequestFit(t *testing.T) {
	for _, tc := range []struct {
		r       Request
		n, want int
	}{
		{Request{Max: 1000, Least: 1}, 0, 0},
		{Request{Max: 1000, Least: 1}, 1, 1},
		{Request{Max: 1000, Least: 1}, 1000, 1000},
		{Request{Max: 1000, Least: 1}, 5000, 1000},
		{Request{Max: 1000, Least: 1, Whole: true}, 1000, 1000},
		{Request{Max: 1000, Least: 1, Whole: true}, 1001, 0},
		{Request{Max: 3000, Least: 1000}, 999, 0},
		{Request{Max: 3000, Least: 1000}, 1000, 1000},
		{Request{Max: 3000, Least: 1000}, 2999, 2000},
		{Request{Max: 3000, Least: 1000}, 3500, 3000},
	} {
		if got := tc.r.Fit(tc.n); got != tc.want {
			t.Errorf("%+v: Fit(%d) = %d, want %d", tc.r, tc.n, got, tc.want)
		}
	}
}

// What a connection tells of the bytes it carries.
func TestBytesInFlight(t *testing.T) {
	tc := established(t, Config{}, plainOptions)
	tc.write(4380)
	tc.closeWrite()
	tc.advance(10 * time.Millisecond)
	tc.inject("A 1 ack 1461 <sack 2921-4381>")
	var rest []seq.Range
	tc.c.Unacked(func(ch *Chunk, r seq.Range) { rest = append(rest, r) })
	if want := []seq.Range{{Lo: 1461, Hi: 2921}, {Lo: 2921, Hi: 4381}}; !slices.Equal(rest, want) {
		t.Errorf("may be sent again: got %v, want %v", rest, want)
	}
	for _, p := range []struct {
		at   seq.Pos
		want bool
	}{{1460, false}, {1461, true}, {2920, true}, {4380, true}, {4381, false}} {
		if got := tc.c.Carries(p.at); got != p.want {
			t.Errorf("carries %d: %v", p.at, got)
		}
	}
	wantEqual(t, "last progress", tc.c.LastProgress(), tc.now)
	tc.inject("A 1 ack 4382")
	wantEqual(t, "last progress with nothing in flight", tc.c.LastProgress(), time.Time{})
	wantEqual(t, "bytes acknowledged", tc.c.Info().Stats.BytesAcked, 4380)
	wantEqual(t, "bytes sent", tc.c.Info().Stats.BytesSent, 4380)
}
