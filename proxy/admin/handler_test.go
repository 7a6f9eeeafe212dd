package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/proxy/status"
)

// sourceFunc is a proxy that is as the function says.
type sourceFunc func() status.Snapshot

func (f sourceFunc) Snapshot() status.Snapshot { return f() }

func serve(t *testing.T, src status.Source, o Options) string {
	t.Helper()
	h := New(src, o)
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.Close()
		h.Close()
	})
	return server.URL
}

// do makes a request. Headers are pairs; Host is one of them.
func do(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestReady(t *testing.T) {
	pool := func(states ...balance.State) balance.PoolStats {
		p := balance.PoolStats{Name: "app"}
		for _, s := range states {
			p.Members = append(p.Members, balance.MemberStats{State: s})
		}
		return p
	}
	for _, test := range []struct {
		name string
		snap status.Snapshot
		want int
		says string
	}{
		{"all is well", status.Snapshot{Ready: true, Pools: []balance.PoolStats{pool(balance.Up, balance.Down)}}, 200, "ready"},
		{"no pools", status.Snapshot{Ready: true}, 200, "ready"},
		{"warming up", status.Snapshot{Ready: true, Pools: []balance.PoolStats{pool(balance.Warming)}}, 200, "ready"},
		{"starting", status.Snapshot{}, 503, "starting"},
		{"draining", status.Snapshot{Draining: true}, 503, "draining"},
		{"no server", status.Snapshot{Ready: true, Pools: []balance.PoolStats{pool(balance.Down, balance.Ejected, balance.Draining)}}, 503, "pool app has no server"},
		{"an empty pool", status.Snapshot{Ready: true, Pools: []balance.PoolStats{pool()}}, 503, "pool app has no server"},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := serve(t, sourceFunc(func() status.Snapshot { return test.snap }), Options{})
			if resp, text := do(t, "GET", url+"/readyz", ""); resp.StatusCode != test.want || !strings.Contains(text, test.says) {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, text, test.want, test.says)
			}
			if resp, _ := do(t, "GET", url+"/healthz", ""); resp.StatusCode != 200 {
				t.Errorf("health: %v", resp.Status)
			}
		})
	}
}

// TestHost answers a page that had its name point here nothing but health.
func TestHost(t *testing.T) {
	url := serve(t, newFake(1, 2, time.Now()), Options{Metrics: http.NotFoundHandler(), Pprof: true})
	for host, want := range map[string]int{
		"127.0.0.1:9000": 200, "127.0.0.1": 200, "[::1]:80": 200, "localhost": 200, "LocalHost:1234": 200, "localhost.": 200,
		"admin.localhost": 200, "10.1.2.3": 200,
		"evil.example": 403, "evil.example:80": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "1": 403,
	} {
		for _, path := range []string{"/", "/api/status", "/debug/pprof/", "/main.js"} {
			if resp, text := do(t, "GET", url+path, "", "Host", host); resp.StatusCode != want {
				t.Errorf("%s of %s: %v, want %d: %.80s", path, host, resp.Status, want, text)
			}
		}
		if resp, _ := do(t, "GET", url+"/healthz", "", "Host", host); resp.StatusCode != 200 {
			t.Errorf("health of %s: %v", host, resp.Status)
		}
	}
	if resp, _ := do(t, "GET", url+"/metrics", "", "Host", "evil.example"); resp.StatusCode != 403 {
		t.Errorf("metrics: %v", resp.Status)
	}
}

func TestHeaders(t *testing.T) {
	url := serve(t, newFake(1, 2, time.Now()), Options{})
	for _, path := range []string{"/", "/main.js", "/page.css", "/icon.svg", "/api/status", "/api/history", "/no/such/file"} {
		resp, _ := do(t, "GET", url+path, "")
		csp := resp.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") ||
			!strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Access-Control-Allow-Origin": ""} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
	// A module that is not served as a script does not run.
	if resp, _ := do(t, "GET", url+"/main.js", ""); !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/javascript") {
		t.Errorf("scripts are %s", resp.Header.Get("Content-Type"))
	}
	if resp, _ := do(t, "POST", url+"/api/status", ""); resp.StatusCode != 405 {
		t.Errorf("POST of the status: %v", resp.Status)
	}
	if resp, _ := do(t, "GET", url+"/api/drain", ""); resp.StatusCode == 200 {
		t.Errorf("GET drains: %v", resp.Status)
	}
}

