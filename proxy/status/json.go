package status

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/balance"
)

// The JSON of a Snapshot. Each type here is an object of it.

type snapshotJSON struct {
	Time         time.Time    `json:"time"`
	Started      time.Time    `json:"started"`
	Uptime       float64      `json:"uptime_seconds"`
	Version      string       `json:"version"`
	Stack        string       `json:"stack"`
	Ready        bool         `json:"ready"`
	Draining     bool         `json:"draining"`
	ConfigLoaded *time.Time   `json:"config_loaded,omitempty"`
	Listeners    []Listener   `json:"listeners"`
	Open         int          `json:"connections_open"`
	Matching     int          `json:"connections_matching"`
	Connections  []Connection `json:"connections"`
	Paths        []PathNow    `json:"paths"`
	Pools        []poolJSON   `json:"pools"`
	Totals       Totals       `json:"totals"`
}

// MarshalJSON implements json.Marshaler.
func (s Snapshot) MarshalJSON() ([]byte, error) {
	doc := snapshotJSON{
		Time: s.Time, Started: s.Started, Uptime: max(s.Time.Sub(s.Started), 0).Seconds(),
		Version: s.Version, Stack: s.Stack, Ready: s.Ready, Draining: s.Draining,
		Listeners: list(s.Listeners), Open: s.Open, Matching: s.Matching, Connections: list(s.Connections),
		Paths: list(s.Paths), Pools: make([]poolJSON, len(s.Pools)), Totals: s.Totals,
	}
	if !s.ConfigLoaded.IsZero() {
		doc.ConfigLoaded = &s.ConfigLoaded
	}
	for i := range s.Pools {
		doc.Pools[i] = poolOf(&s.Pools[i])
	}
	return json.Marshal(doc)
}

// list makes sure that an empty list is one, not null.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

type connectionJSON struct {
	ID         uint64    `json:"id"`
	Listener   string    `json:"listener"`
	Client     string    `json:"client"`
	Local      string    `json:"local"`
	Opened     time.Time `json:"opened"`
	TLS        string    `json:"tls,omitempty"`
	ServerName string    `json:"server_name,omitempty"`
	Protocol   string    `json:"protocol"`
	Host       string    `json:"host,omitempty"`
	UserAgent  string    `json:"user_agent,omitempty"`
	Pool       string    `json:"pool,omitempty"`
	Backend    string    `json:"backend,omitempty"`
	Requests   int64     `json:"requests"`
	BytesIn    int64     `json:"bytes_in"`
	BytesOut   int64     `json:"bytes_out"`
	Multipath  bool      `json:"multipath"`
	Fallback   string    `json:"fallback,omitempty"`
	Token      uint32    `json:"token,omitempty"`
	Joins      int       `json:"joins"`
	InRate     float64   `json:"in_bytes_per_second"`
	OutRate    float64   `json:"out_bytes_per_second"`
	Paths      []Path    `json:"subflows"`
}

// MarshalJSON implements json.Marshaler.
func (c Connection) MarshalJSON() ([]byte, error) {
	return json.Marshal(connectionJSON{
		ID: c.ID, Listener: c.Listener, Client: addrPort(c.Client), Local: addrPort(c.Local), Opened: c.Opened,
		TLS: c.TLS, ServerName: c.ServerName, Protocol: c.Protocol, Host: c.Host, UserAgent: c.UserAgent,
		Pool: c.Pool, Backend: c.Backend, Requests: c.Requests, BytesIn: c.BytesIn, BytesOut: c.BytesOut,
		Multipath: c.Multipath, Fallback: c.Fallback, Token: c.Token, Joins: c.Joins,
		InRate: c.InRate, OutRate: c.OutRate, Paths: list(c.Paths),
	})
}

