package braid

import (
	"net"
	"net/netip"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/internal/rawsock"
	"github.com/braid-mptcp/braid/kernel"
)

// Conn is a connection of a Stack. Dial, DialContext and a Listener's Accept
// return it as net.Conn, which is what the world takes.
type Conn = host.Conn

// InfoOf gives the Info of a connection of the user stack or the kernel's, also
// through wrappers that show what they wrap with a NetConn method, as
// *tls.Conn does. For other connections ok is false.
//
// The kernel tells less than the user stack: not why a connection is plain TCP,
// nor the peer's token, the scheduler, address IDs, who opened a subflow, which
// subflows are backups, or buffer sizes. These fields are zero. Its Info lists no
// subflow that has ended and is worth little once the connection was closed.
func InfoOf(c net.Conn) (info Info, ok bool) {
	for {
		switch layer := c.(type) {
		case *Conn:
			return layer.Info(), true
		case *kernel.Conn:
			return kernelInfo(layer), true
		case *net.TCPConn:
			return kernelInfo(layer), true
		case *rawsock.Conn:
			return kernelInfo(layer), true
		case interface{ NetConn() net.Conn }:
			c = layer.NetConn()
		default:
			return Info{}, false
		}
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
