package http2

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// testPool is the least a pool can be: a stack of idle connections to one
// address.
type testPool struct {
	engine *http1.Engine
	addr   string

	mu      sync.Mutex
	idle    []*http1.ServerConn
	results []http1.Result
}

func (p *testPool) Get(x *http1.Exchange, fresh bool) (*http1.ServerConn, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 && !fresh {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return s, nil
	}
	p.mu.Unlock()
	c, err := (&net.Dialer{}).DialContext(x.Context(), "tcp", p.addr)
	if err != nil {
		return nil, err
	}
	return p.engine.NewServerConn(c), nil
}

func (p *testPool) Put(s *http1.ServerConn, r http1.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.results) < 1000 {
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

// testProxy is a Server in front of one server of HTTP/1.1.
type testProxy struct {
	*Server
	engine *http1.Engine
	front  *http1.Frontend
	pool   *testPool
	addr   string

	mu     sync.Mutex
	logged []http1.Stats
}

// start starts a proxy for the server at addr. change may be nil.
func start(t testing.TB, addr string, change func(*http1.Settings, *Config)) *testProxy {
	t.Helper()
	p := &testProxy{engine: http1.NewEngine(http1.Config{Sweep: 5 * time.Millisecond})}
	p.pool = &testPool{engine: p.engine, addr: addr}
	s := &http1.Settings{Route: func(*http1.Exchange) (http1.Pool, error) { return p.pool, nil }, Connect: true}
	s.Log = func(x *http1.Exchange) {
		p.mu.Lock()
		p.logged = append(p.logged, x.Stats)
		p.mu.Unlock()
	}
	c := Config{Engine: p.engine}
	if change != nil {
		change(s, &c)
	}
	p.front = http1.NewFrontend(s)
	p.Server = NewServer(c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.ServeConn(c, p.front)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		p.Server.Close()
		p.engine.Close()
		p.pool.close()
	})
	return p
}

// log gives the n-th entry of the log.
func (p *testProxy) log(t testing.TB, n int) http1.Stats {
	t.Helper()
	var got http1.Stats
	eventually(t, "log entry", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.logged) < n {
			return false
		}
		got = p.logged[n-1]
		return true
	})
	return got
}

// quiet waits until nothing is being served.
func (p *testProxy) quiet(t testing.TB) {
	t.Helper()
	eventually(t, "end of all streams", func() bool { return p.engine.Open() == 0 })
}

// patience is how long a test waits for what takes a moment, however busy the
// machine is. It is less than the default of the timeouts that end what hangs.
const patience = 25 * time.Second

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// serveHTTP starts a server of net/http.
func serveHTTP(t testing.TB, h http.HandlerFunc) (addr string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// hello answers everything with "hello" and the body it got.
func hello(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, "hello"+string(b))
}

// newClient gives a client that speaks HTTP/2 with prior knowledge.
func newClient(t testing.TB) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols, DisableCompression: true, ExpectContinueTimeout: 5 * time.Second}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 60 * time.Second}
}

// raw is a client that says what it is told to. It fails the test when nothing
// comes for some seconds.
type raw struct {
	t       testing.TB
	c       net.Conn
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	decoder *hpack.Decoder
}

// dial connects without saying anything.
func dial(t testing.TB, addr string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	r := &raw{t: t, c: c}
	r.framer = http2.NewFramer(c, c)
	r.framer.AllowIllegalWrites = true
	r.framer.AllowIllegalReads = true
	r.encoder = hpack.NewEncoder(&r.block)
	r.decoder = hpack.NewDecoder(4096, nil)
	return r
}

// greet connects and exchanges settings.
func greet(t testing.TB, addr string, settings ...http2.Setting) *raw {
	t.Helper()
	r := dial(t, addr)
	r.write([]byte(http2.ClientPreface))
	r.check(r.framer.WriteSettings(settings...))
	for acked := false; !acked; {
		switch f := r.read().(type) {
		case *http2.SettingsFrame:
			if acked = f.IsAck(); !acked {
				r.check(r.framer.WriteSettingsAck())
			}
		case *http2.WindowUpdateFrame:
		default:
			t.Fatalf("got %v while greeting", f)
		}
	}
	return r
}

func (r *raw) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	_, err := r.c.Write(b)
	r.check(err)
}

// frame writes a frame of which nothing is checked.
func (r *raw) frame(t http2.FrameType, flags http2.Flags, id uint32, payload []byte) {
	r.t.Helper()
	r.check(r.framer.WriteRawFrame(t, flags, id, payload))
}

