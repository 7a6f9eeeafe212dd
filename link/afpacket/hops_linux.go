package afpacket

import (
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/link"
)

const (
	// maxHeld is how many packets wait for a link-layer address: a few, as
	// with the kernel.
	maxHeld = 16
	// tickTime is how often a hop without an address is looked up again, and
	// checkTicks how many ticks later one in use is.
	tickTime   = time.Second
	checkTicks = 5
	// forgetTicks is how long a hop without traffic is kept.
	forgetTicks = 600
)

// usable are the states in which the kernel itself sends to a neighbour.
const usable = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE |
	netlink.NUD_PERMANENT | netlink.NUD_NOARP

// hops knows the link-layer address of the next hop to every destination. It
// asks the kernel's routing and neighbour tables and follows their changes, in
// a goroutine of its own.
type hops struct {
	nl    *netlink.Handle // of the goroutine, as are raw and out
	index int             // of the interface
	raw   syscall.RawConn // the packet socket, for packets that were held
	out   *sender
	gone  func()        // the interface was deleted
	wake  chan struct{} // there is a hop in hopNew
	done  chan struct{}
	ended chan struct{}

	mu sync.Mutex
	by map[netip.Addr]*hop // by destination
}

type hopState int

const (
	hopNew     hopState = iota // to be looked up
	hopAsked                   // the kernel is asking for the address
	hopKnown                   // mac is valid
	hopUnknown                 // there is no route, or no answer
)

type hop struct {
	state hopState
	via   netip.Addr // address of the next hop; invalid before the first look-up
	mac   [6]byte
	held  []link.Packet
	idle  int // ticks since the last packet
}

// newHops takes nl over when it succeeds. It calls gone, from another
// goroutine, when the interface is deleted.
func newHops(nl *netlink.Handle, index int, raw syscall.RawConn, out *sender, gone func()) (*hops, error) {
	h := &hops{
		nl: nl, index: index, raw: raw, out: out, gone: gone,
		wake:  make(chan struct{}, 1),
		done:  make(chan struct{}),
		ended: make(chan struct{}),
		by:    make(map[netip.Addr]*hop),
	}
	news := news{
		neighs: make(chan netlink.NeighUpdate, 16),
		routes: make(chan netlink.RouteUpdate, 16),
		links:  make(chan netlink.LinkUpdate, 16),
	}
	err := netlink.NeighSubscribe(news.neighs, h.done)
	if err == nil {
		err = netlink.RouteSubscribe(news.routes, h.done)
	}
	if err == nil {
		err = netlink.LinkSubscribe(news.links, h.done)
	}
	if err != nil {
		close(h.done)
		return nil, fmt.Errorf("afpacket: follow the kernel's tables: %w", err)
	}
	go h.run(news)
	return h, nil
}

// news are the changes the kernel tells of. A channel is closed when the kernel
// had to leave changes out, or at the end.
type news struct {
	neighs chan netlink.NeighUpdate
	routes chan netlink.RouteUpdate
	links  chan netlink.LinkUpdate
}

// drain lets the library's goroutines end, each of which waits until its last
// change is taken.
func (n news) drain() {
	for range n.neighs {
	}
	for range n.routes {
	}
	for range n.links {
	}
}

func (h *hops) close() {
	close(h.done)
	<-h.ended
	h.nl.Close()
}

// lookup gives the link-layer address of the next hop to dst. While it is being
// asked for, lookup keeps a copy of p, which is sent later. p is lost when too
// many wait, or when there is no such host.
func (h *hops) lookup(dst netip.Addr, p *link.Packet) (mac [6]byte, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hp := h.by[dst]
	if hp == nil {
		hp = &hop{}
		h.by[dst] = hp
		select {
		case h.wake <- struct{}{}:
		default: // it is awake
		}
	}
	hp.idle = 0
	switch {
	case hp.state == hopKnown:
		return hp.mac, true
	case hp.state != hopUnknown && len(hp.held) < maxHeld:
		held := *p
		held.Data, held.Payload = p.Append(nil), nil
		hp.held = append(hp.held, held)
	}
	return mac, false
}

func (h *hops) run(open news) {
	defer close(h.ended)
	defer open.drain()
	neighs, routes, links := open.neighs, open.routes, open.links
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	for ticks := 1; ; {
		select {
		case <-h.done:
			return
		case <-h.wake:
			h.resolveIf(func(hp *hop) bool { return hp.state == hopNew })
		case u, ok := <-neighs:
			if !ok {
				neighs = nil // the kernel lost us; ticks find changes too
				continue
			}
			h.handleNeigh(u)
		case _, ok := <-routes:
			if !ok {
				routes = nil
				continue
			}
			h.resolveIf(func(hp *hop) bool { return true })
		case u, ok := <-links:
			if !ok {
				links = nil
				continue
			}
			if u.Header.Type == unix.RTM_DELLINK && u.Family == unix.AF_UNSPEC && int(u.Index) == h.index {
				h.gone()
			}
		case <-tick.C:
			ticks++
			h.forgetIdle()
			h.resolveIf(func(hp *hop) bool {
				return hp.state != hopKnown || ticks%checkTicks == 0 && hp.idle <= checkTicks
			})
		}
	}
}

