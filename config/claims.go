package config

import "net/netip"

// claims are the addresses that a Config has its process bind.
type claims []claim

// claim is an address with its place in the file.
type claim struct {
	path string
	a    Address
}

// addresses reports addresses that cannot be had beside one before them.
func (v *validator) addresses() {
	var all claims
	for i, l := range v.cfg.Listeners {
		for j, a := range l.Address {
			all.add(v, index(index("listeners", i)+".address", j), a)
		}
	}
	if a := v.cfg.Admin.Address; a != nil {
		all.add(v, "admin.address", *a)
	}
	// Both may be served at one address.
	if a := v.cfg.Metrics.Address; a != nil && (v.cfg.Admin.Address == nil || *a != *v.cfg.Admin.Address) {
		all.add(v, "metrics.address", *a)
	}
}

func (all *claims) add(v *validator, path string, a Address) {
	for _, other := range *all {
		switch {
		case !a.Overlaps(other.a):
			continue
		case a.HostPort() == other.a.HostPort():
			v.errorf(path, "%s is taken by %s", a, other.path)
		default:
			v.errorf(path, "%s overlaps with %s of %s: who listens on all addresses has the port of each", a, other.a, other.path)
		}
		break
	}
	*all = append(*all, claim{path, a})
}

// Overlaps says whether a and b cannot both be bound: whatever the protocol, a
// port of an address can be had once, and a listener on all addresses has it of
// each.
func (a Address) Overlaps(b Address) bool {
	if a.Path != "" || b.Path != "" {
		return a.Path == b.Path && (a.Network == NetworkFD) == (b.Network == NetworkFD)
	}
	if a.Port != b.Port || a.Port == 0 {
		return false
	}
	ip, wild := a.bound()
	other, otherWild := b.bound()
	switch {
	case a.families()&b.families() == 0:
		return false
	case wild && otherWild:
		return true
	case wild:
		return other.IsValid()
	case otherWild:
		return ip.IsValid()
	case ip.IsValid() && other.IsValid():
		return ip == other
	}
	return a.Host == b.Host // what names stand for is not known here
}

// bound gives the IP address to be bound, none for a name, or says that it is
// all of them.
func (a Address) bound() (ip netip.Addr, wild bool) {
	if a.Host == "" {
		return netip.Addr{}, true
	}
	ip, err := netip.ParseAddr(a.Host)
	if err != nil {
		return netip.Addr{}, false
	}
	return ip.Unmap(), ip.IsUnspecified()
}

// families are the address families that are bound, as bits.
func (a Address) families() int {
	const v4, v6 = 1, 2
	switch ip, wild := a.bound(); {
	case a.Network.family() == 4, !wild && ip.Is4():
		return v4
	case a.Network.family() == 6, !wild && ip.Is6():
		return v6
	}
	// Package net takes 0.0.0.0 and :: for all addresses of both families.
	return v4 | v6
}
