package relay

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/kernel"
)

// WatchPaths calls lost when a connection of the kernel's has had no path for
// the given time: no subflow that is established and whose address is still on
// an interface that can send. The kernel itself waits for an answer on such a subflow for much
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
	here, err := addresses()
	if err != nil {
		return true // not known is no reason to give up
	}
	info, _ := braid.InfoOf(c)
	return slices.ContainsFunc(info.Subflows, func(sf braid.SubflowInfo) bool {
		return sf.Established && here[sf.Local.Addr().WithZone("")]
	})
}

// addresses gives those of the interfaces that are up and have a carrier. One
// that goes down keeps its addresses.
func addresses() (here map[netip.Addr]bool, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	here = make(map[netip.Addr]bool)
	const works = net.FlagUp | net.FlagRunning
	for _, i := range interfaces {
		if i.Flags&works != works {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				here[p.Addr().Unmap().WithZone("")] = true
			}
		}
	}
	return here, nil
}
