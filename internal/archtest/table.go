package archtest

// Module is the import path of this module.
const Module = "github.com/braid-mptcp/braid"

// Package is a row of the import table. Paths are relative to the module, the
// root package is ".".
type Package struct {
	Path  string
	Holds string
	May   []string // packages of the module it may import; {"*"}: all
	Why   string   // why these and no others
}

// anything allows every package of the module.
var anything = []string{"*"}

// Packages is the import table. A package's row comes after those of all the
// packages it may import.
var Packages = []Package{
	{"seq", "sequence number arithmetic, ranges, range sets", nil,
		"plain arithmetic needs nothing"},
	{"wire", "IPv4, IPv6, TCP, every TCP and MPTCP option, ICMP, checksums", []string{"seq"},
		"bytes to values and back: no state, so nothing that has some"},
	{"cc", "congestion controllers behind one interface", nil,
		"a controller sees byte counts and times, never segments"},
	{"stream", "the buffers of a byte stream, sending and receiving", []string{"seq"},
		"holds bytes by position: neither segments nor mappings concern it"},
	{"tcp", "one TCP connection, in MPTCP one subflow, as a state machine", []string{"seq", "wire", "cc", "stream"},
		"knows segments but not what rides on them: mptcp plugs into the seam declared here"},
	{"mptcp", "one connection of many subflows", []string{"seq", "wire", "cc", "stream", "tcp"},
		"owns its subflows; who finds it for a packet is the stack's business"},
	{"stack", "demultiplexing, listeners, resets, the timer queue", []string{"seq", "wire", "cc", "stream", "tcp", "mptcp"},
		"the top of the core: everything below it, no device and no clock"},
	{"sim", "seeded network in virtual time: links, queues, loss, middleboxes", []string{"seq", "wire"},
		"moves packets between anything that looks like an endpoint, so it must not know the core"},
	{"link", "Device: batched packet I/O; the in-memory pair", nil,
		"the seam between host and devices: knows packets as bytes only"},
	{"link/pcap", "captures of devices and simulations as pcapng", []string{"link", "wire"},
		"cuts large packets as a device would, which is wire's knowledge"},
	{"link/internal/vnet", "the offload header that TUN and packet sockets share", []string{"link"},
		"two devices, one encoding"},
	{"link/internal/minitcp", "a peer of a few lines for the tests of devices", []string{"link"},
		"judges devices without a stack"},
	{"link/tun", "Linux TUN device with segmentation offload", []string{"link", "link/internal/vnet"},
		"a device, nothing more"},
	{"link/afpacket", "packet socket on a host's own address", []string{"link", "link/internal/vnet"},
		"a device, nothing more"},
	{"host", "drives a stack over devices; net.Conn and net.Listener", []string{"seq", "wire", "cc", "stream", "tcp", "mptcp", "stack", "link"},
		"the one place where core, devices, goroutines and the clock meet"},
	{"internal/netns", "network namespaces for tests", nil,
		"a test kit for any package, so it depends on none"},
	{"internal/simtest", "seeded whole connections over sim, checked afterwards", []string{"seq", "wire", "cc", "stream", "tcp", "mptcp", "stack", "sim"},
		"the core and the simulated network meet here, and nowhere in the core itself"},
	{"kernel", "Linux MPTCP sockets and their path manager", nil,
		"the kernel's stack beside ours: shares an API with host, no code"},
	{"internal/rawsock", "the sockets beneath connections, their protocol, and connections that are little more", []string{"kernel"},
		"knows the types of connections that are bare sockets"},
	{"hostnet", "uplinks, routes, rules and address translation of a host", []string{"kernel"},
		"administration through netlink; endpoints of the kernel's path manager are kernel's"},
	{".", "what a Go programmer imports: Dial, Listen, Conn.Info", []string{"wire", "cc", "tcp", "mptcp", "stack", "link", "link/tun", "link/afpacket", "link/pcap", "host", "kernel", "internal/rawsock", "hostnet"},
		"chooses a stack and a device, and shows the values they report"},
	{"internal/tally", "what a connection did on each path, ended subflows included", []string{"."},
		"adds up what either stack reports"},
	{"paths", "how a host is prepared for several paths, shown and changed", []string{"kernel", "hostnet"},
		"administration only: speaks to nobody"},
	{"get", "downloads by HTTP over several paths, resumed", []string{".", "internal/tally"},
		"speaks net/http over any Network, and asks what its connections do"},
	{"relay", "byte streams between Multipath TCP and TCP services or pipes: serve, connect", []string{".", "kernel", "internal/tally"},
		"sees net.Conn and net.Listener, and asks what is known of them"},
	{"config", "one YAML file, strictly decoded, errors with line numbers", nil,
		"values only; who uses them turns them into its own"},
	{"balance", "backend pools, health, choice, connection reuse", nil,
		"sees net.Conn and a dial function, so that either stack will do"},
	{"proxy/http1", "HTTP/1.1: strict framing, and the engine that forwards it", []string{"internal/rawsock"},
		"asks a small interface of its own for server connections, which balance or anything else can give"},
	{"proxy/internal/conformance", "HTTP/1.1 cases that any proxy of ours has to pass", nil,
		"judges from outside, over sockets"},
	{"proxy/http2", "HTTP/2 connections, each stream a request of the HTTP/1.1 engine", []string{"proxy/http1"},
		"turns streams into what http1 forwards, so that there is one path for all requests"},
	{"proxy/certs", "TLS of listeners and pools: certificate files, ACME, the hello of TLS passed on", []string{"config"},
		"turns configuration into tls.Config, whoever shakes hands"},
	{"proxy/passthrough", "mode tcp: connections passed on as they are, routed by SNI", []string{"internal/rawsock", "balance", "kernel", "proxy/certs"},
		"sees net.Conn and a pool"},
	{"proxy/status", "what is known of a running proxy, as values", []string{".", "internal/rawsock", "balance"},
		"the seam between the proxy and whoever shows it"},
	{"proxy/accesslog", "a line for each request: JSON, common and combined format", []string{"config", "proxy/status"},
		"writes records it is handed"},
	{"proxy/metrics", "metrics for Prometheus", []string{"balance", "proxy/status"},
		"asks status, counts nothing itself"},
	{"proxy/admin", "the administrator's page and its data as JSON", []string{"balance", "proxy/status"},
		"shows status"},
	{"proxy", "accept, route, forward: joins listeners, pools, TLS and logs as the configuration says",
		[]string{".", "kernel", "internal/rawsock", "internal/tally", "balance", "config", "proxy/http1", "proxy/http2", "proxy/certs", "proxy/passthrough", "proxy/status", "proxy/accesslog", "proxy/metrics", "proxy/admin"},
		"the one place where configuration, pools and connections meet"},
	{"convert", "RFC 8803 messages, client and server", nil,
		"speaks over any net.Conn"},
	{"gateway", "LAN side: transparent, SOCKS5, CONNECT", []string{"convert"},
		"hands connections to the convert client, whatever carries it"},
	{"capture", "reads captures and rebuilds MPTCP connections", []string{"seq", "wire"},
		"judges what was on the wire, so it must not share state machines with what put it there"},
	{"lab", "link emulator, scenario table, comparisons", anything,
		"puts everything together to measure it"},
	{"lab/demo", "the download of braid demo, without the terminal", anything,
		"a measurement like the others of lab, with two hosts and net/http on top"},
	{"lab/proxies", "braid proxy measured beside HAProxy, nginx and Caddy", nil,
		"runs programs, braid among them, and reads what load generators print"},
	{"interop", "tests of Braid over TUN against the kernel's Multipath TCP", anything,
		"both stacks and the namespaces between them meet in its tests"},
	{"cmd/braid", "the command line: wiring and nothing else", anything,
		"the program"},
	{"internal/archtest", "this table and its test", nil,
		"looks at the source, imports none of it"},
}

