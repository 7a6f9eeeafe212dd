//go:build linux

package interop_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// family says which addresses a case uses: for the first subflow, and for the
// others.
type family struct {
	name        string
	first, more func(n int) (ours, peer netip.Addr)
}

func on4(n int) (ours, peer netip.Addr) { return ours4(n), peer4(n) }
func on6(n int) (ours, peer netip.Addr) { return ours6(n), peer6(n) }

var (
	ipv4  = family{"ipv4", on4, on4}
	ipv6  = family{"ipv6", on6, on6}
	mixed = family{"mixed", on6, on4}
	// A socket of the kernel's that dialled by IPv4 cannot be joined by IPv6,
	// one that was accepted on all addresses can.
	mixed46 = family{"mixed, IPv4 first", on4, on6}
)

// ours gives Braid the first address of the family and, with the flags, those
// of the other paths.
func (f family) ours(paths int, flags mptcp.EndpointFlags) []stack.Address {
	var addrs []stack.Address
	for n := 1; n <= paths; n++ {
		pick, fl := f.more, flags
		if n == 1 {
			pick, fl = f.first, 0
		}
		a, _ := pick(n)
		addrs = append(addrs, stack.Address{Addr: a, ID: uint8(n), Flags: fl})
	}
	return addrs
}

// theirs is an endpoint of the peer on each path but the first.
func (f family) theirs(paths int, words string) []string {
	var endpoints []string
	for n := 2; n <= paths; n++ {
		_, a := f.more(n)
		endpoints = append(endpoints, fmt.Sprintf("%v dev path%d id %d %s", a, n, n, words))
	}
	return endpoints
}

// beginner is who opens the additional subflows, and why.
type beginner struct {
	name        string
	kernelDials bool
	flags       mptcp.EndpointFlags // of Braid's addresses but the first
	words       string              // of the peer's endpoints; "": none
	families    []family
	// wantAt are the peer's counters for n joins.
	want func(n int64) want
}

var beginners = []beginner{
	{"braid dials and joins", false, mptcp.EndpointSubflow, "", []family{ipv4, ipv6}, func(n int64) want {
		return want{"MPJoinSynRx": n, "MPJoinAckRx": n}
	}},
	{"braid dials, peer signals", false, 0, "signal", []family{ipv4, ipv6}, func(n int64) want {
		return want{"AddAddrTx": n, "EchoAdd": n, "MPJoinSynRx": n, "MPJoinAckRx": n}
	}},
	// The other family's addresses have to be known for joins between them.
	{"braid dials and joins, peer signals", false, mptcp.EndpointSubflow, "signal", []family{mixed, mixed46}, func(n int64) want {
		return want{"AddAddrTx": n, "EchoAdd": n, "MPJoinSynRx": n, "MPJoinAckRx": n}
	}},
	{"braid dials and signals, peer joins", false, mptcp.EndpointSignal, "", []family{ipv4, ipv6, mixed, mixed46}, func(n int64) want {
		return want{"EchoAddTx": n, "MPJoinSynTx": n, "MPJoinSynAckRx": n}
	}},
	{"kernel dials and joins", true, 0, "subflow", []family{ipv4, ipv6}, func(n int64) want {
		return want{"MPJoinSynTx": n, "MPJoinSynAckRx": n}
	}},
	{"kernel dials, braid signals", true, mptcp.EndpointSignal, "", []family{ipv4, ipv6, mixed}, func(n int64) want {
		return want{"EchoAddTx": n, "MPJoinSynTx": n, "MPJoinSynAckRx": n}
	}},
}

// connect makes a connection over the first path of the family.
func (r *rig) connect(f family, kernelDials bool) (*host.Conn, *kernel.Conn) {
	r.t.Helper()
	ours, peer := f.first(1)
	if kernelDials {
		return r.dialKernel(peer, ours)
	}
	return r.dialBraid(peer)
}

func TestJoins(t *testing.T) {
	for _, b := range beginners {
		for _, f := range b.families {
			for _, paths := range []int{2, 3, 4} {
				if paths == 3 && f.name != ipv4.name {
					continue // once tells enough
				}
				if b.flags != 0 && b.words != "" && paths > 2 {
					continue // every address of ours makes a path, and so does every one of theirs
				}
				t.Run(fmt.Sprintf("%s/%s/%d paths", b.name, f.name, paths), func(t *testing.T) {
					s := setup{paths: paths, addrs: f.ours(paths, b.flags)}
					if b.words != "" {
						s.endpoints = f.theirs(paths, b.words)
					}
					r := newRig(t, s)
					old := r.peer.Counters()
					ours, theirs := r.connect(f, b.kernelDials)
					ping(t, ours, theirs)
					r.wantSubflows(ours, theirs, paths)
					r.await(old, b.want(int64(paths-1)))
					r.exchange(ours, theirs, 2<<20)
					r.judge(old, b.want(int64(paths-1)))
				})
			}
		}
	}
}
