package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/admin"
	"github.com/braid-mptcp/braid/proxy/metrics"
)

// pages are the administrator's pages and the metrics.
type pages struct {
	proxy   *Proxy
	metrics *metrics.Metrics
	servers map[string]*webServer // by address
	admin   *admin.Handler        // nil: none
	options pageOptions           // of admin
}

// pageOptions are what an admin.Handler is made with.
type pageOptions struct {
	pprof, metrics bool
	path           string
}

// webServer serves an address of the administrator's.
type webServer struct {
	listener net.Listener
	server   *http.Server
	handler  atomic.Pointer[http.Handler]
}

// pagePlan is the pages of a configuration, with their addresses bound.
type pagePlan struct {
	servers map[string]*webServer
	opened  []*webServer // of servers, those that are new
}

func newPages(p *Proxy) *pages { return &pages{proxy: p, servers: make(map[string]*webServer)} }

// prepare binds addresses that are not bound yet.
func (g *pages) prepare(ctx context.Context, c *config.Config) (*pagePlan, error) {
	next := &pagePlan{servers: make(map[string]*webServer)}
	for name, a := range map[string]*config.Address{"admin": c.Admin.Address, "metrics": metricsAddress(c)} {
		if a == nil || next.servers[a.String()] != nil {
			continue
		}
		if s := g.servers[a.String()]; s != nil {
			next.servers[a.String()] = s
			continue
		}
		s, err := newWebServer(ctx, *a, g.proxy.log)
		if err != nil {
			next.discard()
			return nil, fmt.Errorf("%s address: %w", name, err)
		}
		next.servers[a.String()] = s
		next.opened = append(next.opened, s)
	}
	return next, nil
}

// metricsAddress is the address for metrics alone; nil: there is none.
func metricsAddress(c *config.Config) *config.Address {
	if !c.Metrics.Enabled {
		return nil
	}
	return c.Metrics.Address
}

// discard gives up the addresses that were bound for nothing.
func (next *pagePlan) discard() {
	for _, s := range next.opened {
		s.listener.Close()
	}
}

// commit puts pages in force, and serves those that are new.
func (g *pages) commit(c *config.Config, next *pagePlan) {
	if g.metrics == nil && c.Metrics.Enabled {
		g.metrics = metrics.New(g.proxy)
	}
	g.renewAdmin(c)
	if a := c.Admin.Address; a != nil {
		next.servers[a.String()].handle(g.admin)
	}
	if a := metricsAddress(c); a != nil && (c.Admin.Address == nil || a.String() != c.Admin.Address.String()) {
		mux := http.NewServeMux()
		mux.Handle("GET "+c.Metrics.Path, g.metrics.Handler())
		next.servers[a.String()].handle(mux)
	}
	for address, s := range g.servers {
		if next.servers[address] == nil {
			s.server.Close()
		}
	}
	for _, s := range next.opened {
		go s.serve(g.proxy.log)
	}
	g.servers = next.servers
}

// renewAdmin makes the administrator's handler, unless the one there is will do:
// its plots begin anew with each.
func (g *pages) renewAdmin(c *config.Config) {
	a, m := c.Admin.Address, metricsAddress(c)
	want := pageOptions{pprof: c.Admin.Pprof, path: c.Metrics.Path,
		metrics: c.Metrics.Enabled && (m == nil || a != nil && m.String() == a.String())}
	if a == nil || g.admin != nil && g.options != want {
		g.closeAdmin()
	}
	if a == nil || g.admin != nil {
		return
	}
	o := admin.Options{Pprof: want.pprof, Reload: g.proxy.opts.Reload, Drain: g.proxy.drainBackend}
	if want.metrics {
		o.Metrics, o.MetricsPath = g.metrics.Handler(), want.path
	}
	g.admin, g.options = admin.New(g.proxy, o), want
}

func (g *pages) closeAdmin() {
	if g.admin != nil {
		g.admin.Close()
		g.admin = nil
	}
}

// close ends all of it.
func (g *pages) close() {
	for _, s := range g.servers {
		s.server.Close()
		s.listener.Close()
	}
	g.closeAdmin()
}

// newWebServer binds an address.
func newWebServer(ctx context.Context, a config.Address, log *slog.Logger) (*webServer, error) {
	s := &webServer{}
	var err error
	if a.Network == config.NetworkUnix {
		s.listener, err = listenUnix(ctx, a.Path)
	} else {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		s.listener, err = lc.Listen(ctx, family(a.Network), a.HostPort())
	}
	if err != nil {
		return nil, err
	}
	s.server = &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// handle has another handler answer from now on.
func (s *webServer) handle(h http.Handler) { s.handler.Store(&h) }

// ServeHTTP implements http.Handler.
func (s *webServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.handler.Load()).ServeHTTP(w, r)
}

func (s *webServer) serve(log *slog.Logger) {
	if err := s.server.Serve(s.listener); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		log.Error("the administrator's pages are not served any more", "error", err)
	}
}

// What is answered for a pool, or a server, that there is not.
var (
	errNoPool   = errors.New("there is no such pool")
	errNoServer = errors.New("the pool has no such server")
)
