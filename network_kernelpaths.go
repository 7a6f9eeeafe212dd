package braid

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/braid-mptcp/braid/hostnet"
	"github.com/braid-mptcp/braid/kernel"
)

// kernelPaths keeps the kernel's path manager informed of the uplinks.
//
// An endpoint that names its interface makes the kernel bind the subflow to it,
// so that no routes need to be added for subflows that begin here. They are for
// those that begin at the peer, whose packets the kernel routes by the main
// table alone, and where the reverse path filter is strict.
type kernelPaths struct {
	in *installation
	// timeout is how many seconds a connection without any subflow is to be
	// kept; 0: as it is.
	timeout int
	choices choices // of order
	// kept are endpoints that an Update would have deleted. The installation's
	// lock guards it.
	kept map[netip.Addr]hostnet.EndpointAction
}

func keepKernelPaths(_ context.Context, cfg OpenConfig) (pathKeeper, error) {
	if err := checkIDs(&cfg); err != nil {
		return nil, err
	}
	in, err := newInstallation(&cfg)
	if err != nil {
		return nil, err
	}
	k := &kernelPaths{in: in, timeout: int(cfg.Connections.KeepWithoutSubflow / time.Second)}
	if cfg.SinglePath {
		return k, nil
	}
	if err := in.install(newTag(), k.plan); err != nil {
		if !errors.Is(err, hostnet.ErrPermission) {
			in.Close()
			return nil, err
		}
		cfg.warn("the path manager is left as it is, and may know of one path only: %v", err)
		return k, nil
	}
	if err := in.follow(k.changed); err != nil {
		in.Close()
		return nil, err
	}
	return k, nil
}

// checkIDs finds endpoints with an ID that could be several.
func checkIDs(cfg *OpenConfig) error {
	for _, e := range cfg.Endpoints {
		if e.ID != 0 && !e.Addr.IsValid() {
			return fmt.Errorf("%w: endpoint %q: an id is for one address, which has to be named", ErrFeature, e)
		}
	}
	return nil
}

// order implements pathKeeper.
func (k *kernelPaths) order() []string {
	cfg := k.in.config()
	if len(cfg.Interfaces) > 0 {
		return cfg.Interfaces
	}
	return k.choices.get(time.Now(), k.findChoices)
}

// findChoices gives the system's choice, and the uplinks besides the one which
// that is as a rule.
func (k *kernelPaths) findChoices() []string {
	found := []string{""}
	uplinks, err := k.in.uplinks()
	if err != nil || len(uplinks) < 2 {
		return found
	}
	for _, u := range uplinks[1:] {
		found = append(found, u.Name)
	}
	return found
}

// Close implements pathKeeper.
func (k *kernelPaths) Close() error { return k.in.Close() }

// plan makes a hostnet.Plan of the uplinks there are.
func (k *kernelPaths) plan(state hostnet.State) (hostnet.Plan, error) {
	cfg := k.in.config()
	several := len(state.Uplinks) > 1 // chosen or not
	state.Uplinks = hostnet.Select(state.Uplinks, cfg.Interfaces)
	p, err := hostnet.KernelPlan(state, hostnet.KernelConfig{})
	if errors.Is(err, hostnet.ErrNoUplink) {
		p = noUplinks(state)
	} else if err != nil {
		return p, err
	}
	uplinkOf := make(map[string]string) // by address
	for _, path := range p.Paths {
		uplinkOf[path.Addr.String()] = path.Uplink
	}
	var actions []hostnet.Action
	for _, a := range p.Actions {
		switch {
		case a.Endpoint != nil:
			e := *a.Endpoint
			asked, _ := cfg.endpointFor(e.Dev, e.Addr)
			e.ID, e.Port, e.Flags = asked.ID, asked.Port, cfg.flagsFor(e.Dev, e.Addr)
			a.Endpoint = &e
		case a.Route != nil, a.Rule != nil:
			if !several || !k.routesNeeded(state.Uplinks) {
				continue
			}
		}
		actions = append(actions, a)
	}
	p.Actions = k.keep(append(actions, k.extra(state, uplinkOf)...))
	for _, e := range state.Endpoints {
		if uplink, ours := uplinkOf[e.Addr.String()]; ours && e.Flags&kernel.FlagImplicit == 0 {
			if _, chosen := cfg.endpointFor(uplink, e.Addr); chosen && e.Flags != cfg.flagsFor(uplink, e.Addr) {
				p.Warnings = append(p.Warnings, fmt.Sprintf("endpoint %q of the host's stays as it is", e))
			}
		}
	}
	if old := state.Sysctls[hostnet.CloseTimeout]; k.timeout > 0 {
		if now, err := strconv.Atoi(old); err == nil && now < k.timeout {
			p.Actions = append(p.Actions, hostnet.Action{Sysctl: &hostnet.SysctlAction{
				Name: hostnet.CloseTimeout, Value: strconv.Itoa(k.timeout), Old: old}})
		}
	}
	return p, nil
}

