package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/link"
)

const patience = 30 * time.Second

// dialer and listener are one side of a way to connect.
type way struct {
	name   string
	listen func() (net.Listener, error)
	dial   func(addr net.Addr) (net.Conn, error)
}

// ways are plain TCP of the system and Multipath TCP of the user stack, over
// two cables in memory.
func ways(t *testing.T) []way {
	t.Helper()
	var near, far braid.Config
	for _, n := range []string{"10.0.1", "10.0.2"} {
		a, b := link.NewPair(link.PairConfig{Features: link.Features{MTU: 1500}})
		near.Interfaces = append(near.Interfaces, braid.Interface{Device: a, Addresses: []braid.Address{
			{Addr: netip.MustParseAddr(n + ".1"), Bits: 24, Flags: braid.Subflow}}})
		far.Interfaces = append(far.Interfaces, braid.Interface{Device: b, Addresses: []braid.Address{
			{Addr: netip.MustParseAddr(n + ".2"), Bits: 24, Flags: braid.Signal}}})
	}
	client, err := braid.NewStack(near)
	if err != nil {
		t.Fatal(err)
	}
	server, err := braid.NewStack(far)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return []way{
		{"system", func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") },
			func(a net.Addr) (net.Conn, error) { return net.Dial("tcp", a.String()) }},
		{"user stack", func() (net.Listener, error) { return server.Listen("tcp", "10.0.1.2:0") },
			func(a net.Addr) (net.Conn, error) { return client.Dial("tcp", a.String()) }},
	}
}

// service accepts connections and gives each to handle.
func service(t *testing.T, handle func(*net.TCPConn)) net.Addr {
	t.Helper()
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
			go handle(c.(*net.TCPConn))
		}
	}()
	return l.Addr()
}

// rig is a Server in front of a service.
type rig struct {
	t      *testing.T
	server *Server
	addr   net.Addr
	dial   func(net.Addr) (net.Conn, error)
	served chan error

	mu  sync.Mutex
	log bytes.Buffer
}

func (r *rig) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
}

// logged is all that was logged so far.
func (r *rig) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// wantLog waits until the log has all the words in one line.
func (r *rig) wantLog(words ...string) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		for _, line := range strings.Split(r.logged(), "\n") {
			missing := 0
			for _, w := range words {
				if !strings.Contains(line, w) {
					missing++
				}
			}
			if missing == 0 {
				return
			}
		}
		if time.Now().After(end) {
			r.t.Fatalf("no line with %q in\n%s", words, r.logged())
		}
	}
}

func newRig(t *testing.T, w way, to net.Addr, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, dial: w.dial, served: make(chan error, 1)}
	cfg := Config{
		Dial: func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", to.String())
		},
		Log: slog.New(slog.NewTextHandler(r, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	r.server = NewServer(cfg)
	l, err := w.listen()
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr()
	go func() { r.served <- r.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.server.Shutdown(ctx)
	})
	return r
}

func (r *rig) connect() Conn {
	r.t.Helper()
	c, err := r.dial(r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { c.Close() })
	return c.(Conn)
}

// everyWay runs a test for the client on either stack.
func everyWay(t *testing.T, test func(t *testing.T, w way)) {
	for _, w := range ways(t) {
		t.Run(w.name, func(t *testing.T) { test(t, w) })
	}
}

// TestHalfClose: what a service says after its client has ended its direction
// arrives, and the other way round.
func TestHalfClose(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		to := service(t, func(c *net.TCPConn) {
			defer c.Close()
			all, _ := io.ReadAll(c)
			fmt.Fprintf(c, "you said %d bytes", len(all))
		})
		r := newRig(t, w, to, nil)
		c := r.connect()
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "you said 1048576 bytes" {
			t.Errorf("got %q, %v", got, err)
		}
		c.Close()
		multipath := fmt.Sprintf("multipath=%v", w.name == "user stack")
		r.wantLog("connection ended", "from_client=1048576", "to_client=22", "end=closed", multipath, "path1=", " received ")
	})
	everyWay(t, func(t *testing.T, w way) {
		said := make(chan string, 1)
		to := service(t, func(c *net.TCPConn) {
			defer c.Close()
			fmt.Fprint(c, "first")
			c.CloseWrite()
			all, _ := io.ReadAll(c)
			said <- string(all)
		})
		c := newRig(t, w, to, nil).connect()
		if got, err := io.ReadAll(c); err != nil || string(got) != "first" {
			t.Errorf("got %q, %v", got, err)
		}
		fmt.Fprint(c, "afterwards")
		c.CloseWrite()
		if got := <-said; got != "afterwards" {
			t.Errorf("the service got %q", got)
		}
	})
}

