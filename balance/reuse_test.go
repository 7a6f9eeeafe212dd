package balance

import (
	"testing"
	"time"
)

// Each knob of reuse, by what a server sees of it.

func TestSourceMask(t *testing.T) {
	for _, test := range []struct {
		name     string
		reuse    Reuse
		clients  []string // one request each, one after the other
		accepted int64
	}{
		{"all share", Reuse{}, []string{"10.0.0.1", "10.0.0.2", "192.0.2.1", "2001:db8::1"}, 1},
		{"each its own", Reuse{SourceMask: 32}, []string{"10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"}, 2},
		{"networks share", Reuse{SourceMask: 24}, []string{"10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.1.200"}, 2},
		{"mapped is IPv4", Reuse{SourceMask: 24}, []string{"10.0.0.1", "::ffff:10.0.0.2"}, 1},
		{"IPv6 by its own length", Reuse{SourceMask6: 64}, []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"}, 2},
		{"IPv4 free, IPv6 not", Reuse{SourceMask6: 128}, []string{"10.0.0.1", "10.9.9.9", "2001:db8::1", "2001:db8::2"}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newServer(t, nil)
			test.reuse.Mode = ReuseAlways
			p := poolOf(t, func(cfg *Config) { cfg.Reuse = test.reuse }, server)
			for _, addr := range test.clients {
				serve(t, p, clientAt(t, addr))
			}
			wantCount(t, "connections accepted", server.accepted.Load(), test.accepted)
			wantCount(t, "requests", server.requests.Load(), int64(len(test.clients)))
		})
	}
}

func TestMaxSize(t *testing.T) {
	for _, test := range []struct {
		size     int
		accepted int64 // after two bursts of 5 at once
	}{
		{5, 5},
		{2, 5 + 3},
		{-1, 10},
	} {
		server := newServer(t, nil)
		p := poolOf(t, func(cfg *Config) { cfg.Reuse = Reuse{Mode: ReuseAlways, MaxSize: test.size} }, server)
		client := clientAt(t, "10.0.0.1")
		hold(t, p, client, 5)
		eventually(t, "connections beyond max_size close", func() bool { return server.open.Load() == int64(max(test.size, 0)) })
		hold(t, p, client, 5)
		wantCount(t, "connections accepted", server.accepted.Load(), test.accepted)
	}
}

func TestMaxSizeIsOfAllBackends(t *testing.T) {
	one, two := newServer(t, nil), newServer(t, nil)
	p := poolOf(t, func(cfg *Config) { cfg.Reuse = Reuse{Mode: ReuseAlways, MaxSize: 3} }, one, two)
	hold(t, p, clientAt(t, "10.0.0.1"), 8)
	eventually(t, "3 connections stay", func() bool { return one.open.Load()+two.open.Load() == 3 })
	wantCount(t, "idle", int64(p.Stats().Conns.Idle), 3)
	wantCount(t, "closed for max_size", int64(p.Stats().Conns.Closed[ClosedFull]), 5)
}

func TestMaxReuse(t *testing.T) {
	for _, test := range []struct {
		reuse    int
		accepted int64 // for 12 requests
	}{
		{1, 6},
		{3, 3},
		{Unlimited, 1},
	} {
		server := newServer(t, nil)
		p := poolOf(t, func(cfg *Config) { cfg.Reuse = Reuse{Mode: ReuseAlways, MaxReuse: test.reuse} }, server)
		client := clientAt(t, "10.0.0.1")
		for range 12 {
			serve(t, p, client)
		}
		wantCount(t, "connections accepted", server.accepted.Load(), test.accepted)
	}
}

func TestMaxAge(t *testing.T) {
	server := newServer(t, nil)
	const age = 600 * time.Millisecond
	p := poolOf(t, func(cfg *Config) { cfg.Reuse = Reuse{Mode: ReuseAlways, MaxAge: age, MaxReuse: Unlimited} }, server)
	client := clientAt(t, "10.0.0.1")
	begin := time.Now()
	// Busy all the time, so that it is the age that counts.
	requests := int64(0)
	for server.accepted.Load() < 2 {
		serve(t, p, client)
		requests++
	}
	if took := time.Since(begin); took < age {
		t.Errorf("a second connection after %v, want %v at least", took, age)
	}
	if requests < 3 {
		t.Errorf("%d requests over the first connection", requests-1)
	}
	eventually(t, "the idle one closes at its age", func() bool { return server.open.Load() == 0 })
	eventually(t, "both are counted", func() bool { return p.Stats().Conns.Closed[ClosedAge] == 2 })
}

