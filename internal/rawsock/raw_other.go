//go:build !linux

// Package rawsock finds the sockets beneath connections, for code that reads and
// writes them without package net in between, and accepts connections that are
// little more than their socket.
package rawsock

import (
	"net"
	"syscall"
)

// Of gives nothing where reading and writing past the runtime has not been
// tried.
func Of(net.Conn) syscall.RawConn { return nil }

// IsTCP is false: no other kernel accepts Multipath TCP here, of which it could
// be told apart.
func IsTCP(syscall.Conn) bool { return false }

// IsMPTCP is false likewise.
func IsMPTCP(syscall.Conn) bool { return false }

// Conn is what Linux's Listen makes: here nobody does.
type Conn struct{ *net.TCPConn }

// Listen gives l itself.
func Listen(l net.Listener) net.Listener { return l }

// DeferAccept does nothing.
func DeferAccept(net.Listener, bool) {}
