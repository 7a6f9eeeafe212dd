package hostnet

import (
	"fmt"
	"net/netip"
	"slices"
)

// StackConfig says what the user stack behind a TUN interface wants.
type StackConfig struct {
	Tag string // of this installation; names the nftables tables
	Dev string // the TUN interface
	// Prefix4 and Prefix6 hold the stack's addresses. Not valid means that
	// free ones are chosen: a /24 of 198.18.0.0/15, which is set aside for
	// tests of networks (RFC 2544), and a /64 of fd62:7261:6964::/48, a unique
	// local prefix. None of them is seen outside of the host.
	Prefix4, Prefix6 netip.Prefix
	// Forwards are TCP ports of the host that are the stack's.
	Forwards []PortForward
	// Previous is the plan installed now, whose addresses and tables stay.
	Previous *Plan
}

// PortForward hands TCP connections to a port of the host's to the stack.
type PortForward struct {
	Port uint16 // of the host, at the address of every uplink
	To   uint16 // of the stack; 0: the same
}

var (
	pool4 = netip.MustParsePrefix("198.18.0.0/15")
	pool6 = netip.MustParsePrefix("fd62:7261:6964::/48")
)

// StackPlan plans for the user stack. Without any uplink it fails with
// ErrNoUplink, unless there is a previous plan, whose uplinks may come back.
func StackPlan(state State, cfg StackConfig) (Plan, error) {
	if err := cfg.validate(); err != nil {
		return Plan{}, err
	}
	if len(state.Uplinks) == 0 && cfg.Previous == nil {
		return Plan{}, ErrNoUplink
	}
	p, err := startPlan(state, cfg)
	if err != nil {
		return Plan{}, err
	}
	if _, ok := state.Sysctls[sysctl6("all", "forwarding")]; ok {
		// Link-local addresses would only make the kernel talk to itself.
		p.add(Action{Sysctl: &SysctlAction{Name: sysctl6(cfg.Dev, "addr_gen_mode"), Value: "1"}})
	}
	p.add(Action{Link: &LinkAction{Dev: cfg.Dev, Alias: tableName(cfg.Tag)}})
	for _, f := range []family{
		{ipv6: false, prefix: p.Prefix4, way: func(u Uplink) Way { return u.V4 }},
		{ipv6: true, prefix: p.Prefix6, way: func(u Uplink) Way { return u.V6 }},
	} {
		p.addFamily(state, cfg, f)
	}
	for _, chain := range state.ForwardDrops {
		p.Warnings = append(p.Warnings, fmt.Sprintf(
			"firewall chain %q drops forwarded packets by policy: let it accept those of interface %s", chain, cfg.Dev))
	}
	return p, nil
}

func (cfg StackConfig) validate() error {
	if !validTag(cfg.Tag) {
		return fmt.Errorf("%w: tag %q", ErrConfig, cfg.Tag)
	}
	if cfg.Dev == "" {
		return fmt.Errorf("%w: no TUN interface", ErrConfig)
	}
	for _, p := range []netip.Prefix{cfg.Prefix4, cfg.Prefix6} {
		if p.IsValid() && p.Addr().BitLen()-p.Bits() < 6 {
			return fmt.Errorf("%w: prefix %s has not room for %d addresses", ErrConfig, p, maxUplinks)
		}
	}
	if cfg.Prefix4.IsValid() && !cfg.Prefix4.Addr().Is4() || cfg.Prefix6.IsValid() && !cfg.Prefix6.Addr().Is6() {
		return fmt.Errorf("%w: prefixes %s and %s are of the wrong family", ErrConfig, cfg.Prefix4, cfg.Prefix6)
	}
	for _, f := range cfg.Forwards {
		if f.Port == 0 {
			return fmt.Errorf("%w: forward of port 0", ErrConfig)
		}
	}
	return nil
}

// startPlan settles prefixes and tables, as they were in the previous plan.
func startPlan(state State, cfg StackConfig) (p Plan, err error) {
	if prev := cfg.Previous; prev != nil {
		p.Prefix4, p.Prefix6, p.Table, p.slots = prev.Prefix4, prev.Prefix6, prev.Table, slices.Clone(prev.slots)
		return p, nil
	}
	if p.Prefix4, err = choosePrefix(state, cfg.Prefix4, pool4, 24); err != nil {
		return p, err
	}
	if p.Prefix6, err = choosePrefix(state, cfg.Prefix6, pool6, 64); err != nil {
		return p, err
	}
	p.Table = state.freeTables(firstTable, 1+maxUplinks)
	return p, nil
}

// choosePrefix checks that want is free, or finds a free prefix in the pool.
func choosePrefix(state State, want, pool netip.Prefix, bits int) (netip.Prefix, error) {
	if want.IsValid() {
		if !state.isFree(want) {
			return want, fmt.Errorf("%w: prefix %s is in use on this host", ErrConfig, want)
		}
		return want.Masked(), nil
	}
	for i := range 1 << min(bits-pool.Bits(), 9) {
		if p := nthPrefix(pool, bits, i); state.isFree(p) {
			return p, nil
		}
	}
	return want, fmt.Errorf("%w: every prefix of %s is in use on this host: choose another", ErrConfig, pool)
}

