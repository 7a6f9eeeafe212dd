package config

import "fmt"

// Pool is a group of servers that serve the same thing. Its backends come from
// one of backends, file and dns.
type Pool struct {
	// A list of servers. One may be written as its address alone.
	Backends []Backend `yaml:"backends"`
	// A file with a server on each line, read again when it changes.
	File *BackendFile `yaml:"file"`
	// A name that is resolved again and again.
	DNS *BackendDNS `yaml:"dns"`

	// How one is chosen: `round_robin` in turn, `least_connections` the one
	// with the fewest requests, `power_of_two` the less busy of two drawn by
	// chance, `maglev` by the hash of `hash`, so that equal keys meet the same
	// server.
	Policy Policy `yaml:"policy"`
	// For `maglev`, what is hashed: `client` (its address), `host`, `path`,
	// `uri`, `sni`, `header:NAME` or `cookie:NAME`.
	Hash HashKey `yaml:"hash"`
	// For `maglev`, the size of its table: a prime.
	TableSize int `yaml:"table_size"`
	// Over which time a server's share grows when it was added or came back;
	// 0: at once.
	SlowStart Duration `yaml:"slow_start"`
	// Bring a client back to the same server by a cookie.
	Affinity *Affinity `yaml:"affinity"`

	// Speak TLS to the servers.
	TLS *ClientTLS `yaml:"tls"`
	// Send a PROXY header: `off`, `v1` or `v2`. Connections then tell who the
	// client is and are not shared.
	SendProxy ProxyVersion `yaml:"send_proxy"`
	// The TCP profile of connections to the servers.
	TCP string `yaml:"tcp"`
	// The OneConnect profile.
	OneConnect string `yaml:"oneconnect"`

	// Connections to each server at once, as the `limit_type` of the
	// OneConnect profile counts them; 0: no limit.
	MaxConnections int `yaml:"max_connections"`
	// Requests that may wait for one; 0: none waits.
	MaxPending int `yaml:"max_pending"`
	// For how long one waits.
	QueueTimeout Duration `yaml:"queue_timeout"`
	// How long opening a connection may take, with its TLS handshake.
	ConnectTimeout Duration `yaml:"connect_timeout"`
	// To how many other servers a request turns when one cannot be reached.
	ConnectRetries int `yaml:"connect_retries"`
	// When a request that failed goes again.
	Retry Retry `yaml:"retry"`
	// Test the servers from time to time.
	Check *Check `yaml:"check"`
	// Leave servers alone for a while that fail requests.
	Ejection *Ejection `yaml:"ejection"`
}

// Policy is how a server is chosen.
type Policy string

// Policies.
const (
	PolicyRoundRobin       Policy = "round_robin"
	PolicyLeastConnections Policy = "least_connections"
	PolicyPowerOfTwo       Policy = "power_of_two"
	PolicyMaglev           Policy = "maglev"
)

func (Policy) words() []string {
	return []string{"round_robin", "least_connections", "power_of_two", "maglev"}
}

// Backend is a server.
type Backend struct {
	// Its address, such as `10.0.0.1:80` or `mptcp@10.0.0.1:80`. Without
	// prefix it is `tcp@`.
	Address Address `yaml:"address"`
	// Unique in its pool; empty: the address.
	Name string `yaml:"name"`
	// Its share in comparison with others, 1 to 65535.
	Weight int `yaml:"weight"`
	// Servers of the lowest number that has any in service take all requests.
	Priority int `yaml:"priority"`
	// Replaces that of the pool; 0: it does not.
	MaxConnections int `yaml:"max_connections"`
	// Take no new clients, only those with an affinity.
	Drain bool `yaml:"drain"`
}

func (b *Backend) scalarKey() string { return "address" }

// BackendFile is a file with a server on each line: its address, then what
// differs from the defaults, as in `10.0.0.1:80 name=a weight=3 priority=1
// max_connections=100 drain`. `#` begins a comment.
type BackendFile struct {
	// The file.
	Path File `yaml:"path"`
	// How often it is looked at.
	Interval Duration `yaml:"interval"`
}

