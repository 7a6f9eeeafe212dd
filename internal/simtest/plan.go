package simtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
)

// Plan is a whole run: a network, two hosts on it, their connections, and what
// happens to their addresses. A seed gives one Plan, and a Plan one run.
type Plan struct {
	Scenario sim.Scenario
	Hosts    [2]HostPlan
	Conns    []ConnPlan
	Moves    []Move // in order of time
}

// HostPlan is one host. Its addresses are those of its end of the scenario's
// paths, in the order of paths.
type HostPlan struct {
	Config stack.Config
	Flags  []mptcp.EndpointFlags
	MTU    []int
}

// ConnPlan is one connection.
type ConnPlan struct {
	Start time.Duration
	From  int // the host that dials
	Path  int // over which
	Ends  [2]EndPlan
}

// EndPlan is what the application of one end does; Ends[0] is the dialler's.
type EndPlan struct {
	Size     int
	Habits   Habits
	ReadFrom time.Duration // since the start of the connection
	AbortAt  time.Duration
}

// Move takes an address away from a host and gives it one again.
type Move struct {
	At, Back  time.Duration // Back 0: never
	Host      int
	Path      int
	Renumber  bool // what comes back is another address
	Reachable bool // what is sent from the old address still gets through
}

// RandomPlan gives the plan of a seed.
func RandomPlan(seed uint64) Plan {
	d := dice{rand.New(rand.NewPCG(seed, 0x706c616e))}
	p := Plan{Scenario: sim.RandomScenario(seed)}
	for i := range p.Scenario.Paths {
		// A burst lasts for packets, not for a time: one retransmission at a
		// time would meet it for many minutes.
		for _, line := range []*sim.LinkConfig{&p.Scenario.Paths[i].AB, &p.Scenario.Paths[i].BA} {
			line.Burst.Leave = max(line.Burst.Leave, 0.5)
		}
	}
	for i := range p.Hosts {
		p.Hosts[i] = d.host(p.Scenario)
	}
	if d.oneIn(6) { // the classic test of interworking: one end has no Multipath TCP
		p.Hosts[d.IntN(2)].Config.Conn.Disabled = true
	}
	n := 1
	if d.oneIn(3) {
		n += d.IntN(5)
	}
	for range n {
		p.Conns = append(p.Conns, d.conn(p.Scenario))
	}
	if d.oneIn(3) {
		p.Moves = d.moves(p.Scenario)
	}
	// Numbers of their own: the other properties of a seed stay what they were.
	schedulers := dice{rand.New(rand.NewPCG(seed, 0x7363686564))}
	for i := range p.Hosts {
		p.Hosts[i].Config.Conn.Scheduler = mptcp.SchedulerDefault + mptcp.Scheduler(schedulers.IntN(3))
	}
	return p
}

// dice draws the properties of plans.
type dice struct{ *rand.Rand }

func (d dice) oneIn(n int) bool { return d.IntN(n) == 0 }

// between gives a number between lo and hi, small ones as often as large ones
// by order of magnitude.
func (d dice) between(lo, hi int) int {
	return int(float64(lo) * math.Pow(float64(hi)/float64(lo), d.Float64()))
}

func (d dice) duration(lo, hi time.Duration) time.Duration {
	return time.Duration(d.between(int(lo/time.Microsecond), int(hi/time.Microsecond))) * time.Microsecond
}