// TestBroken: a stream that breaks on one side does not end in good order on
// the other.
func TestBroken(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		to := service(t, func(c *net.TCPConn) {
			fmt.Fprint(c, "half a str")
			c.Read(make([]byte, 1))
			c.SetLinger(0)
			c.Close()
		})
		r := newRig(t, w, to, nil)
		c := r.connect()
		if _, err := io.ReadFull(c, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "x")
		if n, err := io.Copy(io.Discard, c); err == nil {
			t.Errorf("read %d bytes and a good end", n)
		}
		r.wantLog("connection ended", "end=", "reset")
	})
	everyWay(t, func(t *testing.T, w way) {
		const half = "half a str"
		began, ended := make(chan error, 1), make(chan error, 1)
		to := service(t, func(c *net.TCPConn) {
			defer c.Close()
			_, err := io.CopyN(io.Discard, c, int64(len(half)))
			began <- err
			_, err = io.Copy(io.Discard, c)
			ended <- err
		})
		c := newRig(t, w, to, nil).connect()
		if _, err := io.WriteString(c, half); err != nil {
			t.Fatal(err)
		}
		if err := <-began; err != nil { // a reset may overtake what was sent
			t.Fatal(err)
		}
		abort(c)
		c.Close()
		select {
		case err := <-ended:
			if err == nil {
				t.Error("the service saw a good end")
			}
		case <-time.After(patience):
			t.Error("the service never heard of it")
		}
	})
}

func TestServiceDoesNotAnswer(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		to := l.Addr()
		l.Close()
		r := newRig(t, w, to, nil)
		// The reset may come before Dial has returned.
		if c, err := r.dial(r.addr); err == nil {
			c.SetDeadline(time.Now().Add(patience))
			if n, err := io.Copy(io.Discard, c); err == nil {
				t.Errorf("read %d bytes and a good end", n)
			}
			c.Close()
		}
		r.wantLog("service does not answer", "refused")
	})
}

func TestProxyProtocol(t *testing.T) {
	for version := 1; version <= 2; version++ {
		everyWay(t, func(t *testing.T, w way) {
			type hello struct {
				h    *proxyproto.Header
				rest string
				err  error
			}
			said := make(chan hello, 1)
			to := service(t, func(c *net.TCPConn) {
				defer c.Close()
				b := bufio.NewReader(c)
				h, err := proxyproto.Read(b)
				rest, _ := io.ReadAll(b)
				said <- hello{h, string(rest), err}
			})
			c := newRig(t, w, to, func(cfg *Config) { cfg.ProxyProtocol = version }).connect()
			fmt.Fprint(c, "data")
			c.CloseWrite()
			got := <-said
			if got.err != nil || int(got.h.Version) != version || got.rest != "data" ||
				got.h.SourceAddr.String() != c.LocalAddr().String() || got.h.DestinationAddr.String() != c.RemoteAddr().String() {
				t.Errorf("version %d: got %+v, %+v; want from %v to %v", version, got, got.h, c.LocalAddr(), c.RemoteAddr())
			}
		})
	}
}

func TestIdleTimeout(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		to := service(t, func(c *net.TCPConn) {
			defer c.Close()
			io.Copy(c, c)
		})
		r := newRig(t, w, to, func(cfg *Config) { cfg.IdleTimeout = time.Second })
		c := r.connect()
		began := time.Now()
		for time.Since(began) < 2*time.Second { // twice as long
			fmt.Fprint(c, "x")
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("an idle connection ended with %v", err)
		}
		r.wantLog(`end="idle for too long"`)
	})
}

// TestMaxConns: one client more than allowed is served when another has left.
func TestMaxConns(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		to := service(t, func(c *net.TCPConn) {
			defer c.Close()
			fmt.Fprint(c, "h")
			io.Copy(io.Discard, c)
		})
		r := newRig(t, w, to, func(cfg *Config) { cfg.MaxConns = 2 })
		hello := func(c Conn, wait time.Duration) error {
			c.SetDeadline(time.Now().Add(wait))
			_, err := c.Read(make([]byte, 1))
			return err
		}
		var clients []Conn
		for range 2 {
			clients = append(clients, r.connect())
			if err := hello(clients[len(clients)-1], patience); err != nil {
				t.Fatal(err)
			}
		}
		third := r.connect()
		if err := hello(third, 100*time.Millisecond); err == nil {
			t.Error("a third client is served")
		}
		clients[0].Close()
		if err := hello(third, patience); err != nil {
			t.Errorf("the third client, after the first has left: %v", err)
		}
	})
}

