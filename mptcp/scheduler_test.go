package mptcp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/wire"
)

// scheduled is a connection with two subflows that have room, and a scheduler.
func scheduled(t *testing.T, s mptcp.Scheduler) (tc *testConn, a, b *testFlow) {
	tc, a, b = twoFlows(t, mptcp.Config{Scheduler: s})
	b.send(dataAck)
	tc.skip()
	return tc, a, b
}

func TestSchedulerNames(t *testing.T) {
	for _, s := range []mptcp.Scheduler{
		mptcp.SchedulerUnset, mptcp.SchedulerDefault, mptcp.SchedulerRoundRobin, mptcp.SchedulerRedundant,
	} {
		got := mptcp.Scheduler(99)
		if err := got.UnmarshalText([]byte(s.String())); err != nil || got != s {
			t.Errorf("%q: got %d, %v, want %d", s, got, err, s)
		}
	}
	var s mptcp.Scheduler
	if err := s.UnmarshalText([]byte("blest")); err == nil || !strings.Contains(err.Error(), "default, roundrobin, redundant") {
		t.Errorf("got %v, want the names there are", err)
	}
	if got := mptcp.Defaults().Scheduler; got != mptcp.SchedulerDefault {
		t.Errorf("the default is %v", got)
	}
}

func TestSchedulerInInfo(t *testing.T) {
	tc, _, _ := scheduled(t, mptcp.SchedulerRoundRobin)
	if got := tc.info().Scheduler; got != mptcp.SchedulerRoundRobin {
		t.Errorf("got %v, want roundrobin", got)
	}
	plain := newTestConn(t, mptcp.Config{Scheduler: mptcp.SchedulerRoundRobin})
	f := plain.syn()
	f.want("the SYN/ACK", isSYNACK)
	f.send()
	if got := plain.info(); got.Multipath || got.Scheduler != mptcp.SchedulerUnset {
		t.Errorf("in plain TCP: got %v", got.Scheduler)
	}
}

// With turns, each write takes another path, though both have room.
func TestRoundRobinAlternates(t *testing.T) {
	tc, a, b := scheduled(t, mptcp.SchedulerRoundRobin)
	got := map[*testFlow]int{}
	last := (*testFlow)(nil)
	for i := range 6 {
		tc.write(strings.Repeat("x", 100))
		for _, f := range []*testFlow{a, b} {
			n := sent(f)
			if got[f] += n; n > 0 && last == f {
				t.Errorf("write %d took the same path as the one before", i)
			} else if n > 0 {
				last = f
			}
		}
	}
	if got[a] != 300 || got[b] != 300 {
		t.Errorf("%d and %d bytes took the paths, want 300 each", got[a], got[b])
	}
}

// Who could not send in its turn, and so got less, is not given all that was
// left to the others.
func TestRoundRobinForgives(t *testing.T) {
	const n = 1000 << 10
	tc := newTestConn(t, mptcp.Config{Scheduler: mptcp.SchedulerRoundRobin})
	tc.addAddress(1, 0)
	wide := option(wire.HasWindowScale, func(o *wire.Options) { o.WindowScale = 10 })
	a := tc.server()
	b := tc.join(1, wide)
	b.send(dataAck)
	tc.skip()
	a.send(prio(true), dataAck) // for a while it has no turn at all
	write := func(n int) {
		t.Helper()
		for n > 0 {
			m, err := tc.conn.Write(tc.now, make([]byte, min(n, 64<<10)))
			if err != nil {
				t.Fatal(err)
			}
			n -= m
			for tc.pump(); sent(b) > 0; {
				b.send(dataAck)
			}
		}
	}
	write(n)
	a.send(prio(false), dataAck)
	tc.skip()
	gotA, gotB := 0, 0
	for range 400 {
		tc.write(strings.Repeat("x", 1000))
		gotA, gotB = gotA+sent(a), gotB+sent(b)
		a.send(dataAck)
		b.send(dataAck)
		gotA, gotB = gotA+sent(a), gotB+sent(b)
	}
	if ahead := gotA - gotB; gotA+gotB != 400e3 || ahead < 50<<10 || ahead > 70<<10 {
		t.Errorf("then %d and %d bytes took the paths: want the first to catch up with 64 KiB", gotA, gotB)
	}
}

// With redundancy both paths carry all bytes, and the end.
func TestRedundantSendsAllOnAll(t *testing.T) {
	tc, a, b := scheduled(t, mptcp.SchedulerRedundant)
	tc.write("one")
	tc.write("two")
	for _, f := range []*testFlow{a, b} {
		f.want("the first write", holds("one"), maps(2, 5))
		f.want("the second write", holds("two"), maps(5, 8))
	}
	tc.wantIdle("and nothing else")
	if got := tc.info().Stats.BytesReinjected; got != 6 {
		t.Errorf("%d bytes count as sent again, want 6", got)
	}
}

// A path that lags behind leaves out what the peer has from others.
func TestRedundantSkips(t *testing.T) {
	tc, a, b := scheduled(t, mptcp.SchedulerRedundant)
	b.window = 0
	b.send(dataAck)
	tc.skip()
	tc.write("one")
	a.want("the first write", holds("one"), maps(2, 5))
	b.wantIdle("with a closed window")
	a.send(dataAckAt(5))
	tc.write("two")
	a.want("the second write", holds("two"), maps(5, 8))
	b.window = 0xffff
	b.send(dataAckAt(5))
	b.want("only what the peer lacks", holds("two"), maps(5, 8))
	b.wantIdle("and nothing else")
}

// A subflow that is new sends what the peer may lack, and one that ends leaves
// nothing to be sent again: all have been at it.
func TestRedundantJoinsAndLeaves(t *testing.T) {
	tc, a, b := scheduled(t, mptcp.SchedulerRedundant)
	tc.addAddress(2, 0)
	tc.write("one")
	sent(a)
	sent(b)
	c := tc.joinSYN(2)
	c.want("the answer to MP_JOIN", isSYNACK, isJoin(wire.JoinSYNACK))
	c.send(joinAck)
	c.want("what is on its way", holds("one"), maps(2, 5))
	a.send(flags(wire.RST), acking(1))
	tc.advance(time.Millisecond)
	b.wantIdle("b has sent it")
	c.wantIdle("so has c")
	tc.write("two")
	b.want("new data", holds("two"))
	c.want("new data", holds("two"))
}

// The end of the stream goes with the last bytes on all paths.
func TestRedundantEnd(t *testing.T) {
	tc, a, b := scheduled(t, mptcp.SchedulerRedundant)
	if _, err := tc.conn.Write(tc.now, []byte("last")); err != nil {
		t.Fatal(err)
	}
	tc.conn.CloseWrite(tc.now)
	tc.pump()
	for _, f := range []*testFlow{a, b} {
		f.want("the last bytes with the end", holds("last"), maps(2, 7))
	}
}
