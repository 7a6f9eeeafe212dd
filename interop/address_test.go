//go:build linux

package interop_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/mptcp"
)

// sentFrom is how many bytes Braid has sent from an address, over the subflows
// there are now.
func sentFrom(c *host.Conn, local netip.Addr) (n uint64) {
	for _, sf := range c.Info().Subflows {
		if sf.Local.Addr() == local {
			n += sf.BytesSent
		}
	}
	return n
}

// sentTo is how many bytes the peer has sent to one of Braid's addresses.
func sentTo(t *testing.T, k *kernel.Conn, remote netip.Addr) (n uint64) {
	t.Helper()
	info, err := k.FullInfo()
	if err != nil {
		t.Fatal(err)
	}
	for _, sf := range info.Subflows {
		if sf.Remote.Addr() == remote {
			n += sf.TCP.BytesSent
		}
	}
	return n
}

// shares gives the part of either end's bytes that takes Braid's second address
// while n bytes go each way.
func shares(t *testing.T, c *host.Conn, k *kernel.Conn, n int) (ours, peer float64) {
	t.Helper()
	sent := func() (b [2][2]uint64) {
		for i := range 2 {
			b[i] = [2]uint64{sentFrom(c, ours4(i+1)), sentTo(t, k, ours4(i+1))}
		}
		return b
	}
	before := sent()
	talk(t, c, k, n)
	after := sent()
	share := func(end int) float64 {
		first, second := after[0][end]-before[0][end], after[1][end]-before[1][end]
		return float64(second) / float64(first+second)
	}
	return share(0), share(1)
}

// TestBackup: a path that either end calls a backup carries nothing while
// another works, in either direction, and does once the other is gone.
func TestBackup(t *testing.T) {
	const backup = mptcp.EndpointBackup
	const size = 1 << 20
	for _, c := range []struct {
		name        string
		kernelDials bool
		flags       mptcp.EndpointFlags // of Braid's second address
		endpoint    string              // of the peer
		want        want
	}{
		{"braid dials, its backup", false, mptcp.EndpointSubflow | backup, "",
			want{"MPJoinSynRx": 1, "MPJoinSynBackupRx": 1, "MPJoinAckRx": 1}},
		{"braid dials, peer's backup", false, 0, "signal backup",
			want{"MPJoinSynRx": 1, "MPJoinSynBackupRx": 0, "MPJoinAckRx": 1}},
		{"kernel dials, its backup", true, 0, "subflow backup",
			want{"MPJoinSynTx": 1, "MPJoinSynAckRx": 1, "MPJoinSynAckBackupRx": 0}},
		{"kernel dials, braid's backup", true, mptcp.EndpointSignal | backup, "",
			want{"MPJoinSynTx": 1, "MPJoinSynAckRx": 1, "MPJoinSynAckBackupRx": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := setup{paths: 2, addrs: ipv4.ours(2, c.flags)}
			if c.endpoint != "" {
				s.endpoints = ipv4.theirs(2, c.endpoint)
			}
			r := newRig(t, s)
			old := r.peer.Counters()
			ours, theirs := r.connect(ipv4, c.kernelDials)
			ping(t, ours, theirs)
			r.wantSubflows(ours, theirs, 2)
			// Acknowledgements there may be, and what a busy machine, for which
			// a path may seem dead, has sent again: the least of three counts.
			least := int64(size)
			for range 3 {
				before := r.pathBytes(2)
				talk(t, ours, theirs, size)
				least = min(least, r.pathBytes(2)-before)
			}
			if least > size/20 {
				t.Errorf("%d of %d bytes took the backup", least, 2*size)
			}
			r.judge(old, c.want)
			r.paths[0].user.Sever()
			before := r.pathBytes(2)
			// Linux sends again what a dead path has swallowed at a few chunks
			// a second: it gets little to send.
			r.exchangeUneven(ours, theirs, size, 64<<10)
			if n := r.pathBytes(2) - before; n < size {
				t.Errorf("%d bytes took the backup once it was all there was", n)
			}
		})
	}
}

// TestPriorityChange: either end makes a path a backup while the connection is
// on, and takes it back (MP_PRIO).
func TestPriorityChange(t *testing.T) {
	s := setup{paths: 2, addrs: ipv4.ours(2, mptcp.EndpointSubflow), endpoints: []string{peer4(1).String() + " id 1 subflow"}}
	r := newRig(t, s)
	old := r.peer.Counters()
	ours, theirs := r.connect(ipv4, false)
	ping(t, ours, theirs)
	r.wantSubflows(ours, theirs, 2)

	// wantAlone: data takes the path of Braid's n-th address, if not at once
	// then soon: on a busy machine some is sent again by the other.
	wantAlone := func(why string, n int) {
		t.Helper()
		var sent, back float64
		for range 5 {
			if sent, back = shares(t, ours, theirs, 2<<20); n == 1 {
				sent, back = 1-sent, 1-back
			}
			if sent > 0.95 && back > 0.95 {
				return
			}
		}
		t.Errorf("%s: %.0f %% of Braid's data took the other path, %.0f %% of the peer's", why, 100*sent, 100*back)
	}
	set := func(n int, backup bool) {
		t.Helper()
		if err := r.host.SetBackup(ours4(n), backup); err != nil {
			t.Fatal(err)
		}
	}
	set(1, true)
	r.eventually("MP_PRIO arrives", func() bool { return r.grown(old, "MPPrioRx") == 1 })
	wantAlone("first path is Braid's backup", 2)
	set(2, true)
	set(1, false)
	r.eventually("two more arrive", func() bool { return r.grown(old, "MPPrioRx") == 3 })
	wantAlone("second path is Braid's backup", 1)
	set(2, false)
	r.eventually("the last arrives", func() bool { return r.grown(old, "MPPrioRx") == 4 })
	r.exchange(ours, theirs, 1<<20)
	r.judge(old, want{"MPPrioRx": 4, "MPPrioTx": 0})
}

