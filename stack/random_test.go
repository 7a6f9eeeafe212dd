package stack_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/link/pcap"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/wire"
)

var (
	simN     = flag.Uint64("sim.n", envNumber("BRAID_SIM_N", 150), "how many random runs")
	simFirst = flag.Uint64("sim.first", 0, "the first seed")
	simSeed  = flag.String("sim.seed", os.Getenv("BRAID_SIM_SEED"), "replay this seed alone")
	simPcap  = flag.String("sim.pcap", "", "with -sim.seed: write the run to this file as pcapng")
	simTrace = flag.Bool("sim.trace", false, "with -sim.seed: print every packet")
	simSched mptcp.Scheduler
)

func init() {
	flag.TextVar(&simSched, "sim.scheduler", mptcp.SchedulerUnset, "the scheduler of both hosts, instead of those of the seed")
}

// randomPlan is the plan of a seed, with a scheduler for both hosts unless that
// is unset.
func randomPlan(seed uint64, s mptcp.Scheduler) simtest.Plan {
	p := simtest.RandomPlan(seed)
	for i := range p.Hosts {
		if s != mptcp.SchedulerUnset {
			p.Hosts[i].Config.Conn.Scheduler = s
		}
	}
	return p
}

func envNumber(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// failure is a seed that found something, with the scheduler at that time.
type failure struct {
	seed      uint64
	scheduler mptcp.Scheduler // unset: the seed's
}

var onceFailed = failures(mptcp.SchedulerDefault,
	2, 15, 18, 62, 104, 342, 401, 1178, 1371, 1414, 1628, 1640, 1736, 1778, 1877, 2076, 2419, 2725, 2753, 2817, 2984,
	3026, 3133, 3192, 3436, 3682, 5477, 6331, 6695, 7323, 13143, 14782, 23475, 34849, 107169, 107730, 125522,
	134468, 149946, 154678, 244146, 259540, 330773, 387246, 394606, 529766,
)

func failures(s mptcp.Scheduler, seeds ...uint64) (list []failure) {
	for _, seed := range seeds {
		list = append(list, failure{seed, s})
	}
	return list
}

// TestRandom runs whole connections over random networks, as simtest.RandomPlan
// makes them from a seed, and checks that both streams arrive, that nothing
// hangs and that nothing is left. A seed that fails is replayed by
//
//	go test ./stack -run TestRandom -sim.seed=S [-sim.pcap=FILE] [-sim.trace]
func TestRandom(t *testing.T) {
	if *simSeed != "" {
		replay(t)
		return
	}
	n := *simN
	if testing.Short() {
		n = min(n, 30)
	}
	for _, f := range onceFailed {
		runSeed(t, f.seed, f.scheduler)
	}
	var next atomic.Uint64
	next.Store(*simFirst)
	var workers sync.WaitGroup
	var sum summary
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				seed := next.Add(1) - 1
				if seed >= *simFirst+n {
					return
				}
				sum.add(seed, runSeed(t, seed, simSched))
			}
		})
	}
	workers.Wait()
	t.Log(sum.String())
}

func runSeed(t *testing.T, seed uint64, s mptcp.Scheduler) (res simtest.Result) {
	plan := randomPlan(seed, s)
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("seed %d: panic: %v\n%s\n%v", seed, r, debug.Stack(), plan)
		}
	}()
	res, err := plan.Run(sim.Taps{})
	if err != nil {
		t.Errorf("seed %d: %v\n%v\nreplay with -sim.seed=%d -sim.scheduler=%v", seed, err, plan, seed, s)
	}
	return res
}

// TestReplay holds that one seed is one run, packet for packet.
func TestReplay(t *testing.T) {
	record := func(seed uint64) [sha256.Size]byte {
		h := sha256.New()
		note := func(now time.Time, where string, pkt []byte) {
			fmt.Fprintln(h, now.Sub(sim.Epoch), where, len(pkt))
			h.Write(pkt)
		}
		if _, err := simtest.RandomPlan(seed).Run(sim.Taps{Sent: note, Arrived: note}); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		return [sha256.Size]byte(h.Sum(nil))
	}
	for seed := range uint64(10) {
		if first, second := record(seed), record(seed); first != second {
			t.Errorf("seed %d: two runs differ", seed)
		}
	}
}

