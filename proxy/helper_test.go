package proxy

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/config"
)

// logBuffer collects what is logged.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testProxy is a Proxy that serves.
type testProxy struct {
	*Proxy
	log  *logBuffer
	addr string // of the first listener, "host:port"
}

// parse reads a configuration. Tabs at the beginnings of lines are taken away.
func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(strings.ReplaceAll(text, "\t", "")))
	if err != nil {
		t.Fatalf("%v\nof:\n%s", err, text)
	}
	return c
}

// start starts a proxy with a configuration.
func start(t testing.TB, text string) *testProxy {
	t.Helper()
	return startOptions(t, Options{Config: parse(t, text)})
}

func startOptions(t testing.TB, o Options) *testProxy {
	t.Helper()
	log := &logBuffer{}
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	p, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve() }()
	t.Cleanup(func() {
		p.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v, want nil", err)
		}
		if t.Failed() && log.String() != "" {
			t.Logf("log of the proxy:\n%s", log)
		}
	})
	return &testProxy{p, log, p.hostPort(0)}
}

// hostPort gives the address of the i-th listener address.
func (p *Proxy) hostPort(i int) string {
	_, addr, _ := strings.Cut(p.Addrs()[i].Address, "@")
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// testServer is an HTTP server that counts.
type testServer struct {
	*httptest.Server
	addr     string
	conns    atomic.Int64 // accepted
	requests atomic.Int64
}

// serveTest starts a server.
func serveTest(t testing.TB, h http.HandlerFunc) *testServer {
	t.Helper()
	s := newTestServer(h)
	s.Start()
	s.addr = s.Listener.Addr().String()
	t.Cleanup(s.Close)
	return s
}

func newTestServer(h http.HandlerFunc) *testServer {
	s := &testServer{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	return s
}

// named answers with a name, for telling servers apart.
func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) }
}

// client makes a client whose connections are its own.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport: tr, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get makes a request and reads the response.
func get(t testing.TB, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, c, req)
}

func do(t testing.TB, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// wantBody makes a request and checks status and body.
func wantBody(t testing.TB, c *http.Client, url string, status int, want string) {
	t.Helper()
	resp, body := get(t, c, url)
	if resp.StatusCode != status || body != want {
		t.Errorf("GET %s: got %d %q, want %d %q", url, resp.StatusCode, body, status, want)
	}
}

// dial connects, for what net/http does not say.
func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// ask writes a request as it stands and reads the response.
func ask(t testing.TB, c net.Conn, r *bufio.Reader, request string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// patience is how long a test waits for what takes a moment, however busy the
// machine is. It is less than the default of the timeouts that end what hangs.
const patience = 25 * time.Second

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}