func (d dice) host(s sim.Scenario) HostPlan {
	var h HostPlan
	c := &h.Config.Conn
	c.Checksum = d.oneIn(4)
	c.RefuseChecksum = d.oneIn(12)
	c.NoJoinHere = d.oneIn(10)
	if d.oneIn(3) {
		c.SendBuffer = d.between(2<<10, 2<<20)
	}
	if d.oneIn(3) {
		c.RecvBuffer = d.between(2<<10, 2<<20)
	}
	if d.oneIn(5) {
		c.MaxSubflows = 1 + d.IntN(4)
	}
	if d.oneIn(6) {
		c.SYNsBeforeTCP = -1
	}
	t := &c.TCP
	t.NoTimestamps = d.oneIn(4)
	t.NoSACK = d.oneIn(5)
	t.NoWindowScale = d.oneIn(8)
	t.Nagle = d.oneIn(3)
	if d.oneIn(3) {
		t.CongestionControl = "reno"
	}
	if d.oneIn(6) {
		t.KeepAlive.Idle = d.duration(time.Second, time.Minute)
		t.KeepAlive.Interval = d.duration(time.Second, time.Minute)
	}
	if d.oneIn(3) {
		h.Config.MaxPacket = 65535
	}
	h.Config.ChecksumOffload = d.oneIn(3)
	for _, p := range s.Paths {
		var f mptcp.EndpointFlags
		for _, flag := range []struct {
			f mptcp.EndpointFlags
			n int // set n times in 8
		}{{mptcp.EndpointSubflow, 6}, {mptcp.EndpointSignal, 4}, {mptcp.EndpointBackup, 1}, {mptcp.EndpointFullmesh, 1}} {
			if d.IntN(8) < flag.n {
				f |= flag.f
			}
		}
		h.Flags = append(h.Flags, f)
		mtu := 1500
		if p.AB.MTU > 1500 && d.oneIn(2) || d.oneIn(4) {
			mtu = p.AB.MTU // no discovery needed
		}
		h.MTU = append(h.MTU, mtu)
	}
	return h
}

func (d dice) conn(s sim.Scenario) ConnPlan {
	c := ConnPlan{From: d.IntN(2), Path: d.IntN(len(s.Paths))}
	if !d.oneIn(4) {
		c.Path = lasting(s)
	}
	if d.oneIn(2) {
		c.Start = d.duration(time.Millisecond, 10*time.Second)
	}
	for i := range c.Ends {
		c.Ends[i] = d.end()
	}
	if c.Ends[0].Habits.Answer { // both would wait for ever
		c.Ends[1].Habits.Answer = false
	}
	return c
}

func (d dice) end() EndPlan {
	var e EndPlan
	switch d.IntN(8) {
	case 0:
	case 1:
		e.Size = 1 + d.IntN(1000)
	default:
		e.Size = d.between(1, 4<<20)
	}
	h := &e.Habits
	if d.oneIn(6) {
		h.Read = d.between(100, 32<<10)
		h.ReadEvery = d.duration(100*time.Microsecond, time.Second)
		// Not longer than it is worth watching.
		h.ReadEvery = min(h.ReadEvery, time.Minute*time.Duration(h.Read)/(4<<20)+time.Millisecond)
	}
	if d.oneIn(6) {
		h.Write = d.between(1, 32<<10)
		h.WriteEvery = d.duration(10*time.Microsecond, 100*time.Millisecond)
		e.Size = min(e.Size, 1000*h.Write)
	}
	if d.oneIn(10) {
		e.ReadFrom = d.duration(time.Millisecond, 20*time.Second)
	}
	h.Answer = d.oneIn(4)
	switch d.IntN(16) {
	case 0:
		h.Hasty = true
	case 1:
		e.AbortAt = d.duration(time.Millisecond, 10*time.Second)
	case 2:
		h.AbortAfter = d.between(1, 1<<20)
	}
	return e
}

func (d dice) moves(s sim.Scenario) []Move {
	var list []Move
	var at [2][4]time.Duration // when the address is there again
	for range 1 + d.IntN(3) {
		m := Move{Host: d.IntN(2), Path: d.IntN(len(s.Paths)), Renumber: d.oneIn(3), Reachable: d.oneIn(2)}
		free := &at[m.Host][m.Path]
		if *free < 0 {
			continue
		}
		m.At = *free + d.duration(10*time.Millisecond, 5*time.Second)
		m.Back = m.At + d.duration(50*time.Millisecond, 8*time.Second)
		*free = m.Back
		if m.Path != lasting(s) && d.oneIn(4) {
			m.Back, *free = 0, -1
		}
		list = append(list, m)
	}
	slices.SortStableFunc(list, func(a, b Move) int { return int(a.At - b.At) })
	return list
}

