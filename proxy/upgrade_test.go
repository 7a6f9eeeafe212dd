package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestWebSocket has a real client and a real server speak through the proxy.
func TestWebSocket(t *testing.T) {
	ca := newCA(t)
	server := serveTest(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if c.Write(r.Context(), kind, append([]byte("echo "), b...)) != nil {
				return
			}
		}
	})
	p := start(t, `
		listeners:
		- {name: plain, address: 'tcp@127.0.0.1:0', pool: web}
		- {name: tls, address: 'tcp@127.0.0.1:0', pool: web, tls: {certificates: `+ca.issue(t, "a.example")+`}}
		timeouts: {response_body: 1s, keep_alive: 1s, request: 1500ms}
		oneconnect: {default: {http_reuse: always}}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	for i, url := range []string{"ws://" + p.hostPort(0) + "/", "wss://a.example/"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: tlsClient(t, ca, p.hostPort(i), false)})
		if err != nil {
			t.Fatal(err)
		}
		for _, pause := range []time.Duration{0, 0, 2 * time.Second} { // longer than the timeouts of requests
			time.Sleep(pause)
			want := strings.Repeat("x", 70_000)
			c.SetReadLimit(1 << 20)
			if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(ctx); err != nil || string(got) != "echo "+want {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
		}
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if n := p.engine.Counters().Tunnels; n != 2 {
		t.Errorf("%d tunnels, want 2", n)
	}
	// Their connections to the server are nobody else's.
	eventually(t, "the server connections to be closed", func() bool {
		c := p.pools.Pool("web").Stats().Conns
		return c.Idle == 0 && c.InUse == 0
	})
}

// TestConnect opens a tunnel where a route asks for it.
func TestConnect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "CONNECT" || r.Host != "target.example:22" {
			w.WriteHeader(400)
			return
		}
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nwelcome\n")
		b, _ := io.ReadAll(rw)
		io.WriteString(c, strings.ToUpper(string(b)))
	}))
	p := start(t, `
		listeners:
		- {name: on, address: 'tcp@127.0.0.1:0', pool: web}
		- {name: off, address: 'tcp@127.0.0.1:0', pool: web}
		routes:
		- {match: {listener: [on], method: [CONNECT], host: [target.example]}, pool: web}
		pools:
		  web: {backends: ['`+l.Addr().String()+`']}`)
	const request = "CONNECT target.example:22 HTTP/1.1\r\nHost: target.example:22\r\n\r\n"
	c := dial(t, p.hostPort(0))
	io.WriteString(c, request+"hello")
	c.(*net.TCPConn).CloseWrite()
	r := bufio.NewReader(c)
	if line, _ := r.ReadString('\n'); line != "HTTP/1.1 200 OK\r\n" {
		t.Fatalf("got %q", line)
	}
	b, err := io.ReadAll(r)
	if err != nil || !strings.HasSuffix(string(b), "\r\n\r\nwelcome\nHELLO") {
		t.Errorf("got %q, %v", b, err)
	}
	for i, request := range []string{strings.ReplaceAll(request, "target", "other"), request} {
		c := dial(t, p.hostPort(i))
		if resp, _ := ask(t, c, bufio.NewReader(c), request); resp.StatusCode != 405 {
			t.Errorf("%d: got %d, want 405", i, resp.StatusCode)
		}
	}
}
