package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// pooled starts a proxy with one pool of one origin at address listen:80, whose
// OneConnect profile has these settings. pool are more settings of the pool.
func pooled(t *testing.T, profile, pool string) (*proxied, *origin, string) {
	t.Helper()
	o := startOrigin(t, nil, loopback()+":8000", nil)
	addr := loopback() + ":7080"
	p := startProxy(t, nil, fmt.Sprintf(`
network: {stack: plain}
listeners: {address: tcp@%s, pool: web}
pools:
  web: {backends: [%s], oneconnect: it, %s}
oneconnect:
  it: {%s}
`, addr, o.addr, pool, profile))
	return p, o, addr
}

// settle waits until no connection to a server is in use: a client has its
// answer a moment before the connection is free for the next one.
func (p *proxied) settle() {
	p.t.Helper()
	waitFor(p.t, "connections to servers are free", func() bool {
		return p.metrics().sum("braid_pool_connections", `state="in_use"`) == 0
	})
}

// TestProxyCrowd: a thousand clients that keep their connections alive reach
// the server over at most max_size connections.
func TestProxyCrowd(t *testing.T) {
	const clients, size = 1000, 50
	p, o, addr := pooled(t, fmt.Sprintf("http_reuse: always, max_size: %d, max_reuse: 0, limit_type: strict", size),
		fmt.Sprintf("max_connections: %d, max_pending: %d, queue_timeout: 60s", size, clients))
	began := time.Now()
	l := startLoad(clients, func(ctx context.Context, i int) func() error {
		b := browse(addr, fmt.Sprintf("127.0.%d.%d", i/250, 1+i%250))
		path := fmt.Sprintf("/bytes/%d", i)
		want := string(file{byte(i), i}.bytes())
		first := true
		return func() error {
			if first { // not all at once
				time.Sleep(time.Duration(i) * time.Millisecond)
				first = false
			}
			c := b.c
			a, err := b.get(path)
			if err != nil {
				return err
			}
			if a.status != 200 || string(a.body) != want {
				return fmt.Errorf("got %v", a)
			}
			if c != nil && b.c != c {
				return fmt.Errorf("the proxy closed a client's connection")
			}
			time.Sleep(100 * time.Millisecond)
			return nil
		}
	})
	time.Sleep(full(8*time.Second, 60*time.Second))
	waitFor(t, "requests enough to prove something", func() bool { return o.seen().requests > 10*clients })
	l.stop(t)
	seen := o.seen()
	t.Logf("%d requests of %d clients in %v over %d connections, at most %d at once",
		seen.requests, clients, time.Since(began).Round(time.Second), seen.accepted, seen.most)
	if seen.most > size {
		t.Errorf("%d connections at the server at once, max_size is %d", seen.most, size)
	}
	if got := 1 - float64(seen.accepted)/float64(seen.requests); got <= 0.99 {
		t.Errorf("the server saw %.4f reuse", got)
	}
	m := p.metrics()
	if got := m.sum("braid_pool_reuse_ratio", `pool="web"`); got <= 0.99 || got > 1 {
		t.Errorf("the metrics say %v of all requests reused a connection", got)
	}
	if got := m.sum("braid_pool_connections_opened_total", `pool="web"`); int(got) != seen.accepted {
		t.Errorf("the metrics say %v connections were opened, the server saw %d", got, seen.accepted)
	}
}

