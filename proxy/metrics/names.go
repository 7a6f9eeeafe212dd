package metrics

import "github.com/prometheus/client_golang/prometheus"

// metric describes one metric.
type metric struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	name   string
	kindOf string // its kind in the documentation
	help   string
	labels []string
	// section of the documentation
	section string
}

// all are the metrics of the proxy's own, in the order of the documentation.
var all []*metric

// sections of the documentation, in its order. A section's metrics are those
// that come after it here.
var sections []string

func section(title string) struct{} {
	sections = append(sections, title)
	return struct{}{}
}

func describe(kind prometheus.ValueType, word, name, help string, labels []string) *metric {
	m := &metric{prometheus.NewDesc(name, help, labels, nil), kind, name, word, help, labels, sections[len(sections)-1]}
	all = append(all, m)
	return m
}

func counter(name, help string, labels ...string) *metric {
	return describe(prometheus.CounterValue, "counter", name, help, labels)
}

func gauge(name, help string, labels ...string) *metric {
	return describe(prometheus.GaugeValue, "gauge", name, help, labels)
}

func histogram(name, help string, labels ...string) *metric {
	return describe(prometheus.UntypedValue, "histogram", name, help, labels)
}

var _ = section("The process")

// The process.
var (
	buildInfo   = gauge("braid_build_info", "Always 1; the version of the program and the implementation of Multipath TCP in use.", "version", "stack")
	ready       = gauge("braid_ready", "1 while clients are served.")
	draining    = gauge("braid_draining", "1 while the proxy is about to stop.")
	startTime   = gauge("braid_start_time_seconds", "When the proxy was started, in seconds since 1970.")
	configTime  = gauge("braid_config_loaded_time_seconds", "When the configuration in force was loaded, in seconds since 1970.")
	reloads     = counter("braid_config_reloads_total", "Attempts to load another configuration.", "result")
	accessLines = counter("braid_access_log_lines_total", "Lines written to the access log.")
	accessLost  = counter("braid_access_log_lost_total", "Lines of the access log that could not be written.")
)

var _ = section("Connections of clients")

// Connections of clients.
var (
	listenerOpen     = gauge("braid_listener_connections", "Connections of clients at a listener now.", "listener")
	listenerAccepted = counter("braid_listener_accepted_total", "Connections accepted by a listener.", "listener")
	connectionsOpen  = gauge("braid_connections", "Connections of clients now, by the protocol they speak.", "protocol")
	connectionsTotal = counter("braid_connections_total", "Connections of clients since the start.")
	multipathTotal   = counter("braid_connections_mptcp_total", "Connections of clients that spoke Multipath TCP, since the start.")
	refused          = counter("braid_connections_refused_total", "Connections that ended before they were served, by reason.", "reason")
	fallbacks        = counter("braid_fallbacks_total", "Connections at Multipath TCP listeners that speak plain TCP, by reason.", "reason")
	joins            = counter("braid_joins_total", "Subflows that were to be added to connections. The kernel does not tell of failures.", "result")
	reinjectedAll    = counter("braid_reinjected_bytes_total", "Bytes sent again on another subflow than the one that had carried them.")
)

var _ = section("Paths")

// Paths.
var (
	subflowsNow        = gauge("braid_subflows", "Subflows of the clients' connections now, by local interface (or address) and state.", "path", "state")
	subflows           = counter("braid_subflows_opened_total", "Subflows that came about, those of plain TCP connections included.", "path", "protocol")
	pathBytes          = counter("braid_path_bytes_total", "Payload carried, retransmissions not counted.", "path", "protocol", "direction")
	retransmittedBytes = counter("braid_path_retransmitted_bytes_total", "Bytes sent again on the same subflow.", "path", "protocol")
	retransmitted      = counter("braid_path_retransmitted_segments_total", "Segments sent again on the same subflow.", "path", "protocol")
	reinjected         = counter("braid_path_reinjected_bytes_total", "Bytes sent that another subflow had carried before. The kernel tells of them only for all paths together.", "path")
	rtt                = gauge("braid_path_rtt_seconds", "Smoothed round-trip times of the subflows in use.", "path", "stat")
)

var _ = section("Requests")

