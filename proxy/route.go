package proxy

import (
	"slices"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// router finds where the requests of a listener go. It does not change.
type router struct {
	routes []*route
	last   http1.Pool // for what no route takes; nil: none
}

// route is a route of the configuration.
type route struct {
	config *config.Route
	pool   http1.Pool // nil: none
}

// newRouter compiles the routes that concern a listener.
func newRouter(next *plan, l *config.Listener) (*router, error) {
	r := &router{}
	if u := next.upstreams[l.Pool]; u != nil {
		r.last = u
	}
	for _, c := range next.config.Routes {
		if len(c.Match.Listener) > 0 && !slices.Contains(c.Match.Listener, l.Name) {
			continue
		}
		to := &route{config: c}
		if u := next.upstreams[c.Pool]; u != nil {
			to.pool = u
		}
		r.routes = append(r.routes, to)
	}
	return r, nil
}

// route is Settings.Route.
func (r *router) route(x *http1.Exchange) (http1.Pool, error) {
	for _, to := range r.routes {
		return to.pool, nil
	}
	if r.last == nil {
		return nil, http1.ErrNoRoute
	}
	return r.last, nil
}