type pathJSON struct {
	ID              int     `json:"id"`
	Local           string  `json:"local"`
	Remote          string  `json:"remote"`
	Interface       string  `json:"interface,omitempty"`
	Status          string  `json:"status"`
	TCPState        string  `json:"tcp_state"`
	Backup          bool    `json:"backup"`
	RTT             float64 `json:"rtt_seconds"`
	MinRTT          float64 `json:"min_rtt_seconds"`
	Congestion      string  `json:"congestion_control,omitempty"`
	Window          int     `json:"congestion_window_bytes"`
	InFlight        int     `json:"in_flight_bytes"`
	DeliveryRate    float64 `json:"delivery_bytes_per_second"`
	BytesIn         uint64  `json:"bytes_in"`
	BytesOut        uint64  `json:"bytes_out"`
	Retransmitted   uint64  `json:"retransmitted_bytes"`
	Retransmissions uint64  `json:"retransmitted_segments"`
	Reinjected      uint64  `json:"reinjected_bytes"`
	Reset           string  `json:"reset,omitempty"`
	InRate          float64 `json:"in_bytes_per_second"`
	OutRate         float64 `json:"out_bytes_per_second"`
}

// MarshalJSON implements json.Marshaler.
func (p Path) MarshalJSON() ([]byte, error) {
	return json.Marshal(pathJSON{
		ID: p.ID, Local: addrPort(p.Local), Remote: addrPort(p.Remote), Interface: p.Interface,
		Status: p.Status(), TCPState: p.State, Backup: p.Backup, RTT: p.RTT.Seconds(), MinRTT: p.MinRTT.Seconds(),
		Congestion: p.Congestion, Window: p.Window, InFlight: p.InFlight, DeliveryRate: p.DeliveryRate,
		BytesIn: p.BytesIn, BytesOut: p.BytesOut, Retransmitted: p.Retransmitted, Retransmissions: p.Retransmissions,
		Reinjected: p.Reinjected, Reset: p.Reset, InRate: p.InRate, OutRate: p.OutRate,
	})
}

type pathNowJSON struct {
	Name      string         `json:"name"`
	Subflows  map[string]int `json:"subflows"`
	RTTMin    float64        `json:"rtt_min_seconds"`
	RTTMedian float64        `json:"rtt_median_seconds"`
	RTTMax    float64        `json:"rtt_max_seconds"`
	InRate    float64        `json:"in_bytes_per_second"`
	OutRate   float64        `json:"out_bytes_per_second"`
}

// MarshalJSON implements json.Marshaler.
func (n PathNow) MarshalJSON() ([]byte, error) {
	return json.Marshal(pathNowJSON{
		n.Name, n.Subflows, n.RTTMin.Seconds(), n.RTTMedian.Seconds(), n.RTTMax.Seconds(), n.InRate, n.OutRate,
	})
}

type totalsJSON struct {
	Connections uint64            `json:"connections"`
	Multipath   uint64            `json:"connections_mptcp"`
	Closed      uint64            `json:"connections_closed"`
	MultiClosed uint64            `json:"connections_mptcp_closed"`
	Refused     map[string]uint64 `json:"refused"`
	Fallbacks   map[string]uint64 `json:"fallbacks"`
	Joins       map[string]uint64 `json:"joins"`
	Reinjected  uint64            `json:"reinjected_bytes"`
	Paths       []PathTotals      `json:"paths"`
	Requests    []RequestTotals   `json:"requests"`
	Malformed   uint64            `json:"requests_malformed"`
	Retries     uint64            `json:"requests_retried"`
	Tunnels     uint64            `json:"tunnels"`
	Reloads     map[string]uint64 `json:"reloads"`
	AccessLog   AccessLogTotals   `json:"access_log"`
}

// MarshalJSON implements json.Marshaler.
func (t Totals) MarshalJSON() ([]byte, error) {
	return json.Marshal(totalsJSON{
		t.Connections, t.Multipath, t.Closed, t.MultipathClosed, words(t.Refused), words(t.Fallbacks), words(t.Joins),
		t.Reinjected, list(t.Paths), list(t.Requests), t.Malformed, t.Retries, t.Tunnels, words(t.Reloads), t.AccessLog,
	})
}

