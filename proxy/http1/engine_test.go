package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRoute(t *testing.T) {
	var heads = make(chan string, 1)
	server := startServer(t, func(c net.Conn) {
		for {
			head, err := readHead(c)
			if err != nil {
				return
			}
			heads <- head
			io.WriteString(c, testOK)
		}
	})
	p := startProxy(t, server, nil)
	s := &Settings{Via: "b", Trace: TraceConfig{Proto: Append}}
	s.Route = func(x *Exchange) (Pool, error) {
		x.EditResponse().Set("X-Path", string(x.Request.Path()))
		switch path := string(x.Request.Path()); {
		case path == "/local":
			x.Reply(203, "text/plain", []byte("here"))
			return nil, nil
		case path == "/none":
			return nil, nil
		case path == "/teapot":
			return nil, &Error{418, "teapot"}
		case path == "/broken":
			return nil, errors.New("broken")
		case path == "/busy":
			return poolFunc(func(*Exchange) (*ServerConn, error) { return nil, ErrNoServer }), nil
		case path == "/down":
			return poolFunc(func(*Exchange) (*ServerConn, error) { return nil, errors.New("refused") }), nil
		case path == "/small":
			x.LimitBody(2)
		case path == "/moved":
			x.SetPath([]byte("/target?q"))
			x.SetHost([]byte("other:1"))
			x.EditRequest().Set("X-Client", x.Client.Addr().String())
		}
		return p.pool, nil
	}
	s.Request.Remove("Cookie")
	s.Response.Set("Server", "braid")
	p.front.Update(s)
	c := dialTest(t, p.addr)
	for _, tt := range []struct {
		path string
		want int
	}{
		{"/local", 203}, {"/none", 404}, {"/moved", 200}, {"/teapot", 418}, {"/broken", 502}, {"/busy", 503}, {"/down", 502},
	} {
		sendString(t, c, "GET "+tt.path+" HTTP/1.1\r\nHost: a\r\nCookie: c\r\n\r\n")
		wantStatus(t, c, tt.want)
		if tt.path == "/moved" {
			want := "GET /target?q HTTP/1.1\r\nHost: other:1\r\nX-Forwarded-Proto: http\r\nX-Client: 127.0.0.1\r\n\r\n"
			if got := <-heads; got != want {
				t.Errorf("the server got %q, want %q", got, want)
			}
		}
	}
	sendString(t, c, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
	<-heads
	wantBytes(t, c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: x\r\nVia: 1.1 b\r\nServer: braid\r\nX-Path: /x\r\n\r\nok")
	sendString(t, c, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
	wantStatus(t, c, 413)
}

// TestUpdate shows that the next request on an open connection goes by new
// settings.
func TestUpdate(t *testing.T) {
	p := startProxy(t, startServer(t, answerAll), nil)
	c := dialTest(t, p.addr)
	sendString(t, c, testGet)
	wantBytes(t, c, testOK)
	p.front.Update(&Settings{Route: func(x *Exchange) (Pool, error) {
		x.Reply(200, "", []byte("new"))
		return nil, nil
	}})
	sendString(t, c, testGet)
	if got := wantStatus(t, c, 200); got != "new" {
		t.Errorf("got %q", got)
	}
}

func TestLog(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		log := &logged{}
		server := startServer(t, func(c net.Conn) {
			for {
				head, err := readHead(c)
				if err != nil {
					return
				}
				if strings.HasPrefix(head, "POST") {
					io.CopyN(io.Discard, c, 50000)
				}
				// Before the proxy notes that it has sent the request, the
				// server may have been at it for a while.
				time.Sleep(100 * time.Millisecond)
				io.WriteString(c, testOK)
			}
		})
		p := start(t, server, func(s *Settings) { s.Log = log.log })
		c := dialTest(t, p.addr)
		const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n"
		sendString(t, c, testGet)
		wantBytes(t, c, testOK)
		sendString(t, c, post+strings.Repeat("x", 50000)+testGet)
		wantBytes(t, c, testOK+testOK)
		sendString(t, c, "BAD\r\n")
		wantStatus(t, c, 400)
		for i, want := range []struct {
			request, body int64
			status        int
			reused        bool
			err           error
		}{
			{int64(len(testGet)), 2, 200, false, nil},
			{int64(len(post) + 50000), 2, 200, true, nil},
			{int64(len(testGet)), 2, 200, true, nil},
			{5, 0, 400, false, ErrRequestLine},
		} {
			got := log.wait(t, i+1)
			if got.RequestBytes != want.request || got.Status != want.status || got.Reused != want.reused || got.Err != want.err {
				t.Errorf("entry %d: got %+v, want %+v", i, got, want)
			}
			if want.status != 200 {
				continue
			}
			if got.ReplyBytes != int64(len(testOK)) || got.Body != want.body {
				t.Errorf("entry %d: %d bytes of reply, %d of them body", i, got.ReplyBytes, got.Body)
			}
			times := []time.Duration{0, got.Head, got.Connected, got.Sent, got.Answered, got.End}
			for j := 1; j < len(times); j++ {
				if times[j] <= times[j-1] {
					t.Errorf("entry %d: phases %v are not in order", i, times)
				}
			}
			if wait := got.Answered - got.Sent; wait < 5*time.Millisecond && i != 1 {
				t.Errorf("entry %d: the server took %v, want 5 ms at least", i, wait)
			}
		}
	})
}

// TestDrain has one request in work and one connection idle.
func TestDrain(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		arrived, release := make(chan struct{}), make(chan struct{})
		server := startServer(t, func(c net.Conn) {
			for {
				head, err := readHead(c)
				if err != nil {
					return
				}
				if strings.HasPrefix(head, "GET /slow") {
					close(arrived)
					<-release
				}
				io.WriteString(c, testOK)
			}
		})
		p := start(t, server, nil)
		idle, never, busy := dialTest(t, p.addr), dialTest(t, p.addr), dialTest(t, p.addr)
		sendString(t, idle, testGet)
		wantBytes(t, idle, testOK)
		sendString(t, busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
		<-arrived
		eventually(t, "three connections", func() bool { return p.Open() == 3 })
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := p.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown with a request in work: got %v", err)
		}
		wantEnd(t, idle)
		wantEnd(t, never)
		if c, err := net.Dial("tcp", p.addr); err == nil {
			c.Close()
			t.Error("still accepting")
		}
		close(release)
		wantBytes(t, busy, strings.Replace(testOK, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
		wantEnd(t, busy)
		if err := p.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if n := p.Open(); n != 0 {
			t.Errorf("%d connections are open", n)
		}
	})
}

// TestClose ends connections in every state.
func TestClose(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		var arrived atomic.Int32
		server := startServer(t, func(c net.Conn) {
			head, _ := readHead(c)
			if strings.HasPrefix(head, "GET /chat") {
				io.WriteString(c, switching)
			}
			if strings.HasPrefix(head, "GET /large") {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
				sendUntilStuck(c)
			}
			arrived.Add(1)
			io.Copy(io.Discard, c)
		})
		p := start(t, server, nil)
		for _, s := range []string{"", "GE", testGet, upgrade, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc"} {
			sendString(t, dialTest(t, p.addr), s)
		}
		eventually(t, "requests at the server", func() bool { return arrived.Load() == 4 })
		began := time.Now()
		p.Close()
		if took := time.Since(began); took > patience || p.Open() != 0 {
			t.Errorf("took %v, %d connections are left", took, p.Open())
		}
	})
}

