package netns

import (
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Route is a route to be added. A destination of length 0 is the default route.
type Route struct {
	Dst    string // prefix, or "default" (then Via or Src gives the family)
	Via    string // gateway address; empty: on the link itself
	Dev    *End   // may be nil when Via is on a link
	Src    string // preferred source address; may be empty
	Table  int    // 0: main
	Metric int
}

// AddRoute adds a route, or replaces the one with the same destination, table
// and metric.
func (n *NS) AddRoute(r Route) {
	n.t.Helper()
	nr := &netlink.Route{Table: r.Table, Priority: r.Metric}
	hint := r.Via + r.Src
	if r.Via != "" {
		nr.Gw = n.addr(r.Via).AsSlice()
	}
	if r.Src != "" {
		nr.Src = n.addr(r.Src).AsSlice()
	}
	if r.Dev != nil {
		nr.LinkIndex = r.Dev.Index
		if r.Via == "" {
			nr.Scope = netlink.SCOPE_LINK
		}
	}
	dst := r.Dst
	if dst == "default" {
		dst = "0.0.0.0/0"
		for _, c := range hint {
			if c == ':' {
				dst = "::/0"
			}
		}
	}
	p, err := netip.ParsePrefix(dst)
	n.must(err, "route to %q", r.Dst)
	nr.Dst = ipNet(p)
	n.must(n.nl.RouteReplace(nr), "route to %s", r.Dst)
}

// AddSourceRule lets packets from the address look up their route in table,
// ahead of the main table.
func (n *NS) AddSourceRule(from string, table int) {
	n.t.Helper()
	a := n.addr(from)
	r := netlink.NewRule()
	r.Family = family(a)
	r.Src = ipNet(netip.PrefixFrom(a, a.BitLen()))
	r.Table = table
	r.Priority = 1000 + table
	n.must(n.nl.RuleAdd(r), "rule from %s lookup %d", from, table)
}

// SetForwarding makes the namespace a router.
func (n *NS) SetForwarding() {
	n.t.Helper()
	n.SetSysctl("net.ipv4.ip_forward", "1")
	if n.hasSysctl("net.ipv6.conf.all.forwarding") {
		n.SetSysctl("net.ipv6.conf.all.forwarding", "1")
	}
}

func (n *NS) addr(s string) netip.Addr {
	n.t.Helper()
	a, err := netip.ParseAddr(s)
	n.must(err, "address %q", s)
	return a
}

func family(a netip.Addr) int {
	if a.Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}
