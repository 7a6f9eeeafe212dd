package status

import (
	"net"
	"syscall"

	"github.com/braid-mptcp/braid/internal/rawsock"
)

// acceptedPlain says that the kernel accepted c as a TCP connection: a
// Multipath TCP listener does so when the client's SYN has no MP_CAPABLE.
func acceptedPlain(c net.Conn) bool {
	for {
		switch layer := c.(type) {
		case syscall.Conn:
			return rawsock.IsTCP(layer)
		case interface{ NetConn() net.Conn }:
			c = layer.NetConn()
		default:
			return false
		}
	}
}
