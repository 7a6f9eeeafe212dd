package hostnet

import (
	"github.com/braid-mptcp/braid/kernel"
)

// KernelConfig says how the kernel's stack is to use the uplinks.
type KernelConfig struct {
	// Flags of the endpoints; 0: kernel.FlagSubflow, which suits clients.
	Flags kernel.EndpointFlags
	// Backup are the uplinks that are for when no other works.
	Backup []string
}

// kernelLimit is what the limits are raised to: the most that every kernel
// takes.
const kernelLimit = 8

// KernelPlan plans for the kernel's stack on a host of several uplinks: that
// packets from an uplink's address leave by that uplink, which the main table
// alone does not do, and that the path manager uses all the addresses, with
// limits that let it. Endpoints that exist already stay as they are.
func KernelPlan(state State, cfg KernelConfig) (Plan, error) {
	var p Plan
	p.Table = state.freeTables(firstTable, maxUplinks)
	for _, u := range state.Uplinks {
		for _, w := range u.ways() {
			slot, ok := p.slot(u.Name)
			if !ok {
				break
			}
			// Neighbours, virtual machines and what else the main table has
			// a route for of its own stay where they are.
			p.add(Action{Rule: &RuleAction{From: single(w.Addr), Table: mainTable, Priority: firstPriority, Specific: true}})
			p.uplinkRoutes(u, w, w.Addr, p.Table+slot, firstPriority+1)
		}
	}
	if len(p.Paths) == 0 {
		return Plan{}, ErrNoUplink
	}
	for _, path := range p.Paths {
		if !hasEndpoint(state.Endpoints, path) {
			p.add(Action{Endpoint: &EndpointAction{Addr: path.Addr, Dev: path.Uplink, Flags: cfg.flags(path.Uplink)}})
		}
	}
	if state.Sysctls[managerType] == "1" {
		p.Warnings = append(p.Warnings, "paths are managed by a program, not by the kernel, which will not heed endpoints (sysctl net.mptcp.path_manager=kernel would change that)")
	}
	limits := kernel.Limits{
		AddAddrAccepted: max(state.Limits.AddAddrAccepted, kernelLimit),
		Subflows:        max(state.Limits.Subflows, kernelLimit),
	}
	if limits != state.Limits {
		p.add(Action{Limits: &LimitsAction{Limits: limits, Old: state.Limits}})
	}
	return p, nil
}

func (cfg KernelConfig) flags(uplink string) kernel.EndpointFlags {
	flags := cfg.Flags
	if flags == 0 {
		flags = kernel.FlagSubflow
	}
	for _, b := range cfg.Backup {
		if b == uplink {
			flags |= kernel.FlagBackup
		}
	}
	return flags
}

func hasEndpoint(all []kernel.Endpoint, path Path) bool {
	for _, e := range all {
		if e.Addr == path.Addr && e.Flags&kernel.FlagImplicit == 0 {
			return true
		}
	}
	return false
}
