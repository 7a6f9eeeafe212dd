package http2

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/braid-mptcp/braid/proxy/http1"
)

func TestGet(t *testing.T) {
	p := start(t, serveHTTP(t, hello), nil)
	r := greet(t, p.addr)
	for id := uint32(1); id < 20; id += 2 {
		r.headers(id, true, get()...)
		got := r.response(id)
		if got.status != "200" || got.body != "hello" || got.fields.get("content-length") != "5" {
			t.Fatalf("got %v", got)
		}
	}
	if s := p.log(t, 1); s.Status != 200 || s.Body != 5 || s.Err != nil {
		t.Errorf("logged %+v", s)
	}
	p.quiet(t)
}

// TestBodies sends bodies of many sizes, with and without their length, and
// compares what comes back.
func TestBodies(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Got-Length", strconv.FormatInt(r.ContentLength, 10))
		if r.Header.Get("Give-Length") != "" {
			w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		}
		io.Copy(w, r.Body)
	}), nil)
	client := newClient(t)
	rnd := rand.New(rand.NewSource(1))
	for _, size := range []int{0, 1, 100, 2047, 16383, 16384, 16385, 65535, 65536, 300_000, 5_000_000} {
		for _, known := range []bool{true, false} {
			body := make([]byte, size)
			rnd.Read(body)
			var from io.Reader = bytes.NewReader(body)
			if !known {
				from = struct{ io.Reader }{from}
			}
			req, err := http.NewRequest("POST", "http://"+p.addr+"/", from)
			if err != nil {
				t.Fatal(err)
			}
			if known {
				req.Header.Set("Give-Length", "1")
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("%d bytes, known %v: %v", size, known, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.ProtoMajor != 2 || !bytes.Equal(got, body) {
				t.Fatalf("%d bytes, known %v: got %d, %v, %s", size, known, len(got), err, resp.Proto)
			}
			if known && resp.ContentLength != int64(size) {
				t.Errorf("%d bytes: length of the response %d", size, resp.ContentLength)
			}
			if want := strconv.Itoa(size); known && resp.Header.Get("Got-Length") != want {
				t.Errorf("%d bytes: the server was told %s", size, resp.Header.Get("Got-Length"))
			}
		}
	}
	p.quiet(t)
}

// TestHuge passes bodies that are larger than all windows together, with a slow
// reader at either end.
func TestHuge(t *testing.T) {
	const size = 64 << 20
	sum := func(r io.Reader) string {
		h := sha256.New()
		n, err := io.Copy(h, r)
		return fmt.Sprintf("%d %v %x", n, err, h.Sum(nil))
	}
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			io.WriteString(w, sum(r.Body))
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(size))
		io.CopyN(w, rand.New(rand.NewSource(2)), size)
	}), nil)
	want := sum(io.LimitReader(rand.New(rand.NewSource(2)), size))
	client := newClient(t)
	resp, err := client.Get("http://" + p.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	if got := sum(resp.Body); got != want {
		t.Errorf("download: got %s, want %s", got, want)
	}
	resp, err = client.Post("http://"+p.addr+"/", "x/y", io.LimitReader(rand.New(rand.NewSource(2)), size))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(resp.Body); string(got) != want {
		t.Errorf("upload: got %s, want %s", got, want)
	}
}

// TestMany has many clients with many streams each.
func TestMany(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Path[1:])
		io.Copy(io.Discard, r.Body)
		w.Write(bytes.Repeat([]byte{'a' + byte(n%26)}, n))
	}), nil)
	var all sync.WaitGroup
	for range 4 {
		client := newClient(t)
		for i := range 16 {
			all.Go(func() {
				for j := range 20 {
					n := (i*7919 + j*104729) % 70000
					resp, err := client.Post(fmt.Sprintf("http://%s/%d", p.addr, n), "x/y", strings.NewReader(strings.Repeat("b", n/2)))
					if err != nil {
						t.Error(err)
						return
					}
					b, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || len(b) != n || n > 0 && b[n-1] != 'a'+byte(n%26) {
						t.Errorf("got %d bytes, %v, want %d", len(b), err, n)
					}
				}
			})
		}
	}
	all.Wait()
	p.quiet(t)
}

