package proxy

import (
	"context"
	"fmt"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/kernel"
)

// stackKinds are the kinds of networks by their words.
var stackKinds = map[config.Stack]braid.Kind{
	config.StackAuto: braid.Auto, config.StackKernel: braid.Kernel,
	config.StackUser: braid.User, config.StackPlain: braid.Plain,
}

// openNetwork opens the network that connections over Multipath TCP use. Without
// an address that asks for Multipath TCP nothing of the host is touched.
func (p *Proxy) openNetwork(ctx context.Context, c *config.Config) (braid.Network, error) {
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
			return nil, fmt.Errorf("%v: %w", c.At(fmt.Sprintf("network.endpoints[%d]", i)), err)
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
	return p.opts.Open(ctx, oc)
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
