package balance

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Tests with time run in bubbles of synctest: waiting costs nothing, and the
// times are exact.

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) {
			cfg.MaxConnections, cfg.MaxPending, cfg.QueueTimeout = 1, 3, 5*time.Second
		})
		client := clientAt(t, "10.0.0.1")
		one, two := get(t, p, Request{Client: client}), get(t, p, Request{Client: client})
		var mu sync.Mutex
		var served []int
		for i := range 3 {
			go func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				c := get(t, p, Request{Client: client})
				mu.Lock()
				served = append(served, i)
				mu.Unlock()
				time.Sleep(time.Second)
				c.Put()
			}()
		}
		time.Sleep(10 * time.Millisecond)
		if got := p.Stats().Pending; got != 3 {
			t.Errorf("%d requests wait, want 3", got)
		}
		begin := time.Now()
		if _, err := p.Get(t.Context(), Request{Client: client}); err != ErrQueueFull {
			t.Errorf("the fourth got %v, want %v", err, ErrQueueFull)
		}
		if time.Since(begin) != 0 {
			t.Error("it had to wait for that")
		}
		one.Put()
		synctest.Wait()
		two.Discard()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if want := []int{0, 1, 2}; !slices.Equal(served, want) {
			t.Errorf("served in order %v, want %v", served, want)
		}
		if s := p.Stats(); s.Pending != 0 || s.QueueFull != 1 || s.Members[0].Active+s.Members[1].Active != 0 {
			t.Errorf("at the end: %+v", s)
		}
	})
}

func TestQueueTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipePool(t, []Backend{{Name: "a"}}, func(cfg *Config) {
			cfg.MaxConnections, cfg.MaxPending, cfg.QueueTimeout = 1, 10, 5*time.Second
		})
		client := clientAt(t, "10.0.0.1")
		c := get(t, p, Request{Client: client})
		begin := time.Now()
		if _, err := p.Get(t.Context(), Request{Client: client}); err != ErrQueueTimeout {
			t.Errorf("got %v, want %v", err, ErrQueueTimeout)
		}
		if got := time.Since(begin); got != 5*time.Second {
			t.Errorf("after %v, want 5s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Get(ctx, Request{Client: client}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want that of the context", err)
		}
		if s := p.Stats(); s.TimedOut != 1 || s.Pending != 0 {
			t.Errorf("%d timed out and %d wait, want 1 and none", s.TimedOut, s.Pending)
		}
		c.Put()
		get(t, p, Request{Client: client}).Put()
	})
}

// TestQueueForAffinity: who wants a certain member waits for that one, and keeps
// nobody else from the others.
func TestQueueForAffinity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) {
			cfg.MaxConnections, cfg.MaxPending = 1, 1
		})
		client := clientAt(t, "10.0.0.1")
		a := p.Members()[0]
		first := get(t, p, Request{Client: client, Affinity: a.Affinity()})
		waited := make(chan *Conn)
		go func() { waited <- get(t, p, Request{Client: client, Affinity: a.Affinity()}) }()
		synctest.Wait()
		other := get(t, p, Request{Client: client})
		if other.Member() == a {
			t.Fatal("the limit was exceeded")
		}
		other.Put()
		synctest.Wait()
		select {
		case c := <-waited:
			t.Fatalf("it got %s", c.Member().Name())
		default:
		}
		first.Put()
		if c := <-waited; c.Member() != a {
			t.Errorf("it got %s, want a", c.Member().Name())
		} else {
			c.Put()
		}
	})
}

// TestQueueWakesWhenMemberComesBack: room may also appear in another way.
func TestQueueWakesWhenMemberComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) {
			cfg.MaxConnections, cfg.MaxPending = 1, 1
		})
		client := clientAt(t, "10.0.0.1")
		p.SetDrain("b", true)
		first := get(t, p, Request{Client: client})
		waited := make(chan *Conn)
		go func() { waited <- get(t, p, Request{Client: client}) }()
		synctest.Wait()
		p.SetDrain("b", false)
		if c := <-waited; c.Member().Name() != "b" {
			t.Errorf("got %s", c.Member().Name())
		} else {
			c.Put()
		}
		first.Put()
	})
}

