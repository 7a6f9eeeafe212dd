package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestProxySlowClients: clients that send their request a byte at a time are
// told off, and do not keep others from being served.
func TestProxySlowClients(t *testing.T) {
	o := startOrigin(t, nil, loopback()+":8000", nil)
	_, addr := inFrontOf(t, "timeouts: {request_header: 1s, request_body: 1s}", o.addr)
	const n = 200
	var wg sync.WaitGroup
	var told atomic.Int64
	for i := range n {
		wg.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			request := "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 1000)
			if i%2 == 1 { // or their body
				request = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
				io.WriteString(c, request)
				request = strings.Repeat("x", 2)
			}
			go func() {
				for _, b := range []byte(request) {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
			}()
			c.SetReadDeadline(time.Now().Add(2 * patience))
			b, err := io.ReadAll(c)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("client %d is borne with for ever", i)
				return
			}
			if strings.HasPrefix(string(b), "HTTP/1.1 408 ") {
				told.Add(1)
			}
		})
	}
	for range 20 {
		browse(addr, "").want(t, "/conn")
		time.Sleep(50 * time.Millisecond)
	}
	wg.Wait()
	if got := told.Load(); got < n*9/10 {
		t.Errorf("%d of %d were told with status 408", got, n)
	}
}

// TestProxyIdleClients: ten thousand connections on which nothing happens.
func TestProxyIdleClients(t *testing.T) {
	n := full(5000, 10_000)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < uint64(n+1000) {
		t.Skipf("needs %d open files: %d, %v", n+1000, limit.Cur, err)
	}
	o := startOrigin(t, nil, loopback()+":8000", nil)
	p, addr := inFrontOf(t, "", o.addr)
	browse(addr, "").want(t, "/conn")
	before := p.rss()
	var conns []*browser
	for range n {
		b := browse(addr, "")
		conns = append(conns, b)
		b.want(t, "/bytes/100")
	}
	each := (p.rss() - before) / int64(n)
	t.Logf("%d bytes for each of %d idle connections", each, n)
	if each > 32<<10 {
		t.Errorf("an idle connection takes %d bytes", each)
	}
	if got := o.seen().most; got > 10 {
		t.Errorf("%d connections to the server", got)
	}
	for _, b := range conns[:100] {
		b.want(t, "/conn")
	}
	for _, b := range conns {
		b.close()
	}
	waitFor(t, "all are gone", func() bool { return p.metrics().sum("braid_listener_connections") < 10 })
}

// TestProxyDeafClient: a client that asks and never reads is cut off, and costs
// no memory until then.
func TestProxyDeafClient(t *testing.T) {
	o := startOrigin(t, nil, loopback()+":8000", nil)
	p, addr := inFrontOf(t, "timeouts: {write: 2s}", o.addr)
	ask := func() {
		b := browse(addr, "")
		b.want(t, "/conn")
		b.close()
	}
	ask()
	before := p.rss()
	const n = 10
	var conns []net.Conn
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /bytes/50000000 HTTP/1.1\r\nHost: x\r\n\r\n")
		conns = append(conns, c)
	}
	waitFor(t, "all are under way", func() bool { return o.seen().requests == n+1 })
	time.Sleep(500 * time.Millisecond)
	if grown := p.rss() - before; grown > 100<<20 {
		t.Errorf("%d bytes for %d clients that do not read", grown, n)
	}
	ask()
	waitFor(t, "they are cut off", func() bool { return p.metrics().sum("braid_listener_connections") == 0 })
	for _, c := range conns {
		c.SetReadDeadline(time.Now().Add(patience))
		if got, err := io.Copy(io.Discard, c); got >= 50_000_000 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes, %v", got, err)
		}
	}
	waitFor(t, "the server is left", func() bool { return o.seen().open <= 2 })
}

// TestProxyClientsLeave: clients that go away at any point of a request or a
// response. Nobody gets what was meant for them, and nothing is left of them.
func TestProxyClientsLeave(t *testing.T) {
	o := startOrigin(t, nil, loopback()+":8000", nil)
	p, addr := inFrontOf(t, "", o.addr)
	const size = 300_000
	whole := string(file{byte(size & 0xff), size}.bytes())
	var staying [12]*browser
	l := startLoad(len(staying), func(_ context.Context, i int) func() error {
		staying[i] = browse(addr, "")
		if i%2 == 0 {
			return staying[i].getting("/chunked/"+fmt.Sprint(size), whole)
		}
		rng := rand.New(rand.NewPCG(uint64(i), 3))
		return func() error {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return err
			}
			defer c.Close()
			request := fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", size, whole)
			if rng.IntN(2) == 0 {
				request = fmt.Sprintf("GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n", size)
			}
			if rng.IntN(2) == 0 {
				request = request[:rng.IntN(len(request))]
			}
			io.WriteString(c, request)
			c.SetReadDeadline(time.Now().Add(time.Duration(rng.IntN(5)) * time.Millisecond))
			io.CopyN(io.Discard, c, int64(rng.IntN(size)))
			if rng.IntN(2) == 0 {
				c.(*net.TCPConn).SetLinger(0) // a reset instead of an end
			}
			return nil
		}
	})
	l.during(t, full[int64](3000, 50_000))
	l.stop(t)
	for _, b := range staying {
		b.close()
	}
	waitFor(t, "nothing is left of them", func() bool {
		m := p.metrics()
		return m.sum("braid_pool_connections", `state="in_use"`) == 0 && m.sum("braid_listener_connections") == 0
	})
}
