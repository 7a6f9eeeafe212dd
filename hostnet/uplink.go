package hostnet

import (
	"cmp"
	"net/netip"
	"slices"
)

// Uplink is an interface with a default route in the main table.
type Uplink struct {
	Name  string
	Index int
	MTU   int // bytes
	V4    Way // default route by IPv4; Usable tells whether there is one
	V6    Way
}

// Way is how an uplink leads out by one address family.
type Way struct {
	Addr    netip.Addr   // the interface's own address that packets leave with
	Prefix  netip.Prefix // of Addr; the hosts that are reached directly
	Gateway netip.Addr   // not valid on point-to-point links
	OnLink  bool         // the gateway is reached directly though no prefix says so
	Metric  int          // of the default route, lower is preferred
}

// Usable tells whether the uplink has a default route and an address.
func (w Way) Usable() bool { return w.Addr.IsValid() }

// ways lists the usable ones of the uplink.
func (u Uplink) ways() []Way {
	var ways []Way
	for _, w := range []Way{u.V4, u.V6} {
		if w.Usable() {
			ways = append(ways, w)
		}
	}
	return ways
}

// metric is the lower one of the uplink's default routes.
func (u Uplink) metric() int {
	m := int(^uint(0) >> 1)
	for _, w := range u.ways() {
		m = min(m, w.Metric)
	}
	return m
}

// sortUplinks puts first what the host itself would prefer.
func sortUplinks(all []Uplink) {
	slices.SortFunc(all, func(a, b Uplink) int {
		return cmp.Or(cmp.Compare(a.metric(), b.metric()), cmp.Compare(a.Name, b.Name))
	})
}

// Select keeps the uplinks whose names are in only; all if only is empty.
func Select(all []Uplink, only []string) []Uplink {
	if len(only) == 0 {
		return all
	}
	var some []Uplink
	for _, u := range all {
		if slices.Contains(only, u.Name) {
			some = append(some, u)
		}
	}
	return some
}

// MTU is the largest packet in bytes that all the uplinks carry.
func MTU(uplinks []Uplink) int {
	mtu := 1500
	for _, u := range uplinks {
		if u.MTU >= 1280 { // the least that IPv6 allows (RFC 8200 section 5)
			mtu = min(mtu, u.MTU)
		}
	}
	return mtu
}
