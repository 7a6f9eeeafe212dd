package proxy

import (
	"context"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// Reload puts another configuration in force without ending a connection.
// Listeners that stay keep their sockets, new ones are bound before anything
// changes, those that stay give connections to come what their TCP profile says
// now, and the connections of listeners that are gone end with their next
// response, or when timeouts.drain is over. With an error all is as before.
func (p *Proxy) Reload(ctx context.Context, c *config.Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return http1.ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := p.apply(ctx, c)
	p.ledger.Reloaded(err == nil)
	if err != nil {
		return err
	}
	if p.accepting.Load() {
		for _, s := range p.sockets() {
			p.start(s)
		}
	}
	return nil
}

// ReloadFailed counts a configuration that did not get as far as Reload.
func (p *Proxy) ReloadFailed() { p.ledger.Reloaded(false) }

// Reopen opens log files again, after they were moved away for rotation.
func (p *Proxy) Reopen() error { return p.state.Load().access.Reopen() }

// retire ends what a reload has made superfluous.
func (p *Proxy) retire(before, now *state) {
	for key, s := range before.sockets {
		if now.sockets[key] == nil {
			s.close()
		}
	}
	patience := now.config.Timeouts.Drain.D()
	for name, l := range before.listeners {
		if now.listeners[name] != l {
			p.log.Info("listener goes", "listener", name, "connections", l.gate.count())
			if c := l.rules.Load().certs; c != nil {
				c.Close()
			}
			go l.retire(patience)
		}
	}
	if before.access != now.access {
		before.access.Close()
	}
	time.AfterFunc(patience+time.Second, func() { p.dropOrphans() })
}

// retire has the connections of a listener come to their end within patience.
func (l *listener) retire(patience time.Duration) {
	l.gate.shutDown()
	if l.frontend != nil {
		l.frontend.Drain()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if l.http2 != nil {
		l.http2.Shutdown(ctx)
	}
	l.gate.drained(ctx)
	l.abort()
}

// abort ends the connections of a listener.
func (l *listener) abort() {
	l.end()
	if l.frontend != nil {
		l.http2.Close()
		l.proxy.engine.Abort(l.frontend)
	}
	for _, c := range l.proxy.conns.all() {
		if c.listener == l {
			c.Conn.Close()
		}
	}
}

// orphans are pools that a new configuration does not have any more. Requests
// that were routed a moment ago still find them, for a while.
func (p *Proxy) orphans(c *config.Config) []balance.Config {
	var all []balance.Config
	for name, cfg := range p.poolConfigs {
		if c.Pools[name] == nil {
			all = append(all, cfg)
		}
	}
	return all
}

// dropOrphans ends the pools that no configuration has.
func (p *Proxy) dropOrphans() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.poolConfigs {
		if p.state.Load().config.Pools[name] == nil {
			p.pools.Remove(name)
			delete(p.poolConfigs, name)
		}
	}
}
