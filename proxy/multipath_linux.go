package proxy

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptsMultipath says whether a socket that was handed over is one of
// Multipath TCP.
func acceptsMultipath(l net.Listener) bool {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	protocol := 0
	raw.Control(func(fd uintptr) { protocol, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL) })
	return protocol == unix.IPPROTO_MPTCP
}
