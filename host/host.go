package host

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// Errors of a Host itself. Those of connections come as *net.OpError.
var (
	// ErrHostClosed is returned by the methods of a closed Host.
	ErrHostClosed = errors.New("host: closed")
	// ErrNoDevice is returned for a device that the Host does not have.
	ErrNoDevice = errors.New("host: no such device")
)

// Config sets up a Host. The zero Config will do.
type Config struct {
	// Stack configures the stack and gives connections their defaults. A nil
	// Rand is replaced by a generator seeded from the operating system.
	Stack stack.Config
	// Resolver looks up host names; nil means net.DefaultResolver.
	Resolver *net.Resolver
	// Observe, if set, is told of every event of the stack: subflows that
	// come and go, fallbacks, connections established and closed. It is
	// called with the Host's lock held and must neither block nor call the
	// Host or its connections.
	Observe func(now time.Time, e stack.Event)
	// DeviceFailed, if set, is told when a device stops working. Its
	// addresses have been removed then and connections go on over others.
	DeviceFailed func(dev link.Device, err error)
}

// Host runs one stack over devices. Its methods may be called from any
// goroutine.
type Host struct {
	cfg   Config
	shard *shard
}

// New makes a Host without devices.
func New(cfg Config) *Host {
	if cfg.Stack.Rand == nil {
		cfg.Stack.Rand = unpredictable()
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	return &Host{cfg: cfg, shard: newShard(cfg)}
}

// unpredictable gives a generator of numbers that no peer can guess. The stack
// calls it under the shard's lock.
func unpredictable() func() uint64 {
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		panic(fmt.Sprintf("BUG: crypto/rand.Read never fails: %v", err))
	}
	return rand.NewChaCha8(seed).Uint64
}

// AddDevice puts dev into service with the given addresses. The Host owns dev
// from now on and closes it. An address without an MTU gets the device's.
func (h *Host) AddDevice(dev link.Device, addrs ...stack.Address) error {
	return h.shard.addDevice(dev, addrs)
}

// AddAddress gives dev, which the Host must have, one more address.
// Connections may start to use it at once.
func (h *Host) AddAddress(dev link.Device, a stack.Address) error {
	return h.shard.addAddress(dev, a)
}

// RemoveAddress takes an address out of service. Peers are told, and
// connections go on over the remaining ones.
func (h *Host) RemoveAddress(addr netip.Addr) error { return h.shard.removeAddress(addr) }

// SetBackup says whether subflows from an address carry data only when no
// others work. Peers are told, and subflows that exist change too.
func (h *Host) SetBackup(addr netip.Addr, backup bool) error {
	return h.shard.setBackup(addr, backup)
}

// SetFlags changes what an address is used for; see stack.Stack.SetFlags.
func (h *Host) SetFlags(addr netip.Addr, flags mptcp.EndpointFlags) error {
	return h.shard.setFlags(addr, flags)
}

// RemoveDevice closes dev and takes its addresses out of service. It returns
// after the last packet from dev has been handled.
func (h *Host) RemoveDevice(dev link.Device) error { return h.shard.removeDevice(dev) }

// Shutdown stops listening and waits until every connection has been closed
// at both ends and its last data acknowledged, or until ctx is done. After that
// it gives their subflows a moment to end too, and closes the Host.
func (h *Host) Shutdown(ctx context.Context) error {
	err := h.shard.drain(ctx)
	if closeErr := h.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Close aborts every connection, so that peers learn of it, and closes all
// listeners and devices. When it returns, the Host has no goroutine left.
func (h *Host) Close() error { return h.shard.close() }