func TestIdleTimeoutOverride(t *testing.T) {
	for _, test := range []struct {
		name           string
		idle, override time.Duration
		closes         bool
	}{
		{"profile's own", 100 * time.Millisecond, 0, true},
		{"shorter", time.Hour, 100 * time.Millisecond, true},
		{"longer", 100 * time.Millisecond, time.Hour, false},
		{"indefinite", 100 * time.Millisecond, Indefinite, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, nil)
			p := poolOf(t, func(cfg *Config) {
				cfg.Reuse = Reuse{Mode: ReuseAlways, IdleTimeout: test.idle, IdleTimeoutOverride: test.override}
			}, server)
			client := clientAt(t, "10.0.0.1")
			serve(t, p, client)
			begin := time.Now()
			if test.closes {
				eventually(t, "the connection closes", func() bool { return server.open.Load() == 0 })
				if took := time.Since(begin); took < 100*time.Millisecond {
					t.Errorf("closed after %v", took)
				}
				eventually(t, "it is counted", func() bool { return p.Stats().Conns.Closed[ClosedIdle] == 1 })
			} else {
				// Sweeps come and find nothing.
				<-time.After(2 * sweepInterval)
			}
			serve(t, p, client)
			want := int64(1)
			if test.closes {
				want = 2
			}
			wantCount(t, "connections accepted", server.accepted.Load(), want)
		})
	}
}

// TestLimitType has two clients that may not share, and a limit of 2.
func TestLimitType(t *testing.T) {
	setup := func(kind LimitType) (*testServer, *Pool) {
		server := newServer(t, nil)
		return server, poolOf(t, func(cfg *Config) {
			cfg.MaxConnections = 2
			cfg.MaxPending = 1
			cfg.QueueTimeout = 30 * time.Millisecond
			cfg.Reuse = Reuse{Mode: ReuseAlways, SourceMask: 32, LimitType: kind, IdleTimeout: time.Hour}
		}, server)
	}
	t.Run("none", func(t *testing.T) {
		server, p := setup(LimitNone)
		hold(t, p, clientAt(t, "10.0.0.1"), 2)
		hold(t, p, clientAt(t, "10.0.0.2"), 2)
		wantCount(t, "connections open at once", server.mostOpen.Load(), 4)
	})
	t.Run("idle", func(t *testing.T) {
		server, p := setup(LimitIdle)
		hold(t, p, clientAt(t, "10.0.0.1"), 2)
		hold(t, p, clientAt(t, "10.0.0.2"), 2)
		wantCount(t, "connections accepted", server.accepted.Load(), 4)
		eventually(t, "the first two close", func() bool { return server.open.Load() == 2 })
		wantCount(t, "closed for room", int64(p.Stats().Conns.Closed[ClosedForRoom]), 2)
	})
	t.Run("strict", func(t *testing.T) {
		server, p := setup(LimitStrict)
		first, second := clientAt(t, "10.0.0.1"), clientAt(t, "10.0.0.2")
		hold(t, p, first, 2)
		if c, err := p.Get(t.Context(), Request{Client: second}); err != ErrQueueTimeout {
			t.Fatalf("got %v, %v; want %v", c, err, ErrQueueTimeout)
		}
		hold(t, p, first, 2) // its own are still there
		wantCount(t, "connections accepted", server.accepted.Load(), 2)
	})
	t.Run("strict waits for expiry", func(t *testing.T) {
		server, p := setup(LimitStrict)
		p.cfg.QueueTimeout = 10 * time.Second
		p.cfg.Reuse.IdleTimeout = 100 * time.Millisecond
		// The server may see to a new connection before it sees to the end
		// of an old one, so they are counted here.
		var open counted
		p.cfg.Dial = open.dial
		hold(t, p, clientAt(t, "10.0.0.1"), 2)
		hold(t, p, clientAt(t, "10.0.0.2"), 2)
		wantCount(t, "connections accepted", server.accepted.Load(), 4)
		wantCount(t, "connections open at once", open.most.Load(), 2)
	})
}

func TestSharePools(t *testing.T) {
	for _, test := range []struct {
		name     string
		a, b     Reuse
		transB   string
		accepted int64
	}{
		{"off", Reuse{}, Reuse{}, "", 2},
		{"on", Reuse{SharePools: true}, Reuse{SharePools: true}, "", 1},
		{"one only", Reuse{SharePools: true}, Reuse{}, "", 2},
		{"other profile", Reuse{SharePools: true, Profile: "x"}, Reuse{SharePools: true, Profile: "y"}, "", 2},
		{"other transport", Reuse{SharePools: true}, Reuse{SharePools: true}, "tls", 2},
	} {
		server := newServer(t, nil)
		config := func(name string, r Reuse, transport string) Config {
			r.Mode = ReuseAlways
			return Config{Name: name, Source: Static{{Address: server.address()}}, Dial: dialTCP, Reuse: r, Transport: transport}
		}
		set := NewSet()
		t.Cleanup(set.Close)
		apply(t, set, config("a", test.a, ""), config("b", test.b, test.transB))
		client := clientAt(t, "10.0.0.1")
		for _, name := range []string{"a", "b", "a", "b"} {
			serve(t, set.Pool(name), client)
		}
		if got := server.accepted.Load(); got != test.accepted {
			t.Errorf("%s: %d connections accepted, want %d", test.name, got, test.accepted)
		}
	}
}

