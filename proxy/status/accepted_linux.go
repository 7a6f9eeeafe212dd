package status

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptedPlain says that the kernel accepted c as a TCP connection: a
// Multipath TCP listener does so when the client's SYN has no MP_CAPABLE.
func acceptedPlain(c net.Conn) bool {
	for {
		switch layer := c.(type) {
		case syscall.Conn:
			raw, err := layer.SyscallConn()
			if err != nil {
				return false
			}
			protocol := 0
			raw.Control(func(fd uintptr) {
				protocol, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL)
			})
			return protocol == unix.IPPROTO_TCP
		case interface{ NetConn() net.Conn }:
			c = layer.NetConn()
		default:
			return false
		}
	}
}
