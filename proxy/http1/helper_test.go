package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
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

func (p *testPool) opened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dialed
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
	addr  string
	pool  *testPool
	front *Frontend
}

// startProxy starts a proxy for the server at addr. change may be nil.
func startProxy(t testing.TB, server string, change func(*Settings)) *testProxy {
	t.Helper()
	return startProxyOn(t, listenTest(t), server, change)
}

// startProxyOn starts a proxy on a listener.
func startProxyOn(t testing.TB, l net.Listener, server string, change func(*Settings)) *testProxy {
	t.Helper()
	return startEngine(t, NewEngine(Config{Sweep: 5 * time.Millisecond}), l, server, change)
}

// startEngine starts a given engine.
func startEngine(t testing.TB, e *Engine, l net.Listener, server string, change func(*Settings)) *testProxy {
	t.Helper()
	p := &testProxy{Engine: e, pool: newTestPool(e, server), addr: l.Addr().String()}
	s := &Settings{Route: func(*Exchange) (Pool, error) { return p.pool, nil }}
	if change != nil {
		change(s)
	}
	p.front = NewFrontend(s)
	served := make(chan error, 1)
	go func() { served <- e.Serve(l, p.front) }()
	t.Cleanup(func() {
		e.Close()
		if err := <-served; !errors.Is(err, ErrClosed) {
			t.Errorf("Serve: %v, want ErrClosed", err)
		}
		p.pool.close()
	})
	return p
}

func listenTest(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// plainListener hides from the engine what its connections are.
type plainListener struct{ net.Listener }

func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return plainConn{c}, nil
}

// plainConn has the methods of net.Conn and the half-close.
type plainConn struct{ net.Conn }

func (c plainConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// starter is startProxy or the like.
type starter func(t testing.TB, server string, change func(*Settings)) *testProxy

// variants runs a test over kernel sockets and over plain connections.
func variants(t *testing.T, test func(t *testing.T, start starter)) {
	t.Run("raw", func(t *testing.T) { test(t, startProxy) })
	t.Run("plain", func(t *testing.T) {
		test(t, func(t testing.TB, server string, change func(*Settings)) *testProxy {
			p := startProxyOn(t, plainListener{listenTest(t)}, server, change)
			p.pool.dial = func() (net.Conn, error) {
				c, err := net.Dial("tcp", server)
				if err != nil {
					return nil, err
				}
				return plainConn{c}, nil
			}
			return p
		})
	})
}

// startServer starts a server that handles each connection with handle.
func startServer(t testing.TB, handle func(net.Conn)) (addr string) {
	t.Helper()
	l := listenTest(t)
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
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

func sendString(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}

// wantBytes reads exactly what is wanted.
func wantBytes(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if string(got[:n]) != want {
		t.Fatalf("got %q, %v\nwant %q", got[:n], err, want)
	}
}

// wantEnd reads the end of the stream.
func wantEnd(t testing.TB, r io.Reader) {
	t.Helper()
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Fatalf("got %q, %v, want the end", b, err)
	}
}

// wantStatus reads a response with a body by length, and gives its body.
func wantStatus(t testing.TB, r io.Reader, want int) (body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReaderSize(oneByOne{r}, 16), nil)
	if err != nil {
		t.Fatalf("got %v, want status %d", err, want)
	}
	b, err := io.ReadAll(resp.Body)
	if resp.StatusCode != want || err != nil {
		t.Fatalf("got status %d, body %q, %v, want status %d", resp.StatusCode, b, err, want)
	}
	return string(b)
}

// oneByOne keeps a buffered reader from reading ahead.
type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(b []byte) (int, error) { return o.r.Read(b[:1]) }

// readHead reads the head of a message.
func readHead(r io.Reader) (string, error) {
	var head []byte
	b := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if _, err := io.ReadFull(r, b); err != nil {
			return string(head), err
		}
		head = append(head, b[0])
	}
	return string(head), nil
}

const (
	testGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	testOK  = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: x\r\n\r\nok"
)

// answerAll answers each request without a body with ok.
func answerAll(c net.Conn) {
	for {
		if _, err := readHead(c); err != nil {
			return
		}
		if _, err := io.WriteString(c, testOK); err != nil {
			return
		}
	}
}

// patience is how long a test waits for what takes a moment, however busy the
// machine is. It is less than the default of the timeouts that end what hangs.
const patience = 25 * time.Second

// eventually waits for something that happens elsewhere.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// logged collects what is logged.
type logged struct {
	mu  sync.Mutex
	all []Stats
}

func (l *logged) log(x *Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, x.Stats)
}

// wait gives the n-th entry.
func (l *logged) wait(t testing.TB, n int) Stats {
	t.Helper()
	var got Stats
	eventually(t, "log entry", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.all) < n {
			return false
		}
		got = l.all[n-1]
		return true
	})
	return got
}
