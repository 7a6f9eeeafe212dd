package proxy

import (
	"net"
	"syscall"

	"github.com/braid-mptcp/braid/kernel"
)

// rawOf finds the socket of connections whose Read and Write do nothing else
// than read and write it.
func rawOf(c net.Conn) syscall.RawConn {
	var sc syscall.Conn
	switch c := c.(type) {
	case *clientConn:
		if len(c.early) > 0 {
			return nil
		}
		return rawOf(c.Conn)
	case *kernel.Conn:
		sc = c.TCPConn
	case *net.TCPConn:
		sc = c
	case *net.UnixConn:
		sc = c
	default:
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil // closed: the first Read will say so
	}
	return raw
}
