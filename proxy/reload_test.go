package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/config"
)

// TestReload changes everything about a proxy but one connection.
func TestReload(t *testing.T) {
	old, next := serveTest(t, named("old")), serveTest(t, named("next"))
	before := `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		timeouts: {drain: 2s}
		pools:
		  web: {backends: [` + old.addr + `]}`
	p := start(t, before)
	c := dial(t, p.addr)
	r := bufio.NewReader(c)
	const request = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
	if _, body := ask(t, c, r, request); body != "old" {
		t.Fatalf("got %q", body)
	}
	reload := func(text string) error { return p.Reload(context.Background(), parse(t, text)) }
	if err := reload(`
		listeners:
		- {name: web, address: 'tcp@127.0.0.1:0', pool: other}
		- {name: more, address: 'tcp@127.0.0.1:0'}
		timeouts: {drain: 2s}
		routes:
		- {match: {listener: [more]}, respond: {body: more}}
		pools:
		  other: {backends: [` + next.addr + `]}`); err != nil {
		t.Fatal(err)
	}
	if got := p.hostPort(0); got != p.addr {
		t.Errorf("the listener moved from %s to %s", p.addr, got)
	}
	if _, body := ask(t, c, r, request); body != "next" {
		t.Errorf("on the old connection: got %q, want next", body)
	}
	more := p.hostPort(1)
	wantBody(t, client(t), "http://"+more+"/", 200, "more")
	idle := dial(t, more)
	ask(t, idle, bufio.NewReader(idle), request)

	// What cannot be leaves all as it is.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	socket := filepath.Join(t.TempDir(), "s")
	if err := reload(`
		listeners:
		- {name: unix, address: 'unix@` + socket + `', pool: web}
		- {name: taken, address: 'tcp@` + taken.Addr().String() + `', pool: web}
		pools:
		  web: {backends: [` + old.addr + `]}`); err == nil {
		t.Error("a reload succeeded whose address was taken")
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("a socket of the failed reload was left behind")
	}
	if _, body := ask(t, c, r, request); body != "next" {
		t.Errorf("after a failed reload: got %q, want next", body)
	}

	// A listener goes, and with it its connections once they are idle.
	if err := reload(before); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection of a listener that has gone: %v, want EOF", err)
	}
	if nc, err := net.Dial("tcp", more); err == nil {
		nc.Close()
		t.Error("a listener that has gone accepts")
	}
	if _, body := ask(t, c, r, request); body != "old" {
		t.Errorf("back again: got %q, want old", body)
	}
	if got := p.Snapshot().Totals.Reloads; got["ok"] != 2 || got["failed"] != 1 {
		t.Errorf("counted reloads: %v", got)
	}
	eventually(t, "one connection to be left", func() bool { return len(p.conns.all()) == 1 })
}

// TestReloadUnderLoad loses no request while pools come and go.
func TestReloadUnderLoad(t *testing.T) {
	server := serveTest(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond)
		io.WriteString(w, "ok")
	})
	configs := []*config.Config{}
	for _, pool := range []string{"a", "b", "c"} {
		configs = append(configs, parse(t, `
			listeners: {name: web, address: 'tcp@127.0.0.1:0'}
			routes:
			- {match: {path: '/*'}, pool: `+pool+`}
			pools:
			  `+pool+`: {backends: [`+server.addr+`]}`))
	}
	p := startOptions(t, Options{Config: configs[0]})
	var stop atomic.Bool
	var requests, bad atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			c := client(t)
			for !stop.Load() {
				resp, err := c.Get("http://" + p.addr + "/")
				requests.Add(1)
				if err != nil || resp.StatusCode != 200 {
					bad.Add(1)
				}
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
		})
	}
	// On a slow machine it takes more reloads until there were requests enough.
	for i := 0; i < 60 || requests.Load() < 100 && i < 2000; i++ {
		if err := p.Reload(context.Background(), configs[(i+1)%3]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop.Store(true)
	all.Wait()
	if bad.Load() > 0 || requests.Load() < 100 {
		t.Errorf("%d of %d requests failed", bad.Load(), requests.Load())
	}
}

// TestReloadKindOfListener turns requests into plain connections at the same
// socket.
func TestReloadKindOfListener(t *testing.T) {
	server := serveTest(t, named("http"))
	echo := shout(t, "tcp")
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	wantBody(t, client(t), "http://"+p.addr+"/", 200, "http")
	if err := p.Reload(context.Background(), parse(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', mode: tcp, pool: web}
		pools:
		  web: {backends: ['`+echo+`']}`)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := converse(t, dial(t, p.addr), "x\n"); got != "this is tcp\nX\nbye\n" {
			t.Errorf("got %q", got)
		}
	}
}

// TestDrain lets a request in work come to its end, and tells clients that their
// connections do.
func TestDrain(t *testing.T) {
	began, finish := make(chan bool, 1), make(chan bool)
	server := serveTest(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			began <- true
			<-finish
		}
		io.WriteString(w, "done")
	})
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	idle := dial(t, p.addr)
	ask(t, idle, bufio.NewReader(idle), "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	busy := dial(t, p.addr)
	io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	<-began
	ended := make(chan error, 1)
	go func() { ended <- p.Shutdown(t.Context()) }()
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the idle connection: %v, want EOF", err)
	}
	if s := p.Snapshot(); s.Ready || !s.Draining {
		t.Errorf("ready %v, draining %v", s.Ready, s.Draining)
	}
	select {
	case err := <-ended:
		t.Fatalf("Shutdown did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(finish)
	resp, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); string(b) != "done" || err != nil || !resp.Close {
		t.Errorf("got %q, %v, Close %v; want it whole, with Connection: close", b, err, resp.Close)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestDrainEnds cuts off what does not end in time.
func TestDrainEnds(t *testing.T) {
	for name, text := range map[string]string{
		"http": `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: ['` + hanging(t) + `']}`,
		"tcp": `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web, mode: tcp}
		pools:
		  web: {backends: ['` + hanging(t) + `']}`,
	} {
		p := start(t, text)
		c := dial(t, p.addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		eventually(t, "the request", func() bool { return p.pools.Pool("web").Members()[0].Active() == 1 })
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		begun := time.Now()
		err := p.Shutdown(ctx)
		cancel()
		if d := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || d > patience {
			t.Errorf("%s: %v after %v", name, err, d)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the connection goes on", name)
		}
	}
}

// TestKeepsConnections finds one connection below many requests.
func TestKeepsConnections(t *testing.T) {
	server := serveTest(t, named("ok"))
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	c := client(t)
	reused := 0
	for range 10 {
		trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			if i.Reused {
				reused++
			}
		}}
		req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "http://"+p.addr+"/", strings.NewReader(""))
		do(t, c, req)
	}
	if reused != 9 {
		t.Errorf("%d of 9 requests found the connection", reused)
	}
}

// TestShutdownDuringReload does not wait for servers that a reload wants to know.
func TestShutdownDuringReload(t *testing.T) {
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0'}
		routes: {respond: {}}`)
	p.mu.Lock() // until the reload is on its way
	reloaded := make(chan error, 1)
	c := parse(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web: {dns: {name: never.invalid, port: 80}}`)
	go func() { reloaded <- p.Reload(context.Background(), c) }()
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	<-reloaded // whether it came first or too late
	if err := p.Reload(t.Context(), c); err == nil {
		t.Error("a proxy that has ended was reloaded")
	}
}
