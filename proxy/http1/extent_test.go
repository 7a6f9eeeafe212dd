package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSetBuffer changes the size of buffers between requests of one connection,
// up to heads larger than the buffers of bodies were.
func TestSetBuffer(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		l := listenTest(t)
		server := &http.Server{MaxHeaderBytes: 2 << 20, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, len(r.Header.Get("X")), " ", n)
		})}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
		p := start(t, l.Addr().String(), func(s *Settings) { s.Limits = Limits{Head: 1 << 20, Line: 1 << 20} })
		c := dialTest(t, p.addr)
		r := bufio.NewReader(c)
		for _, size := range []int{DefaultHead, 1 << 20, 2 << 10, 300 << 10} {
			p.SetBuffer(size)
			fill, body := strings.Repeat("x", size-200), strings.Repeat("y", 2*size)
			for _, request := range []string{
				testGet, // with the buffer from before
				"GET / HTTP/1.1\r\nHost: a\r\nX: " + fill + "\r\n\r\n",
				fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body),
			} {
				time.Sleep(5 * time.Millisecond) // the connection gives back its buffer
				sendString(t, c, request)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				want := fmt.Sprint(strings.Count(request, "x")/max(len(fill), 1)*len(fill), " ", strings.Count(request, "y"))
				if resp.StatusCode != 200 || err != nil || string(got) != want {
					t.Errorf("buffer %d: got %d %q, %v; want %q", size, resp.StatusCode, got, err, want)
				}
			}
		}
	})
}

// TestMaxRequests ends a connection with the last response it may have.
func TestMaxRequests(t *testing.T) {
	server := startServer(t, answerAll)
	p := startProxy(t, server, func(s *Settings) { s.MaxRequests = 2 })
	c := dialTest(t, p.addr)
	sendString(t, c, testGet+testGet+testGet)
	b, err := io.ReadAll(c)
	if got := strings.Count(string(b), "HTTP/1.1 200"); err != nil || got != 2 || strings.Count(string(b), "Connection: close") != 1 {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestFrontendDrain ends the connections of one frontend and not of another.
func TestFrontendDrain(t *testing.T) {
	server := startServer(t, answerAll)
	p := startProxy(t, server, nil)
	other := NewFrontend(&Settings{Route: func(*Exchange) (Pool, error) { return p.pool, nil }})
	l := listenTest(t)
	go p.Serve(l, other)
	first, second := dialTest(t, p.addr), dialTest(t, l.Addr().String())
	for _, c := range []net.Conn{first, second} {
		sendString(t, c, testGet)
		wantBytes(t, c, testOK)
	}
	other.Drain()
	if b, err := io.ReadAll(second); err != nil || len(b) > 0 {
		t.Errorf("the drained one: %q, %v", b, err)
	}
	third := dialTest(t, l.Addr().String())
	sendString(t, third, testGet)
	if b, err := io.ReadAll(third); err != nil || !strings.Contains(string(b), "Connection: close") {
		t.Errorf("a late one: %q, %v", b, err)
	}
	sendString(t, first, testGet)
	wantBytes(t, first, testOK)
	p.Abort(p.front)
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the aborted one goes on")
	}
}

// retryPool is a Pool whose requests go again.
type retryPool struct {
	*testPool
	mu       sync.Mutex
	attempts []string
	allow    int
}

func (p *retryPool) Retry(x *Exchange, status int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempts = append(p.attempts, fmt.Sprintf("%d/%d:%d", x.Attempt, x.Retries, status))
	return (status == 0 || status == 503) && x.Retries < p.allow
}

// TestRetrier has a pool decide about attempts that failed in all ways.
func TestRetrier(t *testing.T) {
	const bad = "HTTP/1.1 503 Bad\r\nContent-Length: 3\r\n\r\nbad"
	for _, tt := range []struct {
		name, request string
		answers       []string // "": the connection is closed
		allow         int
		status        int
		asked         string
		conns         int
	}{
		{"well", testGet, []string{testOK}, 1, 200, "[0/0:200]", 1},
		{"again", testGet, []string{bad, testOK}, 1, 200, "[0/0:503 1/1:200]", 2},
		{"twice", testGet, []string{bad, bad, testOK}, 2, 200, "[0/0:503 1/1:503 2/2:200]", 3},
		{"enough", testGet, []string{bad, bad}, 1, 503, "[0/0:503 1/1:503]", 2},
		{"closed", testGet, []string{"", testOK}, 1, 200, "[0/0:0 1/1:200]", 2},
		{"closed, enough", testGet, []string{"", ""}, 1, 502, "[0/0:0 1/1:0]", 2},
		{"post", testPost, []string{bad}, 1, 503, "[]", 1},
		{"post, closed", testPost, []string{""}, 1, 502, "[]", 1},
		{"interim", testGet, []string{"HTTP/1.1 103 Early\r\n\r\n" + bad}, 1, 503, "[]", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			variants(t, func(t *testing.T, start starter) {
				var mu sync.Mutex
				answers := tt.answers
				server := startServer(t, func(c net.Conn) {
					r := bufio.NewReader(c)
					for {
						if !readRequest(r) {
							return
						}
						mu.Lock()
						if len(answers) == 0 {
							mu.Unlock()
							t.Error("one request too many")
							return
						}
						answer := answers[0]
						answers = answers[1:]
						mu.Unlock()
						if answer == "" {
							c.Close()
							return
						}
						io.WriteString(c, answer)
					}
				})
				p := start(t, server, nil)
				pool := &retryPool{testPool: p.pool, allow: tt.allow}
				p.front.Update(&Settings{Route: func(*Exchange) (Pool, error) { return pool, nil }})
				c := dialTest(t, p.addr)
				sendString(t, c, tt.request)
				r := bufio.NewReader(c)
				line, _ := r.ReadString('\n')
				if strings.HasPrefix(line, "HTTP/1.1 103") {
					r.ReadString('\n')
					line, _ = r.ReadString('\n')
				}
				if want := fmt.Sprintf("HTTP/1.1 %d ", tt.status); !strings.HasPrefix(line, want) {
					t.Errorf("got %q, want %s", line, want)
				}
				pool.mu.Lock()
				defer pool.mu.Unlock()
				if got := fmt.Sprint(pool.attempts); got != tt.asked {
					t.Errorf("asked about %s, want %s", got, tt.asked)
				}
				if got := p.pool.opened(); got != tt.conns {
					t.Errorf("%d server connections, want %d", got, tt.conns)
				}
			})
		})
	}
}

