package hostnet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Plan is what is to be installed, in order, and what for. It can be printed
// and compared; Host.Install carries it out.
type Plan struct {
	Paths    []Path
	Actions  []Action
	Warnings []string // what the plan cannot take care of
	// Prefix4 and Prefix6 hold the user stack's addresses; not valid where a
	// family is not used.
	Prefix4, Prefix6 netip.Prefix
	// Table is the first of the routing tables.
	Table int
	slots []string // uplinks by the number in their addresses and tables
}

// Planner makes a plan from what is there.
type Planner func(State) (Plan, error)

// Path is one address to use, and the uplink that its packets leave by.
type Path struct {
	Uplink string
	Index  int // of the uplink's interface
	// Addr is the local address for the stack: one of its own, or, in a
	// KernelPlan, the uplink's.
	Addr netip.Addr
	// Public is the uplink's address: what packets from Addr come from in the
	// eyes of others, and where Forwards wait for them.
	Public netip.Addr
	Table  int
}

// String gives the plan as commands, a line each but for nftables tables, with
// the warnings as comments ahead.
func (p Plan) String() string {
	var b strings.Builder
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "# warning: %s\n", w)
	}
	for _, path := range p.Paths {
		fmt.Fprintf(&b, "# %s by way of %s (%s)\n", path.Addr, path.Uplink, path.Public)
	}
	for _, a := range p.Actions {
		b.WriteString(a.String())
		b.WriteByte('\n')
	}
	return b.String()
}

func (p *Plan) add(actions ...Action) { p.Actions = append(p.Actions, actions...) }

// uplinkRoutes gives packets from addr the uplink's way out, by a table of its
// own. They take no other: when the uplink is down, which takes its routes
// along, they are not to leave by another and make a dead path look alive.
func (p *Plan) uplinkRoutes(u Uplink, w Way, addr netip.Addr, table, priority int) {
	if w.Prefix.IsValid() && !w.Prefix.IsSingleIP() {
		p.add(Action{Route: &RouteAction{Dst: w.Prefix.Masked(), Dev: u.Name, Table: table}})
	}
	p.add(
		Action{Route: &RouteAction{
			Dst: defaultPrefix(addr), Via: w.Gateway, OnLink: w.OnLink, Dev: u.Name, Table: table,
		}},
		Action{Route: &RouteAction{Dst: defaultPrefix(addr), Table: table, Unreachable: true}},
		Action{Rule: &RuleAction{From: single(addr), Table: table, Priority: priority}},
	)
	p.Paths = append(p.Paths, Path{Uplink: u.Name, Index: u.Index, Addr: addr, Public: w.Addr, Table: table})
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func defaultPrefix(a netip.Addr) netip.Prefix {
	if a.Is6() {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// slot numbers the uplinks. One that was seen before keeps its number, so that
// connections keep their addresses.
func (p *Plan) slot(name string) (int, bool) {
	if i := slices.Index(p.slots, name); i >= 0 {
		return i, true
	}
	if len(p.slots) == maxUplinks {
		return 0, false
	}
	p.slots = append(p.slots, name)
	return len(p.slots) - 1, true
}

const (
	// maxUplinks bounds the numbers given to uplinks in a process's life.
	maxUplinks = 32
	// firstTable and firstPriority are where our tables and rules begin,
	// ahead of the main table's rule at 32,766 and after the local one's at 0.
	firstTable    = 5200
	firstPriority = 5200
	mainTable     = 254
)
