package hostnet

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Uplinks lists the interfaces with a default route in the main table, the
// preferred one first. Interfaces that are down are none.
func (h *Host) Uplinks() ([]Uplink, error) {
	links, err := h.nl.LinkList()
	if err != nil {
		return nil, fmt.Errorf("hostnet: list interfaces: %w", err)
	}
	byIndex := make(map[int]*Uplink)
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagUp != 0 && a.Flags&net.FlagLoopback == 0 {
			byIndex[a.Index] = &Uplink{Name: a.Name, Index: a.Index, MTU: a.MTU}
		}
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if err := h.findWays(family, byIndex); err != nil {
			return nil, err
		}
	}
	var all []Uplink
	for _, u := range byIndex {
		if len(u.ways()) > 0 {
			all = append(all, *u)
		}
	}
	sortUplinks(all)
	return all, nil
}

// findWays fills in the ways of one address family.
func (h *Host) findWays(family int, uplinks map[int]*Uplink) error {
	routes, err := h.nl.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("hostnet: list routes: %w", err)
	}
	for _, r := range routes {
		if r.Type != unix.RTN_UNICAST || !isDefault(r.Dst) || r.Protocol == Protocol {
			continue
		}
		hops := r.MultiPath
		if len(hops) == 0 {
			hops = []*netlink.NexthopInfo{{LinkIndex: r.LinkIndex, Gw: r.Gw, Flags: r.Flags}}
		}
		for _, hop := range hops {
			u := uplinks[hop.LinkIndex]
			if u == nil {
				continue
			}
			way := &u.V4
			if family == unix.AF_INET6 {
				way = &u.V6
			}
			if way.Usable() && way.Metric <= r.Priority {
				continue
			}
			*way = Way{OnLink: hop.Flags&unix.RTNH_F_ONLINK != 0, Metric: r.Priority}
			if gw, ok := netip.AddrFromSlice(hop.Gw); ok {
				way.Gateway = gw.Unmap()
			}
			src, _ := netip.AddrFromSlice(r.Src)
			if err := h.findAddr(u, way, family, src.Unmap()); err != nil {
				return err
			}
		}
	}
	return nil
}

func isDefault(dst *net.IPNet) bool {
	if dst == nil {
		return true
	}
	ones, _ := dst.Mask.Size()
	return ones == 0
}

// findAddr fills in the address that packets leave the uplink with: the route's
// preferred one, else the first one fit for it.
func (h *Host) findAddr(u *Uplink, way *Way, family int, preferred netip.Addr) error {
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: u.Index}}
	addrs, err := h.nl.AddrList(link, family)
	if err != nil {
		return fmt.Errorf("hostnet: list addresses of %s: %w", u.Name, err)
	}
	best := -1
	for _, a := range addrs {
		addr, ok := netip.AddrFromSlice(a.IP)
		if addr = addr.Unmap(); !ok {
			continue
		}
		rank := addrRank(a, addr)
		if addr == preferred {
			rank = 10
		}
		if rank > best && rank > 0 {
			best = rank
			ones, _ := a.Mask.Size()
			way.Addr, way.Prefix = addr, netip.PrefixFrom(addr, ones)
		}
	}
	return nil
}

// addrRank tells how fit an address is to leave with: 0 is not at all. An
// address that stays is better than a temporary one (RFC 8981), since
// connections through it are to last.
func addrRank(a netlink.Addr, addr netip.Addr) int {
	const unfit = unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED
	switch {
	case a.Flags&unfit != 0, addr.IsLinkLocalUnicast() && addr.Is6(), addr.IsMulticast():
		return 0
	case a.Flags&unix.IFA_F_DEPRECATED != 0:
		return 1
	case addr.IsLinkLocalUnicast():
		return 2
	case addr.Is6() && addr.IsPrivate():
		return 3 // a unique local address leads nowhere outside
	case addr.Is6() && a.Flags&unix.IFA_F_TEMPORARY != 0,
		addr.Is4() && a.Flags&unix.IFA_F_SECONDARY != 0:
		return 4
	}
	return 5
}