func TestConnData(t *testing.T) {
	closed := make(chan any, 1)
	p := startProxy(t, "", func(s *Settings) {
		s.Opened = func(c net.Conn) any { return c.RemoteAddr().String() }
		s.Closed = func(data any) { closed <- data }
		s.Route = func(x *Exchange) (Pool, error) {
			x.Reply(200, "text/plain", []byte(x.ConnData.(string)))
			return nil, nil
		}
	})
	c := dialTest(t, p.addr)
	sendString(t, c, testGet)
	want := c.LocalAddr().String()
	if got := wantStatus(t, c, 200); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Close()
	if got := <-closed; got != want {
		t.Errorf("closed: got %v, want %q", got, want)
	}
}

// TestPreface hands a connection over that begins with HTTP/2.
func TestPreface(t *testing.T) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	handOver := func(c net.Conn, read []byte, _ any) {
		rest := make([]byte, len(preface)-len(read))
		io.ReadFull(c, rest)
		io.WriteString(c, "spoke "+string(read)+string(rest))
		io.Copy(io.Discard, c)
	}
	variants(t, func(t *testing.T, start starter) {
		p := start(t, startServer(t, answerAll), func(s *Settings) { s.Preface = handOver })
		c := dialTest(t, p.addr)
		sendString(t, c, preface[:17])
		time.Sleep(time.Millisecond)
		sendString(t, c, preface[17:])
		wantBytes(t, c, "spoke "+preface)
		c.CloseWrite()
		wantEnd(t, c)

		c = dialTest(t, p.addr) // not as the first request
		sendString(t, c, testGet+preface)
		wantBytes(t, c, testOK)
		wantStatus(t, c, 505)

		c = dialTest(t, p.addr) // handed over when the engine closes
		sendString(t, c, preface)
		wantBytes(t, c, "spoke "+preface)
	})
	p := startProxy(t, startServer(t, answerAll), nil)
	c := dialTest(t, p.addr)
	sendString(t, c, preface)
	wantStatus(t, c, 505)
}