func TestTrailers(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "Sum, More")
		fmt.Fprintf(w, "hello %s", r.Trailer.Get("Check"))
		w.Header().Set("Sum", "42")
		w.Header().Set("More", "yes")
	}), nil)
	r := greet(t, p.addr)
	r.headers(1, false, post("trailer", "check", "te", "trailers")...)
	r.data(1, false, "body")
	r.headers(1, true, "check", "well")
	got := r.response(1)
	if got.body != "hello well" || got.trailer.get("sum") != "42" || got.trailer.get("more") != "yes" {
		t.Errorf("got %v, trailers %v", got, got.trailer)
	}
}

func TestInterim(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(103)
		hello(w, r)
	}), nil)
	r := greet(t, p.addr)
	r.headers(1, false, post("expect", "100-continue", "content-length", "4")...)
	// Nothing is sent before the server asks for it.
	var seen []string
	for len(seen) < 2 {
		if f, ok := r.read().(*http2.HeadersFrame); ok {
			seen = append(seen, r.decode(f).get(":status"))
		}
	}
	if seen[0] != "103" || seen[1] != "100" {
		t.Errorf("got %v, want 103 and 100", seen)
	}
	r.data(1, true, "body")
	if got := r.response(1); got.body != "hellobody" {
		t.Errorf("got %v", got)
	}
}

func TestBodiless(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.WriteHeader(304)
		case "/range":
			http.ServeContent(w, r, "x", time.Time{}, strings.NewReader("0123456789"))
		default:
			w.Header().Set("Content-Length", "1000")
			if r.Method != "HEAD" {
				w.Write(make([]byte, 1000))
			}
		}
	}), nil)
	r := greet(t, p.addr)
	for i, tt := range []struct{ method, path, status, body, length string }{
		{"GET", "/204", "204", "", ""},
		{"GET", "/304", "304", "", ""},
		{"HEAD", "/", "200", "", "1000"},
		{"GET", "/range", "206", "234", "3"},
	} {
		id := uint32(2*i + 1)
		r.headers(id, true, ":method", tt.method, ":scheme", "http", ":path", tt.path, ":authority", "a", "range", "bytes=2-4")
		got := r.response(id)
		if got.status != tt.status || got.body != tt.body || got.fields.get("content-length") != tt.length {
			t.Errorf("%s %s: got %v, %v", tt.method, tt.path, got, got.fields)
		}
	}
}

