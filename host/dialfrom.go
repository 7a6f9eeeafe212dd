package host

import (
	"context"
	"net"
	"net/netip"
	"slices"
)

// DialFrom is DialContext from one of the Host's addresses. Remote addresses of
// the other family are left out.
func (h *Host) DialFrom(ctx context.Context, network string, local netip.Addr, address string) (net.Conn, error) {
	remotes, err := h.resolve(ctx, network, address)
	if err == nil {
		remotes = slices.DeleteFunc(remotes, func(r netip.AddrPort) bool { return r.Addr().Is4() != local.Is4() })
		if len(remotes) == 0 {
			err = &net.AddrError{Err: "no address of the family of " + local.String(), Addr: address}
		}
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	c, err := h.dial(ctx, netip.AddrPortFrom(local, 0), remotes, nil)
	if err != nil {
		return nil, err
	}
	return c, nil
}
