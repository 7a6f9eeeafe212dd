package host

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"github.com/braid-mptcp/braid/mptcp"
)

// DialFrom is DialContext from one of the Host's addresses, with a
// configuration of its own. Remote addresses of the other family are left out.
// The zero local leaves the choice to the stack; a nil cfg means the defaults
// of Config.Stack.
func (h *Host) DialFrom(ctx context.Context, network string, local netip.Addr, address string, cfg *mptcp.Config) (net.Conn, error) {
	remotes, err := h.resolve(ctx, network, address)
	if err == nil && local.IsValid() {
		remotes = slices.DeleteFunc(remotes, func(r netip.AddrPort) bool { return r.Addr().Is4() != local.Is4() })
		if len(remotes) == 0 {
			err = &net.AddrError{Err: "no address of the family of " + local.String(), Addr: address}
		}
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	c, err := h.dial(ctx, netip.AddrPortFrom(local, 0), remotes, cfg)
	if err != nil {
		return nil, err
	}
	return c, nil
}
