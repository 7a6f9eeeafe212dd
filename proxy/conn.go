package proxy

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
	"github.com/braid-mptcp/braid/proxy/passthrough"
	"github.com/braid-mptcp/braid/proxy/status"
)

// clientConn is a connection that was accepted. It is the net.Conn that all who
// serve it see: at the bottom, below TLS.
type clientConn struct {
	net.Conn
	listener *listener
	id       uint64
	opened   time.Time
	client   *balance.Client
	peer     netip.AddrPort // the client, as far as the connection tells
	local    netip.AddrPort

	// What a PROXY header said; nil where there was none. early is what was
	// read behind it.
	remoteAddr, localAddr net.Addr
	early                 []byte
	account               *status.Account // nil: nobody wants to know
	multipath             bool            // its listener offers it
	settled               atomic.Bool     // none of the above changes any more

	tls      atomic.Pointer[tlsFacts] // nil: no TLS
	http2    atomic.Bool              // by prior knowledge
	requests atomic.Int64
	in, out  atomic.Int64                     // bytes of requests and responses
	passed   atomic.Pointer[passthrough.Conn] // mode tcp, while it lasts
	first    atomic.Pointer[firstRequest]     // nil: none is over yet, or nobody wants to know
}

// firstRequest is what a connection's first request said of the client.
type firstRequest struct{ host, userAgent string }

// maxWords bounds what is kept of a client's words.
const maxWords = 200

// noteFirst keeps what a connection's first request says.
func (c *clientConn) noteFirst(r *http1.Request) {
	if c.first.Load() != nil || r.HeadLen() == 0 {
		return
	}
	host := r.Authority()
	agent, _ := r.Known(http1.UserAgent)
	c.first.CompareAndSwap(nil, &firstRequest{
		host: string(host[:min(len(host), maxWords)]), userAgent: string(agent[:min(len(agent), maxWords)]),
	})
}

// tlsFacts is what a TLS handshake came to.
type tlsFacts struct {
	version    string // such as "TLS 1.3"
	serverName string
	protocol   string // by ALPN
	client     string // the subject of the client's certificate (RFC 2253), if it has shown one
}

// NetConn gives the connection that was accepted, for what it can tell of
// itself. Reading from it would miss what was read early.
func (c *clientConn) NetConn() net.Conn { return c.Conn }

// Take gives what was read early and takes it out: from then on NetConn may be
// read from in place of this.
func (c *clientConn) Take() []byte {
	early := c.early
	c.early = nil
	return early
}

// Read implements net.Conn.
func (c *clientConn) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// RemoteAddr implements net.Conn.
func (c *clientConn) RemoteAddr() net.Addr {
	if c.remoteAddr != nil {
		return c.remoteAddr
	}
	return c.Conn.RemoteAddr()
}

// LocalAddr implements net.Conn.
func (c *clientConn) LocalAddr() net.Addr {
	if c.localAddr != nil {
		return c.localAddr
	}
	return c.Conn.LocalAddr()
}

// Close implements net.Conn. It is the last moment to ask the connection what it
// did.
func (c *clientConn) Close() error {
	if c.settled.Load() && c.account != nil {
		c.account.Close(time.Now())
	}
	return c.Conn.Close()
}

// CloseWrite ends the stream towards the client.
func (c *clientConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// clientConnOf finds the clientConn at the bottom of a connection.
func clientConnOf(c net.Conn) *clientConn {
	for {
		switch layer := c.(type) {
		case *clientConn:
			return layer
		case interface{ NetConn() net.Conn }:
			c = layer.NetConn()
		default:
			return nil
		}
	}
}

// addrPort gives an address that has one as such.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	return netip.AddrPort{}
}

// protocolName says what is spoken on the connection.
func (c *clientConn) protocolName() string {
	t := c.tls.Load()
	switch {
	case c.listener.mode == config.ModeTCP:
		return "tcp"
	case t != nil && t.protocol != "":
		return t.protocol
	case c.http2.Load():
		return "h2"
	}
	return "http/1.1"
}
