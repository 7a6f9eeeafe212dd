//go:build linux

package interop_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/pcap"
	"github.com/braid-mptcp/braid/link/tun"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// port is where servers listen.
const port = 5001

// pcapEnv names a directory; when it is set, every rig leaves a capture of its
// TUN interface there.
const pcapEnv = "BRAID_INTEROP_PCAP"

// rig is two hosts joined by cables, path 1 to path n. At the peer the kernel's
// stack speaks; at the user Braid's does, behind a TUN interface, with one
// address for each path. The user's kernel forwards between the two.
type rig struct {
	t          testing.TB
	peer, user *netns.NS
	paths      []path
	pm         *kernel.PathManager // of the peer
	host       *host.Host
	dev        link.Device
	seen       observed
}

// path is one cable.
type path struct{ peer, user *netns.End }

// setup says how a rig differs from the plain one.
type setup struct {
	paths int // 0: 1
	// conn configures Braid's connections.
	conn mptcp.Config
	// addrs are Braid's addresses; nil: the IPv4 and IPv6 address of every
	// path, with no flags.
	addrs []stack.Address
	// endpoints are the peer's, in the words of ip-mptcp(8).
	endpoints []string
	// sysctls are settings of the peer.
	sysctls map[string]string
}

// peer4, peer6 are the peer's addresses on path n, ours4 and ours6 Braid's.
func peer4(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(n), 2}) }
func peer6(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd01:%d::2", n)) }
func ours4(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, 0, byte(n)}) }
func ours6(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd09::%d", n)) }

func newRig(t testing.TB, s setup) *rig {
	t.Helper()
	s.paths = max(s.paths, 1)
	r := &rig{t: t, peer: netns.New(t, "peer"), user: netns.New(t, "user")}
	var err error
	r.peer.Do(func() { err = kernel.Supported() }) // before anything else is built
	if err != nil {
		t.Skip(err)
	}
	for name, value := range s.sysctls {
		r.peer.SetSysctl(name, value)
	}
	r.dev = r.captured(r.openTUN(r.user, "10.9.0.0/24", "fd09::/64"))
	for n := 1; n <= s.paths; n++ {
		r.addPath(n)
	}
	r.linksReady()
	r.setPeer(s.endpoints)
	r.startHost(s)
	return r
}

// linksReady waits until the kernel has noticed that the cables are up: before
// that, IPv6 loses packets.
func (r *rig) linksReady() {
	r.t.Helper()
	r.eventually("links are up", func() bool {
		for _, p := range r.paths {
			for _, e := range []*netns.End{p.user, p.peer} {
				l, err := e.NS.Netlink().LinkByIndex(e.Index)
				if err != nil {
					r.t.Fatal(err)
				}
				if l.Attrs().OperState != netlink.OperUp {
					return false
				}
			}
		}
		return true
	})
}

// addPath lays the cable of path n and the routes over it. Between Braid's i-th
// address and the peer's j-th, packets take path max(i, j) both ways.
func (r *rig) addPath(n int) {
	r.t.Helper()
	name := fmt.Sprintf("path%d", n)
	var p path
	p.user, p.peer = netns.Connect(r.user, r.peer, netns.Cable{A: name, B: name, Addrs: []string{
		fmt.Sprintf("10.1.%d.1/24", n), fmt.Sprintf("10.1.%d.2/24", n),
		fmt.Sprintf("fd01:%d::1/64", n), fmt.Sprintf("fd01:%d::2/64", n),
	}})
	r.paths = append(r.paths, p)
	r.user.AddSourceRule(ours4(n).String(), 100+n)
	r.user.AddSourceRule(ours6(n).String(), 100+n)
	r.peer.AddSourceRule(peer4(n).String(), 100+n)
	r.peer.AddSourceRule(peer6(n).String(), 100+n)
	for i := 1; i <= n; i++ {
		for _, pair := range []struct{ ours, peer int }{{n, i}, {i, n}} {
			r.user.AddRoute(netns.Route{Dst: alone(peer4(pair.peer)), Via: peer4(n).String(), Dev: p.user, Table: 100 + pair.ours})
			r.user.AddRoute(netns.Route{Dst: alone(peer6(pair.peer)), Via: peer6(n).String(), Dev: p.user, Table: 100 + pair.ours})
			r.peer.AddRoute(netns.Route{Dst: alone(ours4(pair.ours)), Via: p.user.Addrs[0].String(), Dev: p.peer, Table: 100 + pair.peer})
			r.peer.AddRoute(netns.Route{Dst: alone(ours6(pair.ours)), Via: p.user.Addrs[1].String(), Dev: p.peer, Table: 100 + pair.peer})
		}
	}
	// For the peer's choice of a source address.
	r.peer.AddRoute(netns.Route{Dst: alone(ours4(n)), Via: p.user.Addrs[0].String(), Dev: p.peer})
	r.peer.AddRoute(netns.Route{Dst: alone(ours6(n)), Via: p.user.Addrs[1].String(), Dev: p.peer})
	// Kernel MPTCP over veth reorders without.
	p.user.SetRPS(3)
	p.peer.SetRPS(3)
}

// alone is the prefix of one address.
func alone(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

// openTUN makes an interface in n behind which the nets are, one of IPv4 and
// one of IPv6.
func (r *rig) openTUN(n *netns.NS, nets ...string) link.Device {
	r.t.Helper()
	var dev *tun.Device
	var err error
	n.Do(func() { dev, err = tun.Open(tun.Config{}) })
	if err != nil {
		r.t.Fatal(err)
	}
	end := &netns.End{NS: n, Name: dev.Name(), Index: dev.Index()}
	end.SetUp(true)
	end.SetRPS(3)
	for _, net := range nets {
		n.AddRoute(netns.Route{Dst: net, Dev: end})
	}
	n.SetForwarding()
	return dev
}

// captured lets the device be recorded where that is wanted.
func (r *rig) captured(dev link.Device) link.Device {
	r.t.Helper()
	dir := os.Getenv(pcapEnv)
	if dir == "" {
		return dev
	}
	name := strings.NewReplacer("/", "_", " ", "_").Replace(r.t.Name()) + ".pcapng"
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	w := pcap.NewWriter(f)
	in, err := w.Interface("tun")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		w.Close()
		f.Close()
	})
	return pcap.Tap(dev, in)
}

