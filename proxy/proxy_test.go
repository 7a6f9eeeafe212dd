package proxy

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/braid-mptcp/braid"
)

// TestForwards sends requests through every kind of listener.
func TestForwards(t *testing.T) {
	server := serveTest(t, named("hello"))
	dir := t.TempDir()
	socket := filepath.Join(dir, "in.sock")
	// What a crash leaves behind must not be in the way.
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	handed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer handed.Close()
	p := startOptions(t, Options{
		Config: parse(t, `
		listeners:
		- name: web
		  address: [tcp@127.0.0.1:0, tcp4@127.0.0.1:0, 'tcp6@[::1]:0', unix@`+socket+`, fd@web]
		  pool: web
		pools:
		  web: {backends: [`+server.addr+`]}`),
		Inherited: map[string][]net.Listener{"web": {handed}},
	})
	addrs := p.Addrs()
	if len(addrs) != 5 {
		t.Fatalf("got %d addresses, want 5: %v", len(addrs), addrs)
	}
	for i := range 3 {
		wantBody(t, client(t), "http://"+p.hostPort(i)+"/", 200, "hello")
	}
	wantBody(t, client(t), "http://"+handed.Addr().String()+"/", 200, "hello")
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	b := make([]byte, 1024)
	if n, _ := c.Read(b); !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200 ") {
		t.Errorf("over a Unix socket: got %q", b[:n])
	}
}

// TestMultipathListener accepts Multipath TCP and plain TCP at one address.
func TestMultipathListener(t *testing.T) {
	server := serveTest(t, named("hello"))
	p := start(t, `
		network: {single_path: true}
		listeners: {name: web, address: 'mptcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	wantBody(t, client(t), "http://"+p.addr+"/", 200, "hello")
	n, err := braid.Open(context.Background(), braid.OpenConfig{SinglePath: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	c, err := n.DialContext(context.Background(), "tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	b := make([]byte, 1024)
	if n, err := c.Read(b); !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200 ") {
		t.Errorf("got %q, %v", b[:n], err)
	}
}

// TestStartLeavesNothing fails at the last of several addresses.
func TestStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	socket := filepath.Join(t.TempDir(), "in.sock")
	_, err = New(context.Background(), Options{Config: parse(t, `
		listeners:
		- {name: a, address: unix@`+socket+`, pool: web}
		- {name: b, address: tcp@`+taken.Addr().String()+`, pool: web}
		pools:
		  web: {backends: ['127.0.0.1:1']}`)})
	if err == nil || !strings.Contains(err.Error(), "listener b") {
		t.Errorf("got error %v, want one about listener b", err)
	}
	if _, err := os.Stat(socket); err == nil {
		t.Errorf("%s was left behind", socket)
	}
}

// TestOneConnect has many clients share few server connections.
func TestOneConnect(t *testing.T) {
	server := serveTest(t, named("ok"))
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		oneconnect:
		  default: {http_reuse: always, max_size: 8}
		pools:
		  web: {backends: [`+server.addr+`], max_connections: 8, max_pending: 100}`)
	const clients, requests = 50, 20
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			c := client(t)
			for range requests {
				wantBody(t, c, "http://"+p.addr+"/", 200, "ok")
			}
		})
	}
	all.Wait()
	if n := server.conns.Load(); n > 8 {
		t.Errorf("%d requests took %d server connections, want 8 at most", clients*requests, n)
	}
	stats := p.pools.Pool("web").Stats().Conns
	if r := stats.ReuseRatio(); r < 0.99 {
		t.Errorf("reuse ratio %v, want 0.99 at least", r)
	}
}

// TestShutdown ends a proxy between requests.
func TestShutdown(t *testing.T) {
	server := serveTest(t, named("ok"))
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	c := client(t)
	wantBody(t, c, "http://"+p.addr+"/", 200, "ok")
	if err := p.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if nc, err := net.Dial("tcp", p.addr); err == nil {
		nc.Close()
		t.Errorf("connected after Shutdown")
	}
}
