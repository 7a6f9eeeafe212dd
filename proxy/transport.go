package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/certs"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// transport opens connections to the servers of a pool and readies them.
type transport struct {
	networks  networks
	sendProxy config.ProxyVersion
	tls       *tls.Config // nil: none
	name      string      // tells transports apart: equal ones open connections that are alike
}

// newTransport makes the transport of a pool. Files that its TLS needs are read.
func (next *plan) newTransport(pool *config.Pool) (*transport, error) {
	t := &transport{networks: next.networks[pool.TCP], sendProxy: pool.SendProxy}
	t.name = fmt.Sprintf("%+v proxy %s", *next.config.TCPProfiles[pool.TCP], t.sendProxy)
	if pool.TLS != nil {
		var err error
		if t.tls, err = certs.Client(pool.TLS); err != nil {
			return nil, err
		}
		t.name += " tls " + tlsName(pool.TLS)
	}
	return t, nil
}

// tlsName tells TLS configurations apart, with the files they were made of.
func tlsName(c *config.ClientTLS) string {
	files := []config.File{c.CA}
	if c.Certificate != nil {
		files = append(files, c.Certificate.Cert, c.Certificate.Key)
	}
	s := fmt.Sprintf("%s %v %s", c.ServerName, c.Verify, c.MinVersion)
	for _, f := range files {
		s += " " + string(f)
		if info, err := os.Stat(string(f)); err == nil {
			s += fmt.Sprintf(" %d %d", info.Size(), info.ModTime().UnixNano())
		}
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
		return t.networks.multipath.DialContext(ctx, family(n), address)
	}
	return t.networks.plain.DialContext(ctx, family(n), address)
}

// prepare gives what a connection needs before requests; nil: nothing.
func (t *transport) prepare() func(context.Context, net.Conn, balance.Backend, *balance.Client) (net.Conn, error) {
	if t.sendProxy == config.ProxyOff && t.tls == nil {
		return nil
	}
	return t.ready
}

// ready sends the PROXY header and speaks TLS. client is nil for checks.
func (t *transport) ready(ctx context.Context, c net.Conn, b balance.Backend, client *balance.Client) (net.Conn, error) {
	if t.sendProxy != config.ProxyOff {
		if err := t.sendHeader(ctx, c, client); err != nil {
			return nil, err
		}
	}
	if t.tls == nil {
		return c, nil
	}
	cfg := t.tls
	if cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName = hostFrom(ctx, b)
	}
	tc := tls.Client(c, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return tc, nil
}

func (t *transport) sendHeader(ctx context.Context, c net.Conn, client *balance.Client) error {
	var from *clientConn
	if client != nil {
		from, _ = client.Data.(*clientConn)
	}
	header, err := proxyHeader(t.sendProxy, from)
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		c.SetWriteDeadline(deadline)
		defer c.SetWriteDeadline(time.Time{})
	}
	_, err = c.Write(header)
	return err
}

// hostContext carries the host of a request to where a connection is opened for
// it.
type hostContext struct {
	context.Context
	host string
}

// withHost has connections that are opened with ctx speak TLS with the request's
// host.
func withHost(ctx context.Context, x *http1.Exchange) (context.Context, string) {
	var room [64]byte
	host := string(appendHost(room[:0], x.Authority()))
	return &hostContext{ctx, host}, host
}

type hostKey struct{}

// Value implements context.Context.
func (c *hostContext) Value(key any) any {
	if key == (hostKey{}) {
		return c.host
	}
	return c.Context.Value(key)
}

// hostFrom gives the name under which to speak TLS with a server: that of the
// request, or else of the server's address.
func hostFrom(ctx context.Context, b balance.Backend) string {
	if host, _ := ctx.Value(hostKey{}).(string); host != "" {
		if n := len(host); host[0] == '[' && host[n-1] == ']' {
			return host[1 : n-1]
		}
		return host
	}
	if host, _, err := net.SplitHostPort(b.Address); err == nil {
		return host
	}
	return "localhost"
}
