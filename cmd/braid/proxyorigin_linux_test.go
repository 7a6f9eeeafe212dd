package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/netns"
)

// origin is a server behind the proxy that knows what reached it.
type origin struct {
	t    *testing.T
	addr string
	srv  *http.Server

	mu       sync.Mutex
	accepted int
	open     map[net.Conn]bool
	most     int // connections at once
	requests int
}

type connKey struct{}

// startOrigin starts one at addr, in a namespace or, with nil, beside the test.
// handler serves what the origin itself has no path for.
func startOrigin(t *testing.T, ns *netns.NS, addr string, handler http.Handler) *origin {
	t.Helper()
	return startOriginTLS(t, ns, addr, handler, nil)
}

// startOriginTLS starts one that speaks TLS, with a configuration.
func startOriginTLS(t *testing.T, ns *netns.NS, addr string, handler http.Handler, cfg *tls.Config) *origin {
	t.Helper()
	var l net.Listener
	var err error
	listen := func() { l, err = net.Listen("tcp", addr) }
	if ns != nil {
		ns.Do(listen)
	} else {
		listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{t: t, addr: l.Addr().String(), open: make(map[net.Conn]bool)}
	if cfg != nil {
		l = tls.NewListener(l, cfg)
	}
	o.serve(l, handler)
	return o
}

func (o *origin) serve(l net.Listener, handler http.Handler) {
	mux := http.NewServeMux()
	mux.HandleFunc("/conn", o.serveConn)
	mux.HandleFunc("/bytes/{n}", o.serveBytes)
	mux.HandleFunc("/chunked/{n}", o.serveBytes)
	mux.HandleFunc("/slow/{time}", o.serveSlow)
	mux.HandleFunc("/echo", o.serveEcho)
	mux.HandleFunc("/from", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.RemoteAddr, r.Header.Get("X-Forwarded-For"))
	})
	if handler != nil {
		mux.Handle("/", handler)
	}
	o.srv = &http.Server{
		Handler:     o.counted(mux),
		ConnState:   o.connState,
		ConnContext: o.connContext,
	}
	go o.srv.Serve(l)
	o.t.Cleanup(func() { o.srv.Close() })
}

func (o *origin) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.requests++
		o.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func (o *origin) connState(c net.Conn, s http.ConnState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch s {
	case http.StateNew:
		o.open[c] = true
		o.most = max(o.most, len(o.open))
	case http.StateClosed, http.StateHijacked:
		delete(o.open, c)
	}
}

// connContext numbers connections in the order in which they came.
func (o *origin) connContext(ctx context.Context, _ net.Conn) context.Context {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.accepted++
	return context.WithValue(ctx, connKey{}, o.accepted)
}

// seen is what reached the origin.
type seen struct{ accepted, open, most, requests int }

func (o *origin) seen() seen {
	o.mu.Lock()
	defer o.mu.Unlock()
	return seen{o.accepted, len(o.open), o.most, o.requests}
}

// serveConn tells on which connection the request came.
func (o *origin) serveConn(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%d", r.Context().Value(connKey{}))
}

// serveBytes answers with so many bytes, chunked or not.
func (o *origin) serveBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	b := file{byte(n), n}.bytes()
	if !strings.HasPrefix(r.URL.Path, "/chunked/") {
		w.Header().Set("Content-Length", strconv.Itoa(n))
		w.Write(b)
		return
	}
	w.Header().Set("Trailer", "X-Sum")
	for step := 1; len(b) > 0; step = step*3 + 1 {
		w.Write(b[:min(step, len(b))])
		b = b[min(step, len(b)):]
		http.NewResponseController(w).Flush()
	}
	w.Header().Set("X-Sum", strconv.Itoa(n))
}

// serveSlow takes its time.
func (o *origin) serveSlow(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.PathValue("time"))
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	select {
	case <-time.After(d):
		fmt.Fprintf(w, "%d", r.Context().Value(connKey{}))
	case <-r.Context().Done():
	}
}

// serveEcho answers with the request's body, and with its trailers as trailers.
func (o *origin) serveEcho(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	w.Header().Set("X-Method", r.Method)
	w.Header().Set("Content-Type", "application/octet-stream")
	for name, v := range r.Trailer {
		w.Header()[http.TrailerPrefix+name] = v
	}
	w.Write(b)
}

// nginxd is an nginx that runs.
type nginxd struct {
	addr string
	cmd  *exec.Cmd
	dir  string
	t    *testing.T
	ns   *netns.NS
}

// startNginx starts an nginx at addr that serves the files of dir, or skips the
// test. http are more lines for the configuration of the server.
func startNginx(t *testing.T, ns *netns.NS, addr, dir, server string) *nginxd {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skipf("needs nginx: %v", err)
	}
	n := &nginxd{addr: addr, dir: t.TempDir(), t: t, ns: ns}
	// nginx's workers are somebody else.
	for d := n.dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			break // not ours
		}
	}
	config := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log stderr warn; worker_processes 1;
events { worker_connections 8000; }
http {
	access_log off; sendfile on; keepalive_timeout 60s; keepalive_requests 1000000;
	client_body_temp_path %[1]s/1; proxy_temp_path %[1]s/2; fastcgi_temp_path %[1]s/3; uwsgi_temp_path %[1]s/4; scgi_temp_path %[1]s/5;
	server { listen %[2]s; root %[3]s; client_max_body_size 1g; %[4]s }
}
`, n.dir, addr, dir, server)
	if err := os.WriteFile(filepath.Join(n.dir, "nginx.conf"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	n.start()
	return n
}

func (n *nginxd) start() {
	n.t.Helper()
	n.cmd = exec.Command("nginx", "-p", n.dir, "-e", "stderr", "-c", filepath.Join(n.dir, "nginx.conf"))
	log := new(output)
	n.cmd.Stderr = log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	startIn(n.t, n.ns, n.cmd)
	pid := n.cmd.Process.Pid
	n.t.Cleanup(func() { // before the master ends: it would leave its workers
		syscall.Kill(-pid, syscall.SIGTERM)
	})
	dial := inNS(n.ns, net.Dialer{Timeout: time.Second})
	waitFor(n.t, "nginx listens: "+log.String(), func() bool {
		c, err := dial(context.Background(), "tcp", n.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// kill kills it with all its workers.
func (n *nginxd) kill() {
	n.t.Helper()
	if err := syscall.Kill(-n.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		n.t.Error(err)
	}
	n.cmd.Wait()
}
