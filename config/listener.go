package config

// Listener is an address that clients connect to.
type Listener struct {
	// For routes and logs; empty: the first address.
	Name string `yaml:"name"`
	// Addresses, such as `mptcp@:443`. Without prefix they are `mptcp@`.
	Address []Address `yaml:"address"`
	// `http` for requests, `tcp` for passing on connections as they are.
	Mode Mode `yaml:"mode"`
	// Speak TLS. In mode `http` without it, requests come in the clear.
	TLS *ServerTLS `yaml:"tls"`
	// Offer HTTP/2: by ALPN with TLS, by prior knowledge without.
	HTTP2 bool `yaml:"http2"`
	// Expect a PROXY header from a load balancer in front.
	AcceptProxy *AcceptProxy `yaml:"accept_proxy"`
	// Have the kernel hold a connection back until the client has said
	// something, for a second at most: a connection then costs less to serve.
	// It concerns addresses of TCP (`tcp@`) whose clients speak first, in mode
	// `http` or with TLS. At addresses of Multipath TCP further paths would
	// have to wait for that second, so it is not done there.
	DeferAccept bool `yaml:"defer_accept"`
	// The TCP profile of connections accepted here.
	TCP string `yaml:"tcp"`
	// The pool for what no route takes; empty: none.
	Pool string `yaml:"pool"`
	// Connections at once; 0: no limit but that of `limits`.
	MaxConnections int `yaml:"max_connections"`
}

// Mode is what is spoken on a connection.
type Mode string

// Modes.
const (
	ModeHTTP Mode = "http"
	ModeTCP  Mode = "tcp"
)

func (Mode) words() []string { return []string{"http", "tcp"} }

// ServerTLS is TLS towards clients. It needs certificates, or acme.
type ServerTLS struct {
	// Certificates with their keys. The one whose name fits the client's SNI
	// is used, or else the first. They are read again when the files change.
	Certificates []Certificate `yaml:"certificates"`
	// Get certificates from an authority by ACME (RFC 8555).
	ACME *ACME `yaml:"acme"`
	// `1.2` or `1.3`.
	MinVersion TLSVersion `yaml:"min_version"`
	// Application protocols to offer (RFC 7301); empty: what the listener
	// speaks, `h2` and `http/1.1`, and none in mode `tcp`.
	ALPN []string `yaml:"alpn"`
	// Whether clients have to show a certificate: `none`, `request` asks for
	// one and checks it if it comes, `require` insists.
	ClientAuth ClientAuth `yaml:"client_auth"`
	// The authorities that sign the clients' certificates, PEM.
	ClientCA File `yaml:"client_ca"`
}

// Certificate is a certificate with its key. Both may be one file.
type Certificate struct {
	// The certificate and the chain above it, PEM.
	Cert File `yaml:"cert"`
	// Its private key, PEM; empty: in the file of the certificate.
	Key File `yaml:"key"`
}

// ACME gets certificates from an authority.
type ACME struct {
	// Names to get certificates for. Clients that ask for others get none.
	Domains []string `yaml:"domains"`
	// Where the authority writes to when something is wrong with the account.
	Email string `yaml:"email"`
	// The authority's directory; empty: Let's Encrypt.
	Directory string `yaml:"directory"`
	// The authorities that sign the certificate of the directory's server,
	// PEM; empty: those of the system.
	CA File `yaml:"ca"`
	// Where certificates and keys are kept. It should be readable for nobody
	// else.
	Cache File `yaml:"cache"`
	// Agree to the terms of service of the authority. Nothing is requested
	// without.
	AcceptTerms bool `yaml:"accept_terms"`
}

// TLSVersion is a version of TLS.
type TLSVersion string

func (TLSVersion) words() []string { return []string{"1.2", "1.3"} }

// ClientAuth is whether clients have to show a certificate.
type ClientAuth string

