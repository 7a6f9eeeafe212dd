package proxy

import (
	"net"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/kernel"
)

// tuneAccepted applies to a connection what it has not inherited from its
// listener. Go turns Nagle's algorithm off on each connection.
func tuneAccepted(c net.Conn, profile *config.TCPProfile) {
	if profile.Nagle {
		if tcp := kernelTCP(c); tcp != nil {
			tcp.SetNoDelay(false)
		}
	}
}

// tuneDialled applies a profile to a connection that was opened without.
func tuneDialled(c net.Conn, profile *config.TCPProfile) {
	tcp := kernelTCP(c)
	if tcp == nil {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		if control := profileControl(profile); control != nil {
			// What cannot be had was said at the start.
			_ = control("tcp", "", raw)
		}
	}
	if profile.Nagle {
		tcp.SetNoDelay(false)
	}
}

// kernelTCP gives a connection of the kernel's as such, else nil.
func kernelTCP(c net.Conn) *net.TCPConn {
	switch c := c.(type) {
	case *net.TCPConn:
		return c
	case *kernel.Conn:
		return c.TCPConn
	}
	return nil
}
