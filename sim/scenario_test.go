package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRandomScenarios(t *testing.T) {
	paths := make(map[int]int)
	features := make(map[string]int)
	for seed := range uint64(2000) {
		s := RandomScenario(seed)
		if got := s.String(); got != RandomScenario(seed).String() || strings.Contains(got, "\n") {
			t.Fatalf("seed %d: not the same scenario twice, or more than a line: %s", seed, got)
		}
		paths[len(s.Paths)]++
		lasting := false
		for i, p := range s.Paths {
			if p.A == p.B || p.A.Is4() != p.B.Is4() {
				t.Errorf("%v: path %d between %v and %v", s, i, p.A, p.B)
			}
			lasting = lasting || len(p.Changes) == 0 || p.Changes[len(p.Changes)-1].Up
			checkChanges(t, s, p)
			for _, c := range []LinkConfig{p.AB, p.BA} {
				checkLine(t, s, p, c)
				countFeatures(features, c)
			}
			if len(p.Changes) > 0 {
				features["cut"]++
			}
			if p.A.Is6() {
				features["IPv6"]++
			}
		}
		if !lasting {
			t.Errorf("%v: no path is up in the end", s)
		}
	}
	for n := 1; n <= 4; n++ {
		if paths[n] < 300 {
			t.Errorf("%d of 2000 scenarios have %d paths", paths[n], n)
		}
	}
	for _, f := range []string{"loss", "burst", "jitter", "reorder", "duplicate", "corrupt", "cut", "IPv6",
		"queue packets", "queue bytes", "queue time", "small MTU", "large MTU", "no ICMP"} {
		if features[f] < 100 {
			t.Errorf("%s came up %d times in 2000 scenarios", f, features[f])
		}
	}
}

func checkLine(t *testing.T, s Scenario, p Path, c LinkConfig) {
	t.Helper()
	minMTU := 576
	if p.A.Is6() {
		minMTU = 1280
	}
	switch {
	case c.Rate < 0.5e6 || c.Rate > 100e6:
		t.Errorf("%v: rate %d", s, c.Rate)
	case c.Delay < 0 || c.Delay > 200*time.Millisecond || c.Jitter > 200*time.Millisecond:
		t.Errorf("%v: delay %v+%v", s, c.Delay, c.Jitter)
	case c.Loss+c.Burst.Mean() > 0.1001:
		t.Errorf("%v: loss %v", s, c.Loss+c.Burst.Mean())
	case c.MTU < minMTU || c.MTU > 9000:
		t.Errorf("%v: MTU %d", s, c.MTU)
	case c.QueueBytes > 0 && c.QueueBytes < 2*c.MTU:
		t.Errorf("%v: queue of %d bytes", s, c.QueueBytes)
	}
}

func checkChanges(t *testing.T, s Scenario, p Path) {
	t.Helper()
	var last time.Duration
	for i, c := range p.Changes {
		if c.At <= last || c.Up != (i%2 == 1) {
			t.Errorf("%v: change %d is %+v", s, i, c)
		}
		last = c.At
	}
}

func countFeatures(features map[string]int, c LinkConfig) {
	for name, on := range map[string]bool{
		"loss": c.Loss > 0, "burst": c.Burst.Enter > 0, "jitter": c.Jitter > 0, "reorder": c.Reorder > 0,
		"duplicate": c.Duplicate > 0, "corrupt": c.Corrupt > 0, "small MTU": c.MTU < 1500, "large MTU": c.MTU > 1500,
		"queue packets": c.QueuePackets > 0, "queue bytes": c.QueueBytes > 0, "queue time": c.QueueTime > 0, "no ICMP": c.NoICMP,
	} {
		if on {
			features[name]++
		}
	}
}

func ExampleRandomScenario() {
	fmt.Println(RandomScenario(20))
	// Output:
	// seed 20; path0 18.46Mbit/s 1.69ms+330µs reorder=0.22%(8.43ms) queue=8p mtu=1500
}
