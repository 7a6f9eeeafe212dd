// Package rawsock finds the sockets beneath connections, for code that reads and
// writes them without package net in between.
package rawsock

import (
	"net"
	"syscall"

	"github.com/braid-mptcp/braid/kernel"
)

// Of gives the socket of a connection whose Read and Write do nothing but read
// and write it; nil for others, and for one that is closed. Types that wrap a
// connection are not looked into: their Read may do more than read.
func Of(c net.Conn) syscall.RawConn {
	var sc syscall.Conn
	switch c := c.(type) {
	case *net.TCPConn:
		sc = c
	case *kernel.Conn:
		sc = c.TCPConn
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
