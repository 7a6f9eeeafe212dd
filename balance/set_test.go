package balance

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// webConfig is a pool named "web" of servers.
func webConfig(servers ...*testServer) Config {
	var list Static
	for _, s := range servers {
		list = append(list, Backend{Address: s.address()})
	}
	return Config{Name: "web", Dial: dialTCP, Source: list, Reuse: Reuse{Mode: ReuseAlways}}
}

// TestReloadKeepsConnections: idle connections and those in use outlive a
// reload that does not concern their backend.
func TestReloadKeepsConnections(t *testing.T) {
	one, two := newServer(t, nil), newServer(t, nil)
	set := NewSet()
	defer set.Close()
	apply(t, set, webConfig(one, two))
	client := clientAt(t, "10.0.0.1")
	before := set.Pool("web")
	hold(t, before, client, 4) // two each
	inUse := get(t, before, Request{Client: client})
	keeps := inUse.Member().Address() == two.address()
	apply(t, set, webConfig(two))
	after := set.Pool("web")
	if before == after {
		t.Fatal("the pool is the same")
	}
	eventually(t, "idle connections to the removed backend close", func() bool {
		return keeps && one.open.Load() == 0 || !keeps && one.open.Load() == 1
	})
	if err := exchange(inUse); err != nil {
		t.Errorf("connection in use: %v", err)
	}
	inUse.Put()
	eventually(t, "the last one closes when it comes back", func() bool { return one.open.Load() == 0 })
	hold(t, after, client, 2)
	wantCount(t, "connections accepted by the backend that stays", two.accepted.Load(), 2)
	// Who still has the old pool is served all the same.
	serve(t, before, client)
	wantCount(t, "connections accepted by the backend that stays", two.accepted.Load(), 2)
	// Another transport means other connections.
	cfg := webConfig(two)
	cfg.Transport = "tls"
	apply(t, set, cfg)
	serve(t, set.Pool("web"), client)
	wantCount(t, "connections accepted after that", two.accepted.Load(), 3)
	eventually(t, "those before close", func() bool { return two.open.Load() == 1 })
	apply(t, set)
	eventually(t, "all close with their pool", func() bool { return two.open.Load() == 0 })
	if set.Pool("web") != nil || len(set.Pools()) != 0 || len(set.servers) != 0 || len(set.scopes) != 0 {
		t.Error("something is left")
	}
}

// TestReloadKeepsHealth: what is known of a backend outlives a reload.
func TestReloadKeepsHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d failingDial
		d.set("down:80", true)
		var w watcher
		config := func(weight int) Config {
			return Config{
				Name: "web", Dial: d.dial, Observe: w.observe,
				Source: Static{{Name: "ejected", Address: "ejected:80"}, {Name: "down", Address: "down:80"},
					{Name: "drained", Address: "drained:80"}, {Name: "up", Address: "up:80", Weight: weight}},
				Ejection: Ejection{Failures: 1, Time: time.Minute},
				Check:    &Check{Interval: 10 * time.Second, Rise: 1, Fall: 1},
			}
		}
		set := NewSet()
		defer set.Close()
		apply(t, set, config(1))
		p := set.Pool("web")
		p.SetDrain("drained", true)
		failRequests(p, "ejected", 1)
		synctest.Wait()
		w.take()
		time.Sleep(20 * time.Second)
		apply(t, set, config(2))
		w.want(t, "after the reload", "")
		var got []string
		for _, m := range set.Pool("web").Stats().Members {
			got = append(got, m.Name+" "+m.State.String())
		}
		if got, want := strings.Join(got, ", "), "down down, drained draining, ejected ejected, up up"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		time.Sleep(39 * time.Second)
		w.want(t, "before the ejection ends", "")
		time.Sleep(time.Second)
		w.want(t, "when it ends", "ejected: ejected > up")
	})
}

