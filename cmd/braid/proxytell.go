package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy"
)

// tellUnused says which sockets were handed over for nothing.
func (r *proxyRun) tellUnused(inherited map[string][]net.Listener) {
	used := make(map[net.Listener]bool)
	for _, l := range r.cfg.Listeners {
		for _, a := range l.Address {
			if a.Network == config.NetworkFD {
				for _, s := range inherited[a.Path] {
					used[s] = true
				}
			}
		}
	}
	for name, sockets := range inherited {
		for _, s := range sockets {
			if !used[s] {
				used[s] = true // it has two names
				r.log.Warn("a socket was handed over that no listener takes", "name", name, "address", s.Addr().String(), "write", "fd@"+name)
			}
		}
	}
}

// tellStart says what listens where.
func (r *proxyRun) tellStart() {
	r.tellAddresses()
	stack := r.proxy.Snapshot().Stack
	r.warnOfOneAddress(stack)
	r.warnOfFiles()
	attrs := []any{"version", version(), "stack", stack,
		"listeners", len(r.cfg.Listeners), "pools", len(r.cfg.Pools), "pid", os.Getpid()}
	if a := r.cfg.Admin.Address; a != nil {
		attrs = append(attrs, "admin", a.String())
	}
	r.log.Info("ready", attrs...)
}

// warnOfOneAddress tells of listeners that clients can join at one address only:
// the kernel finds the listener of a join by its destination.
func (r *proxyRun) warnOfOneAddress(stack string) {
	if stack != string(config.StackKernel) || r.cfg.Network.SinglePath {
		return
	}
	for _, l := range r.cfg.Listeners {
		for _, a := range l.Address {
			multipath := a.Network.Multipath() || a.Network == config.NetworkAny
			if ip, err := netip.ParseAddr(a.Host); multipath && err == nil && !ip.IsLoopback() && !ip.IsUnspecified() {
				all := config.Address{Network: a.Network, Port: a.Port}
				r.log.Warn("clients can join at this address only; listen on all to use further uplinks of this host",
					"listener", l.Name, "address", a.String(), "all", all.String())
			}
		}
	}
}

// warnOfFiles tells of limits that cannot be reached. A connection is a file, and
// so is the one to a server that it may need.
func (r *proxyRun) warnOfFiles() {
	limit, connections := openFileLimit(), r.cfg.Limits.Connections
	if limit > 0 && connections > 0 && 2*uint64(connections) > limit {
		r.log.Warn("limits.connections needs two files for each; this process may open fewer (ulimit -n, LimitNOFILE)",
			"connections", connections, "files", limit)
	}
}

// tellAddresses says what has become of addresses since it was called last.
func (r *proxyRun) tellAddresses() {
	before := r.addrs
	r.addrs = r.proxy.Addrs()
	for _, a := range before {
		if !slices.Contains(r.addrs, a) {
			r.log.Info("no longer listening", "listener", a.Name, "address", a.Address)
		}
	}
	for _, a := range r.addrs {
		if !slices.Contains(before, a) {
			r.tellListening(a)
		}
	}
}

func (r *proxyRun) tellListening(a proxy.ListenerAddr) {
	attrs := []any{"listener", a.Name, "address", a.Address}
	if i := slices.IndexFunc(r.cfg.Listeners, func(l *config.Listener) bool { return l.Name == a.Name }); i >= 0 {
		l := r.cfg.Listeners[i]
		attrs = append(attrs, "mode", string(l.Mode), "tls", l.TLS != nil)
	}
	r.log.Info("listening", attrs...)
}

// status is a line for systemctl status.
func (r *proxyRun) status() string {
	return fmt.Sprintf("serving %s, %s", count(len(r.cfg.Listeners), "listener"), count(len(r.cfg.Pools), "pool"))
}
