package proxy

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// router finds where the requests of a listener go. It does not change.
//
// Routes are indexed by host. A list has, in the order of the configuration,
// all routes that a host it is for might take: those for that host, for the
// wildcards above it, and for any host.
type router struct {
	routes    []*route
	hosts     map[string][]*route
	wildcards map[string][]*route // by what follows the '*'
	others    []*route
	last      *route // for what no route takes; nil: none
	trust     *trust
	wellKnown *wellKnown                  // nil: not to be answered
	acme      *atomic.Pointer[challenges] // nil: over TLS nobody asks
}

// route is a route of the configuration, made ready.
type route struct {
	name string
	match
	pool     http1.Pool // nil: none
	upstream *upstream  // the same
	redirect *redirect
	respond  *config.Respond
	body     []byte // of respond

	stripPrefix string
	host        []byte
	request     *http1.Edits // nil: none
	response    *http1.Edits
	filled      []filledField // of the request
	traces      *traces
	timeout     time.Duration // for the response's head; 0: as usual
	bodySize    int64         // 0: as usual
}

// newRouter compiles the routes that concern a listener.
func newRouter(next *plan, l *config.Listener) (*router, error) {
	c := next.config
	r := &router{hosts: make(map[string][]*route), wildcards: make(map[string][]*route), trust: newTrust(&c.Forwarded)}
	var routes []*route
	for i, rc := range c.Routes {
		if len(rc.Match.Listener) > 0 && !slices.Contains(rc.Match.Listener, l.Name) {
			continue
		}
		to, err := next.newRoute(rc, i)
		if err != nil {
			return nil, err
		}
		routes = append(routes, to)
	}
	r.routes = routes
	r.index(routes)
	if u := next.upstreams[l.Pool]; u != nil {
		r.last = &route{name: l.Name, pool: u, upstream: u, traces: newTraces(&c.Forwarded, nil)}
	}
	if l.TLS == nil {
		r.acme = &next.proxy.acme
	}
	if c.WellKnown {
		r.wellKnown = &wellKnown{}
	}
	return r, nil
}

// newRoute makes a route ready.
func (next *plan) newRoute(c *config.Route, i int) (*route, error) {
	at := fmt.Sprintf("routes[%d]", i)
	to := &route{
		name: c.Name, match: newMatch(&c.Match), respond: c.Respond, stripPrefix: strings.TrimSuffix(c.StripPrefix, "/"),
		timeout: c.ResponseHeaderTimeout.D(), bodySize: int64(c.BodySize),
	}
	if to.name == "" {
		to.name = fmt.Sprint(i)
	}
	if u := next.upstreams[c.Pool]; u != nil {
		to.pool, to.upstream = u, u
	}
	if c.Redirect != nil {
		to.redirect = newRedirect(c.Redirect)
	}
	if c.Respond != nil {
		to.body = []byte(c.Respond.Body)
	}
	if c.Host != "" {
		to.host = []byte(c.Host)
	}
	var err error
	fixed, filled := splitEdits(&c.Request)
	to.filled = filled
	if to.request, err = compileEdits(&fixed, &to.host); err != nil {
		return nil, fmt.Errorf("%v: %w", next.config.At(at+".request"), err)
	}
	if to.response, err = compileEdits(&c.Response, nil); err != nil {
		return nil, fmt.Errorf("%v: %w", next.config.At(at+".response"), err)
	}
	to.traces = newTraces(&next.config.Forwarded, &c.Request)
	return to, nil
}

// index sorts routes into the lists.
func (r *router) index(routes []*route) {
	for _, to := range routes {
		for _, h := range to.hosts {
			if rest, wild := strings.CutPrefix(h, "*"); wild {
				r.wildcards[rest] = nil
			} else {
				r.hosts[h] = nil
			}
		}
	}
	for _, to := range routes {
		if len(to.hosts) == 0 {
			r.others = append(r.others, to)
		}
		for host := range r.hosts {
			if to.takesHost(host) {
				r.hosts[host] = append(r.hosts[host], to)
			}
		}
		for rest := range r.wildcards {
			if to.takesHost("*" + rest) {
				r.wildcards[rest] = append(r.wildcards[rest], to)
			}
		}
	}
}

// candidates gives the routes that a host might take, which is in lower case.
func (r *router) candidates(host []byte) []*route {
	if list, ok := r.hosts[string(host)]; ok {
		return list
	}
	if len(r.wildcards) > 0 {
		for i, c := range host {
			if c == '.' {
				if list, ok := r.wildcards[string(host[i:])]; ok {
					return list
				}
			}
		}
	}
	return r.others
}

// route is Settings.Route.
func (r *router) route(x *http1.Exchange) (http1.Pool, error) {
	c := x.ConnData.(*clientConn)
	c.requests.Add(1)
	trusted := r.trust.client(x)
	if r.wellKnown != nil && r.wellKnown.wants(x.Request) {
		return nil, r.wellKnown.answer(x)
	}
	if r.acme != nil && r.acme.Load().answer(x) {
		return nil, nil
	}
	var room [64]byte
	req := newRequest(x, c)
	to := r.find(appendHost(room[:0], x.Request.Authority()), &req)
	if to == nil {
		if x.Request.Method == http1.CONNECT {
			return nil, http1.ErrConnect
		}
		return nil, http1.ErrNoRoute
	}
	x.Data = to
	x.SetTrace(to.traces.of(trusted))
	x.ShareEdits(to.request, to.response)
	if to.bodySize > 0 {
		x.LimitBody(to.bodySize)
	}
	if to.pool == nil {
		return nil, to.answer(&req)
	}
	return to.pool, to.change(&req)
}

// find gives the first route that takes a request of a host; nil: none.
func (r *router) find(host []byte, req *request) *route {
	for _, to := range r.candidates(host) {
		if to.takes(req) {
			return to
		}
	}
	if r.last != nil && req.x.Request.Method != http1.CONNECT {
		return r.last
	}
	return nil
}

// change has the request changed before it is passed on.
func (to *route) change(req *request) error {
	x := req.x
	if to.timeout > 0 {
		x.SetResponseTimeout(to.timeout)
	}
	if to.host != nil {
		if err := x.SetHost(to.host); err != nil {
			return err
		}
	}
	if to.stripPrefix != "" {
		if err := to.strip(req); err != nil {
			return err
		}
	}
	return to.fill(req)
}

// strip takes the prefix off the path. One that is not in its normal form is
// passed on in that form, lest what is left of it means something else.
func (to *route) strip(req *request) error {
	full := req.x.Request.Path()
	path, query := req.path, full[len(req.rawPath):]
	if !hasPathPrefix(path, to.stripPrefix) {
		return nil
	}
	rest := path[len(to.stripPrefix):]
	if len(rest) > 0 && len(path) == len(req.rawPath) && &path[0] == &full[0] {
		return req.x.SetPath(full[len(to.stripPrefix):])
	}
	changed := make([]byte, 0, 1+len(rest)+len(query))
	if len(rest) == 0 {
		changed = append(changed, '/')
	}
	return req.x.SetPath(append(append(changed, rest...), query...))
}

// hasPathPrefix says whether a path is prefix, or below it.
func hasPathPrefix(path []byte, prefix string) bool {
	return len(path) >= len(prefix) && string(path[:len(prefix)]) == prefix &&
		(len(path) == len(prefix) || path[len(prefix)] == '/')
}
