package proxy

import (
	"time"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// newRules makes the rules of a listener.
func (p *Proxy) newRules(next *plan, l *config.Listener) (*rules, error) {
	c := next.config
	r := &rules{config: l, timeouts: c.Timeouts, profile: c.TCPProfiles[l.TCP]}
	if l.Mode == config.ModeHTTP {
		router, err := newRouter(next, l)
		if err != nil {
			return nil, err
		}
		r.settings = p.settings(c, l, router)
	}
	return r, nil
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
		MaxBody:  int64(c.Limits.BodySize),
		Timeouts: timeoutsOf(&c.Timeouts),
		Opened:   openedConn,
	}
	if l.TLS != nil {
		s.Scheme = "https"
	}
	return s
}

// requestLineRest is how long a request line may be beside its target: a
// method, two blanks and the version.
const requestLineRest = 32

// timeoutsOf gives the timeouts in the terms of package http1, where 0 is not
// the same.
func timeoutsOf(t *config.Timeouts) http1.Timeouts {
	d := func(d config.Duration) time.Duration {
		if d == 0 {
			return -1
		}
		return d.D()
	}
	return http1.Timeouts{
		Idle: d(t.KeepAlive), Head: d(t.RequestHeader), Body: d(t.RequestBody), Response: d(t.ResponseHeader),
		Stream: d(t.ResponseBody), Write: d(t.Write), Tunnel: d(t.Tunnel),
	}
}

// newListener makes a listener that is not there yet.
func (p *Proxy) newListener(l *config.Listener, r *rules) *listener {
	to := &listener{proxy: p, name: l.Name, mode: l.Mode, secure: l.TLS != nil, gate: newGate()}
	if r.settings != nil {
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
	l.rules.Store(r)
	l.gate.setLimit(r.config.MaxConnections)
	if l.frontend != nil {
		l.frontend.Update(r.settings)
	}
}
