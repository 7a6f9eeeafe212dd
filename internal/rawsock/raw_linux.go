// Package rawsock finds the sockets beneath connections, for code that reads and
// writes them without package net in between, and accepts connections that are
// little more than their socket.
package rawsock

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/kernel"
)

// Of gives the socket of a connection whose Read and Write do nothing but read
// and write it; nil for others, and for one that is closed. Types that wrap a
// connection are not looked into: their Read may do more than read.
func Of(c net.Conn) syscall.RawConn {
	var sc syscall.Conn
	switch c := c.(type) {
	case *Conn:
		sc = c
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

// IsTCP and IsMPTCP say which protocol a socket was made for. One that a Multipath
// TCP listener accepted is TCP if the client's SYN had no MP_CAPABLE.
func IsTCP(s syscall.Conn) bool { return protocol(s) == unix.IPPROTO_TCP }

// IsMPTCP: see IsTCP.
func IsMPTCP(s syscall.Conn) bool { return protocol(s) == unix.IPPROTO_MPTCP }

// protocol is -1 if it cannot be told.
func protocol(s syscall.Conn) int {
	p := -1
	if raw, err := s.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil {
				p = got
			}
		})
	}
	return p
}