// TestReuseMode sends by several clients, "1" for the first and so on, one
// request after the other.
func TestReuseMode(t *testing.T) {
	for _, test := range []struct {
		mode     ReuseMode
		sequence string
		accepted int64
		why      string
	}{
		{ReuseNever, "121212", 2, "each client keeps its own"},
		{ReuseNever, "123", 3, ""},
		{ReuseSafe, "123", 3, "first requests go over new connections"},
		{ReuseSafe, "1222", 2, "later ones share"},
		{ReuseSafe, "11111", 1, ""},
		{ReuseAggressive, "123", 3, "connections used once have proved nothing"},
		{ReuseAggressive, "1123", 1, "one used twice has"},
		{ReuseAlways, "123", 1, ""},
	} {
		server := newServer(t, nil)
		p := poolOf(t, func(cfg *Config) { cfg.Reuse.Mode = test.mode }, server)
		clients := make(map[rune]*Client)
		for _, name := range test.sequence {
			if clients[name] == nil {
				clients[name] = clientAt(t, "10.0.0.1")
			}
			serve(t, p, clients[name])
		}
		if got := server.accepted.Load(); got != test.accepted {
			t.Errorf("%v, clients %s: %d connections accepted, want %d %s",
				test.mode, test.sequence, got, test.accepted, test.why)
		}
		for _, c := range clients {
			c.Close()
		}
		if test.mode == ReuseNever {
			eventually(t, "connections close with their clients", func() bool { return server.open.Load() == 0 })
		} else if server.open.Load() == 0 {
			t.Errorf("%v: connections closed with their clients", test.mode)
		}
	}
}

func TestPrivate(t *testing.T) {
	server := newServer(t, nil)
	p := poolOf(t, func(cfg *Config) {
		cfg.Private = true
		cfg.Reuse.Mode = ReuseAlways
	}, server)
	one, two := clientAt(t, "10.0.0.1"), clientAt(t, "10.0.0.1")
	for range 3 {
		serve(t, p, one)
		serve(t, p, two)
	}
	wantCount(t, "connections accepted", server.accepted.Load(), 2)
}

// TestBind binds a connection in the course of a client's second request.
func TestBind(t *testing.T) {
	servers := []*testServer{newServer(t, nil), newServer(t, nil), newServer(t, nil)}
	p := poolOf(t, func(cfg *Config) { cfg.Reuse.Mode = ReuseAlways }, servers...)
	ntlm, other := clientAt(t, "10.0.0.1"), clientAt(t, "10.0.0.2")
	c := get(t, p, Request{Client: ntlm})
	c.Bind(ntlm)
	bound := c.NetConn()
	if err := exchange(c); err != nil {
		t.Fatal(err)
	}
	c.Put()
	for range 6 {
		c := get(t, p, Request{Client: other})
		if c.NetConn() == bound {
			t.Fatal("another client got the bound connection")
		}
		c.Put()
		c = get(t, p, Request{Client: ntlm})
		if c.NetConn() != bound {
			t.Fatal("the client did not get its bound connection")
		}
		if !c.Reused() {
			t.Error("a bound connection does not count as reused")
		}
		c.Put()
	}
	before := p.Stats().Conns.Idle
	ntlm.Close()
	wantCount(t, "idle connections less", int64(before-p.Stats().Conns.Idle), 1)
}

func TestBindAfterClientClosed(t *testing.T) {
	server := newServer(t, nil)
	p := poolOf(t, nil, server)
	client := clientAt(t, "10.0.0.1")
	c := get(t, p, Request{Client: client})
	client.Close()
	c.Bind(client)
	c.Put()
	wantCount(t, "idle", int64(p.Stats().Conns.Idle), 0)
	eventually(t, "it closes", func() bool { return server.open.Load() == 0 })
}

func TestFresh(t *testing.T) {
	server := newServer(t, nil)
	p := poolOf(t, func(cfg *Config) { cfg.Reuse.Mode = ReuseAlways }, server)
	client := clientAt(t, "10.0.0.1")
	serve(t, p, client)
	c := get(t, p, Request{Client: client, Fresh: true, Again: true})
	if c.Reused() {
		t.Error("a fresh connection is a reused one")
	}
	c.Discard()
	wantCount(t, "idle", int64(p.Stats().Conns.Idle), 1)
}

// TestKeepAliveMax: the server says how many more requests it takes.
func TestKeepAliveMax(t *testing.T) {
	server := newServer(t, nil)
	p := poolOf(t, func(cfg *Config) { cfg.Reuse.Mode = ReuseAlways }, server)
	client := clientAt(t, "10.0.0.1")
	for left := 3; left > 0; left-- {
		c := get(t, p, Request{Client: client})
		c.KeepAlive(time.Minute, left)
		c.Put()
	}
	wantCount(t, "idle", int64(p.Stats().Conns.Idle), 0)
	wantCount(t, "opened", int64(p.Stats().Conns.Opened), 1)
}

func TestPutTwice(t *testing.T) {
	p := poolOf(t, nil, newServer(t, nil))
	c := get(t, p, Request{Client: clientAt(t, "10.0.0.1")})
	c.Put()
	defer func() {
		if recover() == nil {
			t.Error("a connection could be given back twice")
		}
	}()
	c.Put()
}