// TestReloadKeepsQueue: who waits goes on waiting, and limits hold across.
func TestReloadKeepsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := Config{Name: "web", Dial: pipeDial, Source: Static{{Address: "a:80"}}, MaxConnections: 1, MaxPending: 2}
		set := NewSet()
		defer set.Close()
		apply(t, set, config)
		client := clientAt(t, "10.0.0.1")
		c := get(t, set.Pool("web"), Request{Client: client})
		served := make(chan *Conn)
		wait := func() {
			p := set.Pool("web")
			go func() { served <- get(t, p, Request{Client: client}) }()
			synctest.Wait()
		}
		wait()
		apply(t, set, config)
		wait()
		select {
		case <-served:
			t.Fatal("the limit was exceeded")
		default:
		}
		c.Put()
		c = <-served
		synctest.Wait()
		select {
		case <-served:
			t.Fatal("the limit was exceeded")
		default:
		}
		c.Put()
		(<-served).Put()
		if s := set.Pool("web").Stats(); s.Members[0].Active != 0 || s.Pending != 0 || s.Members[0].Requests != 3 {
			t.Errorf("at the end: %+v", s)
		}
	})
}

// TestReloadUnderLoad reloads again and again while requests are served: none
// may fail.
func TestReloadUnderLoad(t *testing.T) {
	servers := []*testServer{newServer(t, nil), newServer(t, nil), newServer(t, nil)}
	set := NewSet()
	defer set.Close()
	apply(t, set, webConfig(servers...))
	var stop atomic.Bool
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			client := clientAt(t, "10.0.0.1")
			for !stop.Load() {
				c, err := set.Pool("web").Get(t.Context(), Request{Client: client})
				if err != nil {
					t.Errorf("Get: %v", err)
					return
				}
				if err := exchange(c); err != nil {
					t.Errorf("exchange: %v", err)
				}
				c.Put()
			}
		})
	}
	for i := range 100 {
		cfg := webConfig(servers[i%3], servers[(i+1)%3])
		cfg.MaxConnections, cfg.MaxPending = 2+i%2, 100
		cfg.Policy = Policy(i % 4)
		cfg.TableSize = 101
		apply(t, set, cfg)
	}
	stop.Store(true)
	work.Wait()
}

func TestApplyRefuses(t *testing.T) {
	good := Config{Name: "web", Dial: pipeDial, Source: Static{{Address: "a:80"}}}
	set := NewSet()
	defer set.Close()
	apply(t, set, good)
	p := set.Pool("web")
	for name, change := range map[string]func(*Config){
		"no name":            func(cfg *Config) { cfg.Name = "" },
		"no source":          func(cfg *Config) { cfg.Source = nil },
		"no dial":            func(cfg *Config) { cfg.Dial = nil },
		"policy 9":           func(cfg *Config) { cfg.Policy = 9 },
		"table size 1000":    func(cfg *Config) { cfg.TableSize = 1000 },
		"negative time":      func(cfg *Config) { cfg.SlowStart = -1 },
		"negative limit":     func(cfg *Config) { cfg.MaxPending = -1 },
		"source mask 33":     func(cfg *Config) { cfg.Reuse.SourceMask = 33 },
		"source mask 129":    func(cfg *Config) { cfg.Reuse.SourceMask6 = 129 },
		"reuse mode 7":       func(cfg *Config) { cfg.Reuse.Mode = 7 },
		"limit type 7":       func(cfg *Config) { cfg.Reuse.LimitType = 7 },
		"idle timeout":       func(cfg *Config) { cfg.Reuse.IdleTimeout = -1 },
		"-1 failures":        func(cfg *Config) { cfg.Ejection.Failures = -1 },
		"for a negative":     func(cfg *Config) { cfg.Ejection.Time = -1 },
		"share of 2":         func(cfg *Config) { cfg.Ejection.MaxShare = 2 },
		"retry ratio 2":      func(cfg *Config) { cfg.Retries.Ratio = 2 },
		"check type 9":       func(cfg *Config) { cfg.Check = &Check{Type: 9} },
		"check with a neg":   func(cfg *Config) { cfg.Check = &Check{Rise: -1} },
		"check of port":      func(cfg *Config) { cfg.Check = &Check{Port: 70000} },
		"invalid method":     func(cfg *Config) { cfg.Check = &Check{Method: "a b"} },
		"invalid URL escape": func(cfg *Config) { cfg.Check = &Check{Path: "/%zz"} },
	} {
		cfg := good
		change(&cfg)
		err := set.Apply(t.Context(), cfg)
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := set.Apply(t.Context(), good, good); !errors.Is(err, ErrConfig) {
		t.Errorf("two of a name: got %v", err)
	}
	if set.Pool("web") != p {
		t.Error("a refused configuration has changed something")
	}
	set.Close()
	if err := set.Apply(t.Context(), good); err != ErrClosed {
		t.Errorf("when closed: got %v", err)
	}
}

// TestApplyWaitsForSource, but not for ever.
func TestApplyWaitsForSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var server dnsServer
		server.fail(true)
		set := NewSet()
		defer set.Close()
		apply(t, set, Config{Name: "web", Dial: pipeDial, Source: DNS{Name: "web.example.org.", Port: 80, Resolver: server.resolver()}})
		client := clientAt(t, "10.0.0.1")
		if _, err := set.Pool("web").Get(t.Context(), Request{Client: client}); err != ErrNoBackend {
			t.Errorf("got %v, want %v", err, ErrNoBackend)
		}
		server.fail(false)
		server.set("web.example.org.", a(1))
		time.Sleep(30 * time.Second)
		get(t, set.Pool("web"), Request{Client: client}).Put()

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		if err := set.Apply(ctx, Config{Name: "web", Dial: pipeDial, Source: silent{}}); err != nil {
			t.Error(err)
		}
		if got := time.Since(begin); got != 3*time.Second {
			t.Errorf("Apply took %v", got)
		}
	})
}

