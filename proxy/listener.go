package proxy

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/certs"
	"github.com/braid-mptcp/braid/proxy/http1"
	"github.com/braid-mptcp/braid/proxy/http2"
)

// listener is a listener of the configuration. A reload that changes what it is
// about puts another one in its place; all else is in its rules.
type listener struct {
	proxy    *Proxy
	name     string
	mode     config.Mode
	secure   bool            // TLS
	frontend *http1.Frontend // mode http
	http2    *http2.Server   // mode http
	rules    atomic.Pointer[rules]
	gate     *gate
	accepted atomic.Int64

	// ending ends when its connections have to.
	ending context.Context
	end    context.CancelFunc
}

// rules are what a reload changes about a listener. They do not change
// themselves.
type rules struct {
	config   *config.Listener
	timeouts config.Timeouts
	limits   config.Limits
	settings *http1.Settings // mode http
	tcp      *tcpRouter      // mode tcp
	certs    *certs.Server   // nil: no TLS
}

// Words for connections that ended before they were served.
const (
	refusedLimit  = "limit"
	refusedHeader = "proxy_header"
	refusedTLS    = "tls"
)

// admit makes a clientConn of a connection that was accepted, once there is
// room for it; nil: the listener has gone.
func (l *listener) admit(nc net.Conn, multipath bool) *clientConn {
	p := l.proxy
	if !p.gate.enter() {
		return nil
	}
	if !l.gate.enter() {
		p.gate.leave()
		return nil
	}
	l.accepted.Add(1)
	return &clientConn{Conn: nc, listener: l, multipath: multipath}
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
	c.peer, c.local = addrPort(c.Conn.RemoteAddr()), addrPort(c.Conn.LocalAddr())
	if a := r.config.AcceptProxy; a != nil {
		if err := c.readProxyHeader(a, r.timeouts.ProxyHeader.D()); err != nil {
			l.refuse(c, refusedHeader, err)
			return
		}
	}
	counted, ok := p.perClient.enter(c.peer.Addr())
	if !ok {
		l.refuse(c, refusedLimit, nil)
		return
	}
	if counted {
		defer p.perClient.leave(c.peer.Addr())
	}
	p.openAccount(c)
	c.settled.Store(true)
	c.client = balance.NewClient(c.peer.Addr())
	c.client.Data = c
	defer c.client.Close()
	l.speak(c, r)
	c.Close() // for the books: whoever spoke has closed what he was given
}

// speak speaks what the listener is for.
func (l *listener) speak(c *clientConn, r *rules) {
	var nc net.Conn = c
	if r.certs != nil {
		tc, err := l.shakeHands(c, r)
		if err != nil {
			l.refuse(c, refusedTLS, err)
			return
		}
		nc = tc
	}
	if l.mode == config.ModeTCP {
		l.serveTCP(c, nc, r)
		return
	}
	if t := c.tls.Load(); t != nil && t.protocol == "h2" {
		l.http2.ServeConn(nc, l.frontend)
		return
	}
	l.proxy.engine.ServeConn(nc, l.frontend)
}

// preface is Settings.Preface: HTTP/2 by prior knowledge.
func (l *listener) preface(nc net.Conn, read []byte, connData any) {
	connData.(*clientConn).http2.Store(true)
	l.http2.ServePreface(nc, read, l.frontend, connData)
}

// refuse ends a connection that is not served.
func (l *listener) refuse(c *clientConn, why string, err error) {
	c.Close()
	l.proxy.ledger.Refuse(why)
	l.proxy.log.Debug("connection refused", "listener", l.name, "client", c.peer.String(), "why", why, "error", err)
}

// openedConn is Settings.Opened.
func openedConn(nc net.Conn) any { return clientConnOf(nc) }