// TestAssetsAreSelfContained finds no address of elsewhere in the page's files.
func TestAssetsAreSelfContained(t *testing.T) {
	files, err := assets.ReadDir("assets")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		text, err := assets.ReadFile("assets/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		s := strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", "") // a name, not an address
		for _, bad := range []string{"http:", "https:", "//cdn", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style="} {
			if strings.Contains(s, bad) {
				t.Errorf("%s has %s", f.Name(), bad)
			}
		}
	}
}

func TestDrainAndReload(t *testing.T) {
	var drained atomic.Pointer[string]
	var reloads atomic.Int32
	o := Options{
		Drain: func(pool, backend string, on bool) error {
			if backend == "none" {
				return errors.New("no such backend")
			}
			word := pool + "/" + backend + map[bool]string{true: " on", false: " off"}[on]
			drained.Store(&word)
			return nil
		},
		Reload: func(context.Context) error {
			if reloads.Add(1) > 1 {
				return errors.New("braid.yaml:3: no")
			}
			return nil
		},
	}
	url := serve(t, newFake(1, 2, time.Now()), o)
	const order = `{"pool":"app","backend":"app-1","drain":true}`
	for _, test := range []struct {
		name, path, body string
		headers          []string
		want             int
	}{
		{"another site", "/api/drain", order, []string{"Content-Type", "application/json", "Origin", "https://evil.example"}, 403},
		{"another site, new browser", "/api/drain", order, []string{"Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"}, 403},
		{"another port", "/api/drain", order, []string{"Content-Type", "application/json", "Sec-Fetch-Site", "same-site"}, 403},
		{"a form", "/api/drain", order, []string{"Content-Type", "text/plain"}, 415},
		{"no type", "/api/drain", order, nil, 415},
		{"a form for reload", "/api/reload", "", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"rebound", "/api/drain", order, []string{"Content-Type", "application/json", "Host", "evil.example", "Origin", "http://evil.example"}, 403},
		{"no JSON", "/api/drain", "x", []string{"Content-Type", "application/json"}, 400},
		{"unknown key", "/api/drain", `{"pool":"a","backend":"b","drain":true,"x":1}`, []string{"Content-Type", "application/json"}, 400},
		{"half an order", "/api/drain", `{"pool":"app","backend":"app-1"}`, []string{"Content-Type", "application/json"}, 400},
		{"long", "/api/drain", `{"pool":"` + strings.Repeat("a", maxBody) + `"}`, []string{"Content-Type", "application/json"}, 400},
		{"nobody", "/api/drain", `{"pool":"app","backend":"none","drain":true}`, []string{"Content-Type", "application/json"}, 404},
	} {
		if resp, text := do(t, "POST", url+test.path, test.body, test.headers...); resp.StatusCode != test.want {
			t.Errorf("%s: %v, want %d: %s", test.name, resp.Status, test.want, text)
		}
	}
	if drained.Load() != nil || reloads.Load() != 0 {
		t.Fatalf("drained %v, %d reloads", drained.Load(), reloads.Load())
	}
	json := []string{"Content-Type", "application/json"}
	if resp, text := do(t, "POST", url+"/api/drain", order, append(json, "Sec-Fetch-Site", "same-origin")...); resp.StatusCode != 204 {
		t.Errorf("from the page: %v: %s", resp.Status, text)
	}
	if got := drained.Load(); got == nil || *got != "app/app-1 on" {
		t.Errorf("drained %v", got)
	}
	if resp, text := do(t, "POST", url+"/api/reload", "{}", json...); resp.StatusCode != 204 {
		t.Errorf("reload: %v: %s", resp.Status, text)
	}
	if resp, text := do(t, "POST", url+"/api/reload", "{}", json...); resp.StatusCode != 422 || !strings.Contains(text, "braid.yaml:3") {
		t.Errorf("a broken reload: %v: %s", resp.Status, text)
	}
}

