package netns

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// End is one end of a veth pair: an interface in a namespace.
type End struct {
	NS    *NS
	Name  string
	Index int
	MAC   net.HardwareAddr
	Addrs []netip.Addr // in the order they were given

	peer *End
	up   bool
	cut  *cut // not nil while Cut
}

// Cable says how Connect joins two namespaces.
type Cable struct {
	A, B string // interface names; empty: "eth0"
	MTU  int    // 0: 1500
	// Addrs are the addresses of A and B in turn, each with its prefix length:
	// "10.0.1.1/24", "10.0.1.2/24", "fd00:1::1/64", "fd00:1::2/64".
	Addrs []string
	// Queues is the number of queues each way; 0: 1.
	Queues int
}

// Connect joins a and b by a veth pair which is up when it returns. Each end
// knows the other's link-layer address for good, so that no ARP or neighbour
// discovery takes place.
func Connect(a, b *NS, c Cable) (*End, *End) {
	a.t.Helper()
	if c.A == "" {
		c.A = "eth0"
	}
	if c.B == "" {
		c.B = "eth0"
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	if c.Queues == 0 {
		c.Queues = 1
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = c.A, c.MTU
	attrs.NumTxQueues, attrs.NumRxQueues = c.Queues, c.Queues
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace, veth.PeerMTU = c.B, netlink.NsFd(b.ns), uint32(c.MTU)
	veth.PeerNumTxQueues, veth.PeerNumRxQueues = uint32(c.Queues), uint32(c.Queues)
	a.must(a.nl.LinkAdd(veth), "add veth %s", c.A)

	ea, eb := a.end(c.A), b.end(c.B)
	ea.peer, eb.peer = eb, ea
	for i, s := range c.Addrs {
		end := ea
		if i%2 == 1 {
			end = eb
		}
		end.AddAddr(s)
	}
	ea.SetUp(true)
	eb.SetUp(true)
	return ea, eb
}

func (n *NS) end(name string) *End {
	n.t.Helper()
	l, err := n.nl.LinkByName(name)
	n.must(err, "find %s", name)
	return &End{NS: n, Name: name, Index: l.Attrs().Index, MAC: l.Attrs().HardwareAddr}
}

func (e *End) link() netlink.Link {
	attrs := netlink.NewLinkAttrs()
	attrs.Index = e.Index
	return &netlink.Device{LinkAttrs: attrs}
}

// AddAddr gives the end an address with its prefix length ("10.0.1.1/24"),
// usable at once. The peer knows the link-layer address of it.
func (e *End) AddAddr(s string) {
	e.NS.t.Helper()
	p, err := netip.ParsePrefix(s)
	e.NS.must(err, "address %q", s)
	e.NS.must(e.NS.nl.AddrAdd(e.link(), nlAddr(p)), "add %s to %s", p, e.Name)
	e.Addrs = append(e.Addrs, p.Addr())
	if e.up && (e.peer == nil || e.peer.up) {
		e.NS.WaitAddr(p.Addr())
	}
	if e.peer != nil {
		e.peer.addNeigh(p.Addr())
	}
}

// DelAddr takes the address away.
func (e *End) DelAddr(s string) {
	e.NS.t.Helper()
	p, err := netip.ParsePrefix(s)
	e.NS.must(err, "address %q", s)
	e.NS.must(e.NS.nl.AddrDel(e.link(), nlAddr(p)), "delete %s from %s", p, e.Name)
	for i, a := range e.Addrs {
		if a == p.Addr() {
			e.Addrs = append(e.Addrs[:i:i], e.Addrs[i+1:]...)
			break
		}
	}
}

func nlAddr(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP:   p.Addr().AsSlice(),
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}
}

// SetUp brings the interface up or down. Down is seen by the peer, as a pulled
// cable is; for a loss that nobody is told of see Cut.
func (e *End) SetUp(up bool) {
	e.NS.t.Helper()
	set := e.NS.nl.LinkSetDown
	if up {
		set = e.NS.nl.LinkSetUp
	}
	e.NS.must(set(e.link()), "set %s up=%v", e.Name, up)
	e.up = up
	if up && e.peer != nil {
		e.knowPeer() // static neighbours go when the link goes down
		if e.peer.up {
			e.waitRunning()
			e.peer.waitRunning()
		}
	}
}

// waitRunning waits until the kernel sends by the interface. It attaches the
// queue a moment after both ends are up, and loses packets until then.
func (e *End) waitRunning() {
	e.NS.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		l, err := e.NS.nl.LinkByIndex(e.Index)
		e.NS.must(err, "find %s", e.Name)
		if l.Attrs().OperState == netlink.OperUp {
			break
		}
		if time.Now().After(deadline) {
			e.NS.t.Fatalf("netns %s: %s does not come up", e.NS.name, e.Name)
		}
	}
	for _, a := range e.Addrs {
		if a.Is4() || e.has(a) { // IPv6 addresses go when the link goes down
			e.NS.WaitAddr(a)
		}
	}
}

func (e *End) has(a netip.Addr) bool {
	e.NS.t.Helper()
	all, err := e.NS.nl.AddrList(e.link(), netlink.FAMILY_ALL)
	e.NS.must(err, "addresses of %s", e.Name)
	return slices.ContainsFunc(all, func(have netlink.Addr) bool { return have.IP.Equal(a.AsSlice()) })
}

// WaitAddr waits until the namespace takes packets to its address a. With IPv6
// that is a moment after the address was given and the link is up, even without
// duplicate address detection.
func (n *NS) WaitAddr(a netip.Addr) {
	n.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		routes, err := n.nl.RouteGet(a.AsSlice())
		if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("netns %s: address %s does not come to be: %v, %v", n.name, a, routes, err)
		}
	}
}

// SetMTU changes the largest packet the interface sends, in bytes.
func (e *End) SetMTU(mtu int) {
	e.NS.t.Helper()
	e.NS.must(e.NS.nl.LinkSetMTU(e.link(), mtu), "set mtu of %s", e.Name)
}

func (e *End) knowPeer() {
	e.NS.t.Helper()
	for _, a := range e.peer.Addrs {
		e.addNeigh(a)
	}
}

func (e *End) addNeigh(a netip.Addr) {
	e.NS.t.Helper()
	e.NS.must(e.NS.nl.NeighSet(&netlink.Neigh{
		LinkIndex:    e.Index,
		State:        netlink.NUD_PERMANENT,
		IP:           a.AsSlice(),
		HardwareAddr: e.peer.MAC,
	}), "neighbour %s on %s", a, e.Name)
}

// ForgetPeer removes the static neighbour entries, for tests that want the
// kernel to resolve addresses itself.
func (e *End) ForgetPeer() {
	e.NS.t.Helper()
	for _, a := range e.peer.Addrs {
		e.NS.must(e.NS.nl.NeighDel(&netlink.Neigh{LinkIndex: e.Index, IP: a.AsSlice()}),
			"forget %s on %s", a, e.Name)
	}
}

// Loopback is the loopback interface, for addresses that belong to no cable.
func (n *NS) Loopback() *End {
	n.t.Helper()
	lo := n.end("lo")
	lo.up = true
	return lo
}
