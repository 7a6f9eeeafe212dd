package proxy

import (
	"net"
	"sync/atomic"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// listener is a listener of the configuration. A reload that changes what it is
// about puts another one in its place; all else is in its rules.
type listener struct {
	proxy    *Proxy
	name     string
	mode     config.Mode
	secure   bool // TLS
	frontend *http1.Frontend
	rules    atomic.Pointer[rules]
	gate     *gate
	accepted atomic.Int64
}

// rules are what a reload changes about a listener. They do not change
// themselves.
type rules struct {
	config   *config.Listener
	timeouts config.Timeouts
	profile  *config.TCPProfile
	settings *http1.Settings
}

// admit makes a clientConn of a connection that was accepted, once there is
// room for it; nil: the listener has gone.
func (l *listener) admit(nc net.Conn) *clientConn {
	p := l.proxy
	if !p.gate.enter() {
		return nil
	}
	if !l.gate.enter() {
		p.gate.leave()
		return nil
	}
	l.accepted.Add(1)
	return &clientConn{Conn: nc, listener: l}
}

// serve serves a connection to its end.
func (l *listener) serve(c *clientConn) {
	p := l.proxy
	defer p.gate.leave()
	defer l.gate.leave()
	if !p.conns.add(c) {
		c.Close()
		return
	}
	defer p.conns.remove(c)
	r := l.rules.Load()
	tuneAccepted(c.Conn, r.profile)
	c.peer, c.local = addrPort(c.Conn.RemoteAddr()), addrPort(c.Conn.LocalAddr())
	c.client = balance.NewClient(c.peer.Addr())
	c.client.Data = c
	defer c.client.Close()
	l.serveHTTP(c)
}

// serveHTTP serves requests.
func (l *listener) serveHTTP(c *clientConn) {
	l.proxy.engine.ServeConn(c, l.frontend)
}

// openedConn is Settings.Opened.
func openedConn(nc net.Conn) any { return clientConnOf(nc) }
