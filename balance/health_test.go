package balance

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// watcher collects changes of state.
type watcher struct {
	mu   sync.Mutex
	list []Change
}

func (w *watcher) observe(c Change) {
	w.mu.Lock()
	w.list = append(w.list, c)
	w.mu.Unlock()
}

// take gives what has come since the last time, as "a: up > down".
func (w *watcher) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []string
	for _, c := range w.list {
		got = append(got, c.Backend+": "+c.From.String()+" > "+c.To.String())
	}
	w.list = nil
	return strings.Join(got, ", ")
}

func (w *watcher) want(t *testing.T, when, want string) {
	t.Helper()
	synctest.Wait()
	if got := w.take(); got != want {
		t.Errorf("%s: got %q, want %q", when, got, want)
	}
}

// TestCheckRiseAndFall lets a backend go and come back.
func TestCheckRiseAndFall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d failingDial
		var w watcher
		p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) {
			cfg.Dial, cfg.Observe = d.dial, w.observe
			cfg.Check = &Check{Interval: time.Second, Rise: 2, Fall: 3}
		})
		time.Sleep(10 * time.Second)
		w.want(t, "all well", "")
		d.set("a:80", true)
		time.Sleep(1900 * time.Millisecond)
		w.want(t, "fewer than 3 checks", "")
		time.Sleep(1200 * time.Millisecond)
		w.want(t, "3 checks", "a: up > down")
		client := clientAt(t, "10.0.0.1")
		if got := count(names(t, p, 10, func(int) Request { return Request{Client: client} })); got["b"] != 10 {
			t.Errorf("requests go to %v", got)
		}
		d.set("a:80", false)
		time.Sleep(900 * time.Millisecond)
		w.want(t, "one check", "")
		time.Sleep(1200 * time.Millisecond)
		w.want(t, "2 checks", "a: down > up")
		d.set("a:80", true)
		d.set("b:80", true)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if _, err := p.Get(t.Context(), Request{Client: client}); err != ErrNoBackend {
			t.Errorf("got %v, want %v", err, ErrNoBackend)
		}
		if p.Ready() {
			t.Error("ready without a backend")
		}
	})
}

// TestFirstCheckDecides: a backend that was never up does not get requests for
// as long as Fall checks take.
func TestFirstCheckDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d failingDial
		var w watcher
		d.set("a:80", true)
		pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) {
			cfg.Dial, cfg.Observe = d.dial, w.observe
			cfg.Check = &Check{Interval: time.Second}
		})
		w.want(t, "at once", "a: up > down")
	})
}

// TestChecksAreSpread: many members are not checked in the same instant.
func TestChecksAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		at := make(map[time.Time]int)
		begin := time.Now()
		pipePool(t, maglevList(20), func(cfg *Config) {
			cfg.Check = &Check{Interval: 10 * time.Second}
			cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				if time.Now() != begin {
					at[time.Now()]++
				}
				return pipeDial(ctx, network, address)
			}
		})
		time.Sleep(11 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(at) < 19 {
			t.Errorf("20 checks at %d times", len(at))
		}
	})
}

// TestCheckTypes runs each type against servers that pass and fail it.
func TestCheckTypes(t *testing.T) {
	healthy := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" || r.Host != "www.example.org" || r.Method != "HEAD" {
			w.WriteHeader(http.StatusTeapot)
		}
	}
	plain := newServer(t, healthy)
	secure := newServer(t, healthy, withTLS(true))
	roots := secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	ln.Close()
	http1 := Check{Type: CheckHTTP, Path: "/health", Host: "www.example.org", Method: "HEAD"}
	elsewhere := http1
	elsewhere.Path = "/"
	teapot := elsewhere
	teapot.Status = []StatusRange{{100, 100}, {418, 420}}
	for _, test := range []struct {
		name    string
		check   Check
		address string
		prepare bool
		want    string // in the error; "": none
	}{
		{"tcp", Check{}, plain.address(), false, ""},
		{"tcp, nobody", Check{}, nobody, false, "refused"},
		{"tls", Check{Type: CheckTLS}, secure.address(), false, ""},
		{"tls, verified", Check{Type: CheckTLS, TLS: &tls.Config{RootCAs: roots}}, secure.address(), false, ""},
		{"tls, unknown issuer", Check{Type: CheckTLS, TLS: &tls.Config{}}, secure.address(), false, "certificate"},
		{"tls, not spoken", Check{Type: CheckTLS, Timeout: 100 * time.Millisecond}, plain.address(), false, "TLS"},
		{"http", http1, plain.address(), false, ""},
		{"http, status", elsewhere, plain.address(), false, "418"},
		{"http, that status is well", teapot, plain.address(), false, ""},
		{"http over TLS", http1, secure.address(), true, ""},
		{"http, TLS not spoken", http1, secure.address(), false, "400"},
	} {
		t.Run(test.name, func(t *testing.T) {
			check, err := test.check.normal()
			if err != nil {
				t.Fatal(err)
			}
			p := poolOf(t, func(cfg *Config) {
				cfg.Source = Static{{Address: test.address}}
				if test.prepare {
					cfg.Prepare = func(ctx context.Context, c net.Conn, _ Backend, client *Client) (net.Conn, error) {
						if client != nil {
							t.Error("a check is for a client")
						}
						tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
						return tc, tc.HandshakeContext(ctx)
					}
				}
			})
			p.cfg.Check = &check
			err = p.check(t.Context(), p.Members()[0])
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want something with %q", err, test.want)
			}
		})
	}
}