// Dependency is another module in use.
type Dependency struct {
	Module string
	By     []string // packages that may import it; {"*"}: any outside the core
	Why    string
}

// Dependencies are all modules that the module's own code imports.
var Dependencies = []Dependency{
	{"github.com/gopacket/gopacket", []string{"link/pcap", "capture"}, "writes and reads pcapng"},
	{"github.com/alecthomas/kong", []string{"cmd/braid"}, "command line from tagged structs"},
	{"github.com/charmbracelet/bubbletea", []string{"cmd/braid"}, "terminal programs"},
	{"github.com/charmbracelet/lipgloss", []string{"cmd/braid"}, "terminal colours and layout"},
	{"github.com/mattn/go-isatty", []string{"cmd/braid"}, "whether there is a terminal"},
	{"go.yaml.in/yaml/v4", []string{"config"}, "reads YAML as nodes that know their lines and columns"},
	{"golang.org/x/net", anything, "nettest judges our net.Conn; HTTP/2 and other protocols where a tool needs them"},
	{"golang.org/x/sys", anything, "system calls that the standard library lacks"},
	{"github.com/mdlayher/genetlink", []string{"kernel"}, "generic netlink: the kernel's path manager"},
	{"github.com/mdlayher/netlink", []string{"kernel", "internal/netns"}, "netlink messages and attributes"},
	{"github.com/pires/go-proxyproto", []string{"relay", "proxy", "proxy/passthrough"}, "the PROXY protocol"},
	{"golang.org/x/crypto", []string{"proxy/certs"}, "ACME: certificates from an authority"},
	{"github.com/prometheus/client_golang", []string{"proxy/metrics"}, "Prometheus metrics, by its own project"},
	{"github.com/fsnotify/fsnotify", []string{"cmd/braid", "proxy/certs"}, "tells of changed files"},
	{"github.com/coreos/go-systemd/v22", []string{"cmd/braid"}, "systemd's notifications and sockets"},
	{"golang.org/x/tools", []string{"internal/archtest"}, "loads packages with types"},
	{"github.com/chromedp/chromedp", []string{"proxy/admin"}, "tests the administrator's page in a browser"},
	{"github.com/vishvananda/netlink", []string{"internal/netns", "kernel", "hostnet", "link/tun", "link/afpacket", "lab"}, "routes, rules, addresses and links of Linux"},
	{"github.com/vishvananda/netns", []string{"internal/netns", "lab"}, "enters network namespaces"},
	{"github.com/google/nftables", []string{"internal/netns", "hostnet"}, "address translation rules of Linux"},
}

// Pure lists the packages that do no I/O and know no clock. sim is held to it
// too: what drives the core in virtual time must itself replay from a seed.
var Pure = []string{"seq", "wire", "cc", "stream", "tcp", "mptcp", "stack", "sim"}
