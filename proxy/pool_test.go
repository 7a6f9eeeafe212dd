package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAffinity brings clients back to their servers.
func TestAffinity(t *testing.T) {
	a, b := serveTest(t, named("a")), serveTest(t, named("b"))
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web:
		    backends: [{address: '`+a.addr+`', name: a}, {address: '`+b.addr+`', name: b}]
		    affinity: {cookie: where, path: /x, max_age: 1h, secure: true, same_site: none}`)
	c := client(t)
	resp, first := get(t, c, "http://"+p.addr+"/")
	set := resp.Header.Get("Set-Cookie")
	if want := "; Path=/x; HttpOnly; Max-Age=3600; Secure; SameSite=None"; !strings.HasPrefix(set, "where=") || !strings.HasSuffix(set, want) {
		t.Fatalf("got cookie %q, want where=...%s", set, want)
	}
	word, _, _ := strings.Cut(set, ";")
	for i := range 6 {
		req, _ := http.NewRequest("GET", "http://"+p.addr+"/", nil)
		req.Header.Set("Cookie", "other=1; "+word+"; last=2")
		resp, body := do(t, c, req)
		if body != first || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("request %d: went to %s, want %s; cookie %q", i, body, first, resp.Header.Get("Set-Cookie"))
		}
	}
	if seen := get2(t, c, "http://"+p.addr+"/"); len(seen) != 2 {
		t.Errorf("without a cookie all went to %v", seen)
	}
	// A server that is gone has its clients go elsewhere, with a new cookie.
	gone, other := a, "b"
	if first == "b" {
		gone, other = b, "a"
	}
	gone.Close()
	req, _ := http.NewRequest("GET", "http://"+p.addr+"/", nil)
	req.Header.Set("Cookie", word)
	resp, body := do(t, c, req)
	if again := resp.Header["Set-Cookie"]; body != other || len(again) != 1 || strings.HasPrefix(again[0], word) {
		t.Errorf("went to %s with cookies %q, want %s with a new one", body, again, other)
	}
}

// get2 makes some requests and collects the answers.
func get2(t *testing.T, c *http.Client, url string) map[string]int {
	t.Helper()
	seen := make(map[string]int)
	for range 8 {
		_, body := get(t, c, url)
		seen[body]++
	}
	return seen
}

// TestMaglev sends requests with equal keys to the same server.
func TestMaglev(t *testing.T) {
	var list []string
	for i := range 4 {
		list = append(list, serveTest(t, named(fmt.Sprint(i))).addr)
	}
	for hash, vary := range map[string]func(r *http.Request, i int){
		"header:X-User": func(r *http.Request, i int) { r.Header.Set("x-user", fmt.Sprint(i)) },
		"cookie:user":   func(r *http.Request, i int) { r.Header.Set("Cookie", fmt.Sprintf("a=b; user=%d", i)) },
		"host":          func(r *http.Request, i int) { r.Host = fmt.Sprintf("h%d.example", i) },
		"path": func(r *http.Request, i int) {
			r.URL.Path = fmt.Sprintf("/%d", i)
			r.URL.RawQuery = time.Now().String()[20:24]
		},
		"uri":    func(r *http.Request, i int) { r.URL.RawQuery = fmt.Sprint(i) },
		"client": func(r *http.Request, i int) { r.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i)) },
	} {
		t.Run(hash, func(t *testing.T) {
			p := start(t, `
				listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
				forwarded: {trusted: [127.0.0.1]}
				pools:
				  web: {backends: [`+strings.Join(list, ", ")+`], policy: maglev, hash: '`+hash+`', table_size: 1021}`)
			c := client(t)
			seen := make(map[string]bool)
			for key := range 16 {
				where := ""
				for range 3 {
					req, _ := http.NewRequest("GET", "http://"+p.addr+"/", nil)
					vary(req, key)
					_, body := do(t, c, req)
					if where != "" && body != where {
						t.Errorf("key %d went to %s and %s", key, where, body)
					}
					where = body
				}
				seen[where] = true
			}
			if len(seen) < 3 {
				t.Errorf("16 keys met %d of 4 servers", len(seen))
			}
		})
	}
}

// TestRetryStatus sends requests again after responses of servers in trouble.
func TestRetryStatus(t *testing.T) {
	var failing atomic.Int64
	bad := serveTest(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		failing.Add(1)
		if r.URL.Path == "/early" {
			w.WriteHeader(103)
		}
		w.WriteHeader(503)
		io.WriteString(w, "bad")
	})
	good := serveTest(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "good %s", b)
	})
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web:
		    backends: [{address: '`+bad.addr+`', priority: 0}, {address: '`+good.addr+`', max_connections: 1000}]
		    retry: {status: [502-504], attempts: 2, per_second: 1000}`)
	c := client(t)
	count := func(method, path, body string) (ok int) {
		for range 10 {
			req, _ := http.NewRequest(method, "http://"+p.addr+path, strings.NewReader(body))
			resp, got := do(t, c, req)
			if resp.StatusCode == 200 && got == "good "+body {
				ok++
			}
		}
		return ok
	}
	for method, want := range map[string]int{"GET": 10, "PUT": 10, "POST": 5} {
		before := failing.Load()
		if got := count(method, "/", "body"); got != want {
			t.Errorf("%s: %d of 10 went well, want %d", method, got, want)
		}
		if n := failing.Load() - before; method == "POST" && n != 5 {
			t.Errorf("POST: %d were sent to the bad server, want 5", n)
		}
	}
	// What does not fit in the buffer is not at hand any more.
	if got := count("PUT", "/", strings.Repeat("x", 100<<10)); got != 5 {
		t.Errorf("large PUT: %d of 10 went well, want 5", got)
	}
	if got := count("GET", "/early", ""); got != 5 {
		t.Errorf("after an interim response: %d of 10 went well, want 5", got)
	}
}

