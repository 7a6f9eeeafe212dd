package status

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/balance"
)

var update = flag.Bool("update", false, "write testdata/snapshot.json")

// sample is a Snapshot with something in every field.
func sample() Snapshot {
	now := time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)
	l := NewLedger(nil)
	l.Series("web", "app").Add(&Request{Code: 200, Duration: 10 * time.Millisecond, Wait: 5 * time.Millisecond, Connect: time.Millisecond,
		BytesIn: 100, BytesOut: 2000, Retried: true})
	l.Refuse("tls")
	l.Reloaded(true)
	s := Snapshot{
		Time: now, Started: now.Add(-90 * time.Second), Version: "v1.2.3", Stack: "user", Ready: true, Draining: true,
		ConfigLoaded: now.Add(-time.Minute),
		Listeners:    []Listener{{Name: "web", Mode: "http", TLS: true, Addresses: []string{"mptcp@[::]:443"}, Open: 1, Accepted: 5}},
		Open:         1, Matching: 1,
		Connections: []Connection{{
			ID: 7, Listener: "web", Client: client1, Local: server1, Opened: now.Add(-5 * time.Second), TLS: "TLS 1.3", ServerName: "example.org",
			Protocol: "h2", Host: "example.org", UserAgent: "curl/8", Pool: "app", Backend: "a", Requests: 3, BytesIn: 10, BytesOut: 20,
			Multipath: true, Fallback: "not_offered", Token: 0xdeadbeef, Joins: 1, InRate: 1.5, OutRate: 2.5,
			Paths: []Path{{
				ID: 1, Local: server1, Remote: client1, Interface: "eth0", State: "ESTABLISHED", Up: true, RTT: 20 * time.Millisecond,
				MinRTT: 10 * time.Millisecond, Congestion: "cubic", Window: 14480, InFlight: 1448, DeliveryRate: 1e6, BytesIn: 5, BytesOut: 6,
				Retransmitted: 7, Reinjected: 8, Retransmissions: 9, Reset: "unspecified", InRate: 0.5, OutRate: 1,
			}, {ID: 2, Local: server2, Remote: netip.AddrPort{}, Interface: "eth1", State: "CLOSED"}},
		}},
		Pools: []balance.PoolStats{{
			Name: "app", Pending: 1, QueueFull: 2, TimedOut: 3, Retries: 4, Refused: 5,
			Conns: balance.ConnCounts{InUse: 1, Idle: 2, Opened: 10, Reused: 30},
			Members: []balance.MemberStats{{
				Name: "a", Address: "10.0.0.1:80", State: balance.Ejected, Why: "5 failures in a row", Weight: 2, Priority: 1, Active: 1,
				Requests: 40, Failures: 6, LastError: "status 502", LastFailure: now.Add(-time.Second),
				Conns: balance.ConnCounts{InUse: 1, Idle: 2, Opened: 10, Reused: 30},
			}},
		}},
		Totals: l.Totals(),
	}
	s.Pools[0].Conns.Closed[balance.ClosedIdle] = 4
	t := &s.Totals
	t.Connections, t.Multipath, t.Closed, t.MultipathClosed = 5, 3, 4, 2
	t.Fallbacks["not_offered"], t.Joins["done"] = 2, 1
	t.Malformed, t.Retries, t.Tunnels, t.Reinjected = 1, 2, 3, 4
	t.AccessLog = AccessLogTotals{Lines: 9, Lost: 1}
	counts := ProtocolTotals{Subflows: 1, BytesIn: 2, BytesOut: 3, Retransmitted: 4, Reinjected: 5, Retransmissions: 6}
	t.Paths = []PathTotals{{Name: "eth0", Multipath: counts, Plain: counts}, {Name: "eth1"}}
	s.SumPaths()
	return s
}

// TestJSON holds the names and units of the JSON, on which others rely.
func TestJSON(t *testing.T) {
	compact, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, compact, "", "\t"); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	const name = "testdata/snapshot.json"
	if *update {
		if err := os.WriteFile(name, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the JSON has changed; if it was meant to, run with -update\ngot %s", got.Bytes())
	}
}

// TestEmptyJSON has lists and objects rather than null.
func TestEmptyJSON(t *testing.T) {
	got, err := json.Marshal(Snapshot{Connections: []Connection{{}}})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(got, []byte("null")) {
		t.Errorf("null in %s", got)
	}
}

func TestSumPaths(t *testing.T) {
	path := func(name string, up, backup bool, rtt time.Duration) Path {
		return Path{Interface: name, Up: up, Backup: backup, RTT: rtt, InRate: 1, OutRate: 2}
	}
	s := Snapshot{
		Totals: Totals{Paths: []PathTotals{{Name: "b"}, {Name: "a"}, {Name: OtherPath}}},
		Connections: []Connection{
			{Paths: []Path{path("a", true, false, 30), path("b", true, true, 0)}},
			{Paths: []Path{path("a", true, false, 10), path("b", false, false, 5)}},
			{Paths: []Path{path("a", true, false, 20), path("unheard of", true, false, 7)}},
		},
	}
	s.SumPaths()
	if len(s.Paths) != 3 || s.Paths[0].Name != "a" || s.Paths[1].Name != "b" || s.Paths[2].Name != OtherPath {
		t.Fatalf("got %+v", s.Paths)
	}
	a, b, other := s.Paths[0], s.Paths[1], s.Paths[2]
	if a.Subflows["active"] != 3 || a.RTTMin != 10 || a.RTTMedian != 20 || a.RTTMax != 30 || a.InRate != 3 || a.OutRate != 6 {
		t.Errorf("a: %+v", a)
	}
	if b.Subflows["backup"] != 1 || b.Subflows["closed"] != 1 || b.Subflows["active"] != 0 || b.RTTMax != 0 {
		t.Errorf("b: %+v", b)
	}
	if other.Subflows["active"] != 1 || other.RTTMedian != 7 {
		t.Errorf("other: %+v", other)
	}
}