// Kinds of ClientAuth.
const (
	ClientAuthNone    ClientAuth = "none"
	ClientAuthRequest ClientAuth = "request"
	ClientAuthRequire ClientAuth = "require"
)

func (ClientAuth) words() []string { return []string{"none", "request", "require"} }

// AcceptProxy is what is expected of a PROXY header.
type AcceptProxy struct {
	// `v1` or `v2`, or `any` of them.
	Version ProxyVersion `yaml:"version"`
	// Who may send one; connections of others are closed, or with `optional`
	// taken as they are. It must not be empty, since whoever is believed may
	// claim to be anybody.
	From []Prefix `yaml:"from"`
	// Accept connections without one, as health checks make them.
	Optional bool `yaml:"optional"`
}

// ProxyVersion is a version of the PROXY protocol.
type ProxyVersion string

// Versions. ProxyAny is for accepting, ProxyOff for sending.
const (
	ProxyOff ProxyVersion = "off"
	ProxyAny ProxyVersion = "any"
	ProxyV1  ProxyVersion = "v1"
	ProxyV2  ProxyVersion = "v2"
)

func (ProxyVersion) words() []string { return []string{"off", "any", "v1", "v2"} }

// TCPProfile is settings of connections. What a stack does not offer is said at
// the start.
type TCPProfile struct {
	// Selective acknowledgements (RFC 2018).
	SACK bool `yaml:"sack"`
	// Collect small writes into full segments (RFC 896). It delays small
	// responses.
	Nagle bool `yaml:"nagle"`
	// Congestion control, such as `reno` or `cubic`; empty: the stack's.
	CongestionControl string `yaml:"congestion_control"`
	// Which path carries which bytes of those sent. `default` prefers the
	// lowest round-trip time and fills the other paths with what that cannot
	// take. `roundrobin` has them take turns. `redundant` sends every byte on
	// every path: the fastest decides when it arrives, the loss of one is not
	// noticed, and all but one path's capacity is wasted; a backup is left out
	// while another path works. Left out: the stack's. On the kernel's stack it
	// is `net.mptcp.scheduler` that counts, for all connections; a profile that
	// says otherwise has no effect there, and the log and `braid proxy validate`
	// say so.
	Scheduler Scheduler `yaml:"scheduler"`
	// What a connection may hold that the application has not read; 0: the
	// stack's.
	ReceiveBuffer Size `yaml:"receive_buffer"`
	// What a connection may hold that the peer has not acknowledged; 0: the
	// stack's.
	SendBuffer Size `yaml:"send_buffer"`
	// After which silence the peer is asked whether it is there; 0: never.
	KeepAlive Duration `yaml:"keepalive"`
	// How often it is asked then, until it answers.
	KeepAliveInterval Duration `yaml:"keepalive_interval"`
	// After how many questions without answer the connection is given up.
	KeepAliveCount int `yaml:"keepalive_count"`
	// DSS checksums (RFC 8684 section 3.3): they find middleboxes that change
	// data, and cost a pass over it.
	Checksum bool `yaml:"checksum"`
	// After which silence a client's connection is closed, if none of
	// `timeouts` does so earlier, and for how long an idle connection to a
	// server is kept, unless the OneConnect profile overrides it; 0: never.
	// `timeouts.tunnel` alone is for tunnels and mode `tcp`.
	IdleTimeout Duration `yaml:"idle_timeout"`
	// For how long data may stay unacknowledged (RFC 5482); 0: the stack's.
	UserTimeout Duration `yaml:"user_timeout"`
	// Subflows of one connection at once; 0: the stack's.
	MaxSubflows int `yaml:"max_subflows"`
}

// Scheduler is which path carries which bytes, by Linux' names.
type Scheduler string

// Schedulers. None, "", is the stack's.
const (
	SchedulerDefault    Scheduler = "default"
	SchedulerRoundRobin Scheduler = "roundrobin"
	SchedulerRedundant  Scheduler = "redundant"
)

func (Scheduler) words() []string { return []string{"default", "roundrobin", "redundant"} }