// noUplinks plans for a host that has only neighbours: they may bring paths.
func noUplinks(state hostnet.State) (p hostnet.Plan) {
	const most = 8 // that every kernel takes
	limits := kernel.Limits{
		AddAddrAccepted: max(state.Limits.AddAddrAccepted, most), Subflows: max(state.Limits.Subflows, most)}
	if limits != state.Limits {
		p.Actions = []hostnet.Action{{Limits: &hostnet.LimitsAction{Limits: limits, Old: state.Limits}}}
	}
	return p
}

// extra are the endpoints asked for by address that no uplink has.
func (k *kernelPaths) extra(state hostnet.State, uplinkOf map[string]string) (actions []hostnet.Action) {
	for _, e := range k.in.config().Endpoints {
		if !e.Addr.IsValid() || uplinkOf[e.Addr.String()] != "" {
			continue
		}
		have := slices.ContainsFunc(state.Endpoints, func(h kernel.Endpoint) bool { return h.Addr == e.Addr })
		dev := e.Dev
		if dev == "" {
			dev = interfaceWith(e.Addr)
		}
		if have || dev == "" {
			continue // it is there already, or its address is not there yet
		}
		actions = append(actions, hostnet.Action{Endpoint: &hostnet.EndpointAction{
			Addr: e.Addr, Port: e.Port, ID: e.ID, Dev: dev, Flags: k.in.config().flagsFor(dev, e.Addr)}})
	}
	return actions
}

// routesNeeded tells whether the uplinks need routing by source address, on a
// host that has several.
func (k *kernelPaths) routesNeeded(uplinks []hostnet.Uplink) bool {
	for _, u := range uplinks {
		for _, way := range []hostnet.Way{u.V4, u.V6} {
			if way.Usable() && k.in.config().flagsFor(u.Name, way.Addr)&kernel.FlagSignal != 0 {
				return true
			}
		}
		if strictReversePath(u.Name) {
			return true
		}
	}
	return false
}

// strictReversePath tells whether packets are dropped that come in by another
// uplink than their answers would leave by. The stricter of two settings holds,
// 1 being strict and 2 loose.
func strictReversePath(dev string) bool {
	most := 0
	for _, name := range []string{"all", dev} {
		if v, err := strconv.Atoi(sysctl("ipv4/conf/" + name + "/rp_filter")); err == nil {
			most = max(most, v)
		}
	}
	return most == 1
}

// joinTime is how long a new path may take to be joined before the one it
// replaces is given up.
const joinTime = time.Second

// changed brings the endpoints in line with the uplinks.
//
// Deleting the endpoint of an address that is gone ends its subflows, and the
// peer is told over the others: that is what makes it quick. But it must not end
// the last one, or the kernel would count the connection as lost. So nothing is
// taken away while there is no uplink at all, and new endpoints come first.
func (k *kernelPaths) changed() error {
	var next hostnet.Plan
	old := k.in.plan()
	staged := false
	err := k.in.update(func(state hostnet.State) (p hostnet.Plan, err error) {
		if next, err = k.plan(state); err != nil {
			return next, err
		}
		p = next
		leaving := departing(old, next)
		switch {
		case len(leaving) == 0:
		case !slices.ContainsFunc(next.Actions, isEndpoint):
			next = old
			return old, nil
		case len(departing(next, old)) > 0: // something new comes
			staged = true
			p.Actions = append(leaving, p.Actions...)
		}
		return p, nil
	})
	if !staged {
		return err
	}
	// What failed above fails again, but for the endpoints that leave: nothing
	// is wrong with it that their interface may be gone.
	if !k.in.sleep(joinTime) {
		return nil
	}
	return k.in.update(func(hostnet.State) (hostnet.Plan, error) { return next, nil })
}

func isEndpoint(a hostnet.Action) bool { return a.Endpoint != nil }

// departing are the endpoints of old that next has not.
func departing(old, next hostnet.Plan) (actions []hostnet.Action) {
	for _, a := range old.Actions {
		if isEndpoint(a) && !slices.ContainsFunc(next.Actions, func(b hostnet.Action) bool {
			return isEndpoint(b) && b.Endpoint.Addr == a.Endpoint.Addr
		}) {
			actions = append(actions, a)
		}
	}
	return actions
}
