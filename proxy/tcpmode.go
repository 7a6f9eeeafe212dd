package proxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
	"github.com/braid-mptcp/braid/proxy/passthrough"
)

// tcpRouter finds where the connections of a listener in mode tcp go.
type tcpRouter struct {
	routes []*tcpRoute
	last   *upstream // for what no route takes; nil: none
	sni    bool      // some route wants to know the name in the TLS hello
}

// tcpRoute is a route as far as connections are concerned.
type tcpRoute struct {
	name string
	match
	upstream *upstream
}

// newTCPRouter takes the routes that ask for nothing a connection does not have.
func newTCPRouter(next *plan, l *config.Listener) *tcpRouter {
	r := &tcpRouter{last: next.upstreams[l.Pool]}
	for i, c := range next.config.Routes {
		m := &c.Match
		u := next.upstreams[c.Pool]
		if u == nil || len(m.Host)+len(m.Path)+len(m.Method)+len(m.Header) > 0 ||
			len(m.Listener) > 0 && !slices.Contains(m.Listener, l.Name) {
			continue
		}
		to := &tcpRoute{name: c.Name, match: newMatch(m), upstream: u}
		if to.name == "" {
			to.name = fmt.Sprint(i)
		}
		r.routes = append(r.routes, to)
		r.sni = r.sni || len(m.SNI) > 0
	}
	return r
}

// find gives the pool for a connection, and the name of the route to it.
func (r *tcpRouter) find(serverName string, client netip.Addr) (u *upstream, route string) {
	for _, to := range r.routes {
		if (len(to.sni) == 0 || serverName != "" && fitsAny(to.sni, serverName)) && to.takesClient(client) {
			return to.upstream, to.name
		}
	}
	return r.last, ""
}

// serveTCP passes a connection on as it is. nc is c, or TLS above it.
func (l *listener) serveTCP(c *clientConn, nc net.Conn, r *rules) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := context.AfterFunc(l.ending, cancel)
	defer stop()
	passthrough.Serve(ctx, nc, &passthrough.Config{
		Route:        func(pc *passthrough.Conn) (*balance.Pool, balance.Request, error) { return r.routeTCP(c, pc) },
		SNI:          r.tcp.sni && c.tls.Load() == nil,
		HelloTimeout: r.timeouts.ProxyHeader.D(),
		Idle:         r.timeouts.Tunnel.D(),
		Done:         func(result passthrough.Result) { l.proxy.passedOn(c, result) },
	})
}

// routeTCP is passthrough.Config.Route.
func (r *rules) routeTCP(c *clientConn, pc *passthrough.Conn) (*balance.Pool, balance.Request, error) {
	name := ""
	switch t := c.tls.Load(); {
	case t != nil:
		name = t.serverName
	case pc.Hello != nil:
		name = pc.Hello.ServerName
	}
	c.passed.Store(pc)
	u, route := r.tcp.find(name, c.peer.Addr())
	if u == nil {
		return nil, balance.Request{}, http1.ErrNoRoute
	}
	pc.Data = &tcpFacts{serverName: name, route: route}
	if c.account != nil {
		pc.Ending = c.lookNow
	}
	request := balance.Request{Client: c.client, Hash: hashAddr(c.peer.Addr())}
	if u.hash.Kind == "sni" && name != "" {
		request.Hash = balance.HashKey(name)
	}
	return u.pool.Load(), request, nil
}

// tcpFacts is what is known of a connection that is passed on.
type tcpFacts struct{ serverName, route string }