func (h *hops) forgetIdle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for dst, hp := range h.by {
		if hp.idle++; hp.idle > forgetTicks {
			delete(h.by, dst)
		}
	}
}

// resolveIf looks up the hops that want chooses. The kernel is asked with the
// lock free, so that known hops can be sent to meanwhile.
func (h *hops) resolveIf(want func(*hop) bool) {
	var dsts []netip.Addr
	h.mu.Lock()
	for dst, hp := range h.by {
		if want(hp) {
			dsts = append(dsts, dst)
		}
	}
	h.mu.Unlock()
	for _, dst := range dsts {
		via, mac, state := h.resolve(dst)
		h.mu.Lock()
		var held []link.Packet
		if hp := h.by[dst]; hp != nil {
			held = hp.update(via, mac, state)
		}
		h.mu.Unlock()
		h.sendHeld(mac, held)
	}
}

// update takes the outcome of a look-up and returns the packets that may now
// be sent.
func (hp *hop) update(via netip.Addr, mac [6]byte, state hopState) (held []link.Packet) {
	if state == hopAsked && hp.state == hopKnown && via == hp.via {
		return nil // the kernel is making sure of it: good until it says otherwise
	}
	hp.via, hp.mac, hp.state = via, mac, state
	switch state {
	case hopKnown:
		held, hp.held = hp.held, nil
	case hopUnknown:
		hp.held = nil
	}
	return held
}

// resolve asks the kernel for the next hop to dst and its link-layer address,
// and makes it ask the network if it must.
func (h *hops) resolve(dst netip.Addr) (via netip.Addr, mac [6]byte, state hopState) {
	routes, err := h.nl.RouteGetWithOptions(dst.AsSlice(), &netlink.RouteGetOptions{OifIndex: h.index})
	if err != nil || len(routes) == 0 {
		return dst, mac, hopUnknown
	}
	via = dst
	if gw, ok := netip.AddrFromSlice(routes[0].Gw); ok {
		via = gw.Unmap()
	}
	family := unix.AF_INET
	if via.Is6() {
		family = unix.AF_INET6
	}
	state = hopAsked
	neighs, err := h.nl.NeighListExecute(netlink.Ndmsg{Family: uint8(family), Index: uint32(h.index)})
	if err == nil {
		for _, n := range neighs {
			if addr, _ := netip.AddrFromSlice(n.IP); addr.Unmap() == via && isUsable(&n) {
				mac, state = [6]byte(n.HardwareAddr), hopKnown
			}
		}
	}
	// The kernel does not see our traffic. Told that the entry is in use, it
	// asks for the address, or has it confirmed if it is old.
	h.nl.NeighSet(&netlink.Neigh{LinkIndex: h.index, Family: family, Flags: netlink.NTF_USE, IP: via.AsSlice()})
	return via, mac, state
}

func isUsable(n *netlink.Neigh) bool {
	return n.State&usable != 0 && len(n.HardwareAddr) == 6
}

// handleNeigh takes a change of the neighbour table.
func (h *hops) handleNeigh(u netlink.NeighUpdate) {
	addr, ok := netip.AddrFromSlice(u.IP)
	if !ok || u.LinkIndex != h.index {
		return
	}
	addr = addr.Unmap()
	state, mac := hopUnknown, [6]byte{}
	switch {
	case u.Type == unix.RTM_NEWNEIGH && isUsable(&u.Neigh):
		state, mac = hopKnown, [6]byte(u.HardwareAddr)
	case u.Type == unix.RTM_NEWNEIGH && u.State != netlink.NUD_FAILED:
		return // it is being asked for
	}
	var held []link.Packet
	h.mu.Lock()
	for _, hp := range h.by {
		if hp.via == addr {
			held = append(held, hp.update(addr, mac, state)...)
		}
	}
	h.mu.Unlock()
	h.sendHeld(mac, held)
}

// sendHeld sends packets that waited for the address. Those the socket has no
// room for are lost.
func (h *hops) sendHeld(mac [6]byte, held []link.Packet) {
	for i := range held {
		// Control, unlike Write, does not wait for a writer, who may be
		// waiting for our lock.
		h.raw.Control(func(fd uintptr) { h.out.send(fd, mac, &held[i]) })
	}
}
