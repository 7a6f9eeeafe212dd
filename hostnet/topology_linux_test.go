package hostnet

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/tun"
)

// topology is a host of two uplinks, each to a router of its own, and a server
// behind both routers, which has the addresses 10.9.9.9 and fd00:9::9.
type topology struct {
	host, server *netns.NS
	routers      [2]*netns.NS
	uplinks      [2]*netns.End // of the host
	h            *Host
	dir          string // of journals
}

func newTopology(t *testing.T) *topology {
	t.Helper()
	top := &topology{host: netns.New(t, "host"), server: netns.New(t, "server"), dir: t.TempDir()}
	lo := top.server.Loopback()
	lo.AddAddr("10.9.9.9/32")
	lo.AddAddr("fd00:9::9/128")
	for i := range top.routers {
		n := fmt.Sprint(i + 1)
		r := netns.New(t, "router"+n)
		r.SetForwarding()
		top.routers[i] = r
		top.uplinks[i], _ = netns.Connect(top.host, r, netns.Cable{A: "eth" + n, B: "left", Addrs: []string{
			"10.1." + n + ".5/24", "10.1." + n + ".1/24", "fd00:1:" + n + "::5/64", "fd00:1:" + n + "::1/64",
		}})
		_, s := netns.Connect(r, top.server, netns.Cable{A: "right", B: "eth" + n, Addrs: []string{
			"10.2." + n + ".1/24", "10.2." + n + ".9/24", "fd00:2:" + n + "::1/64", "fd00:2:" + n + "::9/64",
		}})
		r.AddRoute(netns.Route{Dst: "10.9.9.9/32", Via: "10.2." + n + ".9"})
		r.AddRoute(netns.Route{Dst: "fd00:9::9/128", Via: "fd00:2:" + n + "::9"})
		top.server.AddRoute(netns.Route{Dst: "10.1." + n + ".0/24", Via: "10.2." + n + ".1", Dev: s})
		top.server.AddRoute(netns.Route{Dst: "fd00:1:" + n + "::/64", Via: "fd00:2:" + n + "::1", Dev: s})
		top.defaultRoute(i)
	}
	// The strictest setting that hosts have.
	top.host.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
	top.h = top.open(t)
	return top
}

func (top *topology) defaultRoute(i int) {
	n := fmt.Sprint(i + 1)
	for _, gw := range []string{"10.1." + n + ".1", "fd00:1:" + n + "::1"} {
		top.host.AddRoute(netns.Route{Dst: "default", Via: gw, Dev: top.uplinks[i], Metric: 100 * (i + 1)})
	}
}

