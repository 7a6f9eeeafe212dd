package http1

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// testPool is the least a Pool can be: a stack of idle connections to one
// address.
type testPool struct {
	engine *Engine
	dial   func() (net.Conn, error)

	mu      sync.Mutex
	idle    []*ServerConn
	dialed  int
	results []Result // if keep
	keep    bool
}

func newTestPool(e *Engine, addr string) *testPool {
	return &testPool{engine: e, dial: func() (net.Conn, error) { return net.Dial("tcp", addr) }}
}

func (p *testPool) Get(x *Exchange, fresh bool) (*ServerConn, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 && !fresh {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return s, nil
	}
	p.dialed++
	p.mu.Unlock()
	c, err := p.dial()
	if err != nil {
		return nil, err
	}
	return p.engine.NewServerConn(c), nil
}

func (p *testPool) Put(s *ServerConn, r Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keep {
		p.results = append(p.results, r)
	}
	if !r.Reuse {
		s.NetConn().Close()
		return
	}
	p.idle = append(p.idle, s)
}

func (p *testPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.idle {
		s.NetConn().Close()
	}
	p.idle = nil
}

// testProxy is an engine in front of one server.
type testProxy struct {
	*Engine
	addr string
	pool *testPool
}

// startProxy starts a proxy for the server at addr. change may be nil.
func startProxy(t testing.TB, server string, change func(*Settings)) *testProxy {
	t.Helper()
	e := NewEngine(Config{Sweep: 5 * time.Millisecond})
	p := &testProxy{Engine: e, pool: newTestPool(e, server)}
	s := &Settings{Route: func(*Exchange) (Pool, error) { return p.pool, nil }}
	if change != nil {
		change(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- e.Serve(l, NewFrontend(s)) }()
	t.Cleanup(func() {
		e.Close()
		if err := <-served; !errors.Is(err, ErrClosed) {
			t.Errorf("Serve: %v, want ErrClosed", err)
		}
		p.pool.close()
	})
	return p
}

// startServer starts a server that handles each connection with handle.
func startServer(t testing.TB, handle func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			conns.Go(func() {
				handle(c)
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		conns.Wait()
	})
	return l.Addr().String()
}

// dialTest connects to addr. Whatever waits for it gives up in time.
func dialTest(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*net.TCPConn)
}

func sendString(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}
