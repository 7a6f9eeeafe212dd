package hostnet

import (
	"net/netip"
	"slices"

	"github.com/braid-mptcp/braid/kernel"
)

// State is what a Plan is made from: all that was read of the host.
type State struct {
	Uplinks []Uplink
	// Prefixes are taken: by addresses, by routes, by other stacks.
	Prefixes []netip.Prefix
	// Tables are the routing tables in use by routes or rules.
	Tables []int
	// Sysctls are settings a plan may depend on, by names with slashes. What
	// the kernel does not have is absent.
	Sysctls map[string]string
	// ForwardDrops are the nftables chains that drop by policy what is
	// forwarded, as "FAMILY TABLE CHAIN".
	ForwardDrops []string
	// Endpoints and Limits are those of the kernel's path manager.
	Endpoints []kernel.Endpoint
	Limits    kernel.Limits
}

// freeTables finds n tables in a row that nobody uses.
func (s State) freeTables(first, n int) int {
	for used := true; used; {
		used = false
		for t := first; t < first+n; t++ {
			if slices.Contains(s.Tables, t) {
				first, used = t+1, true
			}
		}
	}
	return first
}

// isFree tells whether no prefix in use has anything in common with p.
func (s State) isFree(p netip.Prefix) bool {
	return !slices.ContainsFunc(s.Prefixes, p.Overlaps)
}