// TestPeerChangesPriority is the same begun by the kernel.
func TestPeerChangesPriority(t *testing.T) {
	s := setup{paths: 2, addrs: ipv4.ours(2, 0), endpoints: ipv4.theirs(2, "subflow")}
	r := newRig(t, s)
	old := r.peer.Counters()
	ours, theirs := r.connect(ipv4, true)
	ping(t, ours, theirs)
	r.wantSubflows(ours, theirs, 2)
	if err := r.pm.Change(2, kernel.FlagBackup, 0); err != nil {
		t.Fatal(err)
	}
	peerBackup := func(want bool) func() bool {
		return func() bool {
			return slices.ContainsFunc(ours.Info().Subflows, func(sf mptcp.SubflowInfo) bool {
				return sf.RemoteID == 2 && sf.PeerBackup == want
			})
		}
	}
	r.eventually("Braid takes the path for a backup", peerBackup(true))
	least := int64(1 << 20)
	for range 3 {
		before := r.pathBytes(2)
		talk(t, ours, theirs, 1<<20)
		least = min(least, r.pathBytes(2)-before)
	}
	if least > 50_000 {
		t.Errorf("%d bytes took the backup", least)
	}
	if err := r.pm.Change(2, 0, kernel.FlagBackup); err != nil {
		t.Fatal(err)
	}
	r.eventually("Braid takes the path for an ordinary one", peerBackup(false))
	r.exchange(ours, theirs, 1<<20)
	r.judge(old, want{"MPPrioTx": 2, "MPPrioRx": 0})
}

// TestAddressGoes: an address of Braid's goes in mid-connection and comes back;
// the peer is told and the path is used again.
func TestAddressGoes(t *testing.T) {
	for _, c := range []struct {
		name        string
		kernelDials bool
		flags       mptcp.EndpointFlags
		gone        int // which address
		want        want
	}{
		{"braid dials, the joined one", false, mptcp.EndpointSubflow, 2,
			want{"RmAddr": 1, "RmSubflow": whatever, "MPJoinAckRx": 2}},
		{"braid dials, the first one", false, mptcp.EndpointSubflow, 1,
			want{"RmAddr": 1, "RmSubflow": whatever, "MPJoinAckRx": 2}},
		{"kernel dials, the announced one", true, mptcp.EndpointSignal, 2,
			want{"RmAddr": 1, "RmSubflow": whatever, "MPJoinSynAckRx": 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			addrs := ipv4.ours(2, c.flags)
			r := newRig(t, setup{paths: 2, addrs: addrs})
			old := r.peer.Counters()
			ours, theirs := r.connect(ipv4, c.kernelDials)
			ping(t, ours, theirs)
			r.wantSubflows(ours, theirs, 2)
			if err := r.host.RemoveAddress(ours4(c.gone)); err != nil {
				t.Fatal(err)
			}
			r.wantSubflows(ours, theirs, 1)
			r.eventually("REMOVE_ADDR arrives", func() bool { return r.grown(old, "RmAddr") == 1 })
			talk(t, ours, theirs, 1<<20)
			back := addrs[c.gone-1]
			back.Flags = c.flags
			if err := r.host.AddAddress(r.dev, back); err != nil {
				t.Fatal(err)
			}
			r.wantSubflows(ours, theirs, 2)
			r.exchange(ours, theirs, 1<<20)
			r.judge(old, c.want)
		})
	}
}

// TestPeerAddressGoes: an endpoint of the peer goes and comes back.
func TestPeerAddressGoes(t *testing.T) {
	for _, c := range []struct {
		name        string
		kernelDials bool
		words       string
		want        want
	}{
		{"braid dials, peer signals", false, "signal", want{"AddAddrTx": 2, "EchoAdd": 2, "RmAddrTx": 1, "MPJoinAckRx": 2}},
		{"kernel dials and joins", true, "subflow", want{"RmAddrTx": 1, "MPJoinSynAckRx": 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			endpoints := ipv4.theirs(2, c.words)
			r := newRig(t, setup{paths: 2, addrs: ipv4.ours(2, 0), endpoints: endpoints})
			old := r.peer.Counters()
			ours, theirs := r.connect(ipv4, c.kernelDials)
			ping(t, ours, theirs)
			r.wantSubflows(ours, theirs, 2)
			r.deleteEndpoint(peer4(2))
			r.wantSubflows(ours, theirs, 1)
			talk(t, ours, theirs, 1<<20)
			r.addEndpoint(endpoints[0])
			r.wantSubflows(ours, theirs, 2)
			r.exchange(ours, theirs, 1<<20)
			r.judge(old, c.want)
		})
	}
}
