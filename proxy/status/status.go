package status

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/balance"
)

// MaxConnections is how many connections a Snapshot should tell of in detail:
// each costs system calls.
const MaxConnections = 4096

// Source is a running proxy. Its methods may be called from any goroutine.
type Source interface {
	// Snapshot looks at everything, connections included, which costs system
	// calls for each of them.
	Snapshot() Snapshot
}

// Snapshot is a proxy at one moment.
type Snapshot struct {
	Time    time.Time
	Started time.Time
	Version string // of the program
	Stack   string // "kernel", "user" or "plain"
	// Ready says that it serves clients; Draining that it is about to stop.
	Ready, Draining bool
	// ConfigLoaded is when the configuration in force was loaded.
	ConfigLoaded time.Time
	Listeners    []Listener
	// Open counts the connections of clients, of which Connections tells in
	// detail, MaxConnections at most.
	Open        int
	Connections []Connection
	// Matching counts those that fit a query, when Connections is a part of
	// its results; 0 otherwise.
	Matching int
	// Paths are the work of SumPaths.
	Paths  []PathNow
	Pools  []balance.PoolStats
	Totals Totals
}

// Listener is an address, or several, at which clients connect.
type Listener struct {
	Name      string   `json:"name"`
	Mode      string   `json:"mode"`      // "http" or "tcp"
	TLS       bool     `json:"tls"`       //
	Addresses []string `json:"addresses"` // as bound, with their network: "mptcp@[::]:443"
	Open      int64    `json:"open"`      // connections now
	Accepted  int64    `json:"accepted"`  // connections since the start
}

// Connection is one of a client.
type Connection struct {
	ID            uint64
	Listener      string
	Client, Local netip.AddrPort
	Opened        time.Time
	TLS           string // "TLS 1.3"; "" without
	ServerName    string // as the client's TLS hello says; what a client likes to say
	Protocol      string // "http/1.1", "h2", "tcp"
	// Host and UserAgent are those of the first request, if they are kept.
	// They are the client's words.
	Host, UserAgent string
	Pool, Backend   string // mode tcp
	Requests        int64
	// BytesIn and BytesOut are what the client sent and got, as the
	// application sees it.
	BytesIn, BytesOut int64
	// These are the work of Account.Describe.
	Multipath bool      // it speaks Multipath TCP
	Fallback  string    // why it does not, if its listener would have; see FallbackWord
	Token     uint32    // of the user stack, and of the kernel's
	Joins     int       // subflows that were added
	Paths     []Path    // those that have ended too
	Looked    time.Time // when Paths was true
	// InRate and OutRate are bytes per second, as lately seen by who samples.
	InRate, OutRate float64
}

// Path is a subflow of a connection; one of plain TCP has just one. Up is a
// path's state in short.
type Path struct {
	ID            int // ordinal in the connection
	Local, Remote netip.AddrPort
	Interface     string // of the host; "" where that is not known
	State         string // of its TCP connection: "ESTABLISHED"
	Up            bool   // it is part of the connection
	Backup        bool   // one of the ends wants to use it only without others
	Stale         bool   // it makes no progress and gets no new data
	RTT, MinRTT   time.Duration
	Congestion    string // the algorithm of congestion control, if known
	Window        int    // of congestion, in bytes
	InFlight      int    // bytes
	DeliveryRate  float64
	// BytesIn and BytesOut are payload, retransmissions not counted.
	BytesIn, BytesOut uint64
	// Retransmitted are bytes sent again on the subflow, Reinjected those of
	// BytesOut that another subflow had carried first.
	Retransmitted, Reinjected uint64
	Retransmissions           uint64 // segments
	Reset                     string // why it was reset, if it was
	InRate, OutRate           float64
}

// Name is the path's name among those of the host: its interface, or its local
// address where the interface is not known.
func (p *Path) Name() string {
	if p.Interface != "" {
		return p.Interface
	}
	return p.Local.Addr().String()
}

// Totals are counts since the start. Maps are by the words of the reasons.
type Totals struct {
	Connections uint64 // accepted
	Multipath   uint64 // of them, those that spoke Multipath TCP
	Closed      uint64 // of Connections, those that have ended
	// MultipathClosed are those of Multipath that have ended.
	MultipathClosed uint64
	Refused         map[string]uint64 // that ended before they were served, by reason
	Fallbacks       map[string]uint64 // by reason
	Joins           map[string]uint64 // subflows added to connections: "done", "failed"
	Reinjected      uint64            // bytes that were sent again on another subflow
	Paths           []PathTotals      // by name
	Requests        []RequestTotals   // by listener and pool
	Malformed       uint64            // requests refused for their form
	Retries         uint64            // requests sent again on another connection
	Tunnels         uint64            // upgraded connections, CONNECT
	Reloads         map[string]uint64 // of the configuration: "ok", "failed"
	AccessLog       AccessLogTotals
}

// PathTotals adds up what connections did on one path of the host.
type PathTotals struct {
	Name      string         `json:"name"`
	Multipath ProtocolTotals `json:"mptcp"`
	Plain     ProtocolTotals `json:"tcp"`
}

// ProtocolTotals is the share of connections that speak one protocol.
type ProtocolTotals struct {
	Subflows        uint64 `json:"subflows"` // that came about
	BytesIn         uint64 `json:"bytes_in"`
	BytesOut        uint64 `json:"bytes_out"`
	Retransmitted   uint64 `json:"retransmitted_bytes"`
	Reinjected      uint64 `json:"reinjected_bytes"`
	Retransmissions uint64 `json:"retransmitted_segments"`
}

// RequestTotals adds up the requests of a listener that went to one pool.
type RequestTotals struct {
	Listener string    `json:"listener"`
	Pool     string    `json:"pool"`           // "" for those that reached none
	Codes    [6]uint64 `json:"code_classes"`   // [0] got no answer, [1] to [5] 1xx to 5xx
	Reused   uint64    `json:"reused"`         // over server connections from before
	Retried  uint64    `json:"retried"`        //
	BytesIn  uint64    `json:"bytes_in"`       // of heads and bodies
	BytesOut uint64    `json:"bytes_out"`      //
	Duration Histogram `json:"duration"`       // first byte of the request to last of the response
	Wait     Histogram `json:"server_wait"`    // request sent to response begun
	Connect  Histogram `json:"server_connect"` // those that opened a connection
}

// Count is the number of requests.
func (r *RequestTotals) Count() (n uint64) {
	for _, c := range r.Codes {
		n += c
	}
	return n
}

// AccessLogTotals is how the access log does.
type AccessLogTotals struct {
	Lines uint64 `json:"lines"` // written
	Lost  uint64 `json:"lost"`  // that could not be
}

// Status is the state of a path in a word: "active", "backup", "stale", or
// "closed" when it is no part of the connection any more.
func (p *Path) Status() string {
	switch {
	case !p.Up:
		return "closed"
	case p.Stale:
		return "stale"
	case p.Backup:
		return "backup"
	}
	return "active"
}
