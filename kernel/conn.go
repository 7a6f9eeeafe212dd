package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Dialer opens Multipath TCP connections by Dial and DialContext. The fields are
// those of net.Dialer; SetMultipathTCP need not be called. Other methods of
// net.Dialer are as they are there, and know no MPTCP.
type Dialer struct {
	net.Dialer
}

// DialContext connects to address ("host:port") on network "tcp", "tcp4" or
// "tcp6". When the peer has no MPTCP, the connection is plain TCP, which
// Conn.IsMPTCP tells; when this kernel has none, the error is ErrUnsupported.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (*Conn, error) {
	if err := Supported(); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	dialer := d.Dialer
	dialer.SetMultipathTCP(true)
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return wrap(c)
}

// Dial connects as DialContext does.
func (d *Dialer) Dial(network, address string) (*Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// Dial connects to address ("host:port") on network "tcp", "tcp4" or "tcp6", as
// Dialer.DialContext does.
func Dial(ctx context.Context, network, address string) (*Conn, error) {
	return new(Dialer).DialContext(ctx, network, address)
}

// Conn is a connection of the kernel's. It has the methods of *net.TCPConn,
// among them the ones through which io.Copy splices.
type Conn struct {
	*net.TCPConn
}

func wrap(c net.Conn) (*Conn, error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("kernel: %s is no TCP connection", c.LocalAddr().Network())
	}
	return &Conn{tcp}, nil
}

// Wrap gives a connection that was opened elsewhere the methods of Conn.
func Wrap(c *net.TCPConn) *Conn { return &Conn{c} }

// ListenConfig opens listeners for Multipath TCP. The fields are those of
// net.ListenConfig; SetMultipathTCP need not be called.
type ListenConfig struct {
	net.ListenConfig
}

// Listen listens on network "tcp", "tcp4" or "tcp6". Peers without MPTCP are
// served as well, by plain TCP. An address that names no host (":80") takes
// joins at every address of the host; any other one at itself alone.
func (lc *ListenConfig) Listen(ctx context.Context, network, address string) (*Listener, error) {
	if err := Supported(); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	config := lc.ListenConfig
	config.SetMultipathTCP(true)
	ln, err := config.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		ln.Close()
		return nil, &net.OpError{Op: "listen", Net: network, Err: errors.New("not a TCP network")}
	}
	return &Listener{tcp}, nil
}

// Listen listens as ListenConfig.Listen does.
func Listen(ctx context.Context, network, address string) (*Listener, error) {
	return new(ListenConfig).Listen(ctx, network, address)
}

// Listener accepts connections of the kernel's.
type Listener struct {
	*net.TCPListener
}

// Accept implements net.Listener. The connection is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return &Conn{c}, nil
}
