package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lines reads the lines of a JSON log.
func lines(t *testing.T, file string) []map[string]any {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range strings.Lines(string(b)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		all = append(all, m)
	}
	return all
}

// TestAccessLog looks for requests of all kinds in the log.
func TestAccessLog(t *testing.T) {
	server := serveTest(t, named("hello"))
	file := filepath.Join(t.TempDir(), "access.log")
	text := `
		network: {single_path: true}
		listeners:
		- {name: web, address: 'mptcp@127.0.0.1:0', pool: web}
		- {name: raw, address: 'tcp@127.0.0.1:0', mode: tcp, pool: raw}
		log: {access: {format: json, output: ` + file + `}}
		routes:
		- {name: own, match: {path: /own}, respond: {status: 418}}
		pools:
		  web: {backends: [{address: ` + server.addr + `, name: srv}]}
		  raw: {backends: ['` + shout(t, "raw") + `']}`
	p := start(t, text)
	c := client(t)
	get(t, c, "http://"+p.addr+"/a?b")
	get(t, c, "http://"+p.addr+"/own")
	nc := dial(t, p.addr)
	ask(t, nc, bufio.NewReader(nc), "nonsense\r\n\r\n")
	converse(t, dial(t, p.hostPort(1)), "hello")
	log := func() []map[string]any {
		p.state.Load().access.Flush()
		return lines(t, file)
	}
	eventually(t, "four lines", func() bool { return len(log()) == 4 })
	byStatus := make(map[string]map[string]any)
	for _, line := range log() {
		byStatus[fmt.Sprint(line["status"])] = line
	}
	ok := byStatus["200"]
	for key, want := range map[string]any{"pool": "web", "backend": "srv", "listener": "web", "method": "GET"} {
		if ok[key] != want {
			t.Errorf("%s: got %v, want %v", key, ok[key], want)
		}
	}
	if byStatus["418"]["route"] != "own" || byStatus["400"] == nil {
		t.Errorf("got %v", byStatus)
	}
	// After rotation, lines go to the new file, and a reload keeps the log.
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	if err := p.Reopen(); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(t.Context(), parse(t, text)); err != nil {
		t.Fatal(err)
	}
	get(t, c, "http://"+p.addr+"/after")
	eventually(t, "a line in the new file", func() bool { return len(log()) == 1 })
}

// TestAdminPages asks the pages about a proxy.
func TestAdminPages(t *testing.T) {
	server := serveTest(t, named("hello"))
	freeAdmin, freeMetrics := free(t), free(t)
	o := Options{Config: parse(t, `
		network: {single_path: true}
		listeners: {name: web, address: 'mptcp@127.0.0.1:0', pool: web}
		admin: {address: '`+freeAdmin+`'}
		metrics: {address: '`+freeMetrics+`', path: /m}
		pools:
		  web: {backends: [`+server.addr+`]}`), Version: "1.2.3"}
	p := startOptions(t, o)
	c, admin := client(t), client(t)
	for range 3 {
		get(t, c, "http://"+p.addr+"/")
	}
	var s struct {
		Version     string
		Ready       bool
		Connections []struct {
			Requests  int
			Host      string
			UserAgent string `json:"user_agent"`
		}
		Pools []struct{ Name string }
	}
	eventually(t, "the connection to be shown", func() bool { // what is shown may be a moment old
		_, body := get(t, admin, "http://"+freeAdmin+"/api/status")
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		return len(s.Connections) == 1 && s.Connections[0].Requests == 3
	})
	if s.Version != "1.2.3" || !s.Ready || len(s.Pools) != 1 || s.Pools[0].Name != "web" {
		t.Errorf("got %+v", s)
	}
	if c := s.Connections[0]; c.Host != p.addr || !strings.HasPrefix(c.UserAgent, "Go-http-client/") {
		t.Errorf("the first request was for %q by %q", c.Host, c.UserAgent)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 200, "/metrics": 404, "/debug/pprof/": 404} {
		if resp, _ := get(t, admin, "http://"+freeAdmin+path); resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
	resp, body := get(t, admin, "http://"+freeMetrics+"/m")
	if resp.StatusCode != 200 || !strings.Contains(body, "braid_") {
		t.Errorf("metrics: got %d %.200s", resp.StatusCode, body)
	}
	if got := p.Snapshot().Totals; len(got.Requests) != 1 || got.Requests[0].Count() != 3 || got.Connections != 1 {
		t.Errorf("totals: %+v", got)
	}
	c.CloseIdleConnections()
	eventually(t, "the connection to be closed in the books", func() bool { return p.Snapshot().Totals.Closed == 1 })

	// A reload moves the pages.
	again := free(t)
	text := `
		listeners: {name: web, address: 'mptcp@127.0.0.1:0', pool: web}
		network: {single_path: true}
		admin: {address: '` + again + `', pprof: true}
		pools:
		  web: {backends: [` + server.addr + `]}`
	if err := p.Reload(t.Context(), parse(t, text)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/metrics": 200, "/debug/pprof/": 200} {
		if resp, _ := get(t, client(t), "http://"+again+path); resp.StatusCode != want {
			t.Errorf("after the reload, %s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
	if _, err := client(t).Get("http://" + freeAdmin + "/healthz"); err == nil {
		t.Error("the old address still answers")
	}
}

// free finds an address that nobody has.
func free(t *testing.T) string {
	t.Helper()
	l := newTestServer(nil).Listener
	defer l.Close()
	return l.Addr().String()
}

// TestDrainBackend takes a server out of service by command.
func TestDrainBackend(t *testing.T) {
	a, b := serveTest(t, named("a")), serveTest(t, named("b"))
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: [{address: `+a.addr+`, name: a}, {address: `+b.addr+`, name: b}]}`)
	if err := p.drainBackend("web", "a", true); err != nil {
		t.Fatal(err)
	}
	if got := get2(t, client(t), "http://"+p.addr+"/"); got["b"] != 8 {
		t.Errorf("went to %v", got)
	}
	if p.drainBackend("web", "c", true) == nil || p.drainBackend("none", "a", true) == nil {
		t.Error("what there is not was drained")
	}
}