// TestResults shows what a pool is told.
func TestResults(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		close        bool
		want         Result
	}{
		{"plain", testOK, false, Result{Reuse: true, Status: 200}},
		{"keep-alive", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\nContent-Length: 0\r\n\r\n", false,
			Result{Reuse: true, Status: 200, KeepAlive: 5 * time.Second, Requests: 100}},
		{"odd keep-alive", "HTTP/1.1 200 OK\r\nKeep-Alive: max=x, timeout=99999999999999, foo\r\nContent-Length: 0\r\n\r\n", false,
			Result{Reuse: true, Status: 200, KeepAlive: 9223372036 * time.Second}},
		{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false, Result{Status: 200}},
		{"old", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, Result{Status: 200}},
		{"until the end", "HTTP/1.1 200 OK\r\n\r\nx", true, Result{Status: 200}},
		{"NTLM", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n", false, Result{Reuse: true, Status: 401, Bound: true}},
		{"Negotiate", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nWWW-Authenticate: Negotiate abc\r\nContent-Length: 0\r\n\r\n", false, Result{Reuse: true, Status: 401, Bound: true}},
		{"Basic", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=ntlm\r\nContent-Length: 0\r\n\r\n", false, Result{Reuse: true, Status: 401}},
		{"beyond", testOK + "HTTP/1.1 200 OK\r\n", false, Result{Status: 200}},
		{"fault", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", false, Result{Reuse: true, Status: 500}},
		{"nothing", "", true, Result{Err: ErrServerClosed}},
		{"half", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", true, Result{Status: 200, Err: ErrTruncated}},
	} {
		server := startServer(t, func(c net.Conn) {
			readHead(c)
			io.WriteString(c, tt.answer)
			if !tt.close {
				io.Copy(io.Discard, c)
			}
		})
		p := startProxy(t, server, nil)
		p.pool.mu.Lock()
		p.pool.keep = true
		p.pool.mu.Unlock()
		c := dialTest(t, p.addr)
		sendString(t, c, testGet)
		eventually(t, "result", func() bool {
			p.pool.mu.Lock()
			defer p.pool.mu.Unlock()
			return len(p.pool.results) == 1
		})
		p.pool.mu.Lock()
		got := p.pool.results[0]
		p.pool.mu.Unlock()
		if got != tt.want {
			t.Errorf("%s: got %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

// TestIdleHoldsNothing shows that connections between requests have no buffers:
// many of them get by with those of a few.
func TestIdleHoldsNothing(t *testing.T) {
	const conns = 100
	e := NewEngine(Config{})
	var made atomic.Int32
	e.works.New = func() any {
		made.Add(1)
		return newWork(DefaultHead)
	}
	p := startEngine(t, e, listenTest(t), startServer(t, answerAll), nil)
	for range conns {
		c := dialTest(t, p.addr)
		sendString(t, c, testGet)
		wantBytes(t, c, testOK)
	}
	// A sync.Pool may lose some of what is put into it.
	if n := made.Load(); n > conns*3/4 {
		t.Errorf("%d idle connections needed the buffers of %d", conns, n)
	}
}
