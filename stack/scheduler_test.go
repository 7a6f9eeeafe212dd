package stack_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
)

func scheduledBy(s mptcp.Scheduler) stack.Config {
	return stack.Config{Conn: mptcp.Config{Scheduler: s}}
}

// messages is a server that sends messages of 1000 bytes, and when the client has
// how many bytes of them.
type messages struct {
	bed    *simtest.Bed
	client *simtest.App
	server *simtest.App
	began  time.Time
	every  time.Duration
	n      int
	came   []time.Time // by message
}

// runStream lets a server send n messages over two paths, once both are up.
func runStream(t *testing.T, b *simtest.Bed, n int, every time.Duration) *messages {
	t.Helper()
	const warm = 2 * time.Second
	s := &messages{bed: b, n: n, every: every}
	b.Server.Serve = func(*mptcp.Conn) *simtest.App {
		s.server = &simtest.App{}
		return s.server
	}
	s.client = b.Dial(nil, &simtest.App{Send: []byte("go")})
	b.Run("two subflows", warm, func() bool {
		return s.server != nil && s.server.Received.Len() == 2 && len(s.server.Conn.Info(b.Net.Now()).Subflows) == 2
	})
	for i := range n {
		b.Net.After(warm-b.Net.Elapsed()+time.Duration(i)*every, func() {
			s.server.Send = append(s.server.Send, simtest.Pattern(message, uint64(i))...)
			s.server.Step(b.Net.Now())
		})
	}
	s.began = sim.Epoch.Add(warm)
	b.Run("all messages", warm+time.Duration(n)*every+time.Minute, func() bool {
		for len(s.came) < s.client.Received.Len()/message {
			s.came = append(s.came, b.Net.Now())
		}
		return len(s.came) == n
	})
	for i, got := 0, s.client.Received.Bytes(); i < n; i++ {
		if string(got[i*message:][:message]) != string(simtest.Pattern(message, uint64(i))) {
			t.Fatalf("message %d is another", i)
		}
	}
	s.client.Shut, s.client.Close, s.server.Shut, s.server.Close = true, true, true, true
	s.client.Step(b.Net.Now())
	s.server.Step(b.Net.Now())
	b.Run("nothing is left", 10*time.Minute, b.Gone)
	return s
}

const message = 1000

// worst is the longest that a message was on its way.
func (s *messages) worst() (d time.Duration) {
	for i, at := range s.came {
		d = max(d, at.Sub(s.began.Add(time.Duration(i)*s.every)))
	}
	return d
}

// bySubflow are the bytes that each subflow carried so far.
func bySubflow(b *simtest.Bed, c *mptcp.Conn) []float64 {
	info := c.Info(b.Net.Now())
	list := make([]float64, len(info.Subflows))
	for _, sf := range info.Subflows {
		list[sf.ID] = float64(sf.BytesSent)
	}
	return list
}

// TestRoundRobinShares: as long as both paths have room, both carry the same,
// however different they are. The default leaves the slower one idle then.
func TestRoundRobinShares(t *testing.T) {
	for _, tc := range []struct {
		s         mptcp.Scheduler
		lo, hi    float64 // share of the slower path
		large     bool
		writeSize int
	}{
		{s: mptcp.SchedulerDefault, lo: 0, hi: 0.01, writeSize: 1000},
		{s: mptcp.SchedulerRoundRobin, lo: 0.499, hi: 0.501, writeSize: 1000},
		{s: mptcp.SchedulerRoundRobin, lo: 0.49, hi: 0.51, writeSize: 4000},
		{s: mptcp.SchedulerRoundRobin, lo: 0.49, hi: 0.51, writeSize: 4000, large: true},
	} {
		t.Run(fmt.Sprint(tc.s, tc.writeSize, tc.large), func(t *testing.T) {
			cfg := scheduledBy(tc.s)
			if tc.large {
				cfg.MaxPacket = 65535
			}
			b := simtest.NewBed(t, 1, cfg, simtest.Line(100, 5*ms), simtest.Line(40, 30*ms))
			const size = 8 << 20
			var server *simtest.App
			var half, all []float64 // when half was written, and all
			b.Server.Serve = func(*mptcp.Conn) *simtest.App {
				server = &simtest.App{Send: simtest.Pattern(size, 2), Shut: true, Close: true}
				// 8 Mbit/s or 32 with paths of 100 and 40: each has room for half.
				server.Habits.Write, server.Habits.WriteEvery = tc.writeSize, ms
				return server
			}
			client := b.Dial(nil, &simtest.App{Shut: true, Close: true})
			b.Run("all arrives", 10*time.Minute, func() bool {
				switch {
				case server == nil:
				case half == nil && len(server.Send) <= size/2:
					half = bySubflow(b, server.Conn)
				case all == nil && len(server.Send) == 0:
					all = bySubflow(b, server.Conn)
				}
				return client.Err == io.EOF
			})
			if len(half) != 2 || len(all) != 2 {
				t.Fatalf("%d and %d subflows", len(half), len(all))
			}
			slow := (all[1] - half[1]) / (all[0] - half[0] + all[1] - half[1])
			if slow < tc.lo || slow > tc.hi {
				t.Errorf("the slower path got a share of %.3f, want %.3f to %.3f", slow, tc.lo, tc.hi)
			}
			b.Run("nothing is left", 5*time.Minute, b.Gone)
		})
	}
}