// setPeer gives the peer's path manager its endpoints.
func (r *rig) setPeer(endpoints []string) {
	r.t.Helper()
	if r.plain() {
		return
	}
	var err error
	r.peer.Do(func() { r.pm, err = kernel.OpenPathManager() })
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { r.pm.Close() })
	if err := r.pm.SetLimits(kernel.Limits{AddAddrAccepted: 8, Subflows: 8}); err != nil {
		r.t.Fatal(err)
	}
	for _, words := range endpoints {
		r.addEndpoint(words)
	}
}

func (r *rig) addEndpoint(words string) {
	r.t.Helper()
	e, err := kernel.ParseEndpoint(words)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.pm.Add(e); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) deleteEndpoint(a netip.Addr) {
	r.t.Helper()
	if err := r.pm.Delete(kernel.Endpoint{Addr: a}); err != nil {
		r.t.Fatal(err)
	}
}

// startHost starts Braid.
func (r *rig) startHost(s setup) {
	r.t.Helper()
	if s.addrs == nil {
		for n := 1; n <= s.paths; n++ {
			s.addrs = append(s.addrs, stack.Address{Addr: ours4(n)}, stack.Address{Addr: ours6(n)})
		}
	}
	r.host = r.runHost(r.dev, s.conn, s.addrs, r.seen.observe)
}

// runHost runs Braid on a device until the test is over.
func (r *rig) runHost(dev link.Device, conn mptcp.Config, addrs []stack.Address, observe func(time.Time, stack.Event)) *host.Host {
	r.t.Helper()
	h := host.New(host.Config{
		Stack:   stack.Config{Conn: conn, MaxPacket: host.MaxPacket, ChecksumOffload: true},
		Observe: observe,
		DeviceFailed: func(_ link.Device, err error) {
			r.t.Errorf("the TUN interface failed: %v", err)
		},
	})
	if err := h.AddDevice(dev, addrs...); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { h.Close() })
	return h
}

// wait is how long anything in a test may take that should take no time.
const wait = 30 * time.Second

// dialBraid connects from Braid to the peer's address. The listener is the
// kernel's, on the wildcard address.
func (r *rig) dialBraid(remote netip.Addr) (ours *host.Conn, theirs *kernel.Conn) {
	r.t.Helper()
	ln := r.listenKernel()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	ours, err := r.host.DialAddrPort(ctx, netip.AddrPort{}, netip.AddrPortFrom(remote, port), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { ours.Close() })
	ln.SetDeadline(time.Now().Add(wait))
	c, err := ln.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return ours, c.(*kernel.Conn)
}

// listenKernel listens at the peer, which also lets it take joins.
func (r *rig) listenKernel() *kernel.Listener {
	r.t.Helper()
	var ln *kernel.Listener
	var err error
	r.peer.Do(func() {
		if r.plain() {
			var plain net.Listener
			if plain, err = net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
				ln = &kernel.Listener{TCPListener: plain.(*net.TCPListener)}
			}
			return
		}
		ln, err = kernel.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { ln.Close() })
	return ln
}

