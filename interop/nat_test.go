//go:build linux

package interop_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/braid-mptcp/braid/hostnet"
	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/link/tun"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// newNATRig is a rig whose user is an ordinary host with an uplink on each path,
// set up by package hostnet: Braid has addresses of its own that nobody else
// sees, one for each uplink, and the port of the servers is forwarded to it.
// forwarded is where clients find it.
func newNATRig(t *testing.T, paths int, flags mptcp.EndpointFlags, endpoints ...string) (r *rig, forwarded [2]netip.Addr) {
	t.Helper()
	r = &rig{t: t, peer: netns.New(t, "peer"), user: netns.New(t, "user")}
	var err error
	r.peer.Do(func() { err = kernel.Supported() })
	if err != nil {
		t.Skip(err)
	}
	for n := 1; n <= paths; n++ {
		name := fmt.Sprintf("path%d", n)
		var p path
		p.user, p.peer = netns.Connect(r.user, r.peer, netns.Cable{A: name, B: name, Addrs: []string{
			fmt.Sprintf("10.1.%d.1/24", n), fmt.Sprintf("10.1.%d.2/24", n),
			fmt.Sprintf("fd01:%d::1/64", n), fmt.Sprintf("fd01:%d::2/64", n),
		}})
		r.user.AddRoute(netns.Route{Dst: "default", Via: peer4(n).String(), Dev: p.user, Metric: 100 * n})
		r.user.AddRoute(netns.Route{Dst: "default", Via: peer6(n).String(), Dev: p.user, Metric: 100 * n})
		p.user.SetRPS(3)
		p.peer.SetRPS(3)
		r.paths = append(r.paths, p)
	}
	r.linksReady()
	r.setPeer(endpoints)
	addrs := r.install(flags)
	r.host = r.runHost(r.dev, mptcp.Config{}, addrs, r.seen.observe)
	return r, [2]netip.Addr{r.paths[0].user.Addrs[0], r.paths[0].user.Addrs[1]}
}

// install opens the TUN interface, has hostnet set up everything around it and
// gives Braid's addresses, the first of either family without flags.
func (r *rig) install(flags mptcp.EndpointFlags) (addrs []stack.Address) {
	r.t.Helper()
	var dev *tun.Device
	var h *hostnet.Host
	var s *hostnet.Setup
	var err error
	r.user.Do(func() {
		if dev, err = tun.Open(tun.Config{}); err != nil {
			return
		}
		if h, err = hostnet.Open(r.t.(*testing.T).TempDir()); err != nil {
			return
		}
		s, err = h.Install("interop", func(state hostnet.State) (hostnet.Plan, error) {
			return hostnet.StackPlan(state, hostnet.StackConfig{
				Tag: "interop", Dev: dev.Name(), Forwards: []hostnet.PortForward{{Port: port}},
			})
		})
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		r.user.Do(func() { err = s.Close() })
		if err != nil {
			r.t.Error(err)
		}
		h.Close()
	})
	r.dev = r.captured(dev)
	seen := map[bool]bool{}
	for i, p := range s.Plan().Paths {
		a := stack.Address{Addr: p.Addr, ID: uint8(i + 1), Flags: flags}
		if !seen[p.Addr.Is4()] {
			a.Flags = 0
		}
		seen[p.Addr.Is4()] = true
		addrs = append(addrs, a)
	}
	return addrs
}

// TestBehindNAT: Braid on a host as it is, set up by hostnet: its addresses are
// translated on the way out, and joins work all the same.
func TestBehindNAT(t *testing.T) {
	for i, f := range []family{ipv4, ipv6} {
		_, remote := f.first(1)
		for paths := 1; paths <= 3; paths++ {
			t.Run(fmt.Sprintf("%s/braid dials/%d paths", f.name, paths), func(t *testing.T) {
				r, _ := newNATRig(t, paths, mptcp.EndpointSubflow)
				old := r.peer.Counters()
				ours, theirs := r.dialBraid(remote)
				ping(t, ours, theirs)
				r.wantSubflows(ours, theirs, paths)
				r.wantUplinks(theirs, paths)
				r.exchange(ours, theirs, 2<<20)
				r.judge(old, want{"MPJoinSynRx": int64(paths - 1), "MPJoinAckRx": int64(paths - 1)})
			})
		}
		t.Run(f.name+"/kernel dials", func(t *testing.T) {
			_, second := f.first(2)
			r, forwarded := newNATRig(t, 2, 0, second.String()+" subflow")
			old := r.peer.Counters()
			ours, theirs := r.dialKernel(netip.Addr{}, forwarded[i])
			ping(t, ours, theirs)
			r.wantSubflows(ours, theirs, 2)
			r.exchange(ours, theirs, 2<<20)
			r.judge(old, want{"MPJoinSynTx": 1, "MPJoinSynAckRx": 1})
		})
	}
}

// wantUplinks wants the peer to see a subflow from every uplink of the user's.
func (r *rig) wantUplinks(k *kernel.Conn, paths int) {
	r.t.Helper()
	info, err := k.FullInfo()
	if err != nil {
		r.t.Fatal(err)
	}
	seen := map[netip.Addr]bool{}
	for _, sf := range info.Subflows {
		seen[sf.Remote.Addr()] = true
	}
	for _, p := range r.paths[:paths] {
		if !seen[p.user.Addrs[0]] && !seen[p.user.Addrs[1]] {
			r.t.Errorf("no subflow comes from %v", p.user.Addrs)
		}
	}
}