// TestRoundRobinFillsBoth: with more to send than both carry, each carries what
// it can.
func TestRoundRobinFillsBoth(t *testing.T) {
	b := simtest.NewBed(t, 1, scheduledBy(mptcp.SchedulerRoundRobin), simtest.Line(40, 10*ms), simtest.Line(20, 30*ms))
	const size = 16 << 20
	transfer(t, b, nil, simtest.Pattern(size, 2))
	rate := size * 8 / b.Net.Elapsed().Seconds() / 1e6
	t.Logf("%.1f Mbit/s", rate)
	if rate < 0.9*60*0.95 {
		t.Errorf("got %.1f Mbit/s, want nearly 60", rate)
	}
}

// TestRedundantLatency sends messages over two paths that lose 5 % each: with
// redundancy hardly any has to wait for a retransmission.
func TestRedundantLatency(t *testing.T) {
	late := func(s mptcp.Scheduler) (n int) {
		lossy := simtest.Line(20, 20*ms)
		lossy.Loss = 0.05
		st := runStream(t, simtest.NewBed(t, 7, scheduledBy(s), lossy, lossy), 1000, 40*ms)
		for i, at := range st.came {
			if at.Sub(st.began.Add(time.Duration(i)*st.every)) > 30*ms {
				n++
			}
		}
		return n
	}
	usual, redundant := late(mptcp.SchedulerDefault), late(mptcp.SchedulerRedundant)
	t.Logf("late messages of 1000: default %d, redundant %d", usual, redundant)
	if usual < 50 || redundant*5 > usual {
		t.Errorf("late messages of 1000: default %d, redundant %d: want at most a fifth", usual, redundant)
	}
}

// TestRedundantTakesTheFastest gives the connection a slow first path and makes
// the paths change places on the way: no message is later than on the better of
// the two.
func TestRedundantTakesTheFastest(t *testing.T) {
	jittery := simtest.Line(20, 20*ms)
	jittery.Jitter = 300 * ms
	b := simtest.NewBed(t, 1, scheduledBy(mptcp.SchedulerRedundant), jittery, simtest.Line(20, 30*ms))
	s := runStream(t, b, 500, 10*ms)
	t.Logf("latest message after %v", s.worst())
	if s.worst() > 31*ms {
		t.Errorf("a message took %v, want 30 ms as on the steady path", s.worst())
	}
}

// TestRedundantCut cuts either path of a running stream: nobody who reads it
// sees that.
func TestRedundantCut(t *testing.T) {
	for _, path := range []int{0, 1} {
		worst := func(s mptcp.Scheduler) time.Duration {
			b := simtest.NewBed(t, 1, scheduledBy(s), simtest.Line(20, 20*ms), simtest.Line(20, 20*ms))
			b.Net.After(3*time.Second, func() { b.Links[path].Down(b.Net.Now()) })
			return runStream(t, b, 300, 10*ms).worst()
		}
		usual, redundant := worst(mptcp.SchedulerDefault), worst(mptcp.SchedulerRedundant)
		t.Logf("path %d: latest message after %v with default, %v with redundant", path, usual, redundant)
		if path == 0 && usual < 50*ms {
			t.Errorf("the cut of the path in use delayed no message by more than %v with the default: this tests nothing", usual)
		}
		if redundant > 21*ms {
			t.Errorf("path %d: a message took %v, want 20 ms as ever", path, redundant)
		}
	}
}

// TestRedundantBulk: what there is to send in bulk goes at the rate of the
// fastest path, and a cut of that leaves a gap of one round trip of the other.
func TestRedundantBulk(t *testing.T) {
	b := simtest.NewBed(t, 1, scheduledBy(mptcp.SchedulerRedundant), simtest.Line(40, 10*ms), simtest.Line(20, 30*ms))
	const size = 8 << 20
	_, server := transfer(t, b, nil, simtest.Pattern(size, 2))
	rate := size * 8 / b.Net.Elapsed().Seconds() / 1e6
	info := server.Conn.Info(b.Net.Now())
	t.Logf("%.1f Mbit/s, %d bytes sent again", rate, info.Stats.BytesReinjected)
	if rate < 0.85*40*0.95 || rate > 40 {
		t.Errorf("got %.1f Mbit/s, want nearly 40", rate)
	}

	b = simtest.NewBed(t, 1, scheduledBy(mptcp.SchedulerRedundant), simtest.Line(20, 20*ms), simtest.Line(20, 20*ms))
	b.Net.After(2*time.Second, func() { b.Links[0].Down(b.Net.Now()) })
	client, _ := transfer(t, b, nil, simtest.Pattern(size, 2))
	t.Logf("longest stall %v", client.Longest)
	if client.Longest > 100*ms {
		t.Errorf("got a stall of %v after the cut", client.Longest)
	}
}