// lasting is a path that is up in the end.
func lasting(s sim.Scenario) int {
	for i := range s.Paths {
		if lasts(&s.Paths[i]) {
			return i
		}
	}
	return 0
}

func lasts(p *sim.Path) bool {
	n := len(p.Changes)
	return n == 0 || p.Changes[n-1].Up
}

// renumbered is the address that follows a in a Move that renumbers.
func renumbered(a netip.Addr) netip.Addr { return a.Next().Next() }

// String tells all of the plan in one line.
func (p Plan) String() string {
	var b strings.Builder
	b.WriteString(p.Scenario.String())
	for i, h := range p.Hosts {
		fmt.Fprintf(&b, " | host %c%s", 'A'+i, h)
	}
	for i, c := range p.Conns {
		fmt.Fprintf(&b, " | conn%d %c path%d @%v", i, 'A'+c.From, c.Path, c.Start)
		for j, e := range c.Ends {
			fmt.Fprintf(&b, " %s{%v}", [2]string{"dials", "serves"}[j], e)
		}
	}
	for _, m := range p.Moves {
		fmt.Fprintf(&b, " | %c leaves path%d @%v back @%v", 'A'+m.Host, m.Path, m.At, m.Back)
		flag(&b, m.Renumber, "elsewhere")
		flag(&b, m.Reachable, "reachable")
	}
	return b.String()
}

func flag(b *strings.Builder, on bool, name string) {
	if on {
		b.WriteString(" " + name)
	}
}

func number[T int | time.Duration](b *strings.Builder, n T, name string) {
	if n != 0 {
		fmt.Fprintf(b, " %s %v", name, n)
	}
}

func (h HostPlan) String() string {
	var b strings.Builder
	c := &h.Config.Conn
	flag(&b, c.Disabled, "disabled")
	flag(&b, c.Checksum, "checksum")
	flag(&b, c.RefuseChecksum, "refuse-checksum")
	flag(&b, c.NoJoinHere, "no-join-here")
	number(&b, c.SendBuffer, "send")
	number(&b, c.RecvBuffer, "recv")
	number(&b, c.MaxSubflows, "subflows")
	number(&b, c.SYNsBeforeTCP, "syns")
	flag(&b, true, c.Scheduler.String())
	flag(&b, c.TCP.NoTimestamps, "no-ts")
	flag(&b, c.TCP.NoSACK, "no-sack")
	flag(&b, c.TCP.NoWindowScale, "no-scale")
	flag(&b, c.TCP.Nagle, "nagle")
	flag(&b, c.TCP.CongestionControl != "", c.TCP.CongestionControl)
	number(&b, c.TCP.KeepAlive.Idle, "keepalive")
	number(&b, h.Config.MaxPacket, "max-packet")
	flag(&b, h.Config.ChecksumOffload, "offload")
	for i, f := range h.Flags {
		fmt.Fprintf(&b, " %d:%d", i, h.MTU[i])
		for j, name := range []string{"s", "a", "b", "f"} { // subflow, signal, backup, fullmesh
			if f&(1<<j) != 0 {
				b.WriteString(name)
			}
		}
	}
	return b.String()
}

func (e EndPlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d B", e.Size)
	h := &e.Habits
	if h.Read > 0 {
		fmt.Fprintf(&b, " reads %d each %v", h.Read, h.ReadEvery)
	}
	if h.Write > 0 {
		fmt.Fprintf(&b, " writes %d each %v", h.Write, h.WriteEvery)
	}
	number(&b, e.ReadFrom, "reads from")
	flag(&b, h.Answer, "answers")
	flag(&b, h.Hasty, "hasty")
	number(&b, e.AbortAt, "aborts at")
	number(&b, h.AbortAfter, "aborts after")
	return b.String()
}
