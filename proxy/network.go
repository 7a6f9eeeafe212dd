package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/kernel"
)

// stackKinds are the kinds of networks by their words.
var stackKinds = map[config.Stack]braid.Kind{
	config.StackAuto: braid.Auto, config.StackKernel: braid.Kernel,
	config.StackUser: braid.User, config.StackPlain: braid.Plain,
}

// uplinks are a network that was opened, and what was asked for.
type uplinks struct {
	braid.Network
	asked braid.OpenConfig
}

// openConfig is what a configuration asks for. Without an address that asks for
// Multipath TCP nothing of the host is touched.
func (p *Proxy) openConfig(c *config.Config) (braid.OpenConfig, error) {
	oc := braid.OpenConfig{
		Kind:       stackKinds[c.Network.Stack],
		Interfaces: c.Network.Interfaces,
		Flags:      kernel.FlagSignal,
		SinglePath: c.Network.SinglePath,
		Warn:       func(message string) { p.log.Warn(message) },
	}
	for i, text := range c.Network.Endpoints {
		e, err := kernel.ParseEndpoint(text)
		if err != nil {
			return oc, fmt.Errorf("%v: %w", c.At(fmt.Sprintf("network.endpoints[%d]", i)), err)
		}
		oc.Endpoints = append(oc.Endpoints, e)
	}
	use := multipathUse(c)
	if !use.any() {
		oc.Kind, oc.SinglePath = braid.Plain, true
	}
	if use.servers {
		oc.Flags |= kernel.FlagSubflow
	}
	return oc, nil
}

// prepareNetwork finds the network of a plan: the one there is, if what it was
// opened for can be changed while it is in use, or else another one beside it.
func (p *Proxy) prepareNetwork(ctx context.Context, next *plan) error {
	want, err := p.openConfig(next.config)
	if err != nil {
		return err
	}
	have := p.network.Load()
	switch {
	case have == nil:
	case !multipathUse(next.config).any():
		next.network = have // it may be needed again
		return nil
	case have.suits(&want):
		next.network = &uplinks{have.Network, want}
		return nil
	}
	n, err := p.opts.Open(ctx, want)
	if err != nil {
		return err
	}
	next.network, next.newNetwork = &uplinks{n, want}, true
	return nil
}

// suits tells whether the network can go on being used, with what Update changes.
func (u *uplinks) suits(want *braid.OpenConfig) bool {
	kind := braid.KindOf(u.Network)
	switch {
	case reflect.DeepEqual(paths(want), paths(&u.asked)) && want.Kind == u.asked.Kind && want.SinglePath == u.asked.SinglePath:
		return true
	case kind == braid.Plain:
		return false // it holds nothing
	case kind == braid.Kernel && want.SinglePath != u.asked.SinglePath:
		return false
	}
	return want.Kind == u.asked.Kind || want.Kind == kind || want.Kind == braid.Auto
}

// paths are the parts of an OpenConfig that Update changes.
func paths(c *braid.OpenConfig) []any { return []any{c.Interfaces, c.Endpoints, c.Flags} }

// commitNetwork puts the network of a plan in force. One that it takes the place
// of goes on for the addresses bound with it, and for connections.
func (p *Proxy) commitNetwork(next *plan) {
	have := p.network.Swap(next.network)
	switch {
	case have == nil:
	case next.newNetwork:
		p.former = append(p.former, have)
		p.sayKept(next, have)
	case !reflect.DeepEqual(paths(&have.asked), paths(&next.network.asked)):
		if err := braid.Update(have.Network, next.network.asked); err != nil {
			p.log.Warn("a part of network takes effect with a restart", "at", next.config.At("network").String(), "error", err)
		}
	}
}

// sayKept tells what a change of the stack does not change.
func (p *Proxy) sayKept(next *plan, have *uplinks) {
	kind, was := braid.KindOf(next.network.Network), braid.KindOf(have.Network)
	if kind == was {
		if next.network.asked.SinglePath {
			p.log.Warn("what was set up for several paths stays until a restart, for the connections that use it",
				"at", next.config.At("network.single_path").String())
		}
		return
	}
	for _, l := range next.config.Listeners {
		for i, a := range l.Address {
			if s := next.sockets[socketKey(l, i)]; listenNetwork(a).Multipath() && !slices.Contains(next.opened, s) {
				p.log.Warn("this address keeps its stack until a restart, since a port cannot belong to two; servers and new addresses use the new one",
					"listener", l.Name, "address", a.String(), "stack", was.String(), "new", kind.String(), "at", next.config.At("network.stack").String())
			}
		}
	}
}

// closeNetworks gives back what was opened.
func (p *Proxy) closeNetworks() {
	for _, n := range append(p.former, p.network.Load()) {
		if n == nil {
			continue // it never came to that
		}
		if err := n.Close(); err != nil {
			p.log.Warn("the network was not closed in good order", "error", err)
		}
	}
}

// interfaceOf names the interface that has an address, with any of the networks.
func (p *Proxy) interfaceOf(a netip.Addr) string {
	if n := p.network.Load(); n != nil {
		return braid.InterfaceOf(n.Network, a)
	}
	return ""
}

// multipathUses says for what Multipath TCP is spoken.
type multipathUses struct{ clients, servers bool }

func (u multipathUses) any() bool { return u.clients || u.servers }

// multipathUse looks at all addresses. A file may have any.
func multipathUse(c *config.Config) (u multipathUses) {
	for _, l := range c.Listeners {
		for _, a := range l.Address {
			u.clients = u.clients || listenNetwork(a).Multipath()
		}
	}
	for _, pool := range c.Pools {
		u.servers = u.servers || pool.File != nil
		for _, b := range pool.Backends {
			u.servers = u.servers || b.Address.Network.Multipath()
		}
	}
	return u
}

// listenNetwork is the network of a listener's address, which is Multipath TCP
// unless it says otherwise.
func listenNetwork(a config.Address) config.Network {
	if a.Network == config.NetworkAny {
		return config.NetworkMPTCP
	}
	return a.Network
}

// family turns a network of the configuration into one of package net.
func family(n config.Network) string {
	switch n {
	case config.NetworkMPTCP4, config.NetworkTCP4:
		return "tcp4"
	case config.NetworkMPTCP6, config.NetworkTCP6:
		return "tcp6"
	}
	return "tcp"
}