func words(m map[string]uint64) map[string]uint64 {
	if m == nil {
		return map[string]uint64{}
	}
	return m
}

type histogramJSON struct {
	Count uint64  `json:"count"`
	Sum   float64 `json:"sum_seconds"`
	P50   float64 `json:"p50_seconds"`
	P90   float64 `json:"p90_seconds"`
	P99   float64 `json:"p99_seconds"`
}

// MarshalJSON implements json.Marshaler: it gives quantiles rather than
// buckets.
func (h Histogram) MarshalJSON() ([]byte, error) {
	return json.Marshal(histogramJSON{
		h.Count(), h.Sum.Seconds(), h.Quantile(0.5).Seconds(), h.Quantile(0.9).Seconds(), h.Quantile(0.99).Seconds(),
	})
}

type poolJSON struct {
	Name       string       `json:"name"`
	Backends   []memberJSON `json:"backends"`
	Queue      int          `json:"queue_length"`
	QueueFull  uint64       `json:"queue_refused"`
	TimedOut   uint64       `json:"queue_timeouts"`
	Retries    uint64       `json:"retries"`
	Refused    uint64       `json:"retries_refused"`
	ReuseRatio float64      `json:"reuse_ratio"`
	Conns      connsJSON    `json:"connections"`
}

type memberJSON struct {
	Name       string     `json:"name"`
	Address    string     `json:"address"`
	State      string     `json:"state"`
	Why        string     `json:"why,omitempty"`
	Weight     int        `json:"weight"`
	Priority   int        `json:"priority"`
	Active     int        `json:"active_requests"`
	Requests   uint64     `json:"requests"`
	Failures   uint64     `json:"failures"`
	LastError  string     `json:"last_error,omitempty"`
	LastFailed *time.Time `json:"last_failure,omitempty"`
	ReuseRatio float64    `json:"reuse_ratio"`
	Conns      connsJSON  `json:"connections"`
}

type connsJSON struct {
	InUse  int               `json:"in_use"`
	Idle   int               `json:"idle"`
	Opened uint64            `json:"opened"`
	Reused uint64            `json:"reused"`
	Closed map[string]uint64 `json:"closed"`
}

func poolOf(p *balance.PoolStats) poolJSON {
	doc := poolJSON{
		Name: p.Name, Backends: make([]memberJSON, len(p.Members)), Queue: p.Pending, QueueFull: p.QueueFull,
		TimedOut: p.TimedOut, Retries: p.Retries, Refused: p.Refused, ReuseRatio: p.Conns.ReuseRatio(),
		Conns: connsOf(&p.Conns),
	}
	for i := range p.Members {
		doc.Backends[i] = memberOf(&p.Members[i])
	}
	return doc
}

func memberOf(m *balance.MemberStats) memberJSON {
	doc := memberJSON{
		Name: m.Name, Address: m.Address, State: m.State.String(), Why: m.Why, Weight: m.Weight, Priority: m.Priority,
		Active: m.Active, Requests: m.Requests, Failures: m.Failures, LastError: m.LastError,
		ReuseRatio: m.Conns.ReuseRatio(), Conns: connsOf(&m.Conns),
	}
	if !m.LastFailure.IsZero() {
		doc.LastFailed = &m.LastFailure
	}
	return doc
}

func connsOf(c *balance.ConnCounts) connsJSON {
	doc := connsJSON{InUse: c.InUse, Idle: c.Idle, Opened: c.Opened, Reused: c.Reused, Closed: make(map[string]uint64)}
	for i, n := range c.Closed {
		if n > 0 {
			doc.Closed[balance.CloseReason(i).String()] = n
		}
	}
	return doc
}

func addrPort(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