// encode makes a header block of names and values.
func (r *raw) encode(fields ...string) []byte {
	r.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		r.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return append([]byte(nil), r.block.Bytes()...)
}

// get are the fields of a request, with others behind them.
func get(more ...string) []string {
	return append([]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a.test"}, more...)
}

func post(more ...string) []string {
	return append([]string{":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a.test"}, more...)
}

// headers writes a request's header block, in several frames if it is long.
func (r *raw) headers(id uint32, end bool, fields ...string) {
	r.t.Helper()
	b := r.encode(fields...)
	n := min(len(b), maxFrame)
	r.check(r.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, EndStream: end, EndHeaders: n == len(b), BlockFragment: b[:n],
	}))
	for b = b[n:]; len(b) > 0; b = b[n:] {
		n = min(len(b), maxFrame)
		r.check(r.framer.WriteContinuation(id, n == len(b), b[:n]))
	}
}

func (r *raw) data(id uint32, end bool, s string) {
	r.t.Helper()
	r.check(r.framer.WriteData(id, end, []byte(s)))
}

// read gives the next frame.
func (r *raw) read() http2.Frame {
	r.t.Helper()
	f, err := r.framer.ReadFrame()
	if err != nil {
		r.t.Fatalf("reading a frame: %v", err)
	}
	return f
}

// fields are those of a header block, by their names as they came.
type fields map[string][]string

func (f fields) get(name string) string { return strings.Join(f[name], ", ") }

// result is what became of a stream, or of the connection.
type result struct {
	status  string
	fields  fields
	trailer fields
	body    string
	interim []string
	reset   *http2.ErrCode
	goAway  *http2.ErrCode
	last    uint32 // of GOAWAY
	closed  bool
}

// response reads until stream id has ended, or the connection has.
func (r *raw) response(id uint32) (got result) {
	r.t.Helper()
	for {
		f, err := r.framer.ReadFrame()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				r.t.Fatalf("nothing came; so far %+v", got)
			}
			got.closed = true
			return got
		}
		end := false
		switch f := f.(type) {
		case *http2.HeadersFrame:
			block := r.decode(f)
			if f.StreamID != id {
				continue
			}
			end = f.StreamEnded()
			switch status := block.get(":status"); {
			case status == "":
				got.trailer = block
			case status[0] == '1':
				got.interim = append(got.interim, status)
			default:
				got.status, got.fields = status, block
			}
		case *http2.DataFrame:
			if f.StreamID != id {
				continue
			}
			got.body += string(f.Data())
			end = f.StreamEnded()
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				got.reset = &f.ErrCode
				return got
			}
		case *http2.GoAwayFrame:
			code := f.ErrCode
			got.goAway, got.last = &code, f.LastStreamID
			if code != http2.ErrCodeNo {
				return got
			}
		}
		if end {
			return got
		}
	}
}

// decode gives the fields of a header block, reading what continues it.
func (r *raw) decode(f *http2.HeadersFrame) fields {
	r.t.Helper()
	h := make(fields)
	r.decoder.SetEmitFunc(func(f hpack.HeaderField) {
		if strings.ToLower(f.Name) != f.Name {
			r.t.Errorf("field name %q", f.Name)
		}
		h[f.Name] = append(h[f.Name], f.Value)
	})
	r.decoder.Write(f.HeaderBlockFragment())
	for ended := f.HeadersEnded(); !ended; {
		c, ok := r.read().(*http2.ContinuationFrame)
		if !ok {
			r.t.Fatal("header block is not continued")
		}
		r.decoder.Write(c.HeaderBlockFragment())
		ended = c.HeadersEnded()
	}
	r.check(r.decoder.Close())
	return h
}

// wantOK expects an ordinary response on a stream.
func (r *raw) wantOK(id uint32) {
	r.t.Helper()
	if got := r.response(id); got.status != "200" || !strings.HasPrefix(got.body, "hello") {
		r.t.Fatalf("stream %d: got %v, want hello", id, got)
	}
}

func (g result) String() string {
	s := "status " + g.status + " body " + g.body
	if g.reset != nil {
		s += " reset " + g.reset.String()
	}
	if g.goAway != nil {
		s += " goaway " + g.goAway.String()
	}
	if g.closed {
		s += " closed"
	}
	return s
}

func shutdownContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// acceptFor is what a server answers to a WebSocket's key.
func acceptFor(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