// nthPrefix is the i-th prefix of the given length in the pool.
func nthPrefix(pool netip.Prefix, bits, i int) netip.Prefix {
	b := pool.Addr().AsSlice()
	for byteAt, shift := (bits-1)/8, 7-(bits-1)%8; i > 0; byteAt-- {
		v := int(b[byteAt]) + i<<shift
		b[byteAt], i, shift = byte(v), v>>8, 0
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(a, bits)
}

// nthAddr is the i-th address of the prefix. Callers keep i below 256 and the
// prefix larger.
func nthAddr(p netip.Prefix, i int) netip.Addr {
	b := p.Addr().AsSlice()
	b[len(b)-1] += byte(i)
	a, _ := netip.AddrFromSlice(b)
	return a
}

// family is one address family's part of the plan.
type family struct {
	ipv6   bool
	prefix netip.Prefix
	way    func(Uplink) Way
}

func (p *Plan) addFamily(state State, cfg StackConfig, f family) {
	var uplinks []Uplink
	for _, u := range state.Uplinks {
		if u.Name == cfg.Dev || !f.way(u).Usable() {
			continue
		}
		if _, ok := p.slot(u.Name); !ok {
			p.Warnings = append(p.Warnings, fmt.Sprintf("uplink %s is one too many and not used", u.Name))
			continue
		}
		uplinks = append(uplinks, u)
	}
	if len(uplinks) == 0 {
		return
	}
	forwarding, guarded := forwardingActions(state, cfg.Dev, uplinks, f.ipv6)
	table := &TableAction{Name: tableName(cfg.Tag), IPv6: f.ipv6, From: f.prefix, Dev: cfg.Dev, Guarded: guarded}
	for _, u := range uplinks {
		slot, _ := p.slot(u.Name)
		for _, fw := range cfg.Forwards {
			table.Forwards = append(table.Forwards, fw.at(f.way(u).Addr, nthAddr(f.prefix, 1+slot)))
		}
	}
	p.add(Action{Table: table}) // ahead of the forwarding that it guards
	p.add(forwarding...)
	p.add(
		Action{Route: &RouteAction{Dst: f.prefix, Dev: cfg.Dev, Table: p.Table}},
		Action{Rule: &RuleAction{To: f.prefix, Table: p.Table, Priority: firstPriority}},
	)
	for _, u := range uplinks {
		slot, _ := p.slot(u.Name)
		p.uplinkRoutes(u, f.way(u), nthAddr(f.prefix, 1+slot), p.Table+1+slot, firstPriority+1)
	}
}

func (f PortForward) at(host, stack netip.Addr) Forward {
	to := f.To
	if to == 0 {
		to = f.Port
	}
	return Forward{Addr: netip.AddrPortFrom(host, f.Port), To: netip.AddrPortFrom(stack, to)}
}

// forwardingActions let packets through between the TUN interface and the
// uplinks, and nothing else that was not let through before: guarded are the
// interfaces ("*": all) that did not forward until now.
func forwardingActions(state State, dev string, uplinks []Uplink, ipv6 bool) (actions []Action, guarded []string) {
	name := func(dev string) string { return sysctl4(dev, "forwarding") }
	if ipv6 {
		if state.Sysctls[sysctl6("all", "forwarding")] != "0" {
			return nil, nil // a router already
		}
		if _, ok := state.Sysctls[sysctl6("all", "force_forwarding")]; !ok {
			return forwardAllIPv6(state), []string{"*"}
		}
		name = func(dev string) string { return sysctl6(dev, "force_forwarding") }
	}
	actions = append(actions, Action{Sysctl: &SysctlAction{Name: name(dev), Value: "1"}})
	for _, u := range uplinks {
		if old := state.Sysctls[name(u.Name)]; old != "1" {
			actions = append(actions, Action{Sysctl: &SysctlAction{Name: name(u.Name), Value: "1", Old: old}})
			guarded = append(guarded, u.Name)
		}
	}
	return actions, guarded
}

// forwardAllIPv6 makes the whole host a router, which is the only way before
// Linux 6.17. Hosts that forward ignore router advertisements unless told
// otherwise, so uplinks that live by them are told. An interface that was set
// to forward on its own account is set again when all are set back.
func forwardAllIPv6(state State) (actions []Action) {
	var names []string
	for name := range state.Sysctls {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		dev, setting, ok := parseSysctl6(name)
		old := state.Sysctls[name]
		switch {
		case !ok || dev == "all" || dev == "default":
		case setting == "accept_ra" && old == "1":
			actions = append(actions, Action{Sysctl: &SysctlAction{Name: name, Value: "2", Old: old}})
		case setting == "forwarding" && old == "1":
			actions = append(actions, Action{Sysctl: &SysctlAction{Name: name, Value: "1", Old: old}})
		}
	}
	return append(actions, Action{Sysctl: &SysctlAction{Name: sysctl6("all", "forwarding"), Value: "1", Old: "0"}})
}