// TestProxyHTTPReuse: which requests share connections, with HAProxy's meaning.
// The one used last is taken first.
func TestProxyHTTPReuse(t *testing.T) {
	for _, tt := range []struct{ mode, want string }{
		{"never", "A 1, B 2, B 2, A 1, C 3"},
		{"safe", "A 1, B 2, B 2, A 2, C 3"},       // A's second request shares, C's first does not
		{"aggressive", "A 1, B 2, B 2, A 2, C 2"}, // C's first shares what was shared, B's first does not
		{"always", "A 1, B 1, B 1, A 1, C 1"},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			t.Parallel()
			p, _, addr := pooled(t, "http_reuse: "+tt.mode, "")
			clients := map[string]*browser{"A": browse(addr, ""), "B": browse(addr, ""), "C": browse(addr, "")}
			var got []string
			for _, name := range strings.Split("ABBAC", "") {
				got = append(got, name+" "+clients[name].want(t, "/conn"))
				p.settle()
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestProxySourceMask: clients share connections if their networks are equal.
func TestProxySourceMask(t *testing.T) {
	for _, tt := range []struct{ mask, want string }{
		{"0", "1 1 1 1"},
		{"8", "1 1 1 1"},
		{"24", "1 1 2 1"},
		{"255.255.255.0", "1 1 2 1"},
		{"32", "1 2 3 1"},
	} {
		t.Run(tt.mask, func(t *testing.T) {
			t.Parallel()
			p, _, addr := pooled(t, "http_reuse: always, source_mask: "+tt.mask, "")
			var got []string
			for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.1.2", "127.0.0.2"} {
				b := browse(addr, from)
				got = append(got, b.want(t, "/conn"))
				b.close()
				p.settle()
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("connections %s, want %s", got, tt.want)
			}
		})
	}
}

// TestProxyMaxSize: no more idle connections are kept.
func TestProxyMaxSize(t *testing.T) {
	for _, size := range []int{2, 100} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			_, o, addr := pooled(t, fmt.Sprintf("http_reuse: always, max_size: %d", size), "")
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if a, err := browse(addr, "").get("/slow/1500ms"); err != nil || a.status != 200 {
						t.Errorf("got %v, %v", a, err)
					}
				})
			}
			wg.Wait()
			want := min(size, 8)
			waitFor(t, "the others are closed", func() bool { return o.seen().open <= want })
			time.Sleep(200 * time.Millisecond)
			if got := o.seen(); got.open != want || got.most != 8 {
				t.Errorf("%d of %d connections are open, want %d of 8", got.open, got.most, want)
			}
		})
	}
}

// TestProxyMaxAge: a connection becomes no older.
func TestProxyMaxAge(t *testing.T) {
	for _, tt := range []struct{ age, want string }{{"3s", "1 1 2"}, {"1h", "1 1 1"}} {
		t.Run(tt.age, func(t *testing.T) {
			t.Parallel()
			p, _, addr := pooled(t, "http_reuse: always, max_age: "+tt.age, "")
			b := browse(addr, "")
			got := b.want(t, "/conn")
			p.settle()
			got += " " + b.want(t, "/conn")
			time.Sleep(3500 * time.Millisecond)
			if got += " " + b.want(t, "/conn"); got != tt.want {
				t.Errorf("connections %s, want %s", got, tt.want)
			}
		})
	}
}

// TestProxyMaxReuse: so many requests follow the first on a connection.
func TestProxyMaxReuse(t *testing.T) {
	for _, tt := range []struct{ reuse, want string }{{"3", "1 1 1 1 2 2 2 2 3 3"}, {"0", "1 1 1 1 1 1 1 1 1 1"}} {
		t.Run(tt.reuse, func(t *testing.T) {
			t.Parallel()
			p, _, addr := pooled(t, "http_reuse: always, max_reuse: "+tt.reuse, "")
			b := browse(addr, "")
			var got []string
			for range 10 {
				got = append(got, b.want(t, "/conn"))
				p.settle()
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("connections %s, want %s", got, tt.want)
			}
		})
	}
}