// TestUnixBackend is served and checked over a socket in the file system.
func TestUnixBackend(t *testing.T) {
	path := t.TempDir() + "/web.sock"
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(t, nil, func(s *httptest.Server) { s.Listener.Close(); s.Listener = ln })
	var w watcher
	p := poolOf(t, func(cfg *Config) {
		cfg.Source = Static{{Network: "unix", Address: path}}
		cfg.Check = &Check{Type: CheckHTTP, Port: 1, Fall: 1}
		cfg.Observe = w.observe
		cfg.Reuse.Mode = ReuseAlways
	})
	if err := p.check(t.Context(), p.Members()[0]); err != nil {
		t.Errorf("check: %v", err)
	}
	client := clientAt(t, "10.0.0.1")
	for range 3 {
		serve(t, p, client)
	}
	if got := server.requests.Load(); got < 4 {
		t.Errorf("%d requests", got)
	}
	if got := w.take(); got != "" {
		t.Errorf("changes: %s", got)
	}
}

// TestCheckTimeout: a server that accepts and says nothing is not well.
func TestCheckTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watcher
		begin := time.Now()
		pipePool(t, []Backend{{Name: "a"}}, func(cfg *Config) {
			cfg.Observe = w.observe
			cfg.Check = &Check{Type: CheckHTTP, Timeout: 700 * time.Millisecond}
		})
		time.Sleep(time.Until(begin.Add(699 * time.Millisecond)))
		w.want(t, "before the timeout", "")
		time.Sleep(time.Millisecond)
		w.want(t, "at the timeout", "a: up > down")
	})
}

// TestCheckPort looks at another port than requests go to.
func TestCheckPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d failingDial
		pipePool(t, []Backend{{Address: "[2001:db8::1]:80"}}, func(cfg *Config) {
			cfg.Dial = d.dial
			cfg.Check = &Check{Port: 8080}
		})
		synctest.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.dials["[2001:db8::1]:8080"] != 1 || len(d.dials) != 1 {
			t.Errorf("checked: %v", d.dials)
		}
	})
}

// failRequests reports n failures of the member of that name.
func failRequests(p *Pool, name string, n int) {
	for _, m := range p.Members() {
		if m.Name() == name {
			for range n {
				m.report(false)
			}
		}
	}
}

func TestEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watcher
		p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}, func(cfg *Config) {
			cfg.Observe = w.observe
			cfg.Ejection = Ejection{Failures: 3, Time: 10 * time.Second, MaxTime: 40 * time.Second}
		})
		client := clientAt(t, "10.0.0.1")
		failRequests(p, "a", 2)
		p.Members()[0].report(true)
		failRequests(p, "a", 2)
		w.want(t, "no three in a row", "")
		// Through a connection, as a proxy does.
		c := get(t, p, Request{Client: client, Affinity: p.Members()[0].Affinity()})
		c.Report(false)
		c.Discard()
		w.want(t, "three in a row", "a: up > ejected")
		if got := count(names(t, p, 12, func(int) Request { return Request{Client: client} })); got["a"] != 0 {
			t.Errorf("requests go to %v", got)
		}
		time.Sleep(10*time.Second - time.Millisecond)
		w.want(t, "before the end", "")
		time.Sleep(time.Millisecond)
		w.want(t, "after 10 s", "a: ejected > up")
		for _, span := range []time.Duration{20, 40, 40} {
			failRequests(p, "a", 3)
			w.want(t, "again", "a: up > ejected")
			time.Sleep(span*time.Second - time.Millisecond)
			w.want(t, "before the end", "")
			time.Sleep(time.Millisecond)
			w.want(t, "after it", "a: ejected > up")
		}
		time.Sleep(41 * time.Second)
		failRequests(p, "a", 3)
		time.Sleep(10 * time.Second)
		w.want(t, "after it served for long", "a: up > ejected, a: ejected > up")
	})
}

func TestEjectionShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			members int
			share   float64
			want    int // ejected
		}{
			{4, 0, 2}, {4, 0.25, 1}, {4, 0.2, 0}, {4, 1, 3}, {1, 1, 0}, {2, 0.5, 1}, {10, 0.3, 3},
		} {
			p := pipePool(t, maglevList(test.members), func(cfg *Config) {
				cfg.Ejection = Ejection{Failures: 1, MaxShare: test.share}
			})
			for _, m := range p.Members() {
				m.report(false)
			}
			got := 0
			for _, m := range p.Members() {
				if m.State() == Ejected {
					got++
				}
			}
			if got != test.want {
				t.Errorf("%d members, share %v: %d ejected, want %d", test.members, test.share, got, test.want)
			}
		}
	})
}

// TestEjectionByConnecting: connections that cannot be opened count.
func TestEjectionByConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d failingDial
		d.set("a:80", true)
		p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) {
			cfg.Dial = d.dial
			cfg.Ejection = Ejection{Failures: 2}
		})
		client := clientAt(t, "10.0.0.1")
		for range 20 {
			get(t, p, Request{Client: client, Fresh: true}).Discard()
		}
		if got := d.dials["a:80"]; got != 2 {
			t.Errorf("%d connections were tried to a dead backend, want 2", got)
		}
	})
}

// TestDownBeatsEjected: checks and ejection do not get into each other's way.
func TestDownBeatsEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d failingDial
		var w watcher
		p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) {
			cfg.Dial, cfg.Observe = d.dial, w.observe
			cfg.Ejection = Ejection{Failures: 1, Time: 30 * time.Second}
			cfg.Check = &Check{Interval: time.Second, Fall: 1, Rise: 1}
		})
		failRequests(p, "a", 1)
		w.want(t, "failed", "a: up > ejected")
		d.set("a:80", true)
		time.Sleep(2 * time.Second)
		w.want(t, "checked too", "a: ejected > down")
		d.set("a:80", false)
		time.Sleep(2 * time.Second)
		w.want(t, "checks pass", "a: down > ejected")
		time.Sleep(30 * time.Second)
		w.want(t, "time has passed", "a: ejected > up")
	})
}

// TestSlowStart: the share of a backend that came back grows.
func TestSlowStart(t *testing.T) {
	for _, policy := range []Policy{RoundRobin, PowerOfTwo} {
		synctest.Test(t, func(t *testing.T) {
			var w watcher
			p := pipePool(t, []Backend{{Name: "a"}, {Name: "b"}}, func(cfg *Config) {
				cfg.Observe, cfg.Policy = w.observe, policy
				cfg.SlowStart = 10 * time.Second
				cfg.Ejection = Ejection{Failures: 1, Time: time.Second}
			})
			client := clientAt(t, "10.0.0.1")
			share := func() float64 {
				const n = 1000
				return float64(count(names(t, p, n, func(int) Request { return Request{Client: client} }))["a"]) / n
			}
			within := func(when string, got, low, high float64) {
				t.Helper()
				if got < low || got > high {
					t.Errorf("%v, %s: a share of %.2f, want %.2f to %.2f", policy, when, got, low, high)
				}
			}
			within("at first", share(), 0.45, 0.55)
			failRequests(p, "a", 1)
			time.Sleep(time.Second)
			w.want(t, "back again", "a: up > ejected, a: ejected > warming")
			within("at once", share(), 0.05, 0.14) // 0.1 / 1.1
			time.Sleep(5 * time.Second)
			within("halfway", share(), 0.31, 0.40) // 0.55 / 1.55
			time.Sleep(5 * time.Second)
			w.want(t, "at the end", "a: warming > up")
			within("at the end", share(), 0.45, 0.55)
		})
	}
}

// TestReportKeepsUp is for the race detector: requests, failures and changes at
// once.
func TestReportKeepsUp(t *testing.T) {
	var flaky atomic.Int64
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
	})
	p := poolOf(t, func(cfg *Config) {
		cfg.Source = Static{{Name: "a", Address: server.address()}, {Name: "b", Address: server.address()}}
		cfg.Ejection = Ejection{Failures: 2, Time: time.Millisecond, MaxTime: 2 * time.Millisecond}
		cfg.SlowStart = 2 * time.Millisecond
		cfg.Check = &Check{Interval: time.Millisecond}
		cfg.Observe = func(Change) { flaky.Add(1) }
	})
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			client := clientAt(t, "10.0.0.1")
			for j := range 50 {
				c := get(t, p, Request{Client: client})
				if err := exchange(c); err != nil {
					t.Errorf("exchange: %v", err)
				}
				c.Report((i+j)%3 == 0)
				c.Put()
				p.Stats()
			}
		})
	}
	work.Wait()
	if flaky.Load() == 0 {
		t.Error("nothing has changed")
	}
}
