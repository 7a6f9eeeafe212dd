package braid

import (
	"net"

	"github.com/braid-mptcp/braid/host"
)

// Conn is a connection of a Stack. Dial, DialContext and a Listener's Accept
// return it as net.Conn, which is what the world takes.
type Conn = host.Conn

// InfoOf gives the Info of a connection of a Stack, also through wrappers that
// show what they wrap with a NetConn method, as *tls.Conn does. For other
// connections ok is false.
func InfoOf(c net.Conn) (info Info, ok bool) {
	for {
		switch layer := c.(type) {
		case *Conn:
			return layer.Info(), true
		case interface{ NetConn() net.Conn }:
			c = layer.NetConn()
		default:
			return Info{}, false
		}
	}
}