func TestShutdown(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		to := service(t, func(c *net.TCPConn) {
			defer c.Close()
			io.Copy(c, c)
		})
		r := newRig(t, w, to, nil)
		c := r.connect()
		say := func(text string) {
			t.Helper()
			fmt.Fprint(c, text)
			got := make([]byte, len(text))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
				t.Fatalf("got %q, %v, want %q", got, err, text)
			}
		}
		say("before")
		down := make(chan error, 1)
		go func() { down <- r.server.Shutdown(context.Background()) }()
		if err := <-r.served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v, want %v", err, ErrServerClosed)
		}
		if late, err := r.dial(r.addr); err == nil {
			late.SetDeadline(time.Now().Add(patience))
			if _, err := late.Read(make([]byte, 1)); err == nil {
				t.Error("a new client is served")
			}
			late.Close()
		}
		say("while it drains")
		select {
		case err := <-down:
			t.Fatalf("Shutdown did not wait: %v", err)
		default:
		}
		c.CloseWrite()
		io.Copy(io.Discard, c)
		c.Close()
		if err := <-down; err != nil {
			t.Errorf("Shutdown: %v", err)
		}

		// Once more, without patience.
		r = newRig(t, w, to, nil)
		c = r.connect()
		say("before")
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := r.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v, want %v", err, context.DeadlineExceeded)
		}
		if n, err := io.Copy(io.Discard, c); err == nil {
			t.Errorf("read %d bytes and a good end", n)
		}
		r.wantLog(`end="server shut down"`)
	})
}

func TestParseAddress(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Address
	}{
		{"mptcp@:2222", Address{true, "tcp", ":2222"}},
		{"mptcp4@0.0.0.0:22", Address{true, "tcp4", "0.0.0.0:22"}},
		{"mptcp6@[::1]:22", Address{true, "tcp6", "[::1]:22"}},
		{"tcp@host:ssh", Address{false, "tcp", "host:ssh"}},
		{"tcp4@:1", Address{false, "tcp4", ":1"}},
		{":2222", Address{true, "tcp", ":2222"}},
	} {
		got, err := ParseAddress(tt.text, true)
		if err != nil || got != tt.want {
			t.Errorf("%q: got %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
		if again, err := ParseAddress(got.String(), false); err != nil || again != got {
			t.Errorf("%q reads as %+v, %v", got, again, err)
		}
	}
	for _, text := range []string{"", "mptcp@", "udp@:1", "mptcp@host", "tcp@:", "::1", "x@y@:1"} {
		if got, err := ParseAddress(text, true); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

func TestStdio(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		to := service(t, func(c *net.TCPConn) {
			defer c.Close()
			all, _ := io.ReadAll(c)
			c.Write(bytes.ToUpper(all))
		})
		var out bytes.Buffer
		closed := 0
		err := Stdio(t.Context(), newRig(t, w, to, nil).connect(), strings.NewReader("hello"), &out,
			func() error { closed++; return nil })
		if err != nil || out.String() != "HELLO" || closed != 1 {
			t.Errorf("got %q, %v, output closed %d times", out.String(), err, closed)
		}
	})
	everyWay(t, func(t *testing.T, w way) { // the peer ends first
		said := make(chan string, 1)
		to := service(t, func(c *net.TCPConn) {
			defer c.Close()
			fmt.Fprint(c, "bye")
			c.CloseWrite()
			all, _ := io.ReadAll(c)
			said <- string(all)
		})
		in, feed := io.Pipe()
		var out bytes.Buffer
		err := Stdio(t.Context(), newRig(t, w, to, nil).connect(), in, &out, func() error {
			go func() { // whoever reads our output goes on for a while
				fmt.Fprint(feed, "more")
				feed.Close()
			}()
			return nil
		})
		if got := <-said; err != nil || out.String() != "bye" || got != "more" {
			t.Errorf("got %q, %v, the service %q", out.String(), err, got)
		}
	})
}

// failing fails to be written or read.
type failing struct{}

var errFailing = errors.New("no space left")

func (failing) Write([]byte) (int, error) { return 0, errFailing }
func (failing) Read([]byte) (int, error)  { return 0, errFailing }

func TestStdioFailures(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		chatty := service(t, func(c *net.TCPConn) {
			defer c.Close()
			fmt.Fprint(c, "hello")
			io.Copy(io.Discard, c)
		})
		resets := service(t, func(c *net.TCPConn) {
			c.SetLinger(0)
			c.Close()
		})
		never, feed := io.Pipe()
		defer feed.Close()
		ignore := func() error { return nil }
		err := Stdio(t.Context(), newRig(t, w, chatty, nil).connect(), never, failing{}, ignore)
		if !errors.Is(err, ErrLocal) || !errors.Is(err, errFailing) {
			t.Errorf("output fails: %v, want %v", err, ErrLocal)
		}
		err = Stdio(t.Context(), newRig(t, w, chatty, nil).connect(), failing{}, io.Discard, ignore)
		if !errors.Is(err, ErrLocal) || !errors.Is(err, errFailing) {
			t.Errorf("input fails: %v, want %v", err, ErrLocal)
		}
		err = Stdio(t.Context(), newRig(t, w, resets, nil).connect(), never, io.Discard, ignore)
		if !errors.Is(err, ErrBroken) {
			t.Errorf("reset: %v, want %v", err, ErrBroken)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("because")
		time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
		if err := Stdio(ctx, newRig(t, w, chatty, nil).connect(), never, io.Discard, ignore); !errors.Is(err, why) {
			t.Errorf("cancelled: %v, want %v", err, why)
		}
	})
}