// readRequest reads a request with a body of the test's; false: there is none.
func readRequest(r *bufio.Reader) bool {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if strings.HasPrefix(line, "Content-Length: 3") {
			length = 3
		}
		if line == "\r\n" && !first {
			r.Discard(length)
			return true
		}
	}
}

// TestEditPrefix removes fields by the beginning of their names, and those of the
// framing not even so.
func TestEditPrefix(t *testing.T) {
	var e Edits
	if err := e.Remove("x-in-*"); err != nil {
		t.Fatal(err)
	}
	if err := e.Remove("con*"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"X-In-A": true, "x-in-": true, "x-in": false, "X-Inner": false, "Content-Type": true, "Content-Length": false,
		"Connection": false, "co": false,
	} {
		if got := e.removes([]byte(name)); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	if err := e.Remove("a b*"); err == nil {
		t.Error("no field name was taken")
	}
}

// TestTraceModes looks at what each mode makes of fields that came, with a
// client that came through a proxy.
func TestTraceModes(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: o\r\nForwarded: for=10.0.0.2\r\n\r\n"
	peer, client := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for mode, want := range map[Mode][4]string{
		Pass:    {"10.0.0.1", "gopher", "o", "for=10.0.0.2"},
		Append:  {"10.0.0.1, 192.0.2.1", "gopher", "o", `for=10.0.0.2, for=192.0.2.1;proto=https;host="h"`},
		Replace: {"2001:db8::1", "https", "h", `for="[2001:db8::1]";proto=https;host="h"`},
		Remove:  {},
	} {
		var r Request
		if done, err := r.Parse([]byte(head), &Limits{}); !done || err != nil {
			t.Fatal(err)
		}
		trace := &Trace{}
		trace.init(&TraceConfig{For: mode, Proto: mode, Host: mode, Forwarded: mode}, peer, client, "https")
		out := r.AppendForward(nil, &RequestChange{Trace: trace})
		var sent Request
		if done, err := sent.Parse(out, &Limits{}); !done || err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		for i, name := range []string{"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"} {
			if got, _ := sent.Get(name); string(got) != want[i] {
				t.Errorf("mode %d: %s: got %q, want %q", mode, name, got, want[i])
			}
		}
	}
}
