package balance

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testServer is an HTTP server of the standard library that counts what it sees.
type testServer struct {
	*httptest.Server
	accepted atomic.Int64
	open     atomic.Int64
	mostOpen atomic.Int64
	requests atomic.Int64
}

// address is "host:port".
func (s *testServer) address() string { return s.Listener.Addr().String() }

// newServer starts a server. configure may change it before.
func newServer(t testing.TB, handler http.HandlerFunc, configure ...func(*httptest.Server)) *testServer {
	t.Helper()
	s := &testServer{}
	if handler == nil {
		handler = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		handler(w, r)
	}))
	var mu sync.Mutex
	alive := make(map[net.Conn]bool)
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			alive[c] = true
			s.accepted.Add(1)
			s.open.Add(1)
			s.mostOpen.Store(max(s.mostOpen.Load(), s.open.Load()))
		case http.StateClosed, http.StateHijacked:
			if alive[c] {
				delete(alive, c)
				s.open.Add(-1)
			}
		}
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // some tests mean to fail
	for _, c := range configure {
		c(s.Server)
	}
	if s.TLS != nil {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

// poolOf makes a pool named "web" of the servers; change adjusts it.
func poolOf(t testing.TB, change func(*Config), servers ...*testServer) *Pool {
	t.Helper()
	cfg := Config{Name: "web", Dial: dialTCP}
	var list Static
	for _, s := range servers {
		list = append(list, Backend{Address: s.address()})
	}
	cfg.Source = list
	if change != nil {
		change(&cfg)
	}
	set := NewSet()
	t.Cleanup(set.Close)
	apply(t, set, cfg)
	return set.Pool(cfg.Name)
}

func apply(t testing.TB, set *Set, cfgs ...Config) {
	t.Helper()
	if err := set.Apply(context.Background(), cfgs...); err != nil {
		t.Fatal(err)
	}
}

// clientAt makes a client that is closed with the test.
func clientAt(t testing.TB, addr string) *Client {
	t.Helper()
	c := NewClient(netip.MustParseAddr(addr))
	t.Cleanup(c.Close)
	return c
}

// get is Pool.Get that must succeed.
func get(t testing.TB, p *Pool, r Request) *Conn {
	t.Helper()
	c, err := p.Get(context.Background(), r)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return c
}

// exchange sends a request over c and reads the response to its end.
func exchange(c *Conn) error {
	if _, err := io.WriteString(c.NetConn(), "GET / HTTP/1.1\r\nHost: backend\r\n\r\n"); err != nil {
		return err
	}
	if c.Data == nil {
		c.Data = bufio.NewReader(c.NetConn())
	}
	resp, err := http.ReadResponse(c.Data.(*bufio.Reader), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	if _, err = io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.Close {
		return errors.New("the server closes")
	}
	return nil
}

// serve sends one request of client through p and gives the connection back.
func serve(t testing.TB, p *Pool, client *Client) {
	t.Helper()
	c := get(t, p, Request{Client: client})
	if err := exchange(c); err != nil {
		t.Fatalf("exchange: %v", err)
	}
	c.Put()
}

// hold gets n connections at once, each with a request, and gives all back.
func hold(t testing.TB, p *Pool, client *Client, n int) {
	t.Helper()
	var held []*Conn
	for range n {
		c := get(t, p, Request{Client: client})
		if err := exchange(c); err != nil {
			t.Fatalf("exchange: %v", err)
		}
		held = append(held, c)
	}
	for _, c := range held {
		c.Put()
	}
}

// eventually waits until cond holds. Something else makes it so; how soon is not
// the matter.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func wantCount(t testing.TB, what string, got, want int64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %d, want %d", what, got, want)
	}
}

// opaque hides that a connection is the kernel's.
type opaque struct{ net.Conn }

func dialOpaque(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := dialTCP(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return opaque{c}, nil
}

// counted counts connections that are open on this side.
type counted struct{ now, most atomic.Int64 }

func (n *counted) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.most.Store(max(n.most.Load(), n.now.Add(1)))
	c, err := dialTCP(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &countedConn{c.(*net.TCPConn), n}, nil
}

type countedConn struct {
	*net.TCPConn
	n *counted
}

func (c *countedConn) Close() error {
	c.n.now.Add(-1)
	return c.TCPConn.Close()
}

// dialTLS opens TLS over what dial opens.
func dialTLS(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		if err := tc.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, err
		}
		return tc, nil
	}
}
