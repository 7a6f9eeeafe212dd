package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
)

// transport opens connections to the servers of a pool and readies them.
type transport struct {
	proxy   *Proxy
	profile *config.TCPProfile
	pool    *config.Pool
	tls     *tls.Config // nil: none
}

func (p *Proxy) newTransport(c *config.Config, pool *config.Pool) (*transport, error) {
	return &transport{proxy: p, profile: c.TCPProfiles[pool.TCP], pool: pool}, nil
}

// name tells transports apart: connections to an address that were opened by
// equal ones are alike.
func (t *transport) name() string {
	s := fmt.Sprintf("tcp %+v", *t.profile)
	if t.pool.SendProxy != config.ProxyOff {
		s += " proxy " + string(t.pool.SendProxy)
	}
	return s
}

// dial opens a connection.
func (t *transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n := config.Network(network)
	switch {
	case network == "unix":
		var d net.Dialer
		return d.DialContext(ctx, "unix", address)
	case n.Multipath():
		c, err := t.proxy.network.DialContext(ctx, family(n), address)
		if err == nil {
			tuneDialled(c, t.profile)
		}
		return c, err
	}
	d := net.Dialer{KeepAlive: -1, Control: profileControl(t.profile)}
	d.SetMultipathTCP(false)
	c, err := d.DialContext(ctx, family(n), address)
	if err == nil && t.profile.Nagle {
		c.(*net.TCPConn).SetNoDelay(false)
	}
	return c, err
}

// prepareFunc gives what a connection needs before requests; nil: nothing.
func (t *transport) prepareFunc() func(context.Context, net.Conn, balance.Backend, *balance.Client) (net.Conn, error) {
	return nil
}
