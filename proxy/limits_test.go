package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestConnectionLimits holds connections back that are too many, and refuses
// those of one client.
func TestConnectionLimits(t *testing.T) {
	server := serveTest(t, named("ok"))
	for _, tt := range []struct {
		name, listener, limits string
		wait                   bool // those beyond wait; otherwise they are closed
	}{
		{"all", "", "{connections: 2}", true},
		{"listener", ", max_connections: 2", "{connections: 10}", true},
		{"client", "", "{connections_per_client: 2}", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, `
				listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web`+tt.listener+`}
				limits: `+tt.limits+`
				pools:
				  web: {backends: [`+server.addr+`]}`)
			const request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
			first, second := dial(t, p.addr), dial(t, p.addr)
			ask(t, first, bufio.NewReader(first), request)
			ask(t, second, bufio.NewReader(second), request)
			third := dial(t, p.addr)
			io.WriteString(third, request)
			third.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			n, err := third.Read(make([]byte, 1))
			ne, _ := err.(net.Error)
			if waits := ne != nil && ne.Timeout(); n > 0 || waits != tt.wait {
				t.Fatalf("a third connection: read %d bytes, %v", n, err)
			}
			if !tt.wait {
				third = nil
			}
			first.Close()
			if third == nil {
				eventually(t, "room for another one", func() bool {
					c := dial(t, p.addr)
					io.WriteString(c, request)
					n, _ := c.Read(make([]byte, 1))
					return n > 0
				})
				return
			}
			third.SetReadDeadline(time.Now().Add(10 * time.Second))
			if n, err := third.Read(make([]byte, 1)); n == 0 {
				t.Errorf("after the first has gone: %v", err)
			}
		})
	}
}

// TestRequestLimits refuses what is too large or too many.
func TestRequestLimits(t *testing.T) {
	server := serveTest(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		limits: {header_size: 2KiB, header_fields: 10, target_size: 100, body_size: 1KiB, requests_per_connection: 3}
		routes:
		- {match: {path: /large}, pool: web, body_size: 4KiB}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"target", "GET /" + strings.Repeat("x", 99) + " HTTP/1.1\r\nHost: h\r\n\r\n", 200},
		{"target too long", "GET /" + strings.Repeat("x", 150) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
		{"head", "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 1900) + "\r\n\r\n", 200},
		{"head too long", "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 2048) + "\r\n\r\n", 431},
		{"fields", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a: b\r\n", 9) + "\r\n", 200},
		{"too many fields", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a: b\r\n", 10) + "\r\n", 431},
		{"body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024), 200},
		{"body too large", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1025\r\n\r\n", 413},
		{"chunks too large", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n" + strings.Repeat("x", 1025) + "\r\n0\r\n\r\n", 413},
		{"body of a route", "POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 4096\r\n\r\n" + strings.Repeat("x", 4096), 200},
		{"body of a route too large", "POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 4097\r\n\r\n", 413},
	} {
		c := dial(t, p.addr)
		if resp, _ := ask(t, c, bufio.NewReader(c), tt.request); resp.StatusCode != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, resp.StatusCode, tt.want)
		}
	}
	c := dial(t, p.addr)
	r := bufio.NewReader(c)
	for i := range 3 {
		resp, _ := ask(t, c, r, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if want := i == 2; resp.Close != want {
			t.Errorf("request %d: Close %v, want %v", i, resp.Close, want)
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after the last request: %v, want EOF", err)
	}
}

// TestTimeouts lets every phase of a request take too long.
func TestTimeouts(t *testing.T) {
	server := serveTest(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/body":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/drip":
			for r.Context().Err() == nil {
				io.WriteString(w, "drop")
				w.(http.Flusher).Flush()
				time.Sleep(30 * time.Millisecond)
			}
		case "/head":
			<-r.Context().Done()
		default:
			io.Copy(io.Discard, r.Body)
		}
	})
	for _, tt := range []struct {
		name, timeouts, request string
		want                    int // 0: the connection is closed
		truncated               bool
	}{
		{"head", "{request_header: 200ms}", "GET / HTTP/1.1\r\nHo", 408, false},
		{"nothing", "{request_header: 200ms}", "", 0, false},
		{"body", "{request_body: 200ms}", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc", 408, false},
		{"response head", "{response_header: 200ms}", "GET /head HTTP/1.1\r\nHost: h\r\n\r\n", 504, false},
		{"response body", "{response_body: 200ms}", "GET /body HTTP/1.1\r\nHost: h\r\n\r\n", 200, true},
		{"whole, head", "{request: 200ms}", "GET /head HTTP/1.1\r\nHost: h\r\n\r\n", 504, false},
		{"whole, body", "{request: 300ms}", "GET /drip HTTP/1.1\r\nHost: h\r\n\r\n", 200, true},
		{"whole, request body", "{request: 300ms}", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc", 408, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, `
				listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
				timeouts: `+tt.timeouts+`
				pools:
				  web: {backends: [`+server.addr+`]}`)
			begun := time.Now()
			c := dial(t, p.addr)
			io.WriteString(c, tt.request)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if tt.want == 0 {
				if err == nil {
					t.Errorf("got %d", resp.StatusCode)
				}
			} else if err != nil {
				t.Fatal(err)
			} else if _, err := io.ReadAll(resp.Body); resp.StatusCode != tt.want || (err != nil) != tt.truncated {
				t.Errorf("got %d, body: %v; want %d, truncated: %v", resp.StatusCode, err, tt.want, tt.truncated)
			}
			if d := time.Since(begun); d < 150*time.Millisecond || d > patience {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// TestKeepAliveTimeout closes connections between requests.
func TestKeepAliveTimeout(t *testing.T) {
	server := serveTest(t, named("ok"))
	for name, config := range map[string]string{
		"keep_alive":   "timeouts: {keep_alive: 200ms}",
		"idle_timeout": "tcp_profiles: {default: {idle_timeout: 200ms}}",
	} {
		p := start(t, `
			listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
			`+config+`
			pools:
			  web: {backends: [`+server.addr+`]}`)
		c := dial(t, p.addr)
		r := bufio.NewReader(c)
		begun := time.Now()
		ask(t, c, r, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("%s: %v, want EOF", name, err)
		}
		if d := time.Since(begun); d < 150*time.Millisecond || d > patience {
			t.Errorf("%s: it took %v", name, d)
		}
	}
}
