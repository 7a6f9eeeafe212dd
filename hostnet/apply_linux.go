package hostnet

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/kernel"
)

// apply does what the action says. Done again, it changes nothing.
func (h *Host) apply(a Action) error {
	switch {
	case a.Link != nil:
		return h.applyLink(a.Link)
	case a.Route != nil:
		r, err := h.route(a.Route)
		if err != nil {
			return err
		}
		return h.nl.RouteReplace(r)
	case a.Rule != nil:
		err := h.nl.RuleAdd(rule(a.Rule))
		if errors.Is(err, unix.EEXIST) {
			return nil
		}
		return err
	case a.Sysctl != nil:
		return os.WriteFile(procSys+a.Sysctl.Name, []byte(a.Sysctl.Value), 0)
	case a.Table != nil:
		return h.applyTable(a.Table)
	case a.Endpoint != nil:
		return h.applyEndpoint(a.Endpoint)
	case a.Limits != nil:
		return h.setLimits(a.Limits.Limits)
	}
	return nil
}

// undo takes the action back. That there is nothing to take back may be an
// error, for which isGone is true.
func (h *Host) undo(a Action) error {
	switch {
	case a.Link != nil:
		return h.undoLink(a.Link)
	case a.Route != nil:
		r, err := h.route(a.Route)
		if err != nil {
			return err
		}
		return h.nl.RouteDel(r)
	case a.Rule != nil:
		return h.nl.RuleDel(rule(a.Rule))
	case a.Sysctl != nil:
		if a.Sysctl.Old == "" {
			return nil
		}
		return os.WriteFile(procSys+a.Sysctl.Name, []byte(a.Sysctl.Old), 0)
	case a.Table != nil:
		return h.undoTable(a.Table)
	case a.Endpoint != nil:
		pm, err := h.pathManager()
		if err != nil {
			return err
		}
		return pm.Delete(kernel.Endpoint{Addr: a.Endpoint.Addr, Port: a.Endpoint.Port})
	case a.Limits != nil:
		return h.undoLimits(a.Limits)
	}
	return nil
}

// isGone tells that what was to be undone is not there any more: its interface
// was deleted, say, and it with it.
func isGone(err error) bool {
	var noLink netlink.LinkNotFoundError
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) ||
		errors.Is(err, unix.EADDRNOTAVAIL) || errors.As(err, &noLink)
}

func (h *Host) applyLink(a *LinkAction) error {
	l, err := h.nl.LinkByName(a.Dev)
	if err != nil {
		return err
	}
	if l.Attrs().Alias == a.Alias && l.Attrs().Flags&net.FlagUp != 0 {
		return nil // setting it again would be a change to followers
	}
	if err := h.nl.LinkSetAlias(l, a.Alias); err != nil {
		return err
	}
	return h.nl.LinkSetUp(l)
}

// undoLink takes the interface down, if it is not gone or somebody else's by
// now.
func (h *Host) undoLink(a *LinkAction) error {
	l, err := h.nl.LinkByName(a.Dev)
	if err != nil {
		return err
	}
	if l.Attrs().Alias != a.Alias {
		return nil
	}
	if err := h.nl.LinkSetAlias(l, ""); err != nil {
		return err
	}
	return h.nl.LinkSetDown(l)
}

func (h *Host) route(a *RouteAction) (*netlink.Route, error) {
	if a.Unreachable {
		return &netlink.Route{
			Dst: ipNet(a.Dst), Table: a.Table, Protocol: Protocol,
			Type: unix.RTN_UNREACHABLE, Priority: lastMetric,
		}, nil
	}
	l, err := h.nl.LinkByName(a.Dev)
	if err != nil {
		return nil, err
	}
	r := &netlink.Route{
		Dst: ipNet(a.Dst), LinkIndex: l.Attrs().Index, Table: a.Table,
		Protocol: Protocol, Scope: netlink.SCOPE_LINK,
	}
	if a.Via.IsValid() {
		r.Gw, r.Scope = a.Via.AsSlice(), netlink.SCOPE_UNIVERSE
	}
	if a.OnLink {
		r.Flags = unix.RTNH_F_ONLINK
	}
	return r, nil
}

func rule(a *RuleAction) *netlink.Rule {
	r := netlink.NewRule()
	r.Family = netlink.FAMILY_V4
	if a.prefix().Addr().Is6() {
		r.Family = netlink.FAMILY_V6
	}
	if a.From.IsValid() {
		r.Src = ipNet(a.From)
	}
	if a.To.IsValid() {
		r.Dst = ipNet(a.To)
	}
	r.Table, r.Priority, r.Protocol = a.Table, a.Priority, Protocol
	if a.Specific {
		r.SuppressPrefixlen = 0
	}
	return r
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func (h *Host) applyEndpoint(a *EndpointAction) error {
	pm, err := h.pathManager()
	if err != nil {
		return err
	}
	err = pm.Add(a.endpoint())
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

func (h *Host) setLimits(l kernel.Limits) error {
	pm, err := h.pathManager()
	if err != nil {
		return err
	}
	return pm.SetLimits(l)
}

// undoLimits leaves limits alone that somebody changed since.
func (h *Host) undoLimits(a *LimitsAction) error {
	pm, err := h.pathManager()
	if err != nil {
		return err
	}
	now, err := pm.Limits()
	if err != nil || now != a.Limits {
		return err
	}
	return pm.SetLimits(a.Old)
}
