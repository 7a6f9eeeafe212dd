package simtest

import (
	"math"
	"time"

	"github.com/braid-mptcp/braid/sim"
)

// limit is how long the applications of a plan may take: a multiple of what
// TCP would need on the slowest path that stays, with the time that slow
// readers and writers and the changes of the network take on top. It is a limit
// for connections that hang; how fast they should be is for benchmarks.
func (r *run) limit() time.Duration {
	total := 3 * time.Minute
	bytes := 0
	for _, c := range r.plan.Conns {
		total += c.Start
		for _, e := range c.Ends {
			bytes += e.Size
			total += e.ReadFrom
			other := c.Ends[0].Size + c.Ends[1].Size
			if h := &e.Habits; h.Read > 0 {
				total += time.Duration(other/h.Read+1) * h.ReadEvery
			}
			if h := &e.Habits; h.Write > 0 {
				total += time.Duration(e.Size/h.Write+1) * h.WriteEvery
			}
		}
	}
	slowest := math.Inf(1)
	for i := range r.plan.Scenario.Paths {
		p := &r.plan.Scenario.Paths[i]
		slowest = min(slowest, r.rate(p, p.AB), r.rate(p, p.BA))
	}
	return total + time.Duration(float64(bytes)/slowest*float64(time.Second))
}

// rate is a low estimate of what one connection gets through a line, in bytes
// per second (Mathis et al., "The Macroscopic Behavior of the TCP Congestion
// Avoidance Algorithm", 1997).
func (r *run) rate(p *sim.Path, c sim.LinkConfig) float64 {
	rtt := (p.AB.Delay + p.BA.Delay + p.AB.Jitter + p.BA.Jitter + p.AB.ReorderDelay).Seconds() + 0.05
	queue := max(p.AB.QueueTime, p.BA.QueueTime).Seconds()
	loss := p.AB.Loss + p.BA.Loss + p.AB.Burst.Mean() + p.BA.Burst.Mean() + p.AB.Corrupt + p.BA.Corrupt +
		p.AB.Reorder + 0.01
	const mss = 536
	rate := mss / rtt / math.Sqrt(loss) / 4
	for i := range r.plan.Hosts {
		cfg := &r.plan.Hosts[i].Config.Conn
		for _, n := range []int{cfg.SendBuffer, cfg.RecvBuffer} {
			if n > 0 {
				rate = min(rate, float64(n)/(rtt+queue)/8)
			}
		}
	}
	return min(rate, float64(c.Rate)/8/4)
}
