package config

// Config is a whole file. Listeners accept connections, routes choose a pool for
// each request, pools hold the servers.
type Config struct {
	// What implementation of Multipath TCP is used, and over which uplinks.
	Network Uplinks `yaml:"network"`
	// Where clients connect to.
	Listeners []*Listener `yaml:"listeners"`
	// What happens to a request. The first route whose `match` fits decides.
	// One that fits none goes to the `pool` of its listener, or is answered
	// with 404.
	Routes []*Route `yaml:"routes"`
	// Groups of servers, by name.
	Pools map[string]*Pool `yaml:"pools"`
	// Settings of connections, by name. Listeners and pools refer to them. The
	// profile `default` is always there.
	TCPProfiles map[string]*TCPProfile `yaml:"tcp_profiles"`
	// How connections to servers are shared, by name. Pools refer to them.
	// The profile `default` is always there.
	OneConnect map[string]*OneConnect `yaml:"oneconnect"`
	// How long each phase may take.
	Timeouts Timeouts `yaml:"timeouts"`
	// How much of everything is accepted.
	Limits Limits `yaml:"limits"`
	// What servers are told about the client.
	Forwarded Forwarded `yaml:"forwarded"`
	// Log and access log.
	Log Log `yaml:"log"`
	// The administrator's pages.
	Admin Admin `yaml:"admin"`
	// Metrics for Prometheus.
	Metrics Metrics `yaml:"metrics"`
	// Answer `GET /.well-known/multipath` with whether the client's connection
	// uses Multipath TCP.
	WellKnown bool `yaml:"well_known"`

	source *source // positions of values, for At
}

// Uplinks chooses the implementation of Multipath TCP and the interfaces it uses.
type Uplinks struct {
	// `auto` takes the kernel's Multipath TCP where there is one, else Braid's
	// own behind a TUN interface, else plain TCP with a warning. `kernel`,
	// `user` and `plain` insist.
	Stack Stack `yaml:"stack"`
	// Interfaces that may be used, in order of preference; empty: all.
	Interfaces []string `yaml:"interfaces"`
	// What single addresses or interfaces are used for, in the words of
	// ip-mptcp(8), such as `192.0.2.1 signal` or `dev wwan0 subflow backup`.
	Endpoints []string `yaml:"endpoints"`
	// Leave the addresses, routes and endpoints of the host as they are.
	SinglePath bool `yaml:"single_path"`
}

// Stack is an implementation of Multipath TCP.
type Stack string

// Stacks.
const (
	StackAuto   Stack = "auto"
	StackKernel Stack = "kernel"
	StackUser   Stack = "user"
	StackPlain  Stack = "plain"
)

func (Stack) words() []string { return []string{"auto", "kernel", "user", "plain"} }

// Timeouts says how long each phase of a connection may take. 0 takes the limit
// away, except where it says otherwise.
type Timeouts struct {
	// From accepting a connection to the end of its TLS handshake.
	TLSHandshake Duration `yaml:"tls_handshake"`
	// From accepting a connection to the end of its PROXY header, or in mode
	// `tcp` with SNI routes to the client's TLS hello.
	ProxyHeader Duration `yaml:"proxy_header"`
	// From the first byte of a request to the end of its head. It is what
	// stops clients that send a byte at a time.
	RequestHeader Duration `yaml:"request_header"`
	// Between two pieces of a request's body.
	RequestBody Duration `yaml:"request_body"`
	// Between the end of a response and the next request on a connection.
	KeepAlive Duration `yaml:"keep_alive"`
	// From the end of a request's head to the head of its response.
	ResponseHeader Duration `yaml:"response_header"`
	// Between two pieces of a response's body.
	ResponseBody Duration `yaml:"response_body"`
	// How long a client may take none of what is sent to it.
	Write Duration `yaml:"write"`
	// From the end of a request's head to the end of its response.
	Request Duration `yaml:"request"`
	// Without data in either direction, for upgraded connections, CONNECT and
	// mode `tcp`.
	Tunnel Duration `yaml:"tunnel"`
	// How long connections may go on after the order to stop, or after their
	// listener has gone with a reload. 0: they end at once.
	Drain Duration `yaml:"drain"`
}

// Limits says how much is accepted. 0 takes a limit away, except where it says
// otherwise.
type Limits struct {
	// Connections of clients at once, all listeners together.
	Connections int `yaml:"connections"`
	// Connections of one client address at once.
	ConnectionsPerClient int `yaml:"connections_per_client"`
	// Requests on one connection; after the last one it is closed.
	RequestsPerConnection int `yaml:"requests_per_connection"`
	// The head of a request or a response, in bytes. At least 1KiB.
	HeaderSize Size `yaml:"header_size"`
	// Header fields of a request or a response. At least 1.
	HeaderFields int `yaml:"header_fields"`
	// The target of a request, in bytes. At least 64.
	TargetSize Size `yaml:"target_size"`
	// The body of a request, in bytes.
	BodySize Size `yaml:"body_size"`
	// Requests at once on one HTTP/2 connection. At least 1.
	HTTP2Streams int `yaml:"http2_streams"`
	// Streams of an HTTP/2 connection that its client may reset in a second,
	// before the connection is closed.
	HTTP2Resets int `yaml:"http2_resets"`
}

