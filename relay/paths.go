package relay

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/kernel"
)

// WatchPaths calls lost when a connection of the kernel's has had no path for
// the given time: no subflow that is established and whose address the host
// still has. The kernel itself waits for an answer on such a subflow for much
// longer, or for ever if there is nothing to send. The user stack keeps to its
// Options.KeepWithoutSubflow by itself. WatchPaths returns then, or when ctx is
// done.
func WatchPaths(ctx context.Context, c net.Conn, linger time.Duration, lost func()) {
	switch c.(type) {
	case *kernel.Conn, *net.TCPConn:
	default:
		return
	}
	ticker := time.NewTicker(max(min(linger/4, 5*time.Second), time.Millisecond))
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			switch {
			case hasPath(c):
				last = now
			case now.Sub(last) >= linger:
				lost()
				return
			}
		}
	}
}

// hasPath tells whether there is a subflow that packets can leave by.
func hasPath(c net.Conn) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true // not known is no reason to give up
	}
	here := make(map[netip.Addr]bool)
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			here[p.Addr().Unmap().WithZone("")] = true
		}
	}
	info, _ := braid.InfoOf(c)
	for _, sf := range info.Subflows {
		if sf.Established && here[sf.Local.Addr().WithZone("")] {
			return true
		}
	}
	return false
}
