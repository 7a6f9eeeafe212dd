package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestDrainServesFirstRequest: a client whose connection was accepted just
// before the end has its request on the way, and is served.
func TestDrainServesFirstRequest(t *testing.T) {
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0'}
		routes: {respond: {}}`)
	c := dial(t, p.addr)
	eventually(t, "the connection", func() bool { return p.engine.Open() == 1 })
	ended := make(chan error, 1)
	go func() { ended <- p.Shutdown(t.Context()) }()
	eventually(t, "the end", func() bool { return p.Snapshot().Draining })
	resp, _ := ask(t, c, bufio.NewReader(c), "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp.StatusCode != 200 || !resp.Close {
		t.Errorf("got %d, Close %v; want 200 and the end of the connection", resp.StatusCode, resp.Close)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestRestartWithInheritedSocket restarts the proxy at a socket that stays, as
// systemd keeps it. Each of the clients, who come with a new connection for each
// request, gets an answer.
func TestRestartWithInheritedSocket(t *testing.T) {
	handed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer handed.Close()
	options := func() Options {
		return Options{
			Config: parse(t, `
				listeners: {name: web, address: fd@web}
				routes: {respond: {}}`),
			Inherited: map[string][]net.Listener{"web": {handed}},
		}
	}
	p := startOptions(t, options())
	var served atomic.Int64
	stop := make(chan bool)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := c.Get(fmt.Sprintf("http://%s/", handed.Addr()))
				if err != nil {
					t.Errorf("after %d requests: %v", served.Load(), err)
					return
				}
				resp.Body.Close()
				served.Add(1)
			}
		})
	}
	for i := range 20 {
		enough := served.Load() + 50
		eventually(t, "requests", func() bool { return served.Load() > enough || t.Failed() })
		if err := p.Shutdown(t.Context()); err != nil {
			t.Fatalf("restart %d: %v", i, err)
		}
		p = startOptions(t, options())
	}
	close(stop)
	clients.Wait()
}

// TestReloadOverlap: a reload cannot have a port anew that the proxy holds, and
// says so instead of suspecting others.
func TestReloadOverlap(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	text := `
		network: {single_path: true}
		listeners: {name: web, address: '%s@` + addr + `'}
		routes: {respond: {body: here}}`
	p := start(t, fmt.Sprintf(text, "tcp"))
	err = p.Reload(t.Context(), parse(t, fmt.Sprintf(text, "mptcp")))
	if !errors.Is(err, errHeld) || errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want %v", err, errHeld)
	}
	wantBody(t, client(t), "http://"+addr+"/", 200, "here")
}
