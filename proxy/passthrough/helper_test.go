package passthrough

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/link"
)

const patience = 20 * time.Second

// halves is a connection whose directions end one by one.
type halves interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
}

// way is a kind of connection.
type way struct {
	name   string
	listen func() (net.Listener, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

func plainWay() way {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	var d net.Dialer
	d.SetMultipathTCP(false)
	return way{"tcp",
		func() (net.Listener, error) { return lc.Listen(context.Background(), "tcp", "127.0.0.1:0") },
		d.DialContext}
}

func kernelWay() way {
	return way{"kernel",
		func() (net.Listener, error) { return kernel.Listen(context.Background(), "tcp", "127.0.0.1:0") },
		func(ctx context.Context, network, address string) (net.Conn, error) {
			return kernel.Dial(ctx, network, address)
		}}
}

// userWay is the user stack over a cable in memory.
func userWay(t testing.TB) way {
	t.Helper()
	a, b := link.NewPair(link.PairConfig{Features: link.Features{MTU: 1500}})
	stack := func(d link.Device, addr string) *braid.Stack {
		s, err := braid.NewStack(braid.Config{Interfaces: []braid.Interface{{Device: d, Addresses: []braid.Address{
			{Addr: netip.MustParseAddr(addr), Bits: 24, Flags: braid.Subflow}}}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	near, far := stack(a, "10.0.1.1"), stack(b, "10.0.1.2")
	return way{"user",
		func() (net.Listener, error) { return far.Listen("tcp", "10.0.1.2:0") },
		near.DialContext}
}

// everyWay runs a test for all pairs of what clients and servers speak.
func everyWay(t *testing.T, test func(t *testing.T, client, server way)) {
	ways := []way{plainWay()}
	if kernel.Supported() == nil {
		ways = append(ways, kernelWay())
	}
	for _, c := range append(ways, userWay(t)) {
		for _, s := range append(ways, userWay(t)) {
			t.Run(c.name+"-"+s.name, func(t *testing.T) {
				t.Parallel()
				test(t, c, s)
			})
		}
	}
}

// alikeWays runs a test, at the same time, for sockets of the kernel's on both
// sides and for others on both.
func alikeWays(t *testing.T, test func(t *testing.T, client, server way)) {
	for _, w := range []way{plainWay(), userWay(t)} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			test(t, w, w)
		})
	}
}

// rig is a proxy with one listener and one pool.
type rig struct {
	t       *testing.T
	cfg     Config
	dial    func() (net.Conn, error)
	results chan Result
	stop    context.CancelFunc // ends all connections

	mu      sync.Mutex
	routed  []*Conn
	wrapper func(net.Conn) net.Conn // of clients; may be nil
}

// service listens and gives each connection to handle.
func service(t *testing.T, w way, handle func(halves)) net.Addr {
	t.Helper()
	l, err := w.listen()
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
			go handle(c.(halves))
		}
	}()
	return l.Addr()
}

// pool makes a pool of backends.
func pool(t *testing.T, dial func(ctx context.Context, network, address string) (net.Conn, error), backends ...string) *balance.Pool {
	t.Helper()
	set := balance.NewSet()
	t.Cleanup(set.Close)
	var source balance.Static
	for _, b := range backends {
		source = append(source, balance.Backend{Address: b})
	}
	err := set.Apply(context.Background(), balance.Config{Name: "pool", Source: source, Dial: dial, ConnectTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	return set.Pool("pool")
}

// newRig passes connections of a kind on to p.
func newRig(t *testing.T, w way, p *balance.Pool, change func(*rig)) *rig {
	t.Helper()
	r := &rig{t: t, results: make(chan Result, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.cfg = Config{
		Idle: patience,
		Route: func(c *Conn) (*balance.Pool, balance.Request, error) {
			r.mu.Lock()
			r.routed = append(r.routed, c)
			r.mu.Unlock()
			client := netip.AddrFrom4([4]byte{192, 0, 2, 1})
			return p, balance.Request{Client: balance.NewClient(client)}, nil
		},
		Done: func(res Result) { r.results <- res },
	}
	if change != nil {
		change(r)
	}
	l, err := w.listen()
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if r.wrapper != nil {
				c = r.wrapper(c)
			}
			serving.Go(func() { Serve(ctx, c, &r.cfg) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		serving.Wait()
	})
	r.dial = func() (net.Conn, error) { return w.dial(context.Background(), "tcp", l.Addr().String()) }
	return r
}

func (r *rig) connect() halves {
	r.t.Helper()
	c, err := r.dial()
	if err != nil {
		r.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { c.Close() })
	return c.(halves)
}

// wantEnd waits for the next connection to end, and says how it should.
func (r *rig) wantEnd(want End) Result {
	r.t.Helper()
	select {
	case got := <-r.results:
		if got.End != want {
			r.t.Fatalf("the connection ended with %v (%v), want %v", got.End, got.Err, want)
		}
		if (got.Err == nil) != (want == EndClosed) {
			r.t.Errorf("end %v comes with the error %v", got.End, got.Err)
		}
		return got
	case <-time.After(patience):
		r.t.Fatalf("the connection does not end; want %v", want)
		return Result{}
	}
}

// wantBytes checks what was counted.
func (r *rig) wantBytes(res Result, in, out int64) {
	r.t.Helper()
	if gotIn, gotOut := res.Conn.In.Load(), res.Conn.Out.Load(); gotIn != in || gotOut != out {
		r.t.Errorf("counted %d bytes in and %d out, want %d and %d", gotIn, gotOut, in, out)
	}
}

// wantReset reads until the connection breaks.
func wantReset(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading from a connection that should break gave %v, want an error", err)
		return
	}
	if _, ok := c.(*net.TCPConn); ok && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want %v", err, syscall.ECONNRESET)
	}
}

// pattern is a stream whose bytes can be told by their position.
type pattern struct {
	rand *rand.PCG
	word [8]byte
	left int
}

func newPattern(seed uint64) *pattern { return &pattern{rand: rand.NewPCG(seed, seed)} }

// next fills b with what comes next.
func (p *pattern) next(b []byte) {
	for i := range b {
		if p.left == 0 {
			v := p.rand.Uint64()
			for j := range p.word {
				p.word[j] = byte(v >> (8 * j))
			}
			p.left = 8
		}
		b[i] = p.word[8-p.left]
		p.left--
	}
}
