//go:build !linux

package proxy

import (
	"net"
	"syscall"
)

// rawOf gives nothing: package http1 reads sockets past the runtime on Linux
// alone.
func rawOf(net.Conn) syscall.RawConn { return nil }
