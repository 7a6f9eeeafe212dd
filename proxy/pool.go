package proxy

import (
	"context"
	"log/slog"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
)

// poolConfig turns a pool of the configuration into one of package balance.
func (p *Proxy) poolConfig(next *plan, name string) (balance.Config, error) {
	c, pool := next.config, next.config.Pools[name]
	t, err := next.newTransport(pool)
	if err != nil {
		return balance.Config{}, err
	}
	b := balance.Config{
		Name: name, Source: sourceOf(pool),
		Dial: t.dial, Prepare: t.prepare(), Transport: t.name, Private: pool.SendProxy != config.ProxyOff,
		Policy: policies[pool.Policy], TableSize: pool.TableSize, SlowStart: pool.SlowStart.D(),
		MaxConnections: pool.MaxConnections, MaxPending: pool.MaxPending,
		QueueTimeout: pool.QueueTimeout.D(), ConnectTimeout: pool.ConnectTimeout.D(),
		ConnectRetries: orNone(pool.ConnectRetries),
		Reuse:          reuseOf(c, pool),
		Check:          checkOf(pool.Check, t),
		Retries:        balance.RetryBudget{Ratio: float64(pool.Retry.Ratio), PerSecond: orNone(pool.Retry.PerSecond)},
		Observe:        p.observe,
		Listed:         p.listed,
	}
	if pool.Retry.Ratio == 0 {
		b.Retries.Ratio = -1
	}
	if e := pool.Ejection; e != nil {
		b.Ejection = balance.Ejection{
			Failures: e.Failures, Time: e.Time.D(), MaxTime: e.MaxTime.D(), MaxShare: float64(e.MaxShare),
		}
	}
	return b, nil
}

var policies = map[config.Policy]balance.Policy{
	config.PolicyRoundRobin:       balance.RoundRobin,
	config.PolicyLeastConnections: balance.LeastConnections,
	config.PolicyPowerOfTwo:       balance.PowerOfTwo,
	config.PolicyMaglev:           balance.Maglev,
}

// orNone turns a 0 that means none into what package balance takes for that.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// sourceOf says where the servers of a pool come from.
func sourceOf(pool *config.Pool) balance.Source {
	switch {
	case pool.File != nil:
		return balance.File{Path: string(pool.File.Path), Interval: pool.File.Interval.D()}
	case pool.DNS != nil:
		d := balance.DNS{Name: pool.DNS.Name, SRV: pool.DNS.SRV, Port: pool.DNS.Port, Interval: pool.DNS.Interval.D()}
		if pool.DNS.Family != "any" {
			d.Network = "ip" + string(pool.DNS.Family)
		}
		return d
	}
	var list balance.Static
	for _, b := range pool.Backends {
		network, address := backendAddress(b.Address)
		list = append(list, balance.Backend{
			Name: b.Name, Network: network, Address: address, Weight: b.Weight, Priority: b.Priority,
			MaxConnections: b.MaxConnections, Drain: b.Drain,
		})
	}
	return list
}

// backendAddress gives a server's address in the terms of package balance.
func backendAddress(a config.Address) (network, address string) {
	switch a.Network {
	case config.NetworkUnix:
		return "unix", a.Path
	case config.NetworkAny:
		return "tcp", a.HostPort()
	}
	return string(a.Network), a.HostPort()
}

var reuseModes = map[config.HTTPReuse]balance.ReuseMode{
	config.ReuseNever: balance.ReuseNever, config.ReuseSafe: balance.ReuseSafe,
	config.ReuseAggressive: balance.ReuseAggressive, config.ReuseAlways: balance.ReuseAlways,
}

var limitTypes = map[config.LimitType]balance.LimitType{
	config.LimitNone: balance.LimitNone, config.LimitIdle: balance.LimitIdle, config.LimitStrict: balance.LimitStrict,
}

// reuseOf gives the OneConnect profile of a pool.
func reuseOf(c *config.Config, pool *config.Pool) balance.Reuse {
	o := c.OneConnect[pool.OneConnect]
	r := balance.Reuse{
		Mode: reuseModes[o.HTTPReuse], SourceMask: int(o.SourceMask), SourceMask6: o.SourceMask6,
		MaxSize: orNone(o.MaxSize), MaxAge: o.MaxAge.D(), MaxReuse: o.MaxReuse,
		IdleTimeout: c.TCPProfiles[pool.TCP].IdleTimeout.D(),
		LimitType:   limitTypes[o.LimitType], SharePools: o.SharePools, Profile: pool.OneConnect,
	}
	if r.MaxAge == 0 {
		r.MaxAge = balance.Unlimited
	}
	if r.MaxReuse == 0 {
		r.MaxReuse = balance.Unlimited
	}
	switch {
	case o.IdleTimeoutOverride == config.IdleIndefinite:
		r.IdleTimeoutOverride = balance.Indefinite
	case o.IdleTimeoutOverride != config.IdleDisabled:
		r.IdleTimeoutOverride = config.Duration(o.IdleTimeoutOverride).D()
	case r.IdleTimeout == 0:
		r.IdleTimeoutOverride = balance.Indefinite
	}
	return r
}

var checkTypes = map[config.CheckType]balance.CheckType{
	config.CheckTCP: balance.CheckTCP, config.CheckTLS: balance.CheckTLS, config.CheckHTTP: balance.CheckHTTP,
}

// checkOf gives the active health check of a pool.
func checkOf(c *config.Check, t *transport) *balance.Check {
	if c == nil {
		return nil
	}
	check := &balance.Check{
		Type: checkTypes[c.Type], Interval: c.Interval.D(), Timeout: c.Timeout.D(), Rise: c.Rise, Fall: c.Fall,
		Port: c.Port, Method: c.Method, Path: c.Path, Host: c.Host, TLS: t.tls,
	}
	for _, r := range c.Status {
		check.Status = append(check.Status, balance.StatusRange{From: r.From, To: r.To})
	}
	return check
}

// observe says that a server has changed its state.
func (p *Proxy) observe(c balance.Change) {
	level := slog.LevelInfo
	if c.To == balance.Down || c.To == balance.Ejected {
		level = slog.LevelWarn
	}
	p.log.Log(context.Background(), level, "server "+c.To.String(), "pool", c.Pool, "backend", c.Backend, "before", c.From.String(), "why", c.Why)
}

// listed says what has become of the list of a pool's servers.
func (p *Proxy) listed(l balance.Listing) {
	if l.Err != nil {
		p.log.Warn("servers cannot be listed; those from before stay", "pool", l.Pool, "error", l.Err)
		return
	}
	p.log.Info("servers listed", "pool", l.Pool, "added", l.Added, "removed", l.Removed)
}