// TestReloadWithoutSource: when a source does not answer after a reload, the
// last list stays in force, until it does.
func TestReloadWithoutSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var server dnsServer
		server.set("web.example.org.", a(1))
		config := Config{Name: "web", Dial: pipeDial, Source: DNS{Name: "web.example.org.", Port: 80, Resolver: server.resolver()}}
		set := NewSet()
		defer set.Close()
		apply(t, set, config)
		set.Pool("web").SetDrain("192.0.2.1:80", true)
		server.fail(true)
		client := clientAt(t, "10.0.0.1")
		for range 2 {
			apply(t, set, config)
			m := set.Pool("web").Members()
			if len(m) != 1 || m[0].Name() != "192.0.2.1:80" || m[0].State() != Draining {
				t.Fatalf("members: %v", set.Pool("web").Stats().Members)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		config.Source = silent{}
		if err := set.Apply(ctx, config); err != nil || len(set.Pool("web").Members()) != 1 {
			t.Errorf("silent source: %v, %v", err, set.Pool("web").Stats().Members)
		}
		server.fail(false)
		server.set("web.example.org.", a(2))
		config.Source = DNS{Name: "web.example.org.", Port: 80, Resolver: server.resolver()}
		apply(t, set, config)
		c := get(t, set.Pool("web"), Request{Client: client})
		if got := c.Member().Name(); got != "192.0.2.2:80" {
			t.Errorf("got %s", got)
		}
		c.Put()
	})
}

// silent is a source that never answers.
type silent struct{}

func (silent) Run(ctx context.Context, _ func([]Backend, error)) { <-ctx.Done() }

// TestThousandClients is the issue's: 1,000 clients, with keep-alive, over at most
// max_size connections, and more than 99 % reuse.
func TestThousandClients(t *testing.T) {
	const clients, size = 1000, 30
	each := 20
	if testing.Short() {
		each = 4
	}
	server := newServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	p := poolOf(t, func(cfg *Config) {
		cfg.Reuse = Reuse{Mode: ReuseAlways, MaxSize: size, MaxReuse: Unlimited}
		cfg.MaxConnections, cfg.MaxPending = size, clients
		cfg.QueueTimeout = time.Minute
	}, server)
	var work sync.WaitGroup
	for range clients {
		work.Go(func() {
			client := clientAt(t, "10.0.0.1")
			for range each {
				serve(t, p, client)
			}
		})
	}
	work.Wait()
	if got := server.mostOpen.Load(); got > size {
		t.Errorf("%d connections at once, want %d at most", got, size)
	}
	if got := p.Stats().Conns.ReuseRatio(); got <= 0.99 {
		t.Errorf("reuse ratio %.4f, want more than 0.99", got)
	}
	wantCount(t, "requests", server.requests.Load(), int64(clients*each))
}
