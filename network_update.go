package braid

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/braid-mptcp/braid/hostnet"
	"github.com/braid-mptcp/braid/kernel"
)

// Update puts other Interfaces, Endpoints and Flags in force at a Network that
// Open gave, and ends no connection. Paths that come are used at once. Those that
// go become backups, which carry the data of connections that have no other path:
// with the user stack until they may be used again, with the kernel's, which
// announces them too, until the Network is closed or they may be used again.
//
// The error says what stays as it was, and wraps ErrFeature; the rest holds.
// Everything else in cfg, Kind and SinglePath among it, is ignored.
func Update(n Network, cfg OpenConfig) error {
	u, ok := n.(interface{ update(OpenConfig) error })
	if !ok {
		return fmt.Errorf("%w: other uplinks of a %T", ErrFeature, n)
	}
	if err := cfg.checkInterfaces(); err != nil {
		return err
	}
	return u.update(cfg)
}

// updated is a copy of the configuration with what Update may change.
func (in *installation) updated(cfg *OpenConfig) *OpenConfig {
	next := *in.config()
	next.Interfaces, next.Endpoints, next.Flags = cfg.Interfaces, cfg.Endpoints, cfg.Flags
	return &next
}

func (n *kernelNetwork) update(cfg OpenConfig) error { return n.paths.update(&cfg) }

// update implements pathKeeper.
func (k *kernelPaths) update(cfg *OpenConfig) error {
	if err := checkIDs(cfg); err != nil {
		return err
	}
	old := k.in.plan()
	k.in.cfg.Store(k.in.updated(cfg))
	if k.in.config().SinglePath || len(old.Actions) == 0 && old.Paths == nil {
		return nil // nothing is installed
	}
	var lacks []error
	var changed []hostnet.EndpointAction
	err := k.in.update(func(state hostnet.State) (hostnet.Plan, error) {
		k.kept = make(map[netip.Addr]hostnet.EndpointAction)
		next, err := k.plan(state)
		if err != nil {
			return next, err
		}
		for _, a := range old.Actions {
			if !isEndpoint(a) {
				continue
			}
			was, now := *a.Endpoint, endpointIn(next, a.Endpoint.Addr)
			switch {
			case now == nil:
				was.Flags |= kernel.FlagBackup
				k.kept[was.Addr] = was
				changed = append(changed, was)
			case (now.Flags^was.Flags)&^kernel.FlagBackup != 0 || now.ID != was.ID || now.Port != was.Port:
				k.kept[was.Addr] = was
				lacks = append(lacks, fmt.Errorf("endpoint %s stays as it is: the kernel would end its subflows", was.Addr))
			case now.Flags != was.Flags:
				changed = append(changed, *now)
			}
		}
		return k.plan(state)
	})
	for _, e := range changed {
		err = errors.Join(err, setBackup(e.Addr, e.Flags&kernel.FlagBackup != 0))
	}
	if lacks != nil {
		err = errors.Join(err, fmt.Errorf("%w: %w", ErrFeature, errors.Join(lacks...)))
	}
	return err
}

// endpointIn finds the endpoint of an address in a plan; nil: there is none.
func endpointIn(p hostnet.Plan, addr netip.Addr) *hostnet.EndpointAction {
	i := slices.IndexFunc(p.Actions, func(a hostnet.Action) bool { return isEndpoint(a) && a.Endpoint.Addr == addr })
	if i < 0 {
		return nil
	}
	return p.Actions[i].Endpoint
}

// keep puts the endpoints that are not to be deleted in place of those of the
// same address, as long as the address is there.
func (k *kernelPaths) keep(actions []hostnet.Action) []hostnet.Action {
	for _, addr := range slices.SortedFunc(maps.Keys(k.kept), netip.Addr.Compare) {
		if interfaceWith(addr) == "" {
			continue
		}
		e := k.kept[addr]
		actions = slices.DeleteFunc(actions, func(a hostnet.Action) bool { return isEndpoint(a) && a.Endpoint.Addr == addr })
		actions = append(actions, hostnet.Action{Endpoint: &e})
	}
	return actions
}

// setBackup changes an endpoint of the kernel's, and the subflows from it.
func setBackup(addr netip.Addr, backup bool) error {
	pm, err := kernel.OpenPathManager()
	if err != nil {
		return err
	}
	defer pm.Close()
	all, err := pm.Endpoints()
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Addr != addr {
			continue
		}
		if backup {
			return pm.Change(e.ID, kernel.FlagBackup, 0)
		}
		return pm.Change(e.ID, 0, kernel.FlagBackup)
	}
	return nil
}

// update implements what Update wants.
func (n *userNetwork) update(cfg OpenConfig) error {
	n.in.cfg.Store(n.in.updated(&cfg))
	n.mu.Lock()
	n.retired = nil
	for _, p := range n.paths {
		if len(cfg.Interfaces) > 0 && !slices.Contains(cfg.Interfaces, p.Uplink) && !slices.Contains(n.retired, p.Uplink) {
			n.retired = append(n.retired, p.Uplink)
		}
	}
	n.mu.Unlock()
	if err := n.changed(); err != nil {
		return err
	}
	n.mu.Lock()
	paths := slices.Clone(n.paths)
	n.mu.Unlock()
	var errs []error
	for _, p := range paths {
		errs = append(errs, n.stack.host.SetFlags(p.Addr, n.address(p).Flags))
	}
	return errors.Join(errs...)
}

// wanted are the uplinks to have paths on; empty: all.
func (n *userNetwork) wanted() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if chosen := n.in.config().Interfaces; len(chosen) > 0 {
		return slices.Concat(chosen, n.retired)
	}
	return nil
}

// isRetired tells whether an uplink is there for connections only that have no
// other.
func (n *userNetwork) isRetired(uplink string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.retired, uplink)
}