// TestNotOffered has an address without changes, metrics and profiles.
func TestNotOffered(t *testing.T) {
	url := serve(t, newFake(1, 2, time.Now()), Options{})
	json := []string{"Content-Type", "application/json"}
	for _, path := range []string{"/api/drain", "/api/reload"} {
		if resp, _ := do(t, "POST", url+path, "{}", json...); resp.StatusCode != 404 {
			t.Errorf("%s: %v", path, resp.Status)
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap"} {
		if resp, _ := do(t, "GET", url+path, ""); resp.StatusCode != 404 {
			t.Errorf("%s: %v", path, resp.Status)
		}
	}
	if _, text := do(t, "GET", url+"/api/features", ""); strings.TrimSpace(text) != `{"drain":false,"reload":false,"pprof":false}` {
		t.Errorf("features: %s", text)
	}
}

func TestMetricsAndPprof(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "braid_up 1") })
	url := serve(t, newFake(1, 2, time.Now()), Options{Metrics: metrics, MetricsPath: "/{m", Pprof: true})
	if _, text := do(t, "GET", url+"/%7Bm", ""); text != "braid_up 1" {
		t.Errorf("metrics: %s", text)
	}
	if resp, text := do(t, "GET", url+"/debug/pprof/goroutine?debug=1", ""); resp.StatusCode != 200 || !strings.Contains(text, "goroutine") {
		t.Errorf("profile: %v", resp.Status)
	}
}

// page is what the tests read of /api/status.
type page struct {
	Open        int `json:"connections_open"`
	Matching    int `json:"connections_matching"`
	Connections []listed
	Error       string
}

type listed struct {
	ID        uint64
	Listener  string
	Requests  int64
	Multipath bool
}

func ask(t *testing.T, url string) (p page) {
	t.Helper()
	_, text := do(t, "GET", url, "")
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return p
}

func TestQueries(t *testing.T) {
	// A still picture: what the answers are compared by must not go on meanwhile.
	still := newFake(7, 500, time.Now()).Snapshot()
	url := serve(t, sourceFunc(func() status.Snapshot { return still }), Options{}) + "/api/status?"
	if p := ask(t, url); len(p.Connections) != 500 || p.Matching != 500 || p.Open != 500 {
		t.Fatalf("%d connections, %d match, %d are open", len(p.Connections), p.Matching, p.Open)
	}
	first, second := ask(t, url+"limit=50&sort=id"), ask(t, url+"limit=50&offset=50&sort=id")
	if len(first.Connections) != 50 || len(second.Connections) != 50 || first.Connections[49].ID >= second.Connections[0].ID || first.Matching != 500 {
		t.Error("pages do not follow one another")
	}
	if p := ask(t, url+"offset=9999"); len(p.Connections) != 0 || p.Matching != 500 {
		t.Errorf("%d connections behind the end", len(p.Connections))
	}
	if p := ask(t, url+"limit=0"); len(p.Connections) != 0 || p.Matching != 500 {
		t.Errorf("%d connections, none were asked for", len(p.Connections))
	}
	sorted := ask(t, url+"sort=-requests").Connections
	for i := 1; i < len(sorted); i++ {
		if sorted[i-1].Requests < sorted[i].Requests {
			t.Fatal("not sorted by requests")
		}
	}
	for name := range orders {
		up, down := ask(t, url+"sort="+name).Connections, ask(t, url+"sort=-"+name).Connections
		if len(up) != 500 || len(down) != 500 {
			t.Errorf("sorted by %s: %d and %d connections", name, len(up), len(down))
		}
	}
	mptcp, tcp := ask(t, url+"protocol=mptcp"), ask(t, url+"protocol=tcp")
	if mptcp.Matching+tcp.Matching != 500 || !mptcp.Connections[0].Multipath || tcp.Connections[0].Multipath {
		t.Errorf("%d and %d of 500", mptcp.Matching, tcp.Matching)
	}
	ssh := ask(t, url+"filter=ssh")
	if ssh.Matching == 0 || ssh.Matching == 500 || slices.ContainsFunc(ssh.Connections, func(c listed) bool { return c.Listener != "ssh" }) {
		t.Errorf("%d match ssh", ssh.Matching)
	}
	if p := ask(t, url+"filter=SSH+eth1"); p.Matching == 0 || p.Matching >= ssh.Matching {
		t.Errorf("%d match ssh and eth1, %d ssh alone", p.Matching, ssh.Matching)
	}
	for _, bad := range []string{"limit=x", "limit=-1", "offset=-1", "sort=color", "protocol=udp"} {
		if p := ask(t, url+bad); p.Error == "" {
			t.Errorf("%s is no error", bad)
		}
	}
	if resp, _ := do(t, "GET", strings.Replace(url, "status?", "history?since=x", 1), ""); resp.StatusCode != 400 {
		t.Errorf("history since x: %v", resp.Status)
	}
}