// TestRetryBudget bounds what goes again.
func TestRetryBudget(t *testing.T) {
	bad := serveTest(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web:
		    backends: [`+bad.addr+`]
		    retry: {status: 503, attempts: 1, per_second: 0, ratio: 10%}`)
	c := client(t)
	for range 100 {
		get(t, c, "http://"+p.addr+"/")
	}
	if n := bad.requests.Load(); n < 105 || n > 110 {
		t.Errorf("100 requests became %d, want 110 at most", n)
	}
}

// TestBrokenServer has requests go elsewhere from a server that closes
// connections without an answer.
func TestBrokenServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var broken atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(c).ReadString('\n')
			broken.Add(1)
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	good := serveTest(t, named("good"))
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: ['`+l.Addr().String()+`', `+good.addr+`], retry: {per_second: 1000}}`)
	c := client(t)
	for range 20 {
		wantBody(t, c, "http://"+p.addr+"/", 200, "good")
	}
	if broken.Load() == 0 {
		t.Error("nothing went to the broken server")
	}
	before := broken.Load()
	lost := 0
	for range 20 {
		resp, err := c.Post("http://"+p.addr+"/", "", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 502 {
			lost++
		}
	}
	if got := int(broken.Load() - before); got != lost || lost == 0 {
		t.Errorf("%d POSTs met the broken server, and %d clients were told", got, lost)
	}
}

// TestKilledServer kills one of two servers, connections and all, under load of
// all kinds of idempotent requests: no client notices.
func TestKilledServer(t *testing.T) {
	for _, reuse := range []string{"always", "safe"} {
		t.Run(reuse, func(t *testing.T) {
			victim, other := serveTest(t, named("victim")), serveTest(t, named("other"))
			p := start(t, `
				listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
				oneconnect: {default: {http_reuse: `+reuse+`}}
				pools:
				  web: {backends: [`+victim.addr+`, `+other.addr+`]}`)
			var stop atomic.Bool
			var requests, bad atomic.Int64
			var all sync.WaitGroup
			for i := range 16 {
				all.Go(func() {
					c := client(t)
					for !stop.Load() {
						method := [...]string{"GET", "PUT", "DELETE", "HEAD"}[i%4]
						req, _ := http.NewRequest(method, "http://"+p.addr+"/", strings.NewReader(strings.Repeat("x", i%4*500)))
						resp, err := c.Do(req)
						requests.Add(1)
						if err != nil || resp.StatusCode != 200 {
							bad.Add(1)
							t.Logf("%s: %v %v", method, resp, err)
						}
						if err == nil {
							io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
					}
				})
			}
			enough := func(n int64) func() bool {
				n += requests.Load()
				return func() bool { return requests.Load() > n }
			}
			time.Sleep(300 * time.Millisecond)
			eventually(t, "requests at both servers", func() bool { return victim.requests.Load() > 10 && other.requests.Load() > 10 })
			victim.Listener.Close()
			victim.CloseClientConnections()
			after := enough(100)
			time.Sleep(500 * time.Millisecond)
			eventually(t, "requests at the other", after)
			stop.Store(true)
			all.Wait()
			if bad.Load() > 0 {
				t.Errorf("%d of %d requests failed; %d went to the victim", bad.Load(), requests.Load(), victim.requests.Load())
			}
		})
	}
}

// TestEjection leaves a server alone that fails requests.
func TestEjection(t *testing.T) {
	bad := serveTest(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(507) })
	good := serveTest(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: [`+bad.addr+`, `+good.addr+`], ejection: {failures: 3, status: 507}}`)
	c := client(t)
	for range 30 {
		get(t, c, "http://"+p.addr+"/")
	}
	if b, g := bad.requests.Load(), good.requests.Load(); b != 3 || g != 27 {
		t.Errorf("%d requests met the failing server and %d the other, want 3 and 27", b, g)
	}
	if !strings.Contains(p.log.String(), "server ejected") {
		t.Error("nobody was told")
	}
	for _, m := range p.Snapshot().Pools[0].Members {
		if want := map[string]string{bad.addr: "status 507", good.addr: ""}[m.Address]; m.LastError != want || (m.Failures == 3) != (want != "") {
			t.Errorf("%s: %d failures, the last one %q, want %q", m.Name, m.Failures, m.LastError, want)
		}
	}
}

// TestUnreachable answers with the right codes, and the log has the reasons.
func TestUnreachable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	p := start(t, `
		log: {access: {format: json, output: `+file+`}}
		listeners: {name: web, address: 'tcp@127.0.0.1:0'}
		routes:
		- {match: {path: /closed}, pool: closed}
		- {match: {path: /full}, pool: full}
		- {match: {path: /wait}, pool: wait}
		- {match: {path: /slow}, pool: slow, response_header_timeout: 200ms}
		- {match: {path: /down}, pool: down}
		pools:
		  closed: {backends: ['127.0.0.1:1']}
		  full: {backends: ['`+hanging(t)+`'], max_connections: 1}
		  wait: {backends: ['`+hanging(t)+`'], max_connections: 1, max_pending: 1, queue_timeout: 50ms}
		  slow: {backends: ['`+hanging(t)+`']}
		  down: {backends: ['127.0.0.1:1'], check: {interval: 100ms}}`)
	c := client(t)
	for _, pool := range []string{"full", "wait"} {
		go c.Get("http://" + p.addr + "/" + pool)
		eventually(t, "a request in flight", func() bool { return p.pools.Pool(pool).Members()[0].Active() == 1 })
	}
	eventually(t, "the checks", func() bool { return !p.pools.Pool("down").Ready() })
	for _, tt := range []struct {
		path   string
		status int
		reason string
	}{
		{"/closed", 502, "refused"}, {"/full", 503, "full"}, {"/wait", 503, "no backend had room in time"},
		{"/slow", 504, "did not answer in time"}, {"/down", 503, "no backend in service"},
	} {
		resp, body := get(t, client(t), "http://"+p.addr+tt.path)
		if resp.StatusCode != tt.status {
			t.Errorf("%s: got %d, want %d", tt.path, resp.StatusCode, tt.status)
		}
		line := func() map[string]any {
			p.state.Load().access.Flush()
			for _, line := range lines(t, file) {
				if line["target"] == tt.path {
					return line
				}
			}
			return nil
		}
		eventually(t, "a line for "+tt.path, func() bool { return line() != nil })
		got := line()
		if reason := fmt.Sprint(got["error"]); !strings.Contains(reason, tt.reason) {
			t.Errorf("%s: the log says %q, want %q", tt.path, reason, tt.reason)
		}
		if got["body_bytes"] != float64(len(body)) {
			t.Errorf("%s: the log says %v bytes, want %d", tt.path, got["body_bytes"], len(body))
		}
	}
}

// hanging is a server that takes requests and does not answer.
func hanging(t *testing.T) string {
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
			go io.Copy(io.Discard, c)
		}
	}()
	return l.Addr().String()
}
