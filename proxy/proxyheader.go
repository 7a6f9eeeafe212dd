package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"github.com/braid-mptcp/braid/config"
)

// errProxyHeader is what is wrong with the beginning of a connection that had to
// tell for whom it is.
var errProxyHeader = errors.New("proxy: PROXY header")

// readProxyHeader reads a PROXY header, and takes over what it says of the
// client. It is for the connection's own goroutine, since it waits.
func (c *clientConn) readProxyHeader(a *config.AcceptProxy, timeout time.Duration) error {
	if !trustedPeer(a.From, c.peer.Addr()) {
		if a.Optional {
			return nil // then it may send none, and whatever it sends is a request
		}
		return fmt.Errorf("%w: not expected of %v", errProxyHeader, c.peer.Addr())
	}
	if timeout > 0 {
		c.Conn.SetReadDeadline(time.Now().Add(timeout))
		defer c.Conn.SetReadDeadline(time.Time{})
	}
	r := bufio.NewReaderSize(c.Conn, 256)
	awaitLine(r)
	h, err := proxyproto.Read(r)
	missing := errors.Is(err, proxyproto.ErrNoProxyProtocol) || errors.Is(err, os.ErrDeadlineExceeded) && r.Buffered() == 0
	switch {
	case missing && a.Optional:
	case err != nil:
		return fmt.Errorf("%w: %w", errProxyHeader, err)
	case a.Version != config.ProxyAny && a.Version != proxyVersions[h.Version]:
		return fmt.Errorf("%w: version %d", errProxyHeader, h.Version)
	default:
		c.takeHeader(h)
	}
	if n := r.Buffered(); n > 0 {
		early, _ := r.Peek(n)
		c.early = append([]byte(nil), early...)
	}
	return nil
}

// awaitLine waits for the whole of a header of version 1, which package
// proxyproto wants to have in one piece. Over several paths it need not come so.
func awaitLine(r *bufio.Reader) {
	const signature, longest = "PROXY ", 107
	for n := 1; n <= longest; n = r.Buffered() + 1 {
		if _, err := r.Peek(n); err != nil {
			return // proxyproto finds the same
		}
		b, _ := r.Peek(r.Buffered())
		if seen := min(len(b), len(signature)); string(b[:seen]) != signature[:seen] || bytes.IndexByte(b, '\n') >= 0 {
			return
		}
	}
}

var proxyVersions = map[byte]config.ProxyVersion{1: config.ProxyV1, 2: config.ProxyV2}

// takeHeader puts the addresses of a header in place of the connection's. A
// health check of the balancer itself has none.
func (c *clientConn) takeHeader(h *proxyproto.Header) {
	source, destination, ok := h.TCPAddrs()
	if !ok || h.Command.IsLocal() {
		return
	}
	c.remoteAddr, c.localAddr = source, destination
	c.peer, c.local = addrPort(source), addrPort(destination)
}

func trustedPeer(from []config.Prefix, a netip.Addr) bool {
	for _, p := range from {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// proxyHeader makes the header that tells a server who its client is; nil stands
// for ourselves, as in health checks.
func proxyHeader(version config.ProxyVersion, client *clientConn) ([]byte, error) {
	v := byte(2)
	if version == config.ProxyV1 {
		v = 1
	}
	var source, destination net.Addr
	if client != nil && client.peer.IsValid() && client.local.IsValid() {
		source, destination = net.TCPAddrFromAddrPort(client.peer), net.TCPAddrFromAddrPort(client.local)
	}
	return proxyproto.HeaderProxyFromAddrs(v, source, destination).Format()
}
