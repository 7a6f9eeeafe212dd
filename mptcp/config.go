package mptcp

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Config is what a connection may be told before it starts. Zero values are
// usable defaults.
type Config struct {
	// TCP is the template for every subflow. Addresses, ISN, TSOffset, MTU
	// and offloads are filled in by the Host.
	TCP tcp.Config

	// Disabled makes plain TCP connections.
	Disabled bool
	// Checksum asks for DSS checksums (flag A of MP_CAPABLE). They cost a
	// pass over the data and are off, as on Linux, unless asked for by
	// either end.
	Checksum bool
	// RefuseChecksum falls back to TCP when the peer asks for checksums (RFC
	// 8684 section 3.1).
	RefuseChecksum bool
	// NoJoinHere sets flag C of MP_CAPABLE: the peer is to open no further
	// subflow to this connection's first address, a load balancer's say.
	NoJoinHere bool

	// Scheduler says which subflow carries which bytes.
	Scheduler Scheduler

	// SendBuffer and RecvBuffer bound what the connection holds, in bytes of
	// its streams; memory for those received may be twice as much, where they
	// stay in the buffers they were read into. Both begin smaller and grow
	// with the paths' bandwidth and delay. 0 means 8 MiB.
	SendBuffer, RecvBuffer int

	// MaxSubflows is how many subflows may exist at once; 0 means 8.
	MaxSubflows int
	// MaxAddrAccepted is how many addresses of the peer are remembered at
	// once; 0 means 8.
	MaxAddrAccepted int
	// SYNsBeforeTCP is how many SYNs with MP_CAPABLE go unanswered before a
	// plain one is tried (RFC 8684 section 3.9.3); 0 means 2, negative never.
	SYNsBeforeTCP int
	// KeepWithoutSubflow is how long a connection waits for a new subflow
	// after the last one is gone (RFC 8684 section 3.3.3); 0 means 60 s.
	KeepWithoutSubflow time.Duration
	// SubflowTimeout is how long a subflow may make no progress while another
	// works; 0 means 60 s.
	SubflowTimeout time.Duration
}

const (
	defaultBuffer         = 8 << 20
	initialBuffer         = 256 << 10
	defaultSubflows       = 8
	defaultAddresses      = 8
	defaultSYNs           = 2
	defaultSubflowTimeout = 60 * time.Second
	defaultKeepAlone      = 60 * time.Second
	addAddrRetries        = 3
	maxSignalsPerRTT      = 2  // RFC 8684 section 3.4.1: no more duplicate ACKs in a row
	maxSignals            = 32 // that may wait for another echo to be queued
	maxHeldMappings       = 16384
	joinAckRetries        = 6
	rejoinFirstWait       = time.Second
	rejoinLongestWait     = 60 * time.Second
)

func (c *Config) setDefaults() {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&c.SendBuffer, defaultBuffer)
	def(&c.RecvBuffer, defaultBuffer)
	def(&c.MaxSubflows, defaultSubflows)
	def(&c.MaxAddrAccepted, defaultAddresses)
	def(&c.SYNsBeforeTCP, defaultSYNs)
	if c.Scheduler == SchedulerUnset {
		c.Scheduler = SchedulerDefault
	}
	if c.SubflowTimeout == 0 {
		c.SubflowTimeout = defaultSubflowTimeout
	}
	if c.KeepWithoutSubflow == 0 {
		c.KeepWithoutSubflow = defaultKeepAlone
	}
}

// EndpointFlags are the words of `ip mptcp endpoint`.
type EndpointFlags uint8

const (
	// EndpointSubflow: open subflows from this address.
	EndpointSubflow EndpointFlags = 1 << iota
	// EndpointSignal: announce this address to the peer (ADD_ADDR).
	EndpointSignal
	// EndpointBackup: subflows from this address carry data only when no
	// other works.
	EndpointBackup
	// EndpointFullmesh: open a subflow to every known address of the peer,
	// not only to the one that fits best.
	EndpointFullmesh
)

// Endpoint is one of our addresses.
type Endpoint struct {
	Addr netip.Addr
	// Public is the address under which peers reach Addr, where it is
	// translated on the way: what is announced to them. Zero: Addr itself.
	Public netip.Addr
	Bits   int   // length of the on-link prefix; 0: nothing is known to be on link
	ID     uint8 // address ID, unique on the host, not 0
	Flags  EndpointFlags
}

// announced is the address that peers are told.
func (e *Endpoint) announced() netip.Addr {
	if e.Public.IsValid() {
		return e.Public
	}
	return e.Addr
}

// onLink reports whether a is a neighbour of e.
func (e *Endpoint) onLink(a netip.Addr) bool {
	if e.Bits == 0 || a.Is4() != e.Addr.Is4() {
		return false
	}
	p, err := e.Addr.Prefix(e.Bits)
	return err == nil && p.Contains(a)
}

// Host is what a connection needs of the stack it lives in.
type Host interface {
	// Open fills in cfg for a subflow from local (port 0: chosen) to remote
	// and directs that 4-tuple's segments to sf.
	Open(now time.Time, sf *Subflow, local, remote netip.AddrPort, cfg *tcp.Config) error
	// Close ends what Open or a passive open began: sf is over.
	Close(now time.Time, sf *Subflow)
	// NewKey makes a key whose token no other connection has, for c.
	NewKey(c *Conn) wire.Key
	// FreeToken says that c's token is no longer needed.
	FreeToken(c *Conn)
	// Endpoints are the host's addresses.
	Endpoints() []Endpoint
	// Wake says that c has something to say or to tell.
	Wake(c *Conn)
	// Rand gives an unpredictable number.
	Rand() uint64
	// Pool holds the memory of stream buffers.
	Pool() *stream.Pool
}
