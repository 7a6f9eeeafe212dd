package admin

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"

	"github.com/braid-mptcp/braid/proxy/status"
)

//go:embed assets
var assets embed.FS

// Options say what a Handler offers beside status.
type Options struct {
	// Metrics serves MetricsPath ("": /metrics); nil: nothing does.
	Metrics     http.Handler
	MetricsPath string
	// Pprof serves profiles of the process.
	Pprof bool
	// Reload loads the configuration again; nil: that cannot be asked for.
	Reload func(context.Context) error
	// Drain takes a backend out of service for new clients, or back into it;
	// nil: that cannot be asked for.
	Drain func(pool, backend string, on bool) error
}

// Handler serves the administrator's page. Its methods may be called from any
// goroutine.
//
// /api/status has these parameters: limit and offset choose a page of the
// connections (all of them without), sort orders them by "id", "client",
// "listener", "requests", "rate" (both ways), "out", "in", "bytes", "subflows"
// or "rtt", from the top with a "-" before it, filter shows those that contain
// all of its words in their addresses, names or protocols, and protocol those
// that speak "mptcp" or "tcp".
//
// /api/history gives the points after the one with the time "since", in
// milliseconds since 1970.
type Handler struct {
	opts    Options
	sampler *sampler
	mux     *http.ServeMux
}

// New makes a Handler for a proxy, which it looks at from then on until Close.
func New(src status.Source, o Options) *Handler {
	h := newHandler(src, o)
	h.sampler.start()
	return h
}

// newHandler is New without looking yet.
func newHandler(src status.Source, o Options) *Handler {
	h := &Handler{opts: o, sampler: newSampler(src), mux: http.NewServeMux()}
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic("BUG: no assets: " + err.Error())
	}
	h.mux.Handle("GET /", revalidated(http.FileServerFS(files)))
	h.mux.HandleFunc("GET /api/status", h.serveStatus)
	h.mux.HandleFunc("GET /api/history", h.serveHistory)
	h.mux.HandleFunc("GET /api/features", h.serveFeatures)
	h.mux.HandleFunc("POST /api/drain", h.serveDrain)
	h.mux.HandleFunc("POST /api/reload", h.serveReload)
	h.mux.HandleFunc("GET /healthz", serveHealth)
	h.mux.HandleFunc("GET /readyz", h.serveReady)
	if o.Pprof {
		h.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		h.mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		h.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		h.mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		h.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return h
}

func (h *Handler) metricsPath() string {
	if h.opts.MetricsPath == "" {
		return "/metrics"
	}
	return h.opts.MetricsPath
}

// Close stops looking at the proxy.
func (h *Handler) Close() error {
	h.sampler.close()
	return nil
}

// policy is what the page may load: its own files and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pprofPolicy allows the style attributes of the list of profiles.
const pprofPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	if strings.HasPrefix(r.URL.Path, "/debug/") {
		header.Set("Content-Security-Policy", pprofPolicy)
	}
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	if !hostAllowed(r) {
		http.Error(w, "On a loopback address, this page answers to an IP address or to localhost only.", http.StatusForbidden)
		return
	}
	// The path is the user's choice, and would not be a pattern in every case.
	if h.opts.Metrics != nil && r.URL.Path == h.metricsPath() && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h.opts.Metrics.ServeHTTP(w, r)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// hostAllowed tells requests that were meant for this server from those of a
// foreign page whose name was made to point here: DNS rebinding. Health checks
// give nothing away.
func hostAllowed(r *http.Request) bool {
	if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || !onLoopback(r) {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

func onLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true // not known: be careful
	}
	ap, err := netip.ParseAddrPort(local.String())
	return err != nil || ap.Addr().Unmap().IsLoopback()
}

// revalidated keeps browsers from using an old page with a new API.
func revalidated(files http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, code int, doc any) {
	body, err := json.Marshal(doc)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	w.Write(append(body, '\n'))
}