func (top *topology) open(t *testing.T) (h *Host) {
	t.Helper()
	var err error
	top.host.Do(func() { h, err = Open(top.dir) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func openTUN(t *testing.T, n *netns.NS) (d *tun.Device) {
	t.Helper()
	var err error
	n.Do(func() { d, err = tun.Open(tun.Config{}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// install installs a StackPlan in the host.
func (top *topology) install(t *testing.T, h *Host, dev string, tag string, forwards ...PortForward) (s *Setup) {
	t.Helper()
	var err error
	top.host.Do(func() {
		s, err = h.Install(tag, func(state State) (Plan, error) {
			return StackPlan(state, StackConfig{Tag: tag, Dev: dev, Forwards: forwards})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (top *topology) close(t *testing.T, s *Setup) {
	t.Helper()
	var err error
	top.host.Do(func() { err = s.Close() })
	if err != nil {
		t.Error(err)
	}
}

// snapshot is all that an installation could change, as text, a line each. The
// nftables ruleset is in it as the kernel's own bytes.
func snapshot(t *testing.T, top *topology) (lines []string) {
	t.Helper()
	nl := top.host.Netlink()
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rules, err := nl.RuleList(family)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			lines = append(lines, fmt.Sprintf("rule %d %s proto %d", family, r, r.Protocol))
		}
	}
	var state State
	var err error
	top.host.Do(func() {
		for _, read := range []func(*State) error{top.h.readSysctls, top.h.readPathManager} {
			if err == nil {
				err = read(&state)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range state.Sysctls {
		if !strings.Contains(name, "/braid") { // settings of the TUN interface
			lines = append(lines, name+"="+value)
		}
	}
	lines = append(lines, fmt.Sprintf("endpoints %v, limits %v", state.Endpoints, state.Limits))
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		lines = append(lines, routeLines(t, top.host, family)...)
	}
	slices.Sort(lines)
	return append(lines, rulesetBytes(t, top.host)...)
}

func routeLines(t *testing.T, n *netns.NS, family int) (lines []string) {
	t.Helper()
	all, err := n.Netlink().RouteListFiltered(family, allTables, filterTable)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Protocol != unix.RTPROT_KERNEL { // which come when the kernel likes
			lines = append(lines, fmt.Sprintf("route %d %s proto %d type %d", family, r, r.Protocol, r.Type))
		}
	}
	return lines
}

// rulesetBytes dumps the nftables ruleset as netlink messages.
func rulesetBytes(t *testing.T, n *netns.NS) (lines []string) {
	t.Helper()
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: n.Fd()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, get := range []uint16{unix.NFT_MSG_GETTABLE, unix.NFT_MSG_GETCHAIN, unix.NFT_MSG_GETRULE} {
		msgs, err := c.Execute(netlink.Message{
			Header: netlink.Header{
				Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | get),
				Flags: netlink.Request | netlink.Dump,
			},
			Data: make([]byte, 4),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			m.Data[2], m.Data[3] = 0, 0 // the generation, which counts changes
			lines = append(lines, fmt.Sprintf("nft %d %x", get, m.Data))
		}
	}
	return lines
}

func wantSame(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, l := range got {
		if !slices.Contains(want, l) {
			t.Errorf("%s: new: %s", what, l)
		}
	}
	for _, l := range want {
		if !slices.Contains(got, l) {
			t.Errorf("%s: lost: %s", what, l)
		}
	}
}

// udpEcho answers at port 7 of the server and tells from where it was asked.
func udpEcho(t *testing.T, n *netns.NS) <-chan netip.Addr {
	t.Helper()
	from := make(chan netip.Addr, 16)
	for _, a := range []string{"10.9.9.9:7", "[fd00:9::9]:7"} {
		var c net.PacketConn
		var err error
		n.Do(func() { c, err = net.ListenPacket("udp", a) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 2000)
			for {
				n, addr, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				from <- addr.(*net.UDPAddr).AddrPort().Addr().Unmap()
				c.WriteTo(b[:n], addr)
			}
		}()
	}
	return from
}

// reader hands on what comes out of the TUN interface.
func reader(d *tun.Device) <-chan []byte {
	out := make(chan []byte, 64)
	go func() {
		defer close(out)
		for {
			pkts := []link.Packet{{Data: make([]byte, tun.MaxPacket)}}
			if _, err := d.Read(pkts); err != nil {
				return
			}
			out <- pkts[0].Data
		}
	}()
	return out
}

// udpPacket asks port 7 of dst from port 4000 of src.
func udpPacket(src, dst netip.Addr) []byte {
	udp := make([]byte, 8, 12)
	binary.BigEndian.PutUint16(udp, 4000)
	binary.BigEndian.PutUint16(udp[2:], 7)
	udp = append(udp, "ping"...)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	return ipPacket(src, dst, unix.IPPROTO_UDP, 6, udp)
}

// ipPacket puts an IP header in front of upper, and upper's checksum into it.
func ipPacket(src, dst netip.Addr, protocol byte, sumAt int, upper []byte) []byte {
	pseudo := append(append([]byte{}, src.AsSlice()...), dst.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(upper)))
	pseudo = append(pseudo, 0, 0, 0, protocol)
	binary.BigEndian.PutUint16(upper[sumAt:], 0)
	binary.BigEndian.PutUint16(upper[sumAt:], checksum(append(pseudo, upper...)))
	if src.Is6() {
		h := []byte{0x60, 0, 0, 0, 0, byte(len(upper)), protocol, 64}
		return append(append(h, pseudo[:32]...), upper...)
	}
	h := []byte{0x45, 0, 0, byte(20 + len(upper)), 0, 0, 0x40, 0, 64, protocol, 0, 0}
	h = append(h, pseudo[:8]...)
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return append(h, upper...)
}

func checksum(b []byte) uint16 {
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	var s uint32
	for i := 0; i < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// split takes an IP packet apart.
func split(b []byte) (src, dst netip.Addr, protocol byte, upper []byte) {
	if b[0]>>4 == 6 {
		return netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[6], b[40:]
	}
	return netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[9], b[20:]
}

// carries tells whether a question from the path's address reaches the server,
// from the uplink's address, and is answered.
func carries(t *testing.T, d *tun.Device, in <-chan []byte, from <-chan netip.Addr, path Path) bool {
	t.Helper()
	dst := addr("10.9.9.9")
	if path.Addr.Is6() {
		dst = addr("fd00:9::9")
	}
	if _, err := d.Write([]link.Packet{{Data: udpPacket(path.Addr, dst)}}); err != nil {
		t.Fatal(err)
	}
	timeout := time.After(time.Second)
	select {
	case got := <-from:
		if got != path.Public {
			t.Errorf("%s: the server was asked by %s, want %s", path.Addr, got, path.Public)
		}
	case <-timeout:
		return false
	}
	for {
		select {
		case b := <-in:
			src, to, protocol, _ := split(b)
			if protocol == unix.IPPROTO_UDP && src == dst && to == path.Addr {
				return true
			}
		case <-timeout:
			return false
		}
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("BRAID_HOSTNET_CHILD"); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}
