package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/netns"
)

// fullEnv makes the acceptance tests of `braid proxy` as long as the issue
// asks for, or longer: a crowd of 1,000 clients for a minute, say.
const fullEnv = "BRAID_FULL"

// full chooses between what an everyday run can bear and the whole thing.
func full[T any](everyday, whole T) T {
	if os.Getenv(fullEnv) != "" {
		return whole
	}
	return everyday
}

// loopbacks numbers the loopback addresses that were given out.
var loopbacks atomic.Uint32

// loopback is an address of this host that nobody else uses, so that a test may
// listen at any port of it.
func loopback() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 64+pid>>8&63, pid&255, 1+loopbacks.Add(1)%254)
}

// startIn starts a process in a namespace, or with none beside the test. It
// ends with the test.
func startIn(t *testing.T, ns *netns.NS, cmd *exec.Cmd) {
	t.Helper()
	h := &hosts{t: t}
	if ns != nil {
		h.start(ns, cmd)
		return
	}
	// As hosts.start, for the same reasons.
	started, stay := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		started <- cmd.Start()
		<-stay
	}()
	if err := <-started; err != nil {
		close(stay)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
		close(stay)
	})
}

// proxied is a `braid proxy` that runs.
type proxied struct {
	t      *testing.T
	ns     *netns.NS // nil: none
	cmd    *exec.Cmd
	log    *output
	file   string // its configuration
	admin  string
	client *http.Client // for the admin address
}

// startProxy starts `braid proxy` with a configuration, to which the admin
// address is added, and waits until it is up.
func startProxy(t *testing.T, ns *netns.NS, config string, args ...string) *proxied {
	t.Helper()
	p := &proxied{t: t, ns: ns, log: new(output), file: filepath.Join(t.TempDir(), "braid.yaml"), admin: loopback() + ":7999"}
	p.client = &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: inNS(ns, net.Dialer{}), DisableKeepAlives: true}}
	p.write(config)
	p.cmd = (&hosts{t: t}).command(append([]string{"proxy", "--config", p.file}, args...)...)
	p.cmd.Stderr = p.log
	startIn(t, ns, p.cmd)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of braid proxy:\n%s", tail(p.log.String(), 8000))
		}
	})
	waitFor(t, "braid proxy is up", func() bool {
		resp, err := p.client.Get("http://" + p.admin + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == 200
	})
	return p
}

// tail is the end of a text.
func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// inNS makes a dialer dial from within a namespace.
func inNS(ns *netns.NS, d net.Dialer) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		if ns == nil {
			return d.DialContext(ctx, network, addr)
		}
		ns.Do(func() { c, err = d.DialContext(ctx, network, addr) })
		return c, err
	}
}

func (p *proxied) write(config string) {
	p.t.Helper()
	config += fmt.Sprintf("\nadmin: {address: tcp@%s}\n", p.admin)
	// In one go, as whoever replaces a file that is watched does it.
	if err := os.WriteFile(p.file+".new", []byte(config), 0o644); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(p.file+".new", p.file); err != nil {
		p.t.Fatal(err)
	}
}

// page reads a page of the admin address.
func (p *proxied) page(path string) string {
	p.t.Helper()
	resp, err := p.client.Get("http://" + p.admin + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		p.t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(b)
}

// metrics are what Prometheus would read.
type metrics []metric

type metric struct {
	name, labels string
	value        float64
}

var metricLine = regexp.MustCompile(`^([a-z_:0-9]+)(?:\{(.*)\})? (\S+)$`)

func (p *proxied) metrics() (all metrics) {
	p.t.Helper()
	for line := range strings.Lines(p.page("/metrics")) {
		if m := metricLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			v, err := strconv.ParseFloat(m[3], 64)
			if err != nil {
				p.t.Fatalf("metric %q: %v", line, err)
			}
			all = append(all, metric{m[1], m[2], v})
		}
	}
	return all
}

// sum adds up the metrics of a name that have all the labels, such as
// `state="idle"`.
func (m metrics) sum(name string, labels ...string) (sum float64) {
next:
	for _, x := range m {
		for _, l := range labels {
			if !strings.Contains(","+x.labels+",", ","+l+",") {
				continue next
			}
		}
		if x.name == name {
			sum += x.value
		}
	}
	return sum
}