// capture is a server of HTTP/1.1 that keeps the bytes of requests.
func capture(t testing.TB, answer string) (addr string, requests chan string) {
	t.Helper()
	requests = make(chan string, 100)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				br := bufio.NewReader(c)
				for {
					var head strings.Builder
					for !strings.HasSuffix(head.String(), "\r\n\r\n") {
						b, err := br.ReadByte()
						if err != nil {
							return
						}
						head.WriteByte(b)
					}
					requests <- head.String()
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), requests
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nX-Mixed: Case\r\n\r\nhello"

// TestTranslation looks at what becomes of a request, byte by byte.
func TestTranslation(t *testing.T) {
	addr, requests := capture(t, okAnswer)
	p := start(t, addr, nil)
	for _, tt := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"plain", get("user-agent", "x"), "GET / HTTP/1.1\r\nhost: a.test\r\nuser-agent: x\r\n\r\n"},
		{"Host in place of :authority", []string{":method", "GET", ":scheme", "http", ":path", "/x?y=z", "host", "b.test"},
			"GET /x?y=z HTTP/1.1\r\nhost: b.test\r\n\r\n"},
		{"Host beside :authority", get("host", "a.test"), "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"},
		{"cookies in crumbs", get("cookie", "a=b", "x", "y", "cookie", "c=d", "cookie", "e=f"),
			"GET / HTTP/1.1\r\nhost: a.test\r\nx: y\r\ncookie: a=b; c=d; e=f\r\n\r\n"},
		{"TE", get("te", "trailers"), "GET / HTTP/1.1\r\nhost: a.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n"},
		{"repeated fields", get("accept", "a", "accept", "b"), "GET / HTTP/1.1\r\nhost: a.test\r\naccept: a\r\naccept: b\r\n\r\n"},
		{"empty value", get("x", ""), "GET / HTTP/1.1\r\nhost: a.test\r\nx: \r\n\r\n"},
		{"OPTIONS *", []string{":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a.test"}, "OPTIONS * HTTP/1.1\r\nhost: a.test\r\n\r\n"},
		{"POST without a body", post(), "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 0\r\n\r\n"},
		{"settings of an upgrade", get("http2-settings", "AAA"), "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"},
		{"own method", []string{":method", "BREW", ":scheme", "http", ":path", "/", ":authority", "a.test:80"}, "BREW / HTTP/1.1\r\nhost: a.test:80\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := greet(t, p.addr)
			r.headers(1, true, tt.fields...)
			got := r.response(1)
			if got.status != "200" || got.body != "hello" {
				t.Fatalf("got %v", got)
			}
			for _, name := range []string{"connection", "keep-alive"} {
				if got.fields[name] != nil {
					t.Errorf("%s came through", name)
				}
			}
			if got.fields.get("x-mixed") != "Case" {
				t.Errorf("fields %v", got.fields)
			}
			if request := <-requests; request != tt.want {
				t.Errorf("the server got %q\nwant %q", request, tt.want)
			}
		})
	}
}

// TestTunnel uses plain and extended CONNECT, both directions and both ends.
func TestTunnel(t *testing.T) {
	echo := func(t *testing.T, answer func(head string) string) (addr string, heads chan string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		heads = make(chan string, 10)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					br := bufio.NewReader(c)
					req, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					heads <- req.Method + " " + req.RequestURI + " " + req.Header.Get("Upgrade")
					io.WriteString(c, answer(req.Header.Get("Sec-Websocket-Key")))
					io.Copy(c, br)
					c.(*net.TCPConn).CloseWrite()
				}()
			}
		}()
		return l.Addr().String(), heads
	}
	websocket := []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/chat", ":authority", "a.test", "sec-websocket-version", "13"}
	connect := []string{":method", "CONNECT", ":authority", "b.test:443"}
	for _, tt := range []struct {
		name   string
		fields []string
		answer func(key string) string
		head   string
		status string
	}{
		{"CONNECT", connect, func(string) string { return "HTTP/1.1 200 OK\r\n\r\n" }, "CONNECT b.test:443 ", "200"},
		{"CONNECT refused", connect, func(string) string { return "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n" }, "CONNECT b.test:443 ", "403"},
		{"WebSocket", websocket, func(key string) string {
			return "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + acceptFor(key) + "\r\n\r\n"
		}, "GET /chat websocket", "200"},
		{"WebSocket misunderstood", websocket, func(string) string {
			return "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"
		}, "GET /chat websocket", "502"},
		{"WebSocket not known", websocket, func(string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, "GET /chat websocket", "502"},
		{"WebSocket refused", websocket, func(string) string { return "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n" }, "GET /chat websocket", "404"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr, heads := echo(t, tt.answer)
			p := start(t, addr, nil)
			r := greet(t, p.addr)
			r.headers(1, false, tt.fields...)
			var first *http2.HeadersFrame
			for first == nil {
				first, _ = r.read().(*http2.HeadersFrame)
			}
			if got := r.decode(first); got.get(":status") != tt.status || got["sec-websocket-accept"] != nil {
				t.Fatalf("got %v", got)
			}
			if head := <-heads; head != tt.head {
				t.Errorf("the server got %q", head)
			}
			if tt.status != "200" {
				return
			}
			for i := range 10 {
				say := strings.Repeat(string(rune('a'+i)), 1000*i+1)
				r.data(1, false, say)
				got := ""
				for len(got) < len(say) {
					if f, ok := r.read().(*http2.DataFrame); ok {
						got += string(f.Data())
					}
				}
				if got != say {
					t.Fatalf("got %d bytes back, want %d", len(got), len(say))
				}
			}
			r.data(1, true, "bye")
			if got := r.response(1); got.body != "bye" || got.reset != nil || got.closed {
				t.Errorf("at the end got %v", got)
			}
			p.quiet(t)
		})
	}
}

