//go:build linux

package interop_test

import (
	"fmt"
	"testing"

	"github.com/braid-mptcp/braid/mptcp"
)

// TestAnnouncedPort: the peer announces an address with a port of its own,
// where its path manager listens, and Braid joins there, whichever end began
// the connection. Only with IPv4: Linux finds no room for an IPv6 address and a
// port beside timestamps.
func TestAnnouncedPort(t *testing.T) {
	for _, d := range dialers {
		t.Run(d.name, func(t *testing.T) {
			r := newRig(t, setup{
				paths: 2, addrs: ipv4.ours(1, 0), endpoints: ipv4.theirs(2, "signal port 6001"),
			})
			old := r.peer.Counters()
			ours, theirs := r.connect(ipv4, d.kernelDials)
			ping(t, ours, theirs)
			r.wantSubflows(ours, theirs, 2)
			w := want{"AddAddrTx": 1, "EchoAdd": 1, "MPJoinSynRx": 1, "MPJoinAckRx": 1,
				"MPJoinPortSynRx": 1, "MPJoinPortAckRx": 1}
			r.await(old, w)
			r.exchange(ours, theirs, 1<<20)
			r.judge(old, w)
		})
	}
}

// TestNoJoinToFirstAddress: a peer that forbids joins to the address it is
// dialled at (flag C of MP_CAPABLE) is joined at those it announces alone.
func TestNoJoinToFirstAddress(t *testing.T) {
	r := newRig(t, setup{
		paths: 2, addrs: ipv4.ours(2, mptcp.EndpointSubflow), endpoints: ipv4.theirs(2, "signal"),
		sysctls: map[string]string{"net.mptcp.allow_join_initial_addr_port": "0"},
	})
	old := r.peer.Counters()
	ours, theirs := r.connect(ipv4, false)
	ping(t, ours, theirs)
	r.wantSubflows(ours, theirs, 3) // both of our addresses to the announced one
	for _, sf := range ours.Info().Subflows {
		if remote := sf.Remote.Addr(); sf.ID > 0 && remote != peer4(2) {
			t.Errorf("joined at %v", remote)
		}
	}
	w := want{"AddAddrTx": 1, "EchoAdd": 1, "MPJoinSynRx": 2, "MPJoinAckRx": 2}
	r.await(old, w)
	r.exchange(ours, theirs, 1<<20)
	r.judge(old, w)
}

// TestForbidJoinToFirstAddress is the same with Braid as the one who forbids.
func TestForbidJoinToFirstAddress(t *testing.T) {
	s := setup{paths: 2, addrs: ipv4.ours(2, mptcp.EndpointSignal), endpoints: ipv4.theirs(2, "subflow")}
	s.conn.NoJoinHere = true
	r := newRig(t, s)
	old := r.peer.Counters()
	ours, theirs := r.connect(ipv4, true)
	ping(t, ours, theirs)
	r.wantSubflows(ours, theirs, 2)
	w := want{"EchoAddTx": 1, "MPJoinSynTx": 1, "MPJoinSynAckRx": 1}
	r.await(old, w)
	r.exchange(ours, theirs, 1<<20)
	r.judge(old, w)
}

// TestFullmesh: an address of either end that is to be used with all of the
// other's is.
func TestFullmesh(t *testing.T) {
	t.Run("braid", func(t *testing.T) {
		addrs := ipv4.ours(2, mptcp.EndpointSubflow|mptcp.EndpointFullmesh)
		addrs[0].Flags = addrs[1].Flags
		r := newRig(t, setup{paths: 2, addrs: addrs, endpoints: ipv4.theirs(2, "signal")})
		old := r.peer.Counters()
		ours, theirs := r.connect(ipv4, false)
		ping(t, ours, theirs)
		r.wantSubflows(ours, theirs, 4)
		w := want{"MPJoinSynRx": 3, "MPJoinAckRx": 3}
		r.await(old, w)
		r.exchange(ours, theirs, 1<<20)
		r.judge(old, w)
	})
	t.Run("kernel", func(t *testing.T) {
		var endpoints []string
		for n := 1; n <= 2; n++ {
			endpoints = append(endpoints, fmt.Sprintf("%v id %d subflow fullmesh", peer4(n), n))
		}
		r := newRig(t, setup{paths: 2, addrs: ipv4.ours(2, mptcp.EndpointSignal), endpoints: endpoints})
		old := r.peer.Counters()
		ours, theirs := r.connect(ipv4, true)
		ping(t, ours, theirs)
		r.wantSubflows(ours, theirs, 4)
		w := want{"MPJoinSynTx": 3, "MPJoinSynAckRx": 3}
		r.await(old, w)
		r.exchange(ours, theirs, 1<<20)
		r.judge(old, w)
	})
}