// dialKernel connects from the peer to Braid's address. A valid from is the
// peer's address to connect from.
func (r *rig) dialKernel(from, remote netip.Addr) (ours *host.Conn, theirs *kernel.Conn) {
	r.t.Helper()
	ln, err := r.host.ListenAddrPort(netip.AddrPortFrom(netip.Addr{}, port))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { ln.Close() })
	theirs, err = r.tryKernelFrom(from, remote)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { theirs.Close() })
	ln.SetDeadline(time.Now().Add(wait))
	ours, err = ln.AcceptConn()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { ours.Close() })
	return ours, theirs
}

// tryKernel connects from the peer to Braid's address.
func (r *rig) tryKernel(remote netip.Addr) (*kernel.Conn, error) {
	return r.tryKernelFrom(netip.Addr{}, remote)
}

func (r *rig) tryKernelFrom(from, remote netip.Addr) (c *kernel.Conn, err error) {
	r.t.Helper()
	var d kernel.Dialer
	d.Timeout = wait
	if from.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	to := netip.AddrPortFrom(remote, port).String()
	r.peer.Do(func() {
		if !r.plain() {
			c, err = d.DialContext(context.Background(), "tcp", to)
			return
		}
		d.SetMultipathTCP(false)
		var plain net.Conn
		if plain, err = d.Dialer.Dial("tcp", to); err == nil {
			c = kernel.Wrap(plain.(*net.TCPConn))
		}
	})
	return c, err
}

// plain reports whether the peer has no Multipath TCP.
func (r *rig) plain() bool { return r.peer.Sysctl("net.mptcp.enabled") == "0" }

// observed keeps what Braid's stack reported.
type observed struct {
	mu     sync.Mutex
	events []stack.Event
}

func (o *observed) observe(_ time.Time, e stack.Event) {
	switch e.Kind {
	case stack.Readable, stack.Writable, stack.Acceptable:
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

// eventually waits until ok, and ends the test if that takes too long.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(wait); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("never happened: %s", what)
		}
	}
}

// wantSubflows waits until both ends have n subflows established.
func (r *rig) wantSubflows(ours *host.Conn, theirs *kernel.Conn, n int) {
	r.t.Helper()
	var got [2]int
	for end := time.Now().Add(wait); ; time.Sleep(2 * time.Millisecond) {
		got = [2]int{established(ours), kernelSubflows(r.t, theirs)}
		if got == [2]int{n, n} {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("%d subflows at Braid and %d at the peer, want %d\n%+v\n%s",
				got[0], got[1], n, ours.Info().Subflows, inWords(r.peer.Counters().Since(nil)))
		}
	}
}

func established(c *host.Conn) (n int) {
	for _, sf := range c.Info().Subflows {
		if sf.Established {
			n++
		}
	}
	return n
}

func kernelSubflows(t testing.TB, c *kernel.Conn) (n int) {
	t.Helper()
	info, err := c.FullInfo()
	if err != nil {
		t.Fatal(err)
	}
	for _, sf := range info.Subflows {
		if sf.TCP.State == kernel.Established {
			n++
		}
	}
	return n
}

// grown is by how much a counter of the peer's grew, its prefix left out.
func (r *rig) grown(old netns.Counters, name string) int64 {
	r.t.Helper()
	return r.peer.Counters().Since(old)[mptcpExt+name]
}

// pathBytes is how many bytes crossed path n so far, both ways together.
func (r *rig) pathBytes(n int) int64 {
	r.t.Helper()
	l, err := r.user.Netlink().LinkByIndex(r.paths[n-1].user.Index)
	if err != nil {
		r.t.Fatal(err)
	}
	s := l.Attrs().Statistics
	return int64(s.RxBytes + s.TxBytes)
}

// joinFromUser lets the kernel's stack at the user join by its addresses on the
// other paths.
func (r *rig) joinFromUser(paths int) {
	r.t.Helper()
	var pm *kernel.PathManager
	var err error
	r.user.Do(func() { pm, err = kernel.OpenPathManager() })
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { pm.Close() })
	if err := pm.SetLimits(kernel.Limits{AddAddrAccepted: 8, Subflows: 8}); err != nil {
		r.t.Fatal(err)
	}
	for n := 2; n <= paths; n++ {
		end := r.paths[n-1].user
		if err := pm.Add(kernel.Endpoint{Addr: end.Addrs[0], Flags: kernel.FlagSubflow}); err != nil {
			r.t.Fatal(err)
		}
		// From there to the peer's first address, and back.
		r.user.AddRoute(netns.Route{Dst: "default", Via: peer4(n).String(), Dev: end, Table: 200 + n})
		r.user.AddSourceRule(end.Addrs[0].String(), 200+n)
		r.peer.AddRoute(netns.Route{Dst: alone(end.Addrs[0]), Via: end.Addrs[0].String(), Dev: r.paths[n-1].peer, Table: 101})
	}
	r.peer.AddRoute(netns.Route{Dst: "10.1.1.0/24", Dev: r.paths[0].peer, Table: 101})
}
