package host

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// resolve gives the addresses that "host:port" means, in the order to try them.
func (h *Host) resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := h.lookupPort(ctx, network, service)
	if err != nil {
		return nil, err
	}
	addrs, err := h.lookupHost(ctx, network, host)
	if err != nil {
		return nil, err
	}
	addrs = alternateFamilies(h.reachable(addrs))
	if len(addrs) == 0 {
		return nil, &net.AddrError{Err: "no address of this family here", Addr: host}
	}
	remotes := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		remotes[i] = netip.AddrPortFrom(a, port)
	}
	return remotes, nil
}

func (h *Host) lookupPort(ctx context.Context, network, service string) (uint16, error) {
	port, err := h.cfg.Resolver.LookupPort(ctx, network, service)
	if err != nil {
		return 0, err
	}
	return uint16(port), nil
}

// lookupHost gives at least one address of the network's family.
func (h *Host) lookupHost(ctx context.Context, network, host string) ([]netip.Addr, error) {
	family, ok := map[string]string{"tcp": "ip", "tcp4": "ip4", "tcp6": "ip6"}[network]
	if !ok {
		return nil, net.UnknownNetworkError(network)
	}
	if host == "" {
		return nil, &net.AddrError{Err: "missing host", Addr: host}
	}
	addrs, err := h.cfg.Resolver.LookupNetIP(ctx, family, host)
	if err != nil {
		return nil, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: fmt.Sprintf("no %s address", family), Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// reachable leaves out the addresses of a family that the Host has no address
// of its own in: a packet could not even be built.
func (h *Host) reachable(addrs []netip.Addr) []netip.Addr {
	var has4, has6 bool
	h.shard.mu.Lock()
	for addr := range h.shard.routes {
		has4 = has4 || addr.Is4()
		has6 = has6 || addr.Is6()
	}
	h.shard.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool {
		return a.Is4() && !has4 || a.Is6() && !has6
	})
}

// alternateFamilies puts the addresses of both families in turn, keeping the
// resolver's order within each and beginning with its first (RFC 8305
// section 4).
func alternateFamilies(addrs []netip.Addr) []netip.Addr {
	if len(addrs) == 0 {
		return nil
	}
	var families [2][]netip.Addr
	for _, a := range addrs {
		i := 0
		if a.Is4() != addrs[0].Is4() {
			i = 1
		}
		families[i] = append(families[i], a)
	}
	var mixed []netip.Addr
	for i := range addrs {
		for _, f := range families {
			if i < len(f) {
				mixed = append(mixed, f[i])
			}
		}
	}
	return mixed
}