// Requests.
var (
	requests      = counter("braid_requests_total", "Requests by the class of their answer's code; none: the client got no answer. The pool is empty for requests that reached none.", "listener", "pool", "code")
	requestBytes  = counter("braid_request_bytes_total", "Bytes of requests, heads and bodies.", "listener", "pool")
	responseBytes = counter("braid_response_bytes_total", "Bytes of responses, heads and bodies.", "listener", "pool")
	duration      = histogram("braid_request_duration_seconds", "From the first byte of a request to the last one of its response.", "listener", "pool")
	wait          = histogram("braid_server_wait_seconds", "From the request sent to the beginning of the response.", "listener", "pool")
	connect       = histogram("braid_server_connect_seconds", "To open a connection to a server.", "listener", "pool")
	malformed     = counter("braid_requests_malformed_total", "Requests refused for their form.")
	retries       = counter("braid_requests_retried_total", "Requests sent again on another connection.")
	tunnels       = counter("braid_tunnels_total", "Connections that changed to another protocol, by Upgrade or CONNECT.")
)

var _ = section("Pools")

// Pools.
var (
	poolConns       = gauge("braid_pool_connections", "Connections to the servers of a pool now.", "pool", "state")
	poolOpened      = counter("braid_pool_connections_opened_total", "Connections opened to the servers of a pool.", "pool")
	poolReused      = counter("braid_pool_connections_reused_total", "Requests that got a connection from before.", "pool")
	poolClosed      = counter("braid_pool_connections_closed_total", "Connections to the servers of a pool that were closed, by reason.", "pool", "reason")
	poolReuse       = gauge("braid_pool_reuse_ratio", "Share of requests that needed no new connection, since the start.", "pool")
	queueLength     = gauge("braid_pool_queue_length", "Requests that wait for room at a server.", "pool")
	queueFull       = counter("braid_pool_queue_refused_total", "Requests refused because the queue was full.", "pool")
	queueTimeouts   = counter("braid_pool_queue_timeouts_total", "Requests that waited for too long.", "pool")
	budgetAllowed   = counter("braid_pool_retries_total", "Retries that the budget allowed.", "pool")
	budgetRefused   = counter("braid_pool_retries_refused_total", "Retries that the budget refused.", "pool")
	backendState    = gauge("braid_backend_state", "1 for the state a backend is in, 0 for the others.", "pool", "backend", "state")
	backendWeight   = gauge("braid_backend_weight", "Weight as configured.", "pool", "backend")
	backendActive   = gauge("braid_backend_active_requests", "Requests in flight.", "pool", "backend")
	backendRequests = counter("braid_backend_requests_total", "Requests given to a backend.", "pool", "backend")
	backendFailures = counter("braid_backend_failures_total", "Requests that failed, and connections that could not be opened.", "pool", "backend")
	backendConns    = gauge("braid_backend_connections", "Connections to a backend now.", "pool", "backend", "state")
	backendOpened   = counter("braid_backend_connections_opened_total", "Connections opened to a backend.", "pool", "backend")
	backendReused   = counter("braid_backend_connections_reused_total", "Requests to a backend that got a connection from before.", "pool", "backend")
)

// labels are what the labels mean.
var labels = map[string]string{
	"backend":   "Name of a server, as its pool has it.",
	"code":      "`none`, `1xx`, `2xx`, `3xx`, `4xx` or `5xx`.",
	"direction": "`in`: from clients; `out`: to clients.",
	"listener":  "Name of a listener.",
	"path":      "Local interface that a subflow uses, or its local address where the interface is not known. At most 64, then `other`.",
	"pool":      "Name of a pool.",
	"protocol":  "`mptcp` or `tcp`.",
	"reason":    "A word for it. Reasons of fallbacks are those of package mptcp; on the kernel's stack `not_offered`, or `unknown` for what the kernel does not tell.",
	"result":    "How it ended: `done`, `failed`, `ok`.",
	"stack":     "`kernel`, `user` or `plain`.",
	"stat":      "`min`, `median` or `max` of all subflows.",
	"state":     "Of subflows: `active`, `backup`, `stale`, `closed`. Of connections to servers: `in_use`, `idle`. Of backends: `up`, `warming`, `draining`, `ejected`, `down`.",
	"version":   "Of the program.",
}
