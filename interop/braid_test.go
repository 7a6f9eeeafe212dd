//go:build linux

package interop_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// far4 and far6 are the addresses of a second Braid, at the peer.
func far4(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 8, 0, byte(n)}) }
func far6(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd08::%d", n)) }

// secondBraid runs Braid at the peer too, behind a TUN interface of its own.
// Between the i-th address of one and the j-th of the other, packets take path
// max(i, j).
func (r *rig) secondBraid(conn mptcp.Config, addrs []stack.Address) *host.Host {
	r.t.Helper()
	dev := r.openTUN(r.peer, "10.8.0.0/24", "fd08::/64")
	for i := range r.paths {
		for j := range r.paths {
			n := max(i, j) + 1
			p := r.paths[n-1]
			r.user.AddRoute(netns.Route{Dst: alone(far4(j + 1)), Via: peer4(n).String(), Dev: p.user, Table: 101 + i})
			r.user.AddRoute(netns.Route{Dst: alone(far6(j + 1)), Via: peer6(n).String(), Dev: p.user, Table: 101 + i})
			r.peer.AddRoute(netns.Route{Dst: alone(ours4(i + 1)), Via: p.user.Addrs[0].String(), Dev: p.peer, Table: 201 + j})
			r.peer.AddRoute(netns.Route{Dst: alone(ours6(i + 1)), Via: p.user.Addrs[1].String(), Dev: p.peer, Table: 201 + j})
		}
		r.peer.AddSourceRule(far4(i+1).String(), 201+i)
		r.peer.AddSourceRule(far6(i+1).String(), 201+i)
	}
	return r.runHost(dev, conn, addrs, nil)
}

// TestBraidToBraid: both ends are Braid's, with the kernels between them.
func TestBraidToBraid(t *testing.T) {
	const signal, subflow = mptcp.EndpointSignal, mptcp.EndpointSubflow
	for _, c := range []struct {
		name         string
		family       family
		paths        int
		ours, far    mptcp.EndpointFlags // of the addresses on other paths than the first
		check, plain bool                // the far end asks for checksums; has no Multipath TCP
	}{
		{name: "ipv4/dialler joins", family: ipv4, paths: 4, ours: subflow},
		{name: "ipv4/listener signals", family: ipv4, paths: 4, far: signal},
		{name: "ipv4/dialler signals, listener joins", family: ipv4, paths: 4, ours: signal},
		{name: "ipv6/dialler joins", family: ipv6, paths: 4, ours: subflow},
		{name: "ipv6/listener signals", family: ipv6, paths: 4, far: signal},
		{name: "mixed/listener signals", family: mixed, paths: 2, ours: subflow, far: signal},
		{name: "ipv4/checksums", family: ipv4, paths: 2, ours: subflow, check: true},
		{name: "ipv4/plain", family: ipv4, paths: 2, ours: subflow, plain: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, setup{paths: c.paths, addrs: c.family.ours(c.paths, c.ours)})
			var addrs []stack.Address
			for _, a := range c.family.ours(c.paths, c.far) { // the same, seen from the other side
				if a.Addr.Is4() {
					a.Addr = far4(int(a.ID))
				} else {
					a.Addr = far6(int(a.ID))
				}
				addrs = append(addrs, a)
			}
			second := r.secondBraid(mptcp.Config{Checksum: c.check, Disabled: c.plain}, addrs)
			a, b := braidPair(t, r.host, second, addrs[0].Addr)
			ping(t, a, b)
			subflows := c.paths
			if c.plain {
				subflows = 1
			}
			r.eventually("all subflows are up", func() bool {
				return established(a) == subflows && established(b) == subflows
			})
			there, back := flow(a, b, 4<<20), flow(b, a, 4<<20+1)
			if err := errors.Join(<-there, <-back); err != nil {
				t.Fatal(err)
			}
			for _, end := range []*host.Conn{a, b} {
				info := end.Info()
				if info.Multipath == c.plain {
					t.Errorf("Multipath TCP %v, fallback %q", info.Multipath, info.Fallback)
				}
				if info.Checksum != c.check || info.Stats.ChecksumFailures > 0 {
					t.Errorf("checksums %v, want %v, %d wrong", info.Checksum, c.check, info.Stats.ChecksumFailures)
				}
				if !c.plain && info.Stats.JoinsDone != uint64(c.paths-1) || info.Stats.JoinsFailed > 0 {
					t.Errorf("%d joins, want %d; %d failed", info.Stats.JoinsDone, c.paths-1, info.Stats.JoinsFailed)
				}
			}
			if err := errors.Join(a.Close(), b.Close()); err != nil {
				t.Fatal(err)
			}
			r.eventually("both ends are gone", func() bool { return over(a) && over(b) })
		})
	}
}

// braidPair connects from one Braid to an address of another.
func braidPair(t *testing.T, from, to *host.Host, remote netip.Addr) (a, b *host.Conn) {
	t.Helper()
	ln, err := to.ListenAddrPort(netip.AddrPortFrom(netip.Addr{}, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	a, err = from.DialAddrPort(ctx, netip.AddrPort{}, netip.AddrPortFrom(remote, port), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	ln.SetDeadline(time.Now().Add(wait))
	b, err = ln.AcceptConn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}
