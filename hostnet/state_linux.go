package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/kernel"
)

const procSys = "/proc/sys/"

// State reads the host. Settings that installations of this package have
// changed are told as they were before.
func (h *Host) State() (s State, err error) {
	if s.Uplinks, err = h.Uplinks(); err != nil {
		return s, err
	}
	if err := h.readRoutes(&s); err != nil {
		return s, err
	}
	if err := h.readAddrs(&s); err != nil {
		return s, err
	}
	if err := h.readSysctls(&s); err != nil {
		return s, err
	}
	if err := h.readFirewall(&s); err != nil {
		return s, err
	}
	return s, h.readPathManager(&s)
}

func (h *Host) readRoutes(s *State) error {
	tables := make(map[int]bool)
	add := func(table int) {
		if !tables[table] {
			tables[table] = true
			s.Tables = append(s.Tables, table)
		}
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := h.nl.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return fmt.Errorf("hostnet: list routes: %w", err)
		}
		for _, r := range routes {
			add(r.Table)
			if r.Dst == nil {
				continue
			}
			addr, _ := netip.AddrFromSlice(r.Dst.IP)
			ones, _ := r.Dst.Mask.Size()
			s.take(netip.PrefixFrom(addr.Unmap(), ones))
		}
		rules, err := h.nl.RuleList(family)
		if err != nil {
			return fmt.Errorf("hostnet: list rules: %w", err)
		}
		for _, r := range rules {
			add(r.Table)
		}
	}
	return nil
}

// take notes that p is in use, unless it is one of the very wide routes by
// which default routes are made and overridden.
func (s *State) take(p netip.Prefix) {
	if p.IsValid() && p.Bits() >= 8 {
		s.Prefixes = append(s.Prefixes, p)
	}
}

func (h *Host) readAddrs(s *State) error {
	addrs, err := h.nl.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("hostnet: list addresses: %w", err)
	}
	for _, a := range addrs {
		addr, _ := netip.AddrFromSlice(a.IP)
		ones, _ := a.Mask.Size()
		s.take(netip.PrefixFrom(addr.Unmap(), ones))
	}
	return nil
}

// readSysctls reads the settings that plans depend on.
func (h *Host) readSysctls(s *State) error {
	s.Sysctls = make(map[string]string)
	for _, pattern := range []string{
		sysctl4("*", "forwarding"),
		sysctl6("*", "forwarding"), sysctl6("*", "force_forwarding"), sysctl6("*", "accept_ra"),
		CloseTimeout, managerType,
	} {
		names, err := filepath.Glob(procSys + pattern)
		if err != nil {
			return fmt.Errorf("hostnet: settings: %w", err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if errors.Is(err, os.ErrNotExist) {
				continue // its interface went away
			}
			if err != nil {
				return fmt.Errorf("hostnet: settings: %w", err)
			}
			s.Sysctls[strings.TrimPrefix(name, procSys)] = strings.TrimSpace(string(b))
		}
	}
	journals, err := h.journals()
	if err != nil {
		return err
	}
	for _, j := range journals {
		for _, a := range j.Actions {
			if a.Sysctl != nil && a.Sysctl.Old != "" {
				s.Sysctls[a.Sysctl.Name] = a.Sysctl.Old
			}
		}
	}
	return nil
}

// readFirewall finds chains that would drop what we want forwarded. It sees
// those of nftables alone, which iptables mostly is made of by now.
func (h *Host) readFirewall(s *State) error {
	chains, err := h.nft.ListChains()
	if err != nil {
		return nil // without nftables there is no such chain
	}
	for _, c := range chains {
		if c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward &&
			c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			s.ForwardDrops = append(s.ForwardDrops, fmt.Sprintf("%s %s %s", familyName(c.Table.Family), c.Table.Name, c.Name))
		}
	}
	return nil
}

func familyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	case nftables.TableFamilyINet:
		return "inet"
	case nftables.TableFamilyBridge:
		return "bridge"
	}
	return fmt.Sprintf("family %d", f)
}

// readPathManager leaves the fields empty where the kernel has no MPTCP, or
// does not tell for want of privilege. What installations of this package have
// added or changed is told as it was before.
func (h *Host) readPathManager(s *State) error {
	pm, err := h.pathManager()
	if errors.Is(err, kernel.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hostnet: %w", err)
	}
	if s.Limits, err = pm.Limits(); err != nil {
		return fmt.Errorf("hostnet: %w", err)
	}
	s.Endpoints, err = pm.Endpoints()
	if err != nil && !errors.Is(err, kernel.ErrPermission) {
		return fmt.Errorf("hostnet: %w", err)
	}
	journals, err := h.journals()
	if err != nil {
		return err
	}
	for _, j := range journals {
		for _, a := range j.Actions {
			switch {
			case a.Endpoint != nil:
				s.Endpoints = slices.DeleteFunc(s.Endpoints, func(e kernel.Endpoint) bool {
					return e.Addr == a.Endpoint.Addr && e.Port == a.Endpoint.Port
				})
			case a.Limits != nil && s.Limits == a.Limits.Limits:
				s.Limits = a.Limits.Old
			}
		}
	}
	return nil
}
