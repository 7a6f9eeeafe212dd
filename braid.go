// Package braid gives Go programs Multipath TCP (RFC 8684): one connection
// that uses several paths at once and survives the loss of any but the last.
//
// A Stack speaks Multipath TCP over devices such as link.NewPair or link/tun
// make, on systems whose kernel knows nothing of it. Its connections are
// net.Conn and its listeners net.Listener, so that net/http, crypto/tls and
// everything else that takes those work on it unchanged:
//
//	stack, err := braid.NewStack(braid.Config{Interfaces: []braid.Interface{
//		{Device: wired, Addresses: []braid.Address{{Addr: a, Bits: 24, Flags: braid.Subflow}}},
//		{Device: wireless, Addresses: []braid.Address{{Addr: b, Bits: 24, Flags: braid.Subflow}}},
//	}})
//	client := http.Client{Transport: &http.Transport{DialContext: stack.DialContext}}
//
// A peer that does not speak Multipath TCP is spoken to in plain TCP. InfoOf
// tells which it was, why, and how each subflow does.
//
// Open gives the network of the host that the program runs on: the kernel's
// Multipath TCP where Linux has it, else a Stack behind a TUN interface, for
// which it sets up the host, else plain TCP. All of them are a Network.
//
// # Limitations
//
// The user stack of Open and choosing interfaces need Linux. What the kernel's
// connections do not tell, InfoOf lists.
package braid

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// Words of `ip mptcp endpoint`: what an address is used for.
const (
	Subflow  = mptcp.EndpointSubflow  // open subflows from it
	Signal   = mptcp.EndpointSignal   // announce it to peers
	Backup   = mptcp.EndpointBackup   // use it only when no other path works
	Fullmesh = mptcp.EndpointFullmesh // open subflows to all addresses of the peer
)

// Address is an address of a Stack: an endpoint in the words of `ip mptcp`.
type Address = stack.Address

// Options are how connections behave; the zero Options are good defaults.
type Options = mptcp.Config

// Scheduler says which subflow carries which bytes; a part of Options.
type Scheduler = mptcp.Scheduler

// Schedulers. The kernel has one for all connections of a network namespace.
const (
	SchedulerUnset      = mptcp.SchedulerUnset      // the stack's own
	SchedulerDefault    = mptcp.SchedulerDefault    // lowest round-trip time first
	SchedulerRoundRobin = mptcp.SchedulerRoundRobin // in turns
	SchedulerRedundant  = mptcp.SchedulerRedundant  // every byte on every subflow
)

// Info is a snapshot of a connection: version, tokens, fallback and its
// reason, bytes, and each subflow.
type Info = mptcp.Info

// SubflowInfo is the part of Info about one subflow: addresses, state,
// round-trip time, window, rates and bytes.
type SubflowInfo = mptcp.SubflowInfo

// Interface is a device with the addresses a Stack has on it.
type Interface struct {
	Device    link.Device
	Addresses []Address
}

// Config sets up a Stack.
type Config struct {
	Interfaces []Interface
	// Connections configures connections that are dialled or accepted.
	Connections Options
	// LargeSegments makes the stack build segments of up to 64 KiB. Devices
	// that can cut them do so; for the others it is done in software.
	LargeSegments bool
	// Resolver looks up host names; nil means net.DefaultResolver.
	Resolver *net.Resolver
	// Observe is told of every event; see host.Config.
	Observe func(now time.Time, e stack.Event)
	// DeviceFailed is told when a device stops working; see host.Config.
	DeviceFailed func(dev link.Device, err error)
}

// Stack is an implementation of Multipath TCP with its addresses. Its methods
// may be called from any goroutine.
type Stack struct{ host *host.Host }

// NewStack makes a Stack that runs on the devices of cfg, which it owns from
// then on, also when it fails.
func NewStack(cfg Config) (*Stack, error) {
	hostCfg := host.Config{
		Stack:        stack.Config{Conn: cfg.Connections},
		Resolver:     cfg.Resolver,
		Observe:      cfg.Observe,
		DeviceFailed: cfg.DeviceFailed,
	}
	if cfg.LargeSegments {
		hostCfg.Stack.MaxPacket, hostCfg.Stack.ChecksumOffload = host.MaxPacket, true
	}
	s := &Stack{host.New(hostCfg)}
	for i, in := range cfg.Interfaces {
		if err := s.AddInterface(in); err != nil {
			for _, left := range cfg.Interfaces[i:] {
				left.Device.Close()
			}
			s.Close()
			return nil, fmt.Errorf("braid: %w", err)
		}
	}
	return s, nil
}

// AddInterface puts one more device into service. Connections may use it at
// once.
func (s *Stack) AddInterface(in Interface) error { return s.host.AddDevice(in.Device, in.Addresses...) }

// RemoveInterface closes a device and takes its addresses out of service.
// Connections go on over the others.
func (s *Stack) RemoveInterface(dev link.Device) error { return s.host.RemoveDevice(dev) }

// Dial connects to an address such as "example.org:443"; network is "tcp",
// "tcp4" or "tcp6". The connection is a Conn.
func (s *Stack) Dial(network, address string) (net.Conn, error) {
	return s.DialContext(context.Background(), network, address)
}

// DialContext is Dial with a context, which does not concern the connection
// once it is made. It fits net/http's Transport.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return s.host.DialContext(ctx, network, address)
}

// Listen accepts connections to an address of the Stack such as ":80". They
// are Conns. Clients that do not speak Multipath TCP are welcome too.
func (s *Stack) Listen(network, address string) (net.Listener, error) {
	return s.host.Listen(network, address)
}

// Shutdown stops listening, waits until all connections have ended or ctx is
// done, and closes the Stack.
func (s *Stack) Shutdown(ctx context.Context) error { return s.host.Shutdown(ctx) }

// Close aborts all connections and closes listeners and devices.
func (s *Stack) Close() error { return s.host.Close() }