// TestReset has the client lose interest: the server is let go.
func TestReset(t *testing.T) {
	began, ended := make(chan bool, 10), make(chan bool, 10)
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			w.Write(make([]byte, 1000))
			w.(http.Flusher).Flush()
		}
		began <- true
		io.Copy(io.Discard, r.Body)
		if r.Method == "GET" {
			<-r.Context().Done()
		}
		ended <- true
	}), nil)
	r := greet(t, p.addr)
	for i, path := range []string{"/", "/begun"} {
		id := uint32(2*i + 1)
		r.headers(id, true, ":method", "GET", ":scheme", "http", ":path", path, ":authority", "a")
		<-began
		r.check(r.framer.WriteRSTStream(id, http2.ErrCodeCancel))
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("the server was not let go")
		}
	}
	// A request whose body is under way.
	r.headers(5, false, post()...)
	r.data(5, false, "x")
	<-began
	r.check(r.framer.WriteRSTStream(5, http2.ErrCodeCancel))
	<-ended
	p.quiet(t)
	for i := range 3 {
		if s := p.log(t, i+1); s.Err != http1.ErrClientGone {
			t.Errorf("logged %+v", s)
		}
	}
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	for _, res := range p.pool.results {
		if res.Reuse || res.Err != nil {
			t.Errorf("the pool was told %+v", res)
		}
	}
}

// TestGoneWithConnection is TestReset for the whole connection.
func TestGoneWithConnection(t *testing.T) {
	began, ended := make(chan bool, 10), make(chan bool, 10)
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		began <- true
		<-r.Context().Done()
		ended <- true
	}), nil)
	r := greet(t, p.addr)
	for id := uint32(1); id < 8; id += 2 {
		r.headers(id, true, get()...)
	}
	for range 4 {
		<-began
	}
	r.c.Close()
	for range 4 {
		<-ended
	}
	p.quiet(t)
}

// TestServerFails tells the client that a response is not complete.
func TestServerFails(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write(make([]byte, 10))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}), nil)
	r := greet(t, p.addr)
	r.headers(1, true, get()...)
	got := r.response(1)
	if got.status != "200" || len(got.body) != 10 || got.reset == nil || *got.reset != http2.ErrCodeInternal {
		t.Errorf("got %v", got)
	}
	r.headers(3, true, get()...)
	if got := r.response(3); got.reset == nil {
		t.Errorf("the connection does not go on: %v", got)
	}
}

// TestEarlyResponse has the server answer before it has all of the body.
func TestEarlyResponse(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.Header().Set("Connection", "close")
			w.WriteHeader(413)
			return
		}
		hello(w, r)
	}), func(s *http1.Settings, _ *Config) { s.MaxBody = 0 })
	r := greet(t, p.addr)
	r.headers(1, false, post()...)
	r.data(1, false, strings.Repeat("x", 1000))
	got := r.response(1)
	if got.status != "413" {
		t.Fatalf("got %v", got)
	}
	f := r.read()
	for f.Header().Type != http2.FrameRSTStream {
		f = r.read()
	}
	if code := f.(*http2.RSTStreamFrame).ErrCode; code != http2.ErrCodeNo {
		t.Errorf("reset with %v, want NO_ERROR", code)
	}
	// What was under way does no harm.
	r.data(1, true, "more")
	r.headers(3, true, get()...)
	r.wantOK(3)
}

