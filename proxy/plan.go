package proxy

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
)

// plan is a configuration made ready, of which nothing is in force yet.
type plan struct {
	config    *config.Config
	pools     []balance.Config
	upstreams map[string]*upstream
	rules     map[string]*rules // by listener
	sockets   map[string]*socket
	opened    []*socket // of sockets, those that are new
}

// apply puts a configuration in force, at the start and with each reload. With
// an error nothing has changed.
func (p *Proxy) apply(ctx context.Context, c *config.Config) error {
	next, err := p.prepare(ctx, c)
	if err != nil {
		return err
	}
	if err := p.pools.Apply(ctx, next.pools...); err != nil {
		next.discard()
		return err
	}
	p.commit(next)
	return nil
}

// prepare makes a plan.
func (p *Proxy) prepare(ctx context.Context, c *config.Config) (*plan, error) {
	next := &plan{
		config: c, upstreams: make(map[string]*upstream), rules: make(map[string]*rules),
		sockets: make(map[string]*socket),
	}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		cfg, err := p.poolConfig(c, name)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", c.At("pools."+name), err)
		}
		next.pools = append(next.pools, cfg)
		next.upstreams[name] = &upstream{proxy: p, name: name, config: c.Pools[name]}
	}
	for _, l := range c.Listeners {
		r, err := p.newRules(next, l)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		next.rules[l.Name] = r
	}
	if err := p.bind(ctx, next); err != nil {
		next.discard()
		return nil, err
	}
	return next, nil
}

// bind opens the sockets that are not there yet.
func (p *Proxy) bind(ctx context.Context, next *plan) error {
	for _, l := range next.config.Listeners {
		for _, a := range l.Address {
			key := a.String()
			if s := p.sockets[key]; s != nil {
				next.sockets[key] = s
				continue
			}
			nl, err := p.listen(ctx, a, next.config.TCPProfiles[l.TCP])
			if err != nil {
				return fmt.Errorf("listener %s: %w", l.Name, err)
			}
			s := &socket{Listener: nl, address: a}
			next.sockets[key] = s
			next.opened = append(next.opened, s)
		}
	}
	return nil
}

// discard closes what was opened for a plan that comes to nothing.
func (next *plan) discard() {
	for _, s := range next.opened {
		s.close()
	}
}

// commit puts a plan in force whose pools are there. It cannot fail. The lock is
// held, or nobody else knows of p yet.
func (p *Proxy) commit(next *plan) {
	for name, u := range next.upstreams {
		u.pool.Store(p.pools.Pool(name))
	}
	c := next.config
	p.gate.setLimit(c.Limits.Connections)
	listeners := make(map[string]*listener)
	for _, l := range c.Listeners {
		r := next.rules[l.Name]
		to := p.listeners[l.Name]
		if to == nil || !to.suits(l) {
			to = p.newListener(l, r)
		} else {
			to.update(r)
		}
		listeners[l.Name] = to
		for _, a := range l.Address {
			next.sockets[a.String()].owner.Store(to)
		}
	}
	for key, s := range p.sockets {
		if next.sockets[key] == nil {
			s.close()
		}
	}
	p.config, p.sockets, p.listeners, p.upstreams = c, next.sockets, listeners, next.upstreams
}
