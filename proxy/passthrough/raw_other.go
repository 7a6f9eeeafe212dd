//go:build !linux

package passthrough

import "net"

func (d *direction) carryRaw() (*side, error) { panic("BUG: no raw sockets here") }

// goneWatch cannot tell.
type goneWatch struct{}

func watchGone(net.Conn, func()) *goneWatch { return nil }

func (*goneWatch) stop() {}
