package proxy

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/accesslog"
	"github.com/braid-mptcp/braid/proxy/certs"
)

// plan is a configuration made ready, of which nothing is in force yet.
type plan struct {
	proxy     *Proxy
	config    *config.Config
	pools     []balance.Config
	upstreams map[string]*upstream
	network   *uplinks
	networks  map[string]networks // by TCP profile
	rules     map[string]*rules   // by listener
	sockets   map[string]*socket
	opened    []*socket       // of sockets, those that are new
	certs     []*certs.Server // all are new
	access    *accesslog.Log
	newAccess bool
	// newNetwork says that network was opened for this plan.
	newNetwork bool
	pages      *pagePlan
}

// apply puts a configuration in force, at the start and with each reload. With
// an error nothing has changed. The lock is held, or nobody else knows of p yet.
func (p *Proxy) apply(ctx context.Context, c *config.Config) error {
	next := &plan{
		proxy: p, config: c, upstreams: make(map[string]*upstream), networks: make(map[string]networks),
		rules: make(map[string]*rules), sockets: make(map[string]*socket),
	}
	err := p.prepare(ctx, next)
	if err == nil {
		err = p.pools.Apply(ctx, append(next.pools, p.orphans(c)...)...)
	}
	if err != nil {
		next.discard()
		return err
	}
	p.commit(next)
	return nil
}

// prepare makes a plan. What it opens, discard closes.
func (p *Proxy) prepare(ctx context.Context, next *plan) error {
	c := next.config
	if err := p.prepareNetwork(ctx, next); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.TCPProfiles)) {
		next.networks[name] = p.networksOf(next, name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		cfg, err := p.poolConfig(next, name)
		if err != nil {
			return fmt.Errorf("%v: %w", c.At("pools."+name), err)
		}
		next.pools = append(next.pools, cfg)
		next.upstreams[name] = p.newUpstream(name, c.Pools[name])
	}
	if err := p.prepareListeners(ctx, next); err != nil {
		return err
	}
	if err := p.prepareAccess(next); err != nil {
		return err
	}
	var err error
	next.pages, err = p.pages.prepare(ctx, c)
	return err
}

// prepareListeners makes the rules of listeners, and binds their addresses.
func (p *Proxy) prepareListeners(ctx context.Context, next *plan) error {
	for i, l := range next.config.Listeners {
		if l.TLS == nil {
			continue
		}
		s, err := certs.NewServer(l.TLS, l.Mode, l.HTTP2, p.log)
		if err != nil {
			return fmt.Errorf("%v: listener %s: %w", next.config.At(fmt.Sprintf("listeners[%d].tls", i)), l.Name, err)
		}
		next.certs = append(next.certs, s)
		next.rules[l.Name] = &rules{certs: s}
	}
	for _, l := range next.config.Listeners {
		if err := p.newRules(next, l); err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
	}
	return p.bind(ctx, next)
}

// bind opens the sockets that are not there yet.
func (p *Proxy) bind(ctx context.Context, next *plan) error {
	for _, l := range next.config.Listeners {
		for i, a := range l.Address {
			key := socketKey(l, i)
			if s := p.sockets()[key]; s != nil {
				next.sockets[key] = s
				continue
			}
			nl, err := p.listen(ctx, a, next.networks[l.TCP])
			if err != nil {
				return fmt.Errorf("listener %s: %w", l.Name, p.held(a, err))
			}
			s := &socket{Listener: nl, address: a, options: next.networks[l.TCP].options, multipath: listenNetwork(a).Multipath() || acceptsMultipath(nl)}
			next.sockets[key] = s
			next.opened = append(next.opened, s)
		}
	}
	return nil
}

// socketKey tells sockets apart, across reloads too. Where the system chooses a
// port, it is the place in the configuration that does.
func socketKey(l *config.Listener, i int) string {
	a := l.Address[i]
	if a.Port == 0 && a.Path == "" {
		return fmt.Sprintf("%s[%d] %s", l.Name, i, a)
	}
	return string(listenNetwork(a)) + "@" + a.HostPort() + a.Path
}

// prepareAccess opens the access log, unless it is open already.
func (p *Proxy) prepareAccess(next *plan) error {
	want := next.config.Log.Access
	if s := p.state.Load(); s != nil && reflect.DeepEqual(s.config.Log.Access, want) {
		next.access = s.access
		return nil
	}
	log, err := accesslog.Open(&want, accesslog.Options{Failed: func(err error) { p.log.Error(err.Error()) }})
	if err != nil {
		return err
	}
	next.access, next.newAccess = log, true
	return nil
}

// discard closes what was opened for a plan that comes to nothing.
func (next *plan) discard() {
	for _, s := range next.opened {
		s.close()
	}
	for _, s := range next.certs {
		s.Close()
	}
	if next.newAccess {
		next.access.Close()
	}
	if next.newNetwork {
		next.network.Close()
	}
	if next.pages != nil {
		next.pages.discard()
	}
}

// commit puts a plan in force whose pools are there. It cannot fail.
func (p *Proxy) commit(next *plan) {
	c, before := next.config, p.state.Load()
	p.commitNetwork(next)
	for _, cfg := range next.pools {
		p.poolConfigs[cfg.Name] = cfg
		next.upstreams[cfg.Name].pool.Store(p.pools.Pool(cfg.Name))
	}
	p.gate.setLimit(c.Limits.Connections)
	p.perClient.limit.Store(int64(c.Limits.ConnectionsPerClient))
	p.engine.SetBuffer(int(c.Limits.HeaderSize))
	now := &state{
		config: c, loaded: time.Now(), sockets: next.sockets, listeners: make(map[string]*listener),
		upstreams: next.upstreams, watched: watched(c), access: next.access,
	}
	for _, l := range c.Listeners {
		now.listeners[l.Name] = p.placeListener(l, next)
	}
	p.acme.Store(next.challenges())
	p.state.Store(now)
	for _, l := range c.Listeners {
		for i := range l.Address {
			s := now.sockets[socketKey(l, i)]
			s.owner.Store(now.listeners[l.Name])
			s.deferAccept(l)
			p.adapt(s, l, next.networks[l.TCP])
		}
	}
	p.pages.commit(c, next.pages)
	if before != nil {
		p.retire(before, now)
	}
}

// placeListener finds the listener that goes by new rules, or makes it.
func (p *Proxy) placeListener(l *config.Listener, next *plan) *listener {
	r := next.rules[l.Name]
	if s := p.state.Load(); s != nil {
		if to := s.listeners[l.Name]; to != nil && to.suits(l) {
			to.update(r)
			return to
		}
	}
	return p.newListener(l, r)
}

// sockets are those there are.
func (p *Proxy) sockets() map[string]*socket {
	if s := p.state.Load(); s != nil {
		return s.sockets
	}
	return nil
}