func (f *BackendFile) scalarKey() string { return "path" }

// BackendDNS is a name that is resolved again and again. When that fails, the
// last addresses stay.
type BackendDNS struct {
	// The name; with `srv` that of the SRV record (RFC 2782), such as
	// `_http._tcp.example.org`.
	Name string `yaml:"name"`
	// Ask for SRV records, which bring ports, weights and priorities.
	SRV bool `yaml:"srv"`
	// The servers' port; without `srv`.
	Port int `yaml:"port"`
	// `4` or `6` for addresses of one family alone, `any` for both.
	Family Family `yaml:"family"`
	// How often it is resolved.
	Interval Duration `yaml:"interval"`
}

// Family is a family of addresses.
type Family string

func (Family) words() []string { return []string{"any", "4", "6"} }

// Affinity brings a client back to the server it was at before.
type Affinity struct {
	// The name of the cookie.
	Cookie string `yaml:"cookie"`
	// Its path.
	Path string `yaml:"path"`
	// For how long the client keeps it; 0: until the browser closes.
	MaxAge Duration `yaml:"max_age"`
	// Only over TLS.
	Secure bool `yaml:"secure"`
	// `lax`, `strict` or `none`.
	SameSite SameSite `yaml:"same_site"`
}

// SameSite is an attribute of cookies.
type SameSite string

func (SameSite) words() []string { return []string{"lax", "strict", "none"} }

// ClientTLS is TLS towards servers.
type ClientTLS struct {
	// The name in SNI and in the server's certificate; empty: the host of the
	// request, or else of the server's address.
	ServerName string `yaml:"server_name"`
	// The authorities that sign the servers' certificates, PEM; empty: those
	// of the system.
	CA File `yaml:"ca"`
	// Check the server's certificate. Without, anybody may pose as the server.
	Verify bool `yaml:"verify"`
	// A certificate to show to the server.
	Certificate *Certificate `yaml:"certificate"`
	// `1.2` or `1.3`.
	MinVersion TLSVersion `yaml:"min_version"`
}

// Retry says when a request that failed goes again. Besides, a request goes
// again that was not sent, or that is idempotent and met a reused connection
// that had died. A request that is not idempotent is never sent twice.
type Retry struct {
	// How often one request.
	Attempts int `yaml:"attempts"`
	// After responses with these status codes, if the request is idempotent
	// and its body is still at hand.
	Status []StatusRange `yaml:"status"`
	// Which part of all requests may go again.
	Ratio Ratio `yaml:"ratio"`
	// How many besides, in a second.
	PerSecond int `yaml:"per_second"`
}

// Check tests each server from time to time. The first result decides at once.
type Check struct {
	// `tcp` opens a connection, `tls` shakes hands too, `http` sends a request,
	// over TLS if the pool does.
	Type CheckType `yaml:"type"`
	// How often.
	Interval Duration `yaml:"interval"`
	// How long one check may take.
	Timeout Duration `yaml:"timeout"`
	// How many have to pass in a row for a server to come back.
	Rise int `yaml:"rise"`
	// How many have to fail in a row for a server to go.
	Fall int `yaml:"fall"`
	// Another port than that of the server; 0: its own.
	Port int `yaml:"port"`
	// For `http`, the method.
	Method string `yaml:"method"`
	// For `http`, the path.
	Path string `yaml:"path"`
	// For `http`, the host; empty: the server's address.
	Host string `yaml:"host"`
	// For `http`, the status codes that are well.
	Status []StatusRange `yaml:"status"`
}

// CheckType is how a server is tested.
type CheckType string

// Types.
const (
	CheckTCP  CheckType = "tcp"
	CheckTLS  CheckType = "tls"
	CheckHTTP CheckType = "http"
)

func (CheckType) words() []string { return []string{"tcp", "tls", "http"} }

// Ejection leaves servers alone for a while that fail requests. The last server
// in service always stays.
type Ejection struct {
	// How many requests in a row have to fail. Connections that cannot be
	// opened count.
	Failures int `yaml:"failures"`
	// Which responses count as failures.
	Status []StatusRange `yaml:"status"`
	// For how long at first. It doubles each time.
	Time Duration `yaml:"time"`
	// For how long at most.
	MaxTime Duration `yaml:"max_time"`
	// Which part of the pool may be out at once.
	MaxShare Ratio `yaml:"max_share"`
}