// Forwarded says what servers are told about the client, and whom to believe
// what is told us.
type Forwarded struct {
	// `X-Forwarded-For`: `append` adds the client's address to what came,
	// `set` replaces it, `remove` drops it, `keep` passes it on. What came
	// from others than `trusted` is replaced in any case but `keep` and
	// `remove`. Behind a trusted proxy, `set` means the client it names.
	XForwardedFor ForwardedMode `yaml:"x_forwarded_for"`
	// `X-Forwarded-Proto`, likewise; `append` and `set` both keep what came
	// from `trusted`, who saw the request before us.
	XForwardedProto ForwardedMode `yaml:"x_forwarded_proto"`
	// `X-Forwarded-Host`, like `x_forwarded_proto`.
	XForwardedHost ForwardedMode `yaml:"x_forwarded_host"`
	// `Forwarded` (RFC 7239), like `x_forwarded_for`.
	Forwarded ForwardedMode `yaml:"forwarded"`
	// The name for this proxy in `Via` (RFC 9110 section 7.6.3); empty: no
	// `Via`.
	Via string `yaml:"via"`
	// Proxies in front of this one: their word for who the client is counts,
	// for routes, hashes and logs too. It is the last address in
	// `X-Forwarded-For`, or else `Forwarded`, that is not one of theirs.
	Trusted []Prefix `yaml:"trusted"`
}

// ForwardedMode is what is done with a header field about the client.
type ForwardedMode string

// Modes.
const (
	ForwardedAppend ForwardedMode = "append"
	ForwardedSet    ForwardedMode = "set"
	ForwardedRemove ForwardedMode = "remove"
	ForwardedKeep   ForwardedMode = "keep"
)

func (ForwardedMode) words() []string { return []string{"append", "set", "remove", "keep"} }

// Log is what is written about what happens.
type Log struct {
	// `debug`, `info`, `warn` or `error`, and what is worse.
	Level LogLevel `yaml:"level"`
	// `text` or `json`.
	Format LogFormat `yaml:"format"`
	// `stderr`, `stdout`, or a file, which is opened again on SIGHUP.
	Output string `yaml:"output"`
	// A line for each request, or in mode `tcp` for each connection.
	Access AccessLog `yaml:"access"`
}

// LogLevel is how bad something has to be to be logged.
type LogLevel string

func (LogLevel) words() []string { return []string{"debug", "info", "warn", "error"} }

// LogFormat is how the log is written.
type LogFormat string

func (LogFormat) words() []string { return []string{"text", "json"} }

// AccessLog is the log of requests.
type AccessLog struct {
	// `json` has everything, with subflows, bytes of each path and the reason
	// of a fallback. `common` and `combined` are Apache's formats. `multipath`
	// is `combined` with one more field in quotes at its end: `mptcp` or `tcp`
	// with the reason of the fallback, then bytes in and out of each subflow, as
	// in `mptcp eth0=812/40960 wlan0=0/163840`. `off` is none.
	Format AccessFormat `yaml:"format"`
	// `stderr`, `stdout`, or a file, which is opened again on SIGHUP.
	Output string `yaml:"output"`
}

// AccessFormat is how the access log is written.
type AccessFormat string

// Formats.
const (
	AccessJSON      AccessFormat = "json"
	AccessCommon    AccessFormat = "common"
	AccessCombined  AccessFormat = "combined"
	AccessMultipath AccessFormat = "multipath"
	AccessOff       AccessFormat = "off"
)

func (AccessFormat) words() []string {
	return []string{"json", "common", "combined", "multipath", "off"}
}

// Admin is the administrator's web pages: live connections with their subflows,
// pools with their states.
type Admin struct {
	// Where they are served; empty: nowhere. Whoever reaches the address may
	// see everything, so it should be a loopback address.
	Address *Address `yaml:"address"`
	// Serve profiles of the process under /debug/pprof/ too.
	Pprof bool `yaml:"pprof"`
}

// Metrics are for Prometheus.
type Metrics struct {
	// Serve them.
	Enabled bool `yaml:"enabled"`
	// An address for them alone; empty: that of `admin`.
	Address *Address `yaml:"address"`
	// Under which path.
	Path string `yaml:"path"`
}