func TestMaxBody(t *testing.T) {
	p := start(t, serveHTTP(t, hello), func(s *http1.Settings, _ *Config) { s.MaxBody = 100_000 })
	r := greet(t, p.addr)
	r.headers(1, false, post("content-length", "100001")...)
	if got := r.response(1); got.status != "413" {
		t.Errorf("known length: got %v", got)
	}
	r.headers(3, false, post()...)
	for range 10 {
		r.data(3, false, strings.Repeat("x", 16000))
	}
	if got := r.response(3); got.status != "413" {
		t.Errorf("unknown length: got %v", got)
	}
}

func TestShutdown(t *testing.T) {
	release := make(chan bool)
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
		hello(w, r)
	}), nil)
	r := greet(t, p.addr)
	r.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/slow", ":authority", "a")
	eventually(t, "request", func() bool { return p.engine.Open() == 1 })
	done := make(chan error, 1)
	go func() { done <- p.Shutdown(shutdownContext(t)) }()
	var warned, final *http2.GoAwayFrame
	for final == nil {
		switch f := r.read().(type) {
		case *http2.GoAwayFrame:
			if warned != nil {
				final = f
				break
			}
			warned = f
			if f.LastStreamID != 1<<31-1 || f.ErrCode != http2.ErrCodeNo {
				t.Errorf("first %v", f)
			}
			// This stream was opened before the client heard of it.
			r.headers(3, true, get()...)
		case *http2.PingFrame:
			r.wantOK(3)
			r.check(r.framer.WritePing(true, f.Data))
		}
	}
	if final.LastStreamID != 3 || final.ErrCode != http2.ErrCodeNo {
		t.Errorf("then %v", final)
	}
	// This one was too late, and is ignored.
	r.headers(5, false, post()...)
	r.data(5, true, "x")
	select {
	case <-done:
		t.Fatal("did not wait for the stream")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	r.wantOK(1)
	if got := r.response(5); !got.closed {
		t.Errorf("got %v, want the end", got)
	}
	r.c.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFrontendDrain(t *testing.T) {
	p := start(t, serveHTTP(t, hello), nil)
	r := greet(t, p.addr)
	r.headers(1, true, get()...)
	r.wantOK(1)
	p.front.Drain()
	if got := r.response(3); got.goAway == nil || *got.goAway != http2.ErrCodeNo || !got.closed {
		t.Errorf("got %v", got)
	}
}

func TestMaxRequests(t *testing.T) {
	p := start(t, serveHTTP(t, hello), func(s *http1.Settings, _ *Config) { s.MaxRequests = 3 })
	client := newClient(t)
	for range 10 {
		resp, err := client.Get("http://" + p.addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	r := greet(t, p.addr)
	for id := uint32(1); id < 6; id += 2 {
		r.headers(id, true, get()...)
	}
	if got := r.response(5); got.goAway == nil && got.status != "200" {
		t.Errorf("got %v", got)
	}
}

// TestPreface serves a connection that http1 has recognized.
func TestPreface(t *testing.T) {
	var p *testProxy
	opened, closed := 0, make(chan int, 1)
	p = start(t, serveHTTP(t, hello), func(s *http1.Settings, _ *Config) {
		s.Opened = func(net.Conn) any { opened++; return opened }
		s.Closed = func(data any) { closed <- data.(int) }
		s.Route = func(x *http1.Exchange) (http1.Pool, error) {
			if x.ConnData != 1 || x.Protocol != "HTTP/2.0" || !x.Client.IsValid() || x.Conn.RemoteAddr() == nil {
				t.Errorf("exchange of %v, %s, %v", x.ConnData, x.Protocol, x.Client)
			}
			return p.pool, nil
		}
		s.Preface = func(c net.Conn, read []byte, data any) { p.ServePreface(c, read, p.front, data) }
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go p.engine.Serve(l, p.front)
	client := newClient(t)
	for range 3 {
		resp, err := client.Get("http://" + l.Addr().String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "hello" {
			t.Errorf("got %q", b)
		}
		resp.Body.Close()
	}
	client.CloseIdleConnections()
	if got := <-closed; got != 1 || opened != 1 {
		t.Errorf("opened %d, closed %d", opened, got)
	}
}

// TestTLS serves a connection on which h2 was negotiated.
func TestTLS(t *testing.T) {
	p := start(t, serveHTTP(t, hello), func(s *http1.Settings, _ *Config) {
		route := s.Route
		s.Route = func(x *http1.Exchange) (http1.Pool, error) {
			if tc, ok := x.Conn.(*tls.Conn); !ok || tc.ConnectionState().NegotiatedProtocol != "h2" {
				t.Errorf("the exchange's connection is a %T", x.Conn)
			}
			return route(x)
		}
	})
	// A server of net/http has the certificate; its connections are ours.
	other := httptest.NewUnstartedServer(http.NotFoundHandler())
	other.EnableHTTP2 = true
	other.StartTLS()
	defer other.Close()
	config := other.TLS.Clone()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if c.(*tls.Conn).Handshake() == nil {
					p.ServeConn(c, p.front)
				}
			}()
		}
	}()
	client := other.Client()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			body := strings.Repeat("x", 300_000)
			resp, err := client.Post("https://"+l.Addr().String()+"/", "x/y", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "hello"+body || resp.ProtoMajor != 2 {
				t.Errorf("got %d bytes, %v, %s", len(b), err, resp.Proto)
			}
		})
	}
	all.Wait()
	if err := p.Shutdown(shutdownContext(t)); err != nil {
		t.Error(err)
	}
}

// TestLargeHead sends a head that does not fit in a frame.
func TestLargeHead(t *testing.T) {
	value := strings.Repeat("v", 1000)
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 50 {
			w.Header().Set(fmt.Sprintf("X-%d", i), r.Header.Get(fmt.Sprintf("Y-%d", i)))
		}
	}), func(s *http1.Settings, _ *Config) { s.Limits.Head = 100_000 })
	p.engine.SetBuffer(100_000)
	r := greet(t, p.addr)
	fields := get()
	for i := range 50 {
		fields = append(fields, fmt.Sprintf("y-%d", i), value+strconv.Itoa(i))
	}
	r.headers(1, true, fields...)
	got := r.response(1)
	for i := range 50 {
		if got.fields.get(fmt.Sprintf("x-%d", i)) != value+strconv.Itoa(i) {
			t.Fatalf("field %d of %v", i, got.fields)
		}
	}
}

