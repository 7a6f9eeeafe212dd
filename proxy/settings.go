package proxy

import (
	"context"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
	"github.com/braid-mptcp/braid/proxy/http2"
)

// newRules makes the rules of a listener.
func (p *Proxy) newRules(next *plan, l *config.Listener) error {
	c := next.config
	r := next.rules[l.Name]
	if r == nil {
		r = &rules{}
		next.rules[l.Name] = r
	}
	r.config, r.timeouts, r.limits = l, c.Timeouts, c.Limits
	if l.Mode == config.ModeTCP {
		r.tcp = newTCPRouter(next, l)
		return nil
	}
	router, err := newRouter(next, l)
	if err != nil {
		return err
	}
	r.settings = p.settings(c, l, router)
	return nil
}

// settings are the listener's in the terms of package http1.
func (p *Proxy) settings(c *config.Config, l *config.Listener, router *router) *http1.Settings {
	s := &http1.Settings{
		Route:  router.route,
		Scheme: "http",
		Via:    c.Forwarded.Via,
		Limits: http1.Limits{
			Line: int(c.Limits.TargetSize) + requestLineRest, Head: int(c.Limits.HeaderSize), Fields: c.Limits.HeaderFields,
		},
		MaxBody:     int64(c.Limits.BodySize),
		MaxRequests: c.Limits.RequestsPerConnection,
		Connect:     router.connect(),
		Timeouts:    timeoutsOf(&c.Timeouts, c.TCPProfiles[l.TCP].IdleTimeout),
		Opened:      openedConn,
	}
	if l.TLS != nil {
		s.Scheme = "https"
	}
	if watched(c) || c.Log.Access.Format != config.AccessOff {
		s.Log = (&recorder{p, l.Name, s.Scheme}).record
	}
	return s
}

// requestLineRest is how long a request line may be beside its target: a
// method, two blanks and the version.
const requestLineRest = 32

// timeoutsOf gives the timeouts in the terms of package http1, where 0 is not
// the same. None but that of tunnels is longer than idle, which is 0 if there
// is no such limit.
func timeoutsOf(t *config.Timeouts, idle config.Duration) http1.Timeouts {
	d := func(d config.Duration) time.Duration {
		if idle > 0 && (d == 0 || d > idle) {
			d = idle
		}
		return orForever(d)
	}
	return http1.Timeouts{
		Idle: d(t.KeepAlive), Head: d(t.RequestHeader), Body: d(t.RequestBody), Response: d(t.ResponseHeader),
		Stream: d(t.ResponseBody), Write: d(t.Write), Tunnel: orForever(t.Tunnel), Request: orForever(t.Request),
	}
}

func orForever(d config.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d.D()
}

// connect says whether any route takes CONNECT.
func (r *router) connect() bool {
	return slices.ContainsFunc(r.routes, func(to *route) bool { return to.connect })
}

// newListener makes a listener that is not there yet.
func (p *Proxy) newListener(l *config.Listener, r *rules) *listener {
	to := &listener{proxy: p, name: l.Name, mode: l.Mode, secure: l.TLS != nil, gate: newGate()}
	to.ending, to.end = context.WithCancel(context.Background())
	if r.settings != nil {
		to.http2 = http2.NewServer(http2.Config{Engine: p.engine, Logger: p.log})
		to.adopt(r)
		to.frontend = http1.NewFrontend(r.settings)
	}
	to.rules.Store(r)
	to.gate.setLimit(l.MaxConnections)
	return to
}

// suits says whether a listener can go on as what the configuration now says of
// its name.
func (l *listener) suits(c *config.Listener) bool {
	return l.mode == c.Mode && l.secure == (c.TLS != nil)
}

// update has other rules apply.
func (l *listener) update(r *rules) {
	old := l.rules.Load()
	if r.certs != nil {
		r.certs.Continue(old.certs)
	}
	l.rules.Store(r)
	if old.certs != nil {
		old.certs.Close()
	}
	l.gate.setLimit(r.config.MaxConnections)
	if l.frontend != nil {
		l.adopt(r)
		l.frontend.Update(r.settings)
	}
}

// adopt makes settings those of this listener. Over TLS it is ALPN that chooses
// HTTP/2 (RFC 9113 section 3.2).
func (l *listener) adopt(r *rules) {
	l.http2.SetLimits(uint32(r.limits.HTTP2Streams), r.limits.HTTP2Resets)
	if r.config.HTTP2 && !l.secure {
		r.settings.Preface = l.preface
	}
}
