package proxy

import (
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/accesslog"
	"github.com/braid-mptcp/braid/proxy/status"
)

var _ status.Source = (*Proxy)(nil)

// Snapshot implements status.Source.
func (p *Proxy) Snapshot() status.Snapshot {
	state := p.state.Load()
	now := time.Now()
	s := status.Snapshot{
		Time: now, Started: p.started, Version: p.opts.Version, Stack: braid.KindOf(p.network.Load().Network).String(),
		Draining: p.isClosing(), ConfigLoaded: state.loaded,
	}
	s.Ready = !s.Draining && p.accepting.Load()
	for _, c := range state.config.Listeners {
		l := state.listeners[c.Name]
		sl := status.Listener{
			Name: c.Name, Mode: string(c.Mode), TLS: c.TLS != nil, Open: int64(l.gate.count()), Accepted: l.accepted.Load(),
		}
		for i := range c.Address {
			sl.Addresses = append(sl.Addresses, state.sockets[socketKey(c, i)].bound())
		}
		s.Listeners = append(s.Listeners, sl)
	}
	s.Open, s.Connections = p.connections(now)
	for _, pool := range p.pools.Pools() {
		s.Pools = append(s.Pools, pool.Stats())
	}
	// What comes of the connections is in the totals, so this is their time.
	s.Time, s.Totals = time.Now(), p.totals(state)
	return s
}

// connections describes those there are, in detail as many as is bearable.
func (p *Proxy) connections(now time.Time) (open int, list []status.Connection) {
	all := p.conns.all()
	for _, c := range all[:min(len(all), status.MaxConnections)] {
		list = append(list, c.status(now))
	}
	return len(all), list
}

// status describes a connection.
func (c *clientConn) status(now time.Time) status.Connection {
	s := status.Connection{
		ID: c.id, Listener: c.listener.name, Opened: c.opened, Protocol: c.protocolName(),
		Requests: c.requests.Load(), BytesIn: c.in.Load(), BytesOut: c.out.Load(),
	}
	if !c.settled.Load() {
		return s // it has not told yet who it is
	}
	s.Client, s.Local = c.peer, c.local
	if t := c.tls.Load(); t != nil {
		s.TLS, s.ServerName = t.version, t.serverName
	}
	if first := c.first.Load(); first != nil {
		s.Host, s.UserAgent = first.host, first.userAgent
	}
	if pc := c.passed.Load(); pc != nil {
		s.BytesIn, s.BytesOut = pc.In.Load(), pc.Out.Load()
	}
	if c.account != nil {
		// Rates are made of this: it must not be what the access log saw a
		// moment ago.
		c.account.Look(now, lookEvery/20)
		c.account.Describe(&s)
	}
	return s
}

// totals are the counts since the start.
func (p *Proxy) totals(s *state) status.Totals {
	t := p.ledger.Totals()
	e := p.engine.Counters()
	t.Malformed, t.Retries, t.Tunnels = uint64(e.Malformed), uint64(e.Retries), uint64(e.Tunnels)
	t.AccessLog = s.access.Totals()
	return t
}

// drainBackend takes a server out of service for new clients, or back into it.
func (p *Proxy) drainBackend(pool, backend string, on bool) error {
	b := p.pools.Pool(pool)
	if b == nil {
		return errNoPool
	}
	if !b.SetDrain(backend, on) {
		return errNoServer
	}
	return nil
}

// state is a configuration in force with what serves it. It does not change.
type state struct {
	config    *config.Config
	loaded    time.Time
	sockets   map[string]*socket   // see socketKey
	listeners map[string]*listener // by name
	upstreams map[string]*upstream // by pool
	watched   bool
	access    *accesslog.Log
}