// rss is the memory that the process has in use, in bytes.
func (p *proxied) rss() int64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// browser is one client connection of HTTP/1.1, opened when it is needed. It
// never sends anything twice: what the proxy gets wrong is seen.
type browser struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	addr string
	c    net.Conn
	r    *bufio.Reader
}

// answer is a response, read to its end.
type answer struct {
	status  int
	header  http.Header
	trailer http.Header
	body    []byte
}

func (a *answer) String() string { return fmt.Sprintf("%d %v %.200q", a.status, a.header, a.body) }

// browse makes a client of addr that comes from an address of this host; from
// any if that is empty.
func browse(addr, from string) *browser {
	d := net.Dialer{Timeout: patience}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return &browser{dial: d.DialContext, addr: addr}
}

// get requests a path.
func (b *browser) get(path string) (*answer, error) { return b.do("GET", path, "", nil) }

// do makes a request. header are lines that each end with CRLF. When the server
// says that it closes the connection, the next request opens another.
func (b *browser) do(method, path, header string, body []byte) (*answer, error) {
	if err := b.open(); err != nil {
		return nil, err
	}
	b.c.SetDeadline(time.Now().Add(4 * patience))
	var req bytes.Buffer
	fmt.Fprintf(&req, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, path, b.addr, header)
	if body != nil {
		fmt.Fprintf(&req, "Content-Length: %d\r\n", len(body))
	}
	req.WriteString("\r\n")
	req.Write(body)
	if _, err := b.c.Write(req.Bytes()); err != nil {
		b.close()
		return nil, err
	}
	a, err := b.read(method)
	if err != nil {
		b.close()
	}
	return a, err
}

func (b *browser) open() error {
	if b.c != nil {
		return nil
	}
	c, err := b.dial(context.Background(), "tcp", b.addr)
	if err != nil {
		return err
	}
	b.c, b.r = c, bufio.NewReader(c)
	return nil
}

// read reads a final response.
func (b *browser) read(method string) (*answer, error) {
	for {
		resp, err := http.ReadResponse(b.r, &http.Request{Method: method})
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("after %d bytes of the body: %w", len(body), err)
		}
		if resp.Close {
			b.close()
		}
		return &answer{resp.StatusCode, resp.Header, resp.Trailer, body}, nil
	}
}

func (b *browser) close() {
	if b.c != nil {
		b.c.Close()
	}
	b.c, b.r = nil, nil
}

// want makes a GET request that has to be answered with status 200 and gives
// the body.
func (b *browser) want(t *testing.T, path string) string {
	t.Helper()
	a, err := b.get(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if a.status != 200 {
		t.Fatalf("%s: %v", path, a)
	}
	return string(a.body)
}

// load is a crowd of clients that make requests until told to stop, or until
// one fails.
type load struct {
	answered atomic.Int64
	cancel   context.CancelCauseFunc
	ctx      context.Context
	done     chan struct{}
}

// startLoad lets n clients do their requests over and over.
func startLoad(n int, one func(ctx context.Context, client int) func() error) *load {
	l := &load{done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	ended := make(chan struct{})
	for i := range n {
		go func() {
			defer func() { ended <- struct{}{} }()
			request := one(l.ctx, i)
			for l.ctx.Err() == nil {
				if err := request(); err != nil {
					l.cancel(fmt.Errorf("client %d: %w", i, err))
					return
				}
				l.answered.Add(1)
			}
		}()
	}
	go func() {
		for range n {
			<-ended
		}
		close(l.done)
	}()
	return l
}

// errEnough ends a load that went well.
var errEnough = errors.New("enough")

// during waits until n more requests were answered.
func (l *load) during(t *testing.T, n int64) {
	t.Helper()
	for until := l.answered.Load() + n; l.answered.Load() < until; time.Sleep(5 * time.Millisecond) {
		select {
		case <-l.done:
			t.Fatalf("after %d requests: %v", l.answered.Load(), context.Cause(l.ctx))
		default:
		}
	}
}

// stop ends the load; no request may have failed.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel(errEnough)
	<-l.done
	if err := context.Cause(l.ctx); !errors.Is(err, errEnough) {
		t.Errorf("after %d requests: %v", l.answered.Load(), err)
	}
}
