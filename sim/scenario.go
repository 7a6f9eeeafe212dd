package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"
)

// Scenario is a network between two multihomed hosts A and B: one link for
// each pair of addresses, and what happens to the links over time.
type Scenario struct {
	Seed  uint64
	Paths []Path
}

// Path is one link of a Scenario.
type Path struct {
	Name    string
	A, B    netip.Addr
	AB, BA  LinkConfig
	Changes []Change // in order of time
}

// Change cuts a path or brings it back.
type Change struct {
	At time.Duration // since the start
	Up bool
}

// RandomScenario gives the scenario of a seed: one to four paths of 0.5 to
// 100 Mbit/s, up to 200 ms, IPv4 or IPv6, MTUs from 576 (IPv6: 1280) to 9000,
// queues from a few packets to seconds, and in a part of them random or
// bursty loss up to 10 % together, jitter, reordering, duplication and
// corruption, black holes for ICMP, and cuts. At least one path is up in the
// end.
func RandomScenario(seed uint64) Scenario {
	const stream = 1 << 33 // not that of a network of this seed
	d := dice{newRand(seed, stream)}
	s := Scenario{Seed: seed, Paths: make([]Path, 1+d.IntN(4))}
	lasting := d.IntN(len(s.Paths)) // this path is up in the end
	for i := range s.Paths {
		s.Paths[i] = d.path(i, i == lasting)
	}
	return s
}

// dice draws the properties of scenarios.
type dice struct{ *rand.Rand }

// oneIn is true once in n times.
func (d dice) oneIn(n int) bool { return d.IntN(n) == 0 }

// between gives a number between lo and hi, small ones as often as large ones
// by order of magnitude.
func (d dice) between(lo, hi float64) float64 {
	return lo * math.Pow(hi/lo, d.Float64())
}

func (d dice) duration(lo, hi time.Duration) time.Duration {
	return time.Duration(d.between(float64(lo), float64(hi))).Round(10 * time.Microsecond)
}

func (d dice) path(i int, lasting bool) Path {
	p := Path{
		Name: fmt.Sprintf("path%d", i),
		A:    netip.AddrFrom4([4]byte{10, byte(i), 0, 1}),
		B:    netip.AddrFrom4([4]byte{10, byte(i), 0, 2}),
	}
	minMTU := 576
	if d.oneIn(4) {
		p.A = netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(i), 15: 1})
		p.B = netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(i), 15: 2})
		minMTU = 1280
	}
	mtu, noICMP := 1500, false
	if d.oneIn(3) {
		mtu = minMTU + d.IntN(9000-minMTU+1)
		noICMP = d.oneIn(6)
	}
	p.AB = d.line(mtu, noICMP)
	p.BA = p.AB
	if d.oneIn(3) {
		p.BA = d.line(mtu, noICMP)
	}
	if d.oneIn(3) {
		p.Changes = d.changes(lasting)
	}
	return p
}

func (d dice) line(mtu int, noICMP bool) LinkConfig {
	c := LinkConfig{Rate: int64(d.between(0.5e6, 100e6)), MTU: mtu, NoICMP: noICMP}
	if !d.oneIn(8) {
		c.Delay = d.duration(time.Millisecond, 200*time.Millisecond)
	}
	if d.oneIn(4) {
		c.Jitter = d.duration(100*time.Microsecond, max(c.Delay, time.Millisecond))
		c.JitterReorders = d.oneIn(3)
	}
	d.queue(&c)
	d.damage(&c)
	return c
}

// queue chooses a limit that lets a burst of five large packets pass.
func (d dice) queue(c *LinkConfig) {
	least := 5 * (c.MTU + EthernetHeader)
	switch d.IntN(4) {
	case 0:
		c.QueuePackets = int(d.between(5, 1000))
	case 1:
		burst, _ := c.sendTime(least, 0)
		c.QueueTime = max(burst, d.duration(20*time.Millisecond, 2*time.Second))
	case 2:
		c.QueueBytes = max(least, int(d.between(8e3, 1e6)))
	case 3:
		// One bandwidth-delay product, as textbooks want it.
		c.QueueBytes = max(least, int(float64(c.Rate)/8*2*c.Delay.Seconds()))
	}
}

func (d dice) damage(c *LinkConfig) {
	const most = 0.1
	if d.oneIn(2) {
		c.Loss = d.between(0.0005, most)
	}
	if d.oneIn(6) {
		c.Burst = Burst{Enter: d.between(0.0005, 0.01), Leave: d.between(0.05, 0.5), Loss: 0.3 + 0.7*d.Float64()}
		c.Loss = min(c.Loss, max(0, most-c.Burst.Mean()))
		// Bursts alone must not exceed the limit either.
		if mean := c.Burst.Mean(); mean > most {
			c.Burst.Loss *= most / mean
		}
	}
	if d.oneIn(5) {
		c.Reorder = d.between(0.001, 0.1)
		c.ReorderDelay = d.duration(100*time.Microsecond, 50*time.Millisecond)
	}
	if d.oneIn(6) {
		c.Duplicate = d.between(0.001, 0.05)
	}
	if d.oneIn(8) {
		c.Corrupt = d.between(0.0001, 0.01)
	}
}

// changes cuts a path one to three times, in the end for good only if it need
// not last.
func (d dice) changes(lasting bool) []Change {
	var list []Change
	var at time.Duration
	for range 1 + d.IntN(3) {
		at += d.duration(10*time.Millisecond, 5*time.Second)
		list = append(list, Change{At: at})
		if !lasting && d.oneIn(3) {
			return list
		}
		at += d.duration(50*time.Millisecond, 5*time.Second)
		list = append(list, Change{At: at, Up: true})
	}
	return list
}

// Build makes the links of the scenario in a network, in the order of Paths,
// and enters the changes in its agenda. The hosts are the caller's to attach.
func (s Scenario) Build(n *Network) []*Link {
	links := make([]*Link, len(s.Paths))
	for i, p := range s.Paths {
		l := n.Connect(p.Name, p.A, p.B, p.AB, p.BA)
		links[i] = l
		for _, c := range p.Changes {
			if c.Up {
				n.After(c.At, l.Up)
			} else {
				n.After(c.At, func() { l.Down(n.Now()) })
			}
		}
	}
	return links
}

// Ends gives the addresses of the two hosts, in the order of Paths.
func (s Scenario) Ends() (a, b []netip.Addr) {
	for _, p := range s.Paths {
		a, b = append(a, p.A), append(b, p.B)
	}
	return a, b
}

// String tells all of the scenario in one line.
func (s Scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d", s.Seed)
	for _, p := range s.Paths {
		fmt.Fprintf(&b, "; %s", p.Name)
		if p.A.Is6() {
			b.WriteString(" v6")
		}
		fmt.Fprintf(&b, " %v", p.AB)
		if p.BA != p.AB {
			fmt.Fprintf(&b, " / back %v", p.BA)
		}
		for _, c := range p.Changes {
			if c.Up {
				fmt.Fprintf(&b, " up@%v", c.At)
			} else {
				fmt.Fprintf(&b, " down@%v", c.At)
			}
		}
	}
	return b.String()
}
