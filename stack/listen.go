package stack

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/wire"
)

// Listener takes connections to one address and port.
type Listener struct {
	stack   *Stack
	addr    netip.AddrPort
	backlog int
	cfg     *mptcp.Config
	opening int           // handshakes going on
	ready   []*mptcp.Conn // waiting for Accept
	closed  bool
	queued  bool // in stack.acceptq
}

// defaultBacklog is what a backlog of 0 means.
const defaultBacklog = 1024

// Listen begins to take connections. An unspecified address means all the
// host has, port 0 a chosen one. backlog bounds the connections that are not
// accepted yet, handshakes included. Errors: ErrAddressInUse, ErrNoPort.
func (s *Stack) Listen(local netip.AddrPort, backlog int) (*Listener, error) {
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(netip.IPv6Unspecified(), local.Port())
	}
	if local.Port() == 0 {
		port, ok := s.freeListenPort(local.Addr())
		if !ok {
			return nil, ErrNoPort
		}
		local = netip.AddrPortFrom(local.Addr(), port)
	}
	if _, used := s.listeners[local]; used {
		return nil, ErrAddressInUse
	}
	if backlog <= 0 {
		backlog = defaultBacklog
	}
	l := &Listener{stack: s, addr: local, backlog: backlog}
	s.listeners[local] = l
	return l, nil
}

func (s *Stack) freeListenPort(a netip.Addr) (uint16, bool) {
	const n = lastPort - firstPort + 1
	start := s.cfg.Rand() % n
	for i := range uint64(n) {
		port := uint16(firstPort + (start+i)%n)
		if _, used := s.listeners[netip.AddrPortFrom(a, port)]; !used {
			return port, true
		}
	}
	return 0, false
}

// SetConfig is what connections to this listener begin with, instead of the
// stack's default.
func (l *Listener) SetConfig(cfg mptcp.Config) { l.cfg = &cfg }

// Addr is where the listener listens.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Accept takes the oldest established connection not yet taken.
func (l *Listener) Accept() (*mptcp.Conn, bool) {
	if len(l.ready) == 0 {
		return nil, false
	}
	c := l.ready[0]
	l.ready = l.ready[1:]
	return c, true
}

// Close stops listening. Connections nobody accepted are aborted.
func (l *Listener) Close(now time.Time) {
	if l.closed {
		return
	}
	l.closed = true
	delete(l.stack.listeners, l.addr)
	for e := range l.stack.entries.all {
		if e.listener == l {
			e.conn.Abort(now)
		}
	}
	for _, c := range l.ready {
		c.Abort(now)
	}
	l.ready = nil
}

// listenerFor finds who listens at an address: the most specific.
func (s *Stack) listenerFor(a netip.AddrPort) *Listener {
	if l := s.listeners[a]; l != nil {
		return l
	}
	if a.Addr().Is4() {
		if l := s.listeners[netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port())]; l != nil {
			return l
		}
	}
	return s.listeners[netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port())]
}

// inputListen takes a SYN for a listener.
func (s *Stack) inputListen(now time.Time, l *Listener, t fourTuple, syn *wire.Segment) {
	if l.opening+len(l.ready) >= l.backlog {
		s.stats.SYNsDropped++
		return
	}
	a, ok := s.address(t.local.Addr())
	if !ok {
		return
	}
	cfg := &s.cfg.Conn
	if l.cfg != nil {
		cfg = l.cfg
	}
	tcpCfg := cfg.TCP
	s.fill(now, &tcpCfg, a, t)
	e := s.newEntry()
	e.listener = l
	l.opening++
	c, sf := mptcp.Accept(now, e, *cfg, tcpCfg, syn)
	e.conn = c
	s.bySegment[t] = subflow{e, sf}
	e.Wake(c)
}

// settle moves a connection of a listener on when its handshake has ended.
func (e *entry) settle(ev mptcp.EventKind) {
	l := e.listener
	e.listener = nil
	l.opening--
	if ev != mptcp.EventEstablished || l.closed {
		return
	}
	l.ready = append(l.ready, e.conn)
	if !l.queued {
		l.queued = true
		e.stack.acceptq = append(e.stack.acceptq, l)
	}
}
