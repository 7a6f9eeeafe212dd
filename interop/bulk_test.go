//go:build linux

package interop_test

import (
	"net/netip"
	"testing"
)

func TestBulkOnePath(t *testing.T) {
	const size = 32 << 20
	for _, family := range []struct {
		name       string
		peer, ours netip.Addr
	}{
		{"ipv4", peer4(1), ours4(1)},
		{"ipv6", peer6(1), ours6(1)},
	} {
		t.Run(family.name+"/braid dials", func(t *testing.T) {
			r := newRig(t, setup{})
			old := r.peer.Counters()
			ours, theirs := r.dialBraid(family.peer)
			r.exchange(ours, theirs, size)
			r.judge(old, want{"MPCapableSYNRX": 1, "MPCapableACKRX": 1})
		})
		t.Run(family.name+"/kernel dials", func(t *testing.T) {
			r := newRig(t, setup{})
			old := r.peer.Counters()
			ours, theirs := r.dialKernel(netip.Addr{}, family.ours)
			r.exchange(ours, theirs, size)
			r.judge(old, want{"MPCapableSYNTX": 1, "MPCapableSYNACKRX": 1})
		})
	}
}
