//go:build !linux

package balance

import "net"

// peer notices what the server does while a connection is idle, by a goroutine.
type peer struct{ reader reader }

// watch is for Linux.
type watch struct{}

func (*watch) close() {}

func (p *peer) init(nc net.Conn, _ *watch) { p.reader.conn = nc }

// park begins to watch; false: the connection is known to be dead.
func (p *peer) park(c *Conn) bool { return p.reader.start(c) }

// unpark ends it, and says whether the connection is alive.
func (p *peer) unpark(bool) bool { return p.reader.stop() }

func (p *peer) forget() {}
