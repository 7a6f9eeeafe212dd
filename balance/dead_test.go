package balance

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// transports are the kinds of connections whose death is noticed in different
// ways.
var transports = []struct {
	name string
	dial func(context.Context, string, string) (net.Conn, error)
	tls  bool
}{
	{"kernel", dialTCP, false},
	{"kernel TLS", dialTLS(dialTCP), true},
	{"other", dialOpaque, false},
	{"other TLS", dialTLS(dialOpaque), true},
}

func withTLS(on bool) func(*httptest.Server) {
	return func(s *httptest.Server) {
		if on {
			s.TLS = &tls.Config{}
		}
	}
}

// TestServerCloses: idle connections go as soon as the server has closed them.
func TestServerCloses(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			server := newServer(t, nil, withTLS(tr.tls))
			p := poolOf(t, func(cfg *Config) { cfg.Dial = tr.dial; cfg.Reuse.Mode = ReuseAlways }, server)
			client := clientAt(t, "10.0.0.1")
			hold(t, p, client, 5)
			wantCount(t, "idle", int64(p.Stats().Conns.Idle), 5)
			server.CloseClientConnections()
			eventually(t, "no connection is kept", func() bool { return p.Stats().Conns.Idle == 0 })
			eventually(t, "they are counted", func() bool { return p.Stats().Conns.Closed[ClosedByServer] == 5 })
			serve(t, p, client)
			wantCount(t, "connections accepted", server.accepted.Load(), 6)
		})
	}
}

// TestReusedManyTimes: watching does not disturb connections that live.
func TestReusedManyTimes(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			server := newServer(t, nil, withTLS(tr.tls))
			p := poolOf(t, func(cfg *Config) { cfg.Dial = tr.dial; cfg.Reuse.Mode = ReuseAlways }, server)
			client := clientAt(t, "10.0.0.1")
			for i := range 200 {
				serve(t, p, client)
				if i%50 == 0 {
					<-time.After(2 * probeAfter) // so that it is looked at
				}
			}
			wantCount(t, "connections accepted", server.accepted.Load(), 1)
		})
	}
}

// TestClosedWhileUsed: the server closes after a response without saying so.
func TestClosedWhileUsed(t *testing.T) {
	server := newServer(t, nil)
	p := poolOf(t, func(cfg *Config) { cfg.Reuse.Mode = ReuseAlways }, server)
	client := clientAt(t, "10.0.0.1")
	serve(t, p, client) // from here on it is watched
	c := get(t, p, Request{Client: client})
	if err := exchange(c); err != nil {
		t.Fatal(err)
	}
	server.CloseClientConnections()
	eventually(t, "the end is noticed", func() bool {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		return c.gone
	})
	c.Put()
	wantCount(t, "idle", int64(p.Stats().Conns.Idle), 0)
	wantCount(t, "closed by the server", int64(p.Stats().Conns.Closed[ClosedByServer]), 1)
}

// TestUnaskedData: what a server sends on an idle connection must not be taken
// for the response to the next request.
func TestUnaskedData(t *testing.T) {
	for _, dial := range []func(context.Context, string, string) (net.Conn, error){dialTCP, dialOpaque} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		accepted := make(chan net.Conn, 10)
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				accepted <- c
			}
		}()
		set := NewSet()
		apply(t, set, Config{Name: "a", Dial: dial, Source: Static{{Address: ln.Addr().String()}}, Reuse: Reuse{Mode: ReuseAlways}})
		p, client := set.Pool("a"), clientAt(t, "10.0.0.1")
		c := get(t, p, Request{Client: client})
		server := <-accepted
		first := c.NetConn()
		c.Put()
		io.WriteString(server, "HTTP/1.1 408 Request Timeout\r\n\r\n")
		// A request that must not be lost is looked after even without rest.
		eventually(t, "the connection is refused", func() bool {
			c := get(t, p, Request{Client: client})
			defer c.Put()
			return c.NetConn() != first
		})
		wantCount(t, "closed by the server", int64(p.Stats().Conns.Closed[ClosedByServer]), 1)
		server.Close()
		set.Close()
		ln.Close()
		for len(accepted) > 0 {
			(<-accepted).Close()
		}
	}
}

// TestWatchingNeedsNoGoroutines holds many idle connections.
func TestWatchingNeedsNoGoroutines(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere each idle connection has a goroutine")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	const n = 200
	accepted := make(chan net.Conn, n)
	go func() {
		for range n {
			if c, err := ln.Accept(); err == nil {
				accepted <- c
			}
		}
	}()
	set := NewSet()
	defer set.Close()
	apply(t, set, Config{Name: "a", Dial: dialTCP, Source: Static{{Address: ln.Addr().String()}}})
	p, client := set.Pool("a"), clientAt(t, "10.0.0.1")
	var held []*Conn
	for range n {
		held = append(held, get(t, p, Request{Client: client}))
	}
	before := runtime.NumGoroutine()
	for _, c := range held {
		c.Put()
	}
	if more := runtime.NumGoroutine() - before; more > 1 {
		t.Errorf("%d goroutines more for %d idle connections, want 1", more, n)
	}
	for range n {
		(<-accepted).Close()
	}
	eventually(t, "all are noticed", func() bool { return p.Stats().Conns.Idle == 0 })
}