// TestPadding has a client pad so much that all windows would be closed by that
// alone.
func TestPadding(t *testing.T) {
	p := start(t, serveHTTP(t, hello), nil)
	r := greet(t, p.addr)
	r.headers(1, false, post()...)
	go func() {
		pad := make([]byte, 255)
		for range 2 * connWindow / 256 {
			if r.framer.WriteDataPadded(1, false, []byte("x"), pad) != nil {
				return
			}
		}
		r.framer.WriteData(1, true, nil)
	}()
	got := r.response(1)
	if want := "hello" + strings.Repeat("x", 2*connWindow/256); got.body != want {
		t.Errorf("got %d bytes, reset %v, goaway %v; want %d", len(got.body), got.reset, got.goAway, len(want))
	}
}

// TestAllocations bounds what a request allocates, once a connection runs: the
// stream, what http1 keeps of it, the frame.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has sync.Pool forget what it is given")
	}
	p := start(t, answerReads(t), func(s *http1.Settings, _ *Config) { s.Log = nil })
	r := greet(t, p.addr)
	r.headers(1, true, get("user-agent", "x", "accept", "*/*")...) // fills the table
	r.wantOK(1)
	frame := append(make([]byte, 9), r.encode(get("user-agent", "x", "accept", "*/*")...)...)
	buf := make([]byte, 4096)
	id := uint32(1)
	got := testing.AllocsPerRun(500, func() {
		id += 2
		copy(frame, []byte{0, 0, byte(len(frame) - 9), 1, byte(endHeaders | endStream), byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)})
		r.write(frame)
		for n := 0; !bytes.HasSuffix(buf[:n], []byte("hello")); {
			k, err := r.c.Read(buf[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
	})
	if got > 6 {
		t.Errorf("%v allocations for a request", got)
	}
}

// answerReads starts a server that answers whatever it reads, without
// allocating.
func answerReads(t testing.TB) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b, answer := make([]byte, 4096), []byte(okAnswer)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestResetBetweenAttempts has the client go while nothing is being waited for:
// one server connection was dead, and another is about to be taken.
func TestResetBetweenAttempts(t *testing.T) {
	var p *testProxy
	var r *raw
	again, sent := make(chan bool, 1), make(chan bool)
	p = start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/again" {
			again <- true
			<-r.Context().Done()
		}
		hello(w, r)
	}), func(s *http1.Settings, _ *Config) {
		s.Route = func(x *http1.Exchange) (http1.Pool, error) {
			if string(x.Request.Path()) != "/again" {
				return p.pool, nil
			}
			return &dyingPool{testPool: p.pool, between: func() {
				<-sent
				r.check(r.framer.WriteRSTStream(3, http2.ErrCodeCancel))
				r.check(r.framer.WritePing(false, [8]byte{}))
				for r.read().Header().Type != http2.FramePing {
				}
			}}, nil
		}
	})
	r = greet(t, p.addr)
	r.headers(1, true, get()...)
	r.wantOK(1)
	p.quiet(t)
	r.headers(3, true, with(":path", "/again")...)
	close(sent)
	if s := p.log(t, 2); s.Err != http1.ErrClientGone || !s.Retried {
		t.Errorf("logged %+v", s)
	}
	p.quiet(t)
	select {
	case <-again:
		t.Error("the request went to the server for nobody")
	default:
	}
}

