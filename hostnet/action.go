package hostnet

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/braid-mptcp/braid/kernel"
)

// Action is one thing to install: one of its fields is not nil.
type Action struct {
	Link     *LinkAction     `json:"link,omitempty"`
	Route    *RouteAction    `json:"route,omitempty"`
	Rule     *RuleAction     `json:"rule,omitempty"`
	Sysctl   *SysctlAction   `json:"sysctl,omitempty"`
	Table    *TableAction    `json:"table,omitempty"`
	Endpoint *EndpointAction `json:"endpoint,omitempty"`
	Limits   *LimitsAction   `json:"limits,omitempty"`
}

// String gives the commands that would do the same.
func (a Action) String() string {
	switch {
	case a.Link != nil:
		return a.Link.String()
	case a.Route != nil:
		return a.Route.String()
	case a.Rule != nil:
		return a.Rule.String()
	case a.Sysctl != nil:
		return a.Sysctl.String()
	case a.Table != nil:
		return a.Table.String()
	case a.Endpoint != nil:
		return a.Endpoint.String()
	case a.Limits != nil:
		return a.Limits.String()
	}
	return "nothing"
}

// LinkAction marks the TUN interface and brings it up.
type LinkAction struct {
	Dev   string `json:"dev"`
	Alias string `json:"alias"`
}

// String gives the commands that would do the same.
func (l LinkAction) String() string {
	return fmt.Sprintf("ip link set dev %s alias %s up", l.Dev, l.Alias)
}

// RouteAction adds a route.
type RouteAction struct {
	Dst    netip.Prefix `json:"dst"`
	Via    netip.Addr   `json:"via,omitzero"`
	OnLink bool         `json:"onlink,omitempty"`
	Dev    string       `json:"dev,omitempty"`
	Table  int          `json:"table"`
	// Unreachable is for when no other route of the table leads there: the
	// search ends here. It has the metric lastMetric and no Dev.
	Unreachable bool `json:"unreachable,omitempty"`
}

const lastMetric = 1 << 30

// String gives the command that would do the same.
func (r RouteAction) String() string {
	dst := r.Dst.String()
	if r.Dst.Bits() == 0 {
		dst = "default"
	}
	if r.Unreachable {
		return fmt.Sprintf("ip%s route add unreachable %s metric %d table %d proto %d",
			flag6(r.Dst.Addr()), dst, lastMetric, r.Table, Protocol)
	}
	s := fmt.Sprintf("ip%s route add %s", flag6(r.Dst.Addr()), dst)
	if r.Via.IsValid() {
		s += " via " + r.Via.String()
	}
	s += " dev " + r.Dev
	if r.OnLink {
		s += " onlink"
	}
	return fmt.Sprintf("%s table %d proto %d", s, r.Table, Protocol)
}

// RuleAction makes packets from a prefix, or to one, use a table.
type RuleAction struct {
	From     netip.Prefix `json:"from,omitzero"`
	To       netip.Prefix `json:"to,omitzero"`
	Table    int          `json:"table"`
	Priority int          `json:"priority"`
	// Specific leaves the table's default routes out: they are for another
	// rule to choose.
	Specific bool `json:"specific,omitempty"`
}

// String gives the command that would do the same.
func (r RuleAction) String() string {
	s := fmt.Sprintf("ip%s rule add pref %d", flag6(r.prefix().Addr()), r.Priority)
	if r.From.IsValid() {
		s += " from " + prefixString(r.From)
	}
	if r.To.IsValid() {
		s += " to " + prefixString(r.To)
	}
	s += fmt.Sprintf(" lookup %d", r.Table)
	if r.Specific {
		s += " suppress_prefixlength 0"
	}
	return fmt.Sprintf("%s protocol %d", s, Protocol)
}

func (r RuleAction) prefix() netip.Prefix {
	if r.From.IsValid() {
		return r.From
	}
	return r.To
}