// TestLearnIdleTimeout: after a few connections were closed by the server's
// timeout, the pool closes them before it.
func TestLearnIdleTimeout(t *testing.T) {
	t.Parallel() // it waits most of the time
	const timeout = 1200 * time.Millisecond
	server := newServer(t, nil, func(s *httptest.Server) { s.Config.IdleTimeout = timeout })
	p := poolOf(t, func(cfg *Config) { cfg.Reuse.Mode = ReuseAlways }, server)
	// One after the other, since those that close at once count once.
	for i := range earlySamples {
		c := get(t, p, Request{Client: clientAt(t, "10.0.0.1"), Fresh: true})
		if err := exchange(c); err != nil {
			t.Fatal(err)
		}
		c.Put()
		eventually(t, "the server closes", func() bool { return int(p.Stats().Conns.Closed[ClosedByServer]) == i+1 })
	}
	begin := time.Now()
	hold(t, p, clientAt(t, "10.0.0.1"), 2)
	eventually(t, "the pool closes", func() bool { return p.Stats().Conns.Closed[ClosedIdle] == 2 })
	if took := time.Since(begin); took < timeout/2-50*time.Millisecond {
		t.Errorf("closed after %v already", took)
	}
	wantCount(t, "closed by the server", int64(p.Stats().Conns.Closed[ClosedByServer]), earlySamples)
}

// TestKeepAliveTimeout: the server states its timeout.
func TestKeepAliveTimeout(t *testing.T) {
	t.Parallel() // it waits most of the time
	server := newServer(t, nil)
	p := poolOf(t, func(cfg *Config) { cfg.Reuse.Mode = ReuseAlways }, server)
	c := get(t, p, Request{Client: clientAt(t, "10.0.0.1")})
	const stated = 4 * time.Second
	c.KeepAlive(stated, 0)
	begin := time.Now()
	c.Put()
	eventually(t, "the pool closes", func() bool { return p.Stats().Conns.Closed[ClosedIdle] == 1 })
	if took := time.Since(begin); took < below(stated) || took > stated {
		t.Errorf("closed after %v, want between %v and %v", took, below(stated), stated)
	}
	c = get(t, p, Request{Client: clientAt(t, "10.0.0.1")})
	c.KeepAlive(0, 0) // says nothing
	c.Put()
	wantCount(t, "idle", int64(p.Stats().Conns.Idle), 1)
	c = get(t, p, Request{Client: clientAt(t, "10.0.0.1")})
	c.KeepAlive(ParseKeepAlive("timeout=0"))
	c.Put()
	wantCount(t, "idle after timeout=0", int64(p.Stats().Conns.Idle), 0)
}

// TestDeadIsNotCountedAsReused fails a request's connection before use.
func TestDeadIsNotCountedAsReused(t *testing.T) {
	var conn atomic.Pointer[net.TCPConn]
	server := newServer(t, nil, func(s *httptest.Server) {
		s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			conn.Store(c.(*net.TCPConn))
			return ctx
		}
	})
	p := poolOf(t, func(cfg *Config) { cfg.Reuse.Mode = ReuseAlways }, server)
	client := clientAt(t, "10.0.0.1")
	for range 20 {
		serve(t, p, client)
		// Half closed: the server would still answer, but has ended.
		conn.Load().CloseWrite()
		eventually(t, "a new connection is made", func() bool {
			c := get(t, p, Request{Client: client})
			defer c.Discard()
			return !c.Reused()
		})
	}
	if got := p.Stats().Conns.ReuseRatio(); got > 0.5 {
		t.Errorf("reuse ratio %v", got)
	}
}

func TestReuseRatio(t *testing.T) {
	server := newServer(t, nil)
	p := poolOf(t, nil, server)
	for i := range 20 {
		client := clientAt(t, fmt.Sprintf("10.0.0.%d", i))
		for range 50 {
			serve(t, p, client)
		}
	}
	stats := p.Stats().Conns
	if stats.Opened != uint64(server.accepted.Load()) || stats.Opened+stats.Reused != 1000 {
		t.Errorf("opened %d, reused %d, accepted %d", stats.Opened, stats.Reused, server.accepted.Load())
	}
	if got, want := stats.ReuseRatio(), 0.98; got < want {
		t.Errorf("reuse ratio %v, want %v", got, want)
	}
	var closed uint64
	for _, n := range stats.Closed {
		closed += n
	}
	if got := stats.Opened - closed; got != uint64(stats.Idle+stats.InUse) {
		t.Errorf("opened %d, closed %d, idle %d, in use %d", stats.Opened, closed, stats.Idle, stats.InUse)
	}
}
