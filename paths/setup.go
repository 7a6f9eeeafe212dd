package paths

import (
	"errors"
	"fmt"
	"slices"

	"github.com/braid-mptcp/braid/hostnet"
	"github.com/braid-mptcp/braid/kernel"
)

// tag is the name under which Setup installs.
const tag = "paths"

// Config says how Setup is to prepare the host.
type Config struct {
	Interfaces []string // uplinks to use; empty: all
	Backup     []string // those that are for when no other works
	// Signal announces the addresses to peers, as a server wants it, instead
	// of opening subflows from them.
	Signal bool
}

func (cfg *Config) plan(state hostnet.State) (hostnet.Plan, error) {
	known := func(name string) bool {
		return slices.ContainsFunc(state.Uplinks, func(u hostnet.Uplink) bool { return u.Name == name })
	}
	for _, name := range slices.Concat(cfg.Interfaces, cfg.Backup) {
		if !known(name) {
			return hostnet.Plan{}, fmt.Errorf("%s is no uplink: it has no default route", name)
		}
	}
	state.Uplinks = hostnet.Select(state.Uplinks, cfg.Interfaces)
	kcfg := hostnet.KernelConfig{Backup: cfg.Backup}
	if cfg.Signal {
		kcfg.Flags = kernel.FlagSignal
	}
	return hostnet.KernelPlan(state, kcfg)
}

// DryRun gives the commands that Setup would come to.
func DryRun(cfg Config) (string, error) {
	h, err := hostnet.Open("")
	if err != nil {
		return "", err
	}
	defer h.Close()
	state, err := h.State()
	if err != nil {
		return "", err
	}
	plan, err := cfg.plan(state)
	return plan.String(), err
}

// Setup installs routing by source address and endpoints of the kernel's path
// manager for all uplinks, in place of what it installed before. It stays until
// Undo, or until the system goes down.
func Setup(cfg Config) (hostnet.Plan, error) {
	if err := kernel.Supported(); err != nil {
		return hostnet.Plan{}, err
	}
	h, err := hostnet.Open("")
	if err != nil {
		return hostnet.Plan{}, err
	}
	defer h.Close()
	plan, err := h.InstallPersistent(tag, cfg.plan)
	if errors.Is(err, hostnet.ErrInstalled) {
		// Mistakes are found before anything is taken away.
		state, err := h.State()
		if err != nil {
			return plan, err
		}
		if _, err := cfg.plan(state); err != nil {
			return plan, err
		}
		if err := h.Remove(tag); err != nil {
			return plan, err
		}
		return h.InstallPersistent(tag, cfg.plan)
	}
	return plan, err
}

// Undo removes what Setup has installed. done is false if there was nothing.
func Undo() (done bool, err error) {
	h, err := hostnet.Open("")
	if err != nil {
		return false, err
	}
	defer h.Close()
	err = h.Remove(tag)
	if errors.Is(err, hostnet.ErrNotInstalled) {
		return false, nil
	}
	return err == nil, err
}

// Cleanup removes what processes that died have left, and tells what it was.
func Cleanup() (removed []string, err error) {
	h, err := hostnet.Open("")
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return h.Cleanup()
}
