//go:build !linux

package passthrough

import (
	"net"
	"syscall"
)

// rawOf gives nothing where reading and writing past the runtime has not been
// tried.
func rawOf(net.Conn) syscall.RawConn { return nil }

func (d *direction) carryRaw() (*side, error) { panic("BUG: no raw sockets here") }

// goneWatch cannot tell.
type goneWatch struct{}

func watchGone(net.Conn, func()) *goneWatch { return nil }

func (*goneWatch) stop() {}
