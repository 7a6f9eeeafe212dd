package proxy

import (
	"net"
	"syscall"

	"github.com/braid-mptcp/braid/internal/rawsock"
)

// rawOf finds the socket of a clientConn of which nothing was read early.
func rawOf(c net.Conn) syscall.RawConn {
	if c, ok := c.(*clientConn); ok && len(c.early) == 0 {
		return rawsock.Of(c.Conn)
	}
	return nil
}

// acceptsMultipath says whether a socket that was handed over is one of
// Multipath TCP.
func acceptsMultipath(l net.Listener) bool {
	s, ok := l.(syscall.Conn)
	return ok && rawsock.IsMPTCP(s)
}