// TestProxyIdleTimeout: for how long an idle connection is kept.
func TestProxyIdleTimeout(t *testing.T) {
	for _, tt := range []struct {
		override string
		closed   bool
	}{{"disabled", true}, {"2s", true}, {"1h", false}, {"indefinite", false}} {
		t.Run(tt.override, func(t *testing.T) {
			t.Parallel()
			o := startOrigin(t, nil, loopback()+":8000", nil)
			addr := loopback() + ":7080"
			startProxy(t, nil, fmt.Sprintf(`
network: {stack: plain}
listeners: {address: tcp@%s, pool: web}
pools:
  web: {backends: [%s], oneconnect: it, tcp: short}
tcp_profiles:
  short: {idle_timeout: 2s}
oneconnect:
  it: {http_reuse: always, idle_timeout_override: %s}
`, addr, o.addr, tt.override))
			browse(addr, "").want(t, "/conn")
			if got := o.seen().open; got != 1 {
				t.Fatalf("%d connections are kept", got)
			}
			if tt.closed {
				waitFor(t, "the connection is closed", func() bool { return o.seen().open == 0 })
				return
			}
			time.Sleep(4 * time.Second)
			if got := o.seen().open; got != 1 {
				t.Errorf("%d connections are kept", got)
			}
		})
	}
}

// TestProxyLimitType: what counts towards max_connections. Two clients that may
// not share each leave an idle connection behind, then comes a third.
func TestProxyLimitType(t *testing.T) {
	for _, tt := range []struct {
		limit string
		left  int // connections that the server has afterwards; -1: it depends
		waits bool
	}{{"none", 3, false}, {"idle", 2, false}, {"strict", -1, true}} {
		t.Run(tt.limit, func(t *testing.T) {
			t.Parallel()
			idle := ""
			if tt.waits {
				idle = ", idle_timeout_override: 10s"
			}
			p, o, addr := pooled(t, "http_reuse: always, source_mask: 32, limit_type: "+tt.limit+idle,
				"max_connections: 2, max_pending: 10, queue_timeout: 30s")
			for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
				browse(addr, from).want(t, "/conn")
				p.settle()
			}
			began := time.Now()
			if got := browse(addr, "127.0.0.4").want(t, "/conn"); got != "3" {
				t.Errorf("connection %s, want one of its own", got)
			}
			took := time.Since(began)
			// Ten seconds after they were left, idle connections go; on a busy
			// machine anything may take a second or two.
			if waited := took > 5*time.Second; waited != tt.waits {
				t.Errorf("the third waited %v", took)
			}
			if tt.left >= 0 {
				waitFor(t, "those too many are closed", func() bool { return o.seen().open <= tt.left })
				if got := o.seen().open; got != tt.left {
					t.Errorf("%d connections are left, want %d", got, tt.left)
				}
			}
		})
	}
	t.Run("strict without patience", func(t *testing.T) {
		t.Parallel()
		_, _, addr := pooled(t, "http_reuse: always, source_mask: 32, limit_type: strict", "max_connections: 1")
		browse(addr, "127.0.0.2").want(t, "/conn")
		if a, err := browse(addr, "127.0.0.3").get("/conn"); err != nil || a.status != 503 {
			t.Errorf("got %v, %v, want status 503", a, err)
		}
	})
}

// TestProxySharePools: two pools with the same server share its connections, or
// do not.
func TestProxySharePools(t *testing.T) {
	for _, tt := range []struct{ share, want string }{{"true", "1 1 1"}, {"false", "1 2 1"}} {
		t.Run(tt.share, func(t *testing.T) {
			t.Parallel()
			o := startOrigin(t, nil, loopback()+":8000", nil)
			addr := loopback() + ":7080"
			p := startProxy(t, nil, fmt.Sprintf(`
network: {stack: plain}
listeners: {address: tcp@%s, pool: one}
routes:
- {match: {header: {X-Pool: two}}, pool: two}
pools:
  one: {backends: [%s], oneconnect: it}
  two: {backends: [%s], oneconnect: it}
oneconnect:
  it: {http_reuse: always, share_pools: %s}
`, addr, o.addr, o.addr, tt.share))
			b := browse(addr, "")
			var got []string
			for _, header := range []string{"", "X-Pool: two\r\n", ""} {
				a, err := b.do("GET", "/conn", header, nil)
				if err != nil || a.status != 200 {
					t.Fatalf("got %v, %v", a, err)
				}
				got = append(got, string(a.body))
				p.settle()
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("connections %s, want %s", got, tt.want)
			}
		})
	}
}