// prefixString leaves out the length of a single address, as ip does.
func prefixString(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func flag6(a netip.Addr) string {
	if a.Is6() {
		return " -6"
	}
	return ""
}

// SysctlAction changes a setting. Old, the value to go back to, is filled in
// when the action is journaled; it stays empty for settings of the TUN
// interface, which go with it.
type SysctlAction struct {
	Name  string `json:"name"` // with slashes: net/ipv4/conf/eth0/forwarding
	Value string `json:"value"`
	Old   string `json:"old,omitempty"`
}

// String gives the command that would do the same.
func (s SysctlAction) String() string {
	return fmt.Sprintf("sysctl -w %s=%s", s.Name, s.Value)
}

// TableAction adds an nftables table of our own, for one address family.
type TableAction struct {
	Name string `json:"name"`
	IPv6 bool   `json:"ipv6,omitempty"`
	// From is masqueraded wherever it goes but to Dev.
	From netip.Prefix `json:"from"`
	Dev  string       `json:"dev"`
	// Forwards go to the stack.
	Forwards []Forward `json:"forwards,omitempty"`
	// Guarded are interfaces that do not forward but for us: connections that
	// come in there go to the stack or nowhere.
	Guarded []string `json:"guarded,omitempty"`
}

// Forward hands TCP connections to an address of the host to the stack.
type Forward struct {
	Addr netip.AddrPort `json:"addr"`
	To   netip.AddrPort `json:"to"`
}

// String gives the table in the words of nft(8).
func (t TableAction) String() string {
	ip, b := "ip", &strings.Builder{}
	if t.IPv6 {
		ip = "ip6"
	}
	fmt.Fprintf(b, "nft add table %s %s {\n", ip, t.Name)
	fmt.Fprintf(b, "  chain postrouting { type nat hook postrouting priority srcnat;\n")
	fmt.Fprintf(b, "    %s saddr %s oifname != %q masquerade }\n", ip, t.From, t.Dev)
	if len(t.Forwards) > 0 {
		for _, hook := range []string{"prerouting", "output"} {
			fmt.Fprintf(b, "  chain %s { type nat hook %s priority dstnat;\n", hook, hook)
			for _, f := range t.Forwards {
				fmt.Fprintf(b, "    %s daddr %s tcp dport %d dnat to %s\n", ip, f.Addr.Addr(), f.Addr.Port(), f.To)
			}
			fmt.Fprintf(b, "  }\n")
		}
	}
	if len(t.Guarded) > 0 {
		fmt.Fprintf(b, "  chain forward { type filter hook forward priority filter;\n")
		for _, dev := range t.Guarded {
			fmt.Fprintf(b, "    iifname %q ct state established,related accept\n", dev)
			fmt.Fprintf(b, "    iifname %q ct status dnat accept\n", dev)
			fmt.Fprintf(b, "    iifname %q drop\n", dev)
		}
		fmt.Fprintf(b, "  }\n")
	}
	b.WriteString("}")
	return b.String()
}

// EndpointAction adds an endpoint to the kernel's path manager.
type EndpointAction struct {
	Addr  netip.Addr           `json:"addr"`
	Port  uint16               `json:"port,omitempty"` // to announce; 0: the connection's own
	ID    uint8                `json:"id,omitempty"`   // 0: the kernel chooses
	Dev   string               `json:"dev"`
	Flags kernel.EndpointFlags `json:"flags"`
}

func (e EndpointAction) endpoint() kernel.Endpoint {
	return kernel.Endpoint{Addr: e.Addr, Port: e.Port, ID: e.ID, Dev: e.Dev, Flags: e.Flags}
}

// String gives the command that would do the same.
func (e EndpointAction) String() string {
	return "ip mptcp endpoint add " + e.endpoint().String()
}

// LimitsAction sets the limits of the kernel's path manager. Old, the values to
// go back to, is filled in when the action is journaled.
type LimitsAction struct {
	Limits kernel.Limits `json:"limits"`
	Old    kernel.Limits `json:"old"`
}

// String gives the command that would do the same.
func (l LimitsAction) String() string {
	return fmt.Sprintf("ip mptcp limits set subflow %d add_addr_accepted %d",
		l.Limits.Subflows, l.Limits.AddAddrAccepted)
}