// dyingPool lends a connection that turns out to be dead, and does something
// when it takes it back.
type dyingPool struct {
	*testPool
	between func()
}

func (p *dyingPool) Get(x *http1.Exchange, fresh bool) (*http1.ServerConn, error) {
	s, err := p.testPool.Get(x, fresh)
	if err == nil && !fresh {
		s.NetConn().(*net.TCPConn).CloseWrite()
	}
	return s, err
}

func (p *dyingPool) Put(s *http1.ServerConn, r http1.Result) {
	if p.between != nil {
		p.between()
		p.between = nil
	}
	p.testPool.Put(s, r)
}

// TestResetWhileLent has the client go just before a server connection is lent:
// the request is not left with a server that takes its time.
func TestResetWhileLent(t *testing.T) {
	var p *testProxy
	lending := make(chan bool)
	p = start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), func(s *http1.Settings, _ *Config) {
		s.Timeouts.Response = time.Hour
		s.Route = func(x *http1.Exchange) (http1.Pool, error) { return &latePool{p.pool, lending}, nil }
	})
	r := greet(t, p.addr)
	r.headers(1, true, get()...)
	<-lending
	r.check(r.framer.WriteRSTStream(1, http2.ErrCodeCancel))
	if s := p.log(t, 1); s.Err != http1.ErrClientGone {
		t.Errorf("logged %+v", s)
	}
	p.quiet(t)
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	if got := p.pool.results; len(got) != 1 || got[0].Reuse || got[0].Err != nil {
		t.Errorf("got %+v, want one result without an error, not to be reused", got)
	}
}

// latePool lends a connection although nobody waits for it any more.
type latePool struct {
	*testPool
	lending chan bool // closed by Get
}

func (p *latePool) Get(x *http1.Exchange, fresh bool) (*http1.ServerConn, error) {
	s, err := p.testPool.Get(x, fresh)
	close(p.lending)
	<-x.Context().Done()
	return s, err
}