// OneConnect is how connections to servers are shared, by the names that F5
// gave the knobs.
type OneConnect struct {
	// Which requests may use a connection that others have used, with
	// HAProxy's meaning. `safe`: all but the first of a client's connection.
	// `never`: a connection stays with its client. `aggressive`: first ones
	// too, on connections that were reused before. `always`: all.
	HTTPReuse HTTPReuse `yaml:"http_reuse"`
	// Clients share connections if this many leading bits of their IPv4
	// addresses are equal: 0 for all, 24 or 255.255.255.0 for networks of 256,
	// 32 for each its own. It is applied to the client's own address, before
	// any translation.
	SourceMask SourceMask `yaml:"source_mask"`
	// The same for IPv6, 0 to 128.
	SourceMask6 int `yaml:"source_mask6"`
	// How many idle connections are kept, of all servers of the pool together.
	MaxSize int `yaml:"max_size"`
	// How old a connection may become; 0: any age.
	MaxAge Duration `yaml:"max_age"`
	// How many requests may follow the first on a connection; 0: any number.
	MaxReuse int `yaml:"max_reuse"`
	// For how long an idle connection is kept: `disabled` leaves it to the
	// `idle_timeout` of the pool's TCP profile, `indefinite` is for ever, or a
	// time. The server's own limit shortens it as far as it is known.
	IdleTimeoutOverride IdleOverride `yaml:"idle_timeout_override"`
	// What counts towards `max_connections`. `none`: requests in flight.
	// `idle`: idle connections too, but they are closed to make room.
	// `strict`: idle connections too, and requests wait until they expire.
	LimitType LimitType `yaml:"limit_type"`
	// Share connections, and `max_size`, among all pools with this profile
	// and the same settings for reaching their servers.
	SharePools bool `yaml:"share_pools"`
}

// HTTPReuse is which requests may use a connection that others have used.
type HTTPReuse string

// Modes.
const (
	ReuseNever      HTTPReuse = "never"
	ReuseSafe       HTTPReuse = "safe"
	ReuseAggressive HTTPReuse = "aggressive"
	ReuseAlways     HTTPReuse = "always"
)

func (HTTPReuse) words() []string { return []string{"never", "safe", "aggressive", "always"} }

// LimitType is what counts towards max_connections.
type LimitType string

// Types.
const (
	LimitNone   LimitType = "none"
	LimitIdle   LimitType = "idle"
	LimitStrict LimitType = "strict"
)

func (LimitType) words() []string { return []string{"none", "idle", "strict"} }

// HashKey is what of a request is hashed: a Kind, and for "header" and "cookie"
// the Name of it.
type HashKey struct{ Kind, Name string }

var hashKinds = []string{"client", "host", "path", "uri", "sni", "header", "cookie"}

// MarshalText writes what UnmarshalText reads.
func (k HashKey) MarshalText() ([]byte, error) {
	if k.Name == "" {
		return []byte(k.Kind), nil
	}
	return []byte(k.Kind + ":" + k.Name), nil
}

// UnmarshalText reads the kind, with ":NAME" where it needs one.
func (k *HashKey) UnmarshalText(text []byte) error {
	kind, name := string(text), ""
	for i, c := range text {
		if c == ':' {
			kind, name = kind[:i], kind[i+1:]
			break
		}
	}
	named := kind == "header" || kind == "cookie"
	switch {
	case !isWord(kind, hashKinds):
		return fmt.Errorf("%s is not what can be hashed; %s", quote(string(text)), suggest(kind, hashKinds))
	case named && !isToken(name):
		return fmt.Errorf("%s needs a name, such as %s:x-user", quote(string(text)), kind)
	case !named && len(text) > len(kind):
		return fmt.Errorf("%s takes no name", quote(kind))
	}
	*k = HashKey{kind, name}
	return nil
}
