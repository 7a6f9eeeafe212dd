package host

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// How many connections wait to be accepted before new ones are refused, as
// many as Linux allows by default.
const backlog = 4096

// Listener accepts connections of a Host. It implements net.Listener.
type Listener struct {
	shard *shard
	core  *stack.Listener
	addr  *net.TCPAddr

	// Guarded by the shard's lock.
	accept waiter
	closed error
}

var _ net.Listener = (*Listener)(nil)

// Listen waits for connections to an address of the Host, in the form that
// net.Listen takes: network is "tcp", "tcp4" or "tcp6"; an empty host means
// all addresses, and port 0 one that is free.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	local, err := h.resolveLocal(network, address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	return h.ListenAddrPort(local)
}

// ListenAddrPort is Listen for an address that needs no resolving. The zero
// Addr means all addresses.
func (h *Host) ListenAddrPort(local netip.AddrPort) (*Listener, error) {
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(netip.IPv6Unspecified(), local.Port())
	}
	s := h.shard
	now := s.enter()
	defer func() { s.leave(now) }()
	fail := func(err error) (*Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.TCPAddrFromAddrPort(local), Err: err}
	}
	if s.closed {
		return fail(ErrHostClosed)
	}
	if a := local.Addr(); !a.IsUnspecified() && s.routes[a] == nil {
		return fail(cause(stack.ErrNoAddress))
	}
	core, err := s.stack.Listen(local, backlog)
	if err != nil {
		return fail(cause(err))
	}
	l := &Listener{shard: s, core: core, addr: net.TCPAddrFromAddrPort(core.Addr())}
	l.accept.init(s)
	s.listeners[core] = l
	return l, nil
}

// SetConfig is what connections that come from now on begin with, instead of
// the defaults of Config.Stack.
func (l *Listener) SetConfig(cfg mptcp.Config) {
	l.shard.mu.Lock()
	defer l.shard.mu.Unlock()
	l.core.SetConfig(cfg)
}

// Accept implements net.Listener. The connections it returns are *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptConn is Accept with the connection's own type.
func (l *Listener) AcceptConn() (*Conn, error) {
	s := l.shard
	now := s.enter()
	for {
		if l.closed != nil || l.accept.expired(now) {
			err := l.closed
			if err == nil {
				err = errTimeout
			}
			s.mu.Unlock()
			return nil, &net.OpError{Op: "accept", Net: network, Addr: l.addr, Err: err}
		}
		if core, ok := l.core.Accept(); ok {
			c := s.newConn(core, connOpen)
			at := core.LocalAddr()
			c.local = net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.stack.PublicAddr(at.Addr()), at.Port()))
			s.leave(now)
			return c, nil
		}
		l.accept.wait(now)
		now = time.Now()
	}
}

// SetDeadline limits how long Accept waits; the zero time means for ever.
func (l *Listener) SetDeadline(t time.Time) error {
	l.shard.mu.Lock()
	defer l.shard.mu.Unlock()
	if l.closed != nil {
		return &net.OpError{Op: "set", Net: network, Addr: l.addr, Err: l.closed}
	}
	l.accept.setDeadline(t)
	return nil
}

// Addr implements net.Listener: a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return l.addr }

// Close implements net.Listener. Connections that were not accepted are reset.
func (l *Listener) Close() error {
	now := l.shard.enter()
	if l.closed != nil {
		err := l.closed
		l.shard.mu.Unlock()
		return &net.OpError{Op: "close", Net: network, Addr: l.addr, Err: err}
	}
	l.closeLocked(now)
	l.shard.leave(now)
	return nil
}

// closeLocked closes with the shard's lock held.
func (l *Listener) closeLocked(now time.Time) {
	l.closed = net.ErrClosed
	l.core.Close(now)
	delete(l.shard.listeners, l.core)
	l.accept.stop()
}

// resolveLocal turns an address to listen on into numbers.
func (h *Host) resolveLocal(network, address string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ctx := context.Background()
	port, err := h.lookupPort(ctx, network, service)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		all, err := unspecified(network)
		return netip.AddrPortFrom(all, port), err
	}
	addrs, err := h.lookupHost(ctx, network, host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(addrs[0], port), nil
}

// unspecified gives the address that stands for all of a network's.
func unspecified(network string) (netip.Addr, error) {
	switch network {
	case "tcp", "tcp6":
		return netip.IPv6Unspecified(), nil
	case "tcp4":
		return netip.IPv4Unspecified(), nil
	}
	return netip.Addr{}, net.UnknownNetworkError(network)
}
