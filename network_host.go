package braid

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/braid-mptcp/braid/hostnet"
	"github.com/braid-mptcp/braid/kernel"
)

// installation is what Open has put on the host. It is kept up to date as the
// uplinks change.
type installation struct {
	cfg      atomic.Pointer[OpenConfig]
	host     *hostnet.Host
	follower atomic.Pointer[hostnet.Follower]
	stopping sync.Once
	closing  chan struct{}
	followed sync.WaitGroup

	mu    sync.Mutex     // hostnet is used by one goroutine at a time
	setup *hostnet.Setup // nil: nothing could be installed, or it is undone
}

// opened counts the installations of this process.
var opened atomic.Uint32

// newTag names an installation.
func newTag() string { return fmt.Sprintf("%d-%d", os.Getpid(), opened.Add(1)) }

func newInstallation(cfg *OpenConfig) (*installation, error) {
	h, err := hostnet.Open("")
	if err != nil {
		return nil, err
	}
	in := &installation{host: h, closing: make(chan struct{})}
	in.cfg.Store(cfg)
	return in, nil
}

// config is what is wanted now.
func (in *installation) config() *OpenConfig { return in.cfg.Load() }

// install makes the first plan and installs it.
func (in *installation) install(tag string, planner hostnet.Planner) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	setup, err := in.host.Install(tag, planner)
	if err != nil {
		return err
	}
	in.setup = setup
	for _, w := range setup.Plan().Warnings {
		in.config().warn("%s", w)
	}
	return nil
}

// update installs another plan, unless everything has been undone.
func (in *installation) update(planner hostnet.Planner) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.setup == nil {
		return net.ErrClosed
	}
	return in.setup.Update(planner)
}

// plan is what is installed; empty where nothing is.
func (in *installation) plan() hostnet.Plan {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.setup == nil {
		return hostnet.Plan{}
	}
	return in.setup.Plan()
}

// uplinks lists the host's uplinks that may be used, the preferred one first.
func (in *installation) uplinks() ([]hostnet.Uplink, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	all, err := in.host.Uplinks()
	return hostnet.Select(all, in.config().Interfaces), err
}

// follow calls changed, from a goroutine of its own, whenever something about
// interfaces, addresses or routes has changed.
func (in *installation) follow(changed func() error) error {
	f, err := in.host.Follow()
	if err != nil {
		return err
	}
	in.follower.Store(f)
	in.followed.Go(func() {
		for {
			err := f.Next()
			if errors.Is(err, hostnet.ErrFollowLost) {
				f.Close()
				if f, err = in.followAnew(); err == nil {
					err = changed() // whatever it was that we were not told
				}
			} else if err == nil {
				err = changed()
			}
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil:
				in.config().warn("changes of the host's network: %v", err)
			}
			if f == nil {
				return
			}
		}
	})
	return nil
}

// followAnew starts over after changes were lost.
func (in *installation) followAnew() (*hostnet.Follower, error) {
	f, err := in.host.Follow()
	if err != nil {
		return nil, fmt.Errorf("they are not followed any more: %w", err)
	}
	in.follower.Store(f)
	select {
	case <-in.closing: // meanwhile
		f.Close()
		return f, net.ErrClosed
	default:
		return f, nil
	}
}

// sleep waits, and reports whether the installation stays.
func (in *installation) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-in.closing:
		return false
	}
}

// stop ends following.
func (in *installation) stop() {
	in.stopping.Do(func() { close(in.closing) })
	if f := in.follower.Load(); f != nil {
		f.Close()
	}
	in.followed.Wait()
}

// Close undoes everything.
func (in *installation) Close() error {
	in.stop()
	in.mu.Lock()
	defer in.mu.Unlock()
	var err error
	if in.setup != nil {
		err = in.setup.Close()
		in.setup = nil
	}
	in.host.Close()
	return err
}

// checkInterfaces finds names that are none, which are likelier typing errors
// than interfaces to come. One that exists is enough to go on.
func (cfg *OpenConfig) checkInterfaces() error {
	wanted := cfg.Interfaces
	for _, e := range cfg.Endpoints {
		if e.Dev != "" {
			wanted = append(wanted[:len(wanted):len(wanted)], e.Dev)
		}
	}
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("braid: %w", err)
	}
	var names []string
	known := make(map[string]bool)
	for _, i := range all {
		known[i.Name] = true
		if i.Flags&net.FlagLoopback == 0 {
			names = append(names, i.Name)
		}
	}
	isKnown := func(name string) bool { return known[name] }
	if len(cfg.Interfaces) > 0 && !slices.ContainsFunc(cfg.Interfaces, isKnown) {
		return fmt.Errorf("braid: no interface %s; there are %s", strings.Join(cfg.Interfaces, ", "), strings.Join(names, ", "))
	}
	for _, name := range wanted {
		if !known[name] {
			cfg.warn("no interface %s now; there are %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

// endpointFor finds what the configuration says about an address of an uplink.
// The last word counts.
func (cfg *OpenConfig) endpointFor(uplink string, addr netip.Addr) (e Endpoint, ok bool) {
	for _, c := range cfg.Endpoints {
		if (c.Dev == "" || c.Dev == uplink) && (!c.Addr.IsValid() || c.Addr == addr) {
			e, ok = c, true
		}
	}
	return e, ok
}

// flagsFor says what an address of an uplink is used for.
func (cfg *OpenConfig) flagsFor(uplink string, addr netip.Addr) kernel.EndpointFlags {
	const what = kernel.FlagSubflow | kernel.FlagSignal
	flags := cfg.Flags
	if flags&what == 0 {
		flags |= kernel.FlagSubflow
	}
	if e, ok := cfg.endpointFor(uplink, addr); ok {
		// "dev wlan0 backup" says when to use it, not what for.
		if e.Flags&what == 0 {
			e.Flags |= flags & what
		}
		flags = e.Flags
	}
	return flags
}