// TestQueueWhenClosed: nobody waits for a pool that is gone.
func TestQueueWhenClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipePool(t, []Backend{{Name: "a"}}, func(cfg *Config) {
			cfg.MaxConnections, cfg.MaxPending = 1, 1
		})
		client := clientAt(t, "10.0.0.1")
		c := get(t, p, Request{Client: client})
		failed := make(chan error)
		go func() {
			_, err := p.Get(t.Context(), Request{Client: client})
			failed <- err
		}()
		synctest.Wait()
		p.set.Close()
		if err := <-failed; err != ErrClosed {
			t.Errorf("got %v, want %v", err, ErrClosed)
		}
		c.Put()
	})
}

// TestLimitHolds: however many ask at once, no backend has more than its limit,
// nobody is forgotten, and nothing is counted wrongly. It is also for the race
// detector.
func TestLimitHolds(t *testing.T) {
	for _, kind := range []LimitType{LimitNone, LimitIdle, LimitStrict} {
		for _, policy := range []Policy{RoundRobin, LeastConnections, PowerOfTwo, Maglev} {
			var now, most atomic.Int64
			p := pipePool(t, []Backend{{Name: "a"}, {Name: "b", MaxConnections: 1}, {Name: "c"}}, func(cfg *Config) {
				cfg.Policy = policy
				cfg.MaxConnections, cfg.MaxPending, cfg.QueueTimeout = 3, 1000, time.Minute
				cfg.Reuse = Reuse{Mode: ReuseAlways, LimitType: kind, SourceMask: 31, MaxReuse: 5, IdleTimeout: 20 * time.Millisecond}
			})
			var work sync.WaitGroup
			for i := range 16 {
				work.Go(func() {
					client := clientAt(t, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}[i%4])
					for j := range 40 {
						c := get(t, p, Request{Client: client, Hash: uint64(j)})
						n := now.Add(1)
						for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
						}
						if c.Member().Active() > 3 {
							t.Errorf("%s has %d requests", c.Member().Name(), c.Member().Active())
						}
						now.Add(-1)
						switch (i + j) % 7 {
						case 0:
							c.Discard()
						default:
							c.Put()
						}
					}
				})
			}
			work.Wait()
			if most.Load() > 7 {
				t.Errorf("%v, %v: %d connections at once, want 7 at most", kind, policy, most.Load())
			}
			s := p.Stats()
			var requests uint64
			for _, m := range s.Members {
				requests += m.Requests
				if m.Active != 0 {
					t.Errorf("%v, %v: %s has %d requests at the end", kind, policy, m.Name, m.Active)
				}
			}
			if s.Pending != 0 || s.Conns.InUse != 0 || requests != 16*40 || s.Conns.Opened+s.Conns.Reused != requests {
				t.Errorf("%v, %v: %+v", kind, policy, s)
			}
		}
	}
}

// failingDial fails for some addresses.
type failingDial struct {
	mu     sync.Mutex
	broken map[string]bool
	dials  map[string]int
}

var errBroken = errors.New("nobody there")

func (d *failingDial) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dials == nil {
		d.dials = make(map[string]int)
	}
	d.dials[address]++
	if d.broken[address] {
		return nil, errBroken
	}
	return pipeDial(ctx, network, address)
}

func (d *failingDial) set(address string, broken bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken == nil {
		d.broken = make(map[string]bool)
	}
	d.broken[address] = broken
}

// TestConnectRetries: another backend serves when one cannot be reached.
func TestConnectRetries(t *testing.T) {
	var d failingDial
	d.set("a:80", true)
	p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) { cfg.Dial = d.dial })
	client := clientAt(t, "10.0.0.1")
	for range 10 {
		c := get(t, p, Request{Client: client})
		if got := c.Member().Name(); got != "b" {
			t.Errorf("got %s", got)
		}
		c.Put()
	}
	d.set("b:80", true)
	_, err := p.Get(t.Context(), Request{Client: client, Fresh: true})
	var dialErr *DialError
	if !errors.As(err, &dialErr) || !errors.Is(err, errBroken) {
		t.Errorf("got %v, want a DialError around %v", err, errBroken)
	}
	if s := p.Stats(); s.Conns.InUse != 0 || s.Members[0].Active+s.Members[1].Active != 0 || s.Members[0].Failures == 0 {
		t.Errorf("at the end: %+v", s)
	}
}

func TestConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		p := pipePool(t, []Backend{{Name: "a"}}, func(cfg *Config) {
			cfg.Dial, cfg.ConnectTimeout, cfg.ConnectRetries = hang, 3*time.Second, -1
		})
		client := clientAt(t, "10.0.0.1")
		begin := time.Now()
		_, err := p.Get(t.Context(), Request{Client: client})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		if got := p.Members()[0].failures.Load(); got != 1 {
			t.Errorf("%d failures, want 1", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Get(ctx, Request{Client: client}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if got := p.Members()[0].failures.Load(); got != 1 {
			t.Errorf("a client that went away counts as a failure of the server")
		}
	})
}

// TestPrepare fails to ready connections, and wraps them.
func TestPrepare(t *testing.T) {
	server := newServer(t, nil)
	fail := true
	p := poolOf(t, func(cfg *Config) {
		cfg.ConnectRetries = -1
		cfg.Prepare = func(_ context.Context, c net.Conn, b Backend, client *Client) (net.Conn, error) {
			if b.Address != server.address() || client.Addr().String() != "10.0.0.1" {
				t.Errorf("prepares for %v and %v", b, client.Addr())
			}
			if fail {
				return nil, errBroken
			}
			return opaque{c}, nil
		}
	}, server)
	client := clientAt(t, "10.0.0.1")
	if _, err := p.Get(t.Context(), Request{Client: client}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	eventually(t, "the connection closes", func() bool { return server.accepted.Load() == 1 && server.open.Load() == 0 })
	fail = false
	c := get(t, p, Request{Client: client})
	if _, ok := c.NetConn().(opaque); !ok {
		t.Errorf("the connection is %T", c.NetConn())
	}
	c.Put()
}

func TestRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retries := func(b RetryBudget, requests int, after time.Duration) int {
			cfg, err := b.normal()
			if err != nil {
				t.Fatal(err)
			}
			budget := newBudget(cfg)
			for range requests {
				budget.deposit()
			}
			time.Sleep(after)
			n := 0
			for budget.withdraw() {
				n++
			}
			return n
		}
		for _, test := range []struct {
			budget   RetryBudget
			requests int
			after    time.Duration
			want     int
		}{
			{RetryBudget{}, 0, 0, 10},
			{RetryBudget{}, 100, 0, 30},
			{RetryBudget{}, 100, time.Hour, 30},
			{RetryBudget{}, 1e6, 0, 110},
			{RetryBudget{Ratio: 0.5, PerSecond: -1}, 100, 0, 50},
			{RetryBudget{Ratio: -1, PerSecond: 3}, 100, 0, 3},
			{RetryBudget{Ratio: -1, PerSecond: -1}, 100, time.Hour, 0},
		} {
			if got := retries(test.budget, test.requests, test.after); got != test.want {
				t.Errorf("%+v after %d requests: %d retries, want %d", test.budget, test.requests, got, test.want)
			}
		}
		p := pipePool(t, []Backend{{Name: "a"}}, func(cfg *Config) { cfg.Retries = RetryBudget{Ratio: -1, PerSecond: 2} })
		for i, want := range []bool{true, true, false} {
			if got := p.AllowRetry(); got != want {
				t.Errorf("retry %d: got %v", i, got)
			}
		}
		if s := p.Stats(); s.Retries != 2 || s.Refused != 1 {
			t.Errorf("%d retries, %d refused", s.Retries, s.Refused)
		}
		time.Sleep(500 * time.Millisecond)
		if !p.AllowRetry() || p.AllowRetry() {
			t.Error("half a second brings one retry of two")
		}
	})
}
