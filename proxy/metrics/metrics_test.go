package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/proxy/status"
)

// source gives a Snapshot with something in everything.
type source struct{ ledger *status.Ledger }

func newSource() *source {
	s := &source{status.NewLedger(nil)}
	s.ledger.Refuse("tls")
	s.ledger.Reloaded(true)
	s.ledger.Series("web", "").Add(&status.Request{Code: 404, Duration: time.Millisecond, BytesIn: 5, BytesOut: 6})
	app := s.ledger.Series("web", "app")
	for range 9 {
		app.Add(&status.Request{Code: 200, Duration: 7 * time.Millisecond, Wait: 3 * time.Millisecond, BytesIn: 100, BytesOut: 1000, Reused: true})
	}
	app.Add(&status.Request{Code: 502, Duration: time.Minute, Connect: 150 * time.Millisecond})
	return s
}

func (s *source) Snapshot() status.Snapshot {
	addr := netip.MustParseAddrPort("192.0.2.1:443")
	snap := status.Snapshot{
		Time: time.Now(), Started: time.Unix(1000, 5e8), Version: "v1", Stack: "user", Ready: true, ConfigLoaded: time.Unix(2000, 0),
		Listeners: []status.Listener{{Name: "web", Open: 3, Accepted: 12}},
		Connections: []status.Connection{{Paths: []status.Path{
			{Local: addr, Interface: "eth0", Up: true, RTT: 20 * time.Millisecond},
			{Local: addr, Interface: "eth0", Up: true, RTT: 30 * time.Millisecond, Backup: true},
			{Local: addr, Interface: "eth0"},
		}}},
		Pools: []balance.PoolStats{{
			Name: "app", Pending: 4, QueueFull: 5, TimedOut: 6, Retries: 7, Refused: 8,
			Conns:   balance.ConnCounts{InUse: 1, Idle: 2, Opened: 10, Reused: 30},
			Members: []balance.MemberStats{{Name: "b", State: balance.Down}, {Name: "a", Weight: 2, Requests: 9, Failures: 1}},
		}},
		Totals: s.ledger.Totals(),
	}
	snap.Pools[0].Conns.Closed[balance.ClosedIdle] = 3
	t := &snap.Totals
	t.Connections, t.Closed, t.Multipath, t.MultipathClosed = 12, 9, 8, 6
	t.Fallbacks, t.Malformed, t.Retries, t.Tunnels = map[string]uint64{"not_offered": 4}, 1, 2, 3
	t.AccessLog = status.AccessLogTotals{Lines: 10, Lost: 1}
	t.Paths = []status.PathTotals{{Name: "eth0", Multipath: status.ProtocolTotals{
		Subflows: 3, BytesIn: 100, BytesOut: 2000, Retransmitted: 30, Reinjected: 40, Retransmissions: 2}}}
	return snap
}

func scrape(t *testing.T, src status.Source) string {
	t.Helper()
	server := httptest.NewServer(New(src).Handler())
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v: %s", resp.Status, err, text)
	}
	return string(text)
}

func TestValues(t *testing.T) {
	text := scrape(t, newSource())
	for _, want := range []string{
		`braid_build_info{stack="user",version="v1"} 1`,
		`braid_ready 1`,
		`braid_draining 0`,
		`braid_start_time_seconds 1000.5`,
		`braid_config_loaded_time_seconds 2000`,
		`braid_config_reloads_total{result="ok"} 1`,
		`braid_access_log_lost_total 1`,
		`braid_listener_connections{listener="web"} 3`,
		`braid_connections{protocol="mptcp"} 2`,
		`braid_connections{protocol="tcp"} 1`,
		`braid_connections_total 12`,
		`braid_connections_mptcp_total 8`,
		`braid_connections_refused_total{reason="tls"} 1`,
		`braid_fallbacks_total{reason="not_offered"} 4`,
		`braid_joins_total{result="done"} 0`,
		`braid_subflows{path="eth0",state="active"} 1`,
		`braid_subflows{path="eth0",state="backup"} 1`,
		`braid_subflows{path="eth0",state="closed"} 1`,
		`braid_path_bytes_total{direction="out",path="eth0",protocol="mptcp"} 2000`,
		`braid_path_retransmitted_bytes_total{path="eth0",protocol="mptcp"} 30`,
		`braid_path_rtt_seconds{path="eth0",stat="max"} 0.03`,
		`braid_requests_total{code="2xx",listener="web",pool="app"} 9`,
		`braid_requests_total{code="5xx",listener="web",pool="app"} 1`,
		`braid_requests_total{code="4xx",listener="web",pool=""} 1`,
		`braid_response_bytes_total{listener="web",pool="app"} 9000`,
		`braid_request_duration_seconds_bucket{listener="web",pool="app",le="0.005"} 0`,
		`braid_request_duration_seconds_bucket{listener="web",pool="app",le="0.01"} 9`,
		`braid_request_duration_seconds_bucket{listener="web",pool="app",le="50"} 9`,
		`braid_request_duration_seconds_bucket{listener="web",pool="app",le="+Inf"} 10`,
		`braid_request_duration_seconds_count{listener="web",pool="app"} 10`,
		`braid_request_duration_seconds_sum{listener="web",pool="app"} 60.063`,
		`braid_server_connect_seconds_count{listener="web",pool="app"} 1`,
		`braid_pool_connections{pool="app",state="idle"} 2`,
		`braid_pool_connections_closed_total{pool="app",reason="idle"} 3`,
		`braid_pool_reuse_ratio{pool="app"} 0.75`,
		`braid_pool_queue_length{pool="app"} 4`,
		`braid_backend_state{backend="b",pool="app",state="down"} 1`,
		`braid_backend_state{backend="b",pool="app",state="up"} 0`,
		`braid_backend_failures_total{backend="a",pool="app"} 1`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	for _, prefix := range []string{"go_goroutines", "process_cpu_seconds_total"} {
		if !strings.Contains(text, "\n"+prefix+" ") {
			t.Errorf("no %s", prefix)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestLint asks Prometheus' own checker, and holds every metric to being there.
func TestLint(t *testing.T) {
	m := New(newSource())
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, f := range families {
		found[f.GetName()] = true
	}
	for _, m := range all {
		if !found[m.name] {
			t.Errorf("%s is described, and never shown", m.name)
		}
	}
}

// TestEmpty scrapes a proxy of which nothing is known.
func TestEmpty(t *testing.T) {
	if text := scrape(t, emptySource{}); !strings.Contains(text, "\nbraid_connections_total 0\n") {
		t.Error(text)
	}
}

type emptySource struct{}

func (emptySource) Snapshot() status.Snapshot { return status.Snapshot{} }

// TestCountsDoNotWrap has totals that were read while they changed.
func TestCountsDoNotWrap(t *testing.T) {
	text := scrape(t, racySource{})
	for _, want := range []string{`braid_connections{protocol="tcp"} 0`, `braid_connections{protocol="mptcp"} 0`} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}

type racySource struct{}

func (racySource) Snapshot() status.Snapshot {
	return status.Snapshot{Totals: status.Totals{Connections: 5, Closed: 6, Multipath: 2, MultipathClosed: 3}}
}

func TestAtOnce(t *testing.T) {
	src := newSource()
	m := New(src)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				src.ledger.Series("web", "app").Add(&status.Request{Code: 200})
				if _, err := m.registry.Gather(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
