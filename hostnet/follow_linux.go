package hostnet

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
)

// settleTime is how long changes may go on before they are told of: a link that
// comes up brings several.
const settleTime = 100 * time.Millisecond

// Follower tells when interfaces, addresses or routes change.
type Follower struct {
	changed chan struct{}
	lost    chan struct{} // closed when the kernel no longer tells of changes
	done    chan struct{}
	close   sync.Once
}

// Follow begins to follow the network namespace of the calling thread.
func (h *Host) Follow() (*Follower, error) {
	f := &Follower{
		changed: make(chan struct{}, 1),
		lost:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	links := make(chan netlink.LinkUpdate)
	addrs := make(chan netlink.AddrUpdate)
	routes := make(chan netlink.RouteUpdate)
	err := netlink.LinkSubscribe(links, f.done)
	if err == nil {
		err = netlink.AddrSubscribe(addrs, f.done)
	}
	if err == nil {
		err = netlink.RouteSubscribe(routes, f.done)
	}
	if err != nil {
		close(f.done)
		return nil, fmt.Errorf("hostnet: follow changes: %w", err)
	}
	var ended sync.Once
	end := func() { ended.Do(func() { close(f.lost) }) }
	go watch(links, f, end, func(netlink.LinkUpdate) bool { return true })
	go watch(addrs, f, end, func(netlink.AddrUpdate) bool { return true })
	// Our own routes are no news: told of them, one would install them again.
	go watch(routes, f, end, func(u netlink.RouteUpdate) bool { return u.Protocol != Protocol })
	return f, nil
}

// watch passes on that there are changes, until the channel is closed. All of
// it is read, so that the library's goroutine ends too.
func watch[T any](ch <-chan T, f *Follower, end func(), matters func(T) bool) {
	defer end()
	for u := range ch {
		if !matters(u) {
			continue
		}
		select {
		case f.changed <- struct{}{}:
		default: // told already
		}
	}
}

// Next waits for a change, and until changes have settled. It returns
// net.ErrClosed after Close, and ErrFollowLost when the kernel told of more than
// was read; then it is time to look what there is, and to follow anew.
func (f *Follower) Next() error {
	select {
	case <-f.done:
		return net.ErrClosed
	case <-f.changed:
	case <-f.lost:
		select {
		case <-f.done:
			return net.ErrClosed
		default:
			return ErrFollowLost
		}
	}
	settled := time.NewTimer(settleTime)
	defer settled.Stop()
	select {
	case <-settled.C:
	case <-f.done:
		return net.ErrClosed
	}
	select {
	case <-f.changed: // meanwhile
	default:
	}
	return nil
}

// Close ends a pending Next. Any goroutine may call it.
func (f *Follower) Close() error {
	f.close.Do(func() { close(f.done) })
	return nil
}