// replay runs one seed, and shows or records what happens.
func replay(t *testing.T) {
	seed, err := strconv.ParseUint(*simSeed, 10, 64)
	if err != nil {
		t.Fatalf("-sim.seed: %v", err)
	}
	plan := randomPlan(seed, simSched)
	t.Log(plan)
	var taps []sim.Taps
	if *simTrace {
		taps = append(taps, printer())
	}
	if *simPcap != "" {
		tap, done := recorder(t, *simPcap)
		defer done()
		taps = append(taps, tap)
	}
	res, err := plan.Run(simtest.Join(taps...))
	t.Logf("%+v", res)
	if err != nil {
		t.Fatal(err)
	}
}

func printer() sim.Taps {
	show := func(now time.Time, where, why string, pkt []byte) {
		var seg wire.Segment
		what := fmt.Sprintf("%d bytes, not TCP", len(pkt))
		if wire.ParseSegment(pkt, &seg, true) == nil {
			what = seg.String()
		}
		fmt.Printf("%10.4f %-8s %-4s %s\n", now.Sub(sim.Epoch).Seconds(), where, why, what)
	}
	return sim.Taps{
		Sent:    func(now time.Time, where string, pkt []byte) { show(now, where, "sent", pkt) },
		Arrived: func(now time.Time, where string, pkt []byte) { show(now, where, "got", pkt) },
		Lost: func(now time.Time, where string, why sim.Fate, pkt []byte) {
			show(now, where, "lost", pkt)
		},
	}
}

// recorder writes packets as they are sent, each direction of each path as an
// interface of its own.
func recorder(t *testing.T, name string) (sim.Taps, func()) {
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := pcap.NewWriter(f)
	interfaces := map[string]*pcap.Interface{}
	sent := func(now time.Time, where string, pkt []byte) {
		i := interfaces[where]
		if i == nil {
			if i, err = w.Interface(where); err != nil {
				t.Fatal(err)
			}
			interfaces[where] = i
		}
		if err := i.WritePacket(now, pkt, wire.Offload{}); err != nil {
			t.Fatal(err)
		}
	}
	return sim.Taps{Sent: sent}, func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// summary tells what the runs were like, so that a test that tests nothing is
// noticed.
type summary struct {
	mu        sync.Mutex
	runs      int
	conns     int
	whole     int
	multipath int
	joined    int
	late      int
	bytes     int
	excuses   map[string]int
	fallbacks map[string]int
	slowest   float64 // share of the limit
	slowSeed  uint64
	buffers   int
	mappings  int
}

func (s *summary) add(seed uint64, res simtest.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.excuses == nil {
		s.excuses, s.fallbacks = map[string]int{}, map[string]int{}
	}
	s.runs++
	s.buffers, s.mappings = max(s.buffers, res.Buffers), max(s.mappings, res.Mappings)
	if share := res.Elapsed.Seconds() / res.Limit.Seconds(); share > s.slowest && share < 1 {
		s.slowest, s.slowSeed = share, seed
	}
	for _, c := range res.Conns {
		s.conns++
		s.bytes += c.Bytes
		if c.Whole {
			s.whole++
		} else {
			s.excuses[c.Excuse]++
		}
		if c.Multipath {
			s.multipath++
		} else {
			s.fallbacks[c.Fallback.String()]++
		}
		if c.LateError {
			s.late++
		}
		if c.Subflows > 1 {
			s.joined++
		}
	}
}

func (s *summary) String() string {
	count := func(m map[string]int) string {
		var list []string
		for k, n := range m {
			list = append(list, fmt.Sprintf("%d %s", n, k))
		}
		slices.Sort(list)
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%d runs, %d connections, %d whole (%d with a late error; not: %s), %d Multipath TCP (not: %s), %d joined, %d MB; "+
		"slowest took %.2f of its limit (seed %d); at most %d kB of buffers, %d mappings",
		s.runs, s.conns, s.whole, s.late, count(s.excuses), s.multipath, count(s.fallbacks), s.joined, s.bytes>>20,
		s.slowest, s.slowSeed, s.buffers>>10, s.mappings)
}
