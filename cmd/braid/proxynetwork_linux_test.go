package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/kernel"
)

// visitor is a client that speaks the kernel's Multipath TCP from a namespace,
// on one connection that has to last.
type visitor struct {
	*browser
	t     *testing.T
	opens int
}

func visit(t *testing.T, ns *netns.NS, addr string) *visitor {
	v := &visitor{t: t}
	v.browser = &browser{addr: addr, dial: func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		if v.opens++; v.opens > 1 {
			return nil, fmt.Errorf("the connection to %s was closed", addr)
		}
		ns.Do(func() { c, err = kernel.Dial(ctx, network, addr) })
		return c, err
	}}
	t.Cleanup(v.close)
	v.ask("at once")
	return v
}

// ask makes a request, which has to be answered on the connection there is.
func (v *visitor) ask(when string) {
	v.t.Helper()
	if a, err := v.get("/"); err != nil || a.status != 200 || string(a.body) != "hello" {
		v.t.Fatalf("%s, %s: %v, %v", v.addr, when, a, err)
	}
}

// subflows counts those of the connection; 0 in plain TCP.
func (v *visitor) subflows() int {
	info, _ := braid.InfoOf(v.c)
	if !info.Multipath {
		return 0
	}
	return len(info.Subflows)
}

// endpointFlags are those of an address in the kernel of a namespace.
func endpointFlags(t *testing.T, ns *netns.NS, addr string) (flags kernel.EndpointFlags, ok bool) {
	t.Helper()
	ns.Do(func() {
		pm, err := kernel.OpenPathManager()
		if err != nil {
			t.Error(err)
			return
		}
		defer pm.Close()
		all, err := pm.Endpoints()
		if err != nil {
			t.Error(err)
		}
		for _, e := range all {
			if e.Addr.String() == addr {
				flags, ok = e.Flags, true
			}
		}
	})
	return flags, ok
}

// TestProxyReloadsUplinks: uplinks come and go with reloads. Those that come are
// joined by connections there are, those that go end none.
func TestProxyReloadsUplinks(t *testing.T) {
	for _, stack := range []string{"kernel", "user"} {
		t.Run(stack, func(t *testing.T) {
			h := newHosts(t)
			h.needKernel()
			h.allowJoins()
			config := func(interfaces string) string {
				return "network: {stack: " + stack + ", interfaces: [" + interfaces + "]}\n" +
					"listeners: {address: 'mptcp@:8080'}\nroutes: {respond: {body: hello}}\n"
			}
			p := startProxy(t, h.client, config("eth1"), "--no-watch")
			reloads := 0
			reload := func(interfaces string) {
				t.Helper()
				p.write(config(interfaces))
				p.cmd.Process.Signal(syscall.SIGHUP)
				reloads++
				waitFor(t, "the reload", func() bool { return strings.Count(p.log.String(), "msg=reloaded") == reloads })
			}
			first := visit(t, h.server, "10.1.1.5:8080")
			if n := first.subflows(); n != 1 {
				t.Fatalf("%d subflows, want 1", n)
			}
			reload("eth1, eth2")
			waitFor(t, "the new uplink to be joined", func() bool {
				first.ask("with a second uplink")
				return first.subflows() == 2
			})
			second := visit(t, h.server, "10.1.2.5:8080")
			if second.subflows() == 0 {
				t.Error("no Multipath TCP at the new uplink")
			}

			reload("eth1")
			for range 20 {
				first.ask("after an uplink was taken out")
				second.ask("after its uplink was taken out")
			}
			visit(t, h.server, "10.1.1.5:8080")
			if stack == "kernel" {
				if flags, ok := endpointFlags(t, h.client, "10.1.2.5"); !ok || flags&kernel.FlagBackup == 0 {
					t.Errorf("the endpoint that went: %v, flags %v, want a backup", ok, flags)
				}
			}

			reload("eth2, eth1")
			first.ask("with both again")
			second.ask("with both again")
			if stack == "kernel" {
				if flags, ok := endpointFlags(t, h.client, "10.1.2.5"); !ok || flags&kernel.FlagBackup != 0 {
					t.Errorf("the endpoint that is back: %v, flags %v, want no backup", ok, flags)
				}
			}
			visit(t, h.server, "10.1.2.5:8080")
			if stack == "user" { // the kernel has one setting for all
				p.write(config("eth2, eth1") + "tcp_profiles: {default: {checksum: true}}\n")
				p.cmd.Process.Signal(syscall.SIGHUP)
				waitFor(t, "the profile in force for who comes", func() bool {
					info, _ := braid.InfoOf(visit(t, h.server, "10.1.1.5:8080").c)
					return info.Checksum
				})
				if info, _ := braid.InfoOf(first.c); info.Checksum {
					t.Error("a connection has changed")
				}
				first.ask("with another profile")
				second.ask("with another profile")
			}
			if strings.Contains(p.log.String(), "restart") {
				t.Errorf("the log wants a restart")
			}
		})
	}
}

// TestProxyReloadsStack: what cannot be had by a reload is told with the key, and
// the rest is done; nobody is disturbed.
func TestProxyReloadsStack(t *testing.T) {
	h := newHosts(t)
	h.needKernel()
	config := func(stack string, addresses ...string) string {
		return "network: {stack: " + stack + "}\nlisteners: {name: web, address: ['" + strings.Join(addresses, "', '") + "']}\n" +
			"routes: {respond: {body: hello}}\n"
	}
	p := startProxy(t, h.client, config("auto", "tcp@:8080"), "--no-watch")
	reloads := 0
	reload := func(text string) {
		t.Helper()
		p.write(text)
		p.cmd.Process.Signal(syscall.SIGHUP)
		reloads++
		waitFor(t, "the reload", func() bool { return strings.Count(p.log.String(), "msg=reloaded") == reloads })
	}
	plain := visit(t, h.server, "10.1.1.5:8080")

	// Nothing spoke Multipath TCP at the start.
	reload(config("auto", "tcp@:8080", "mptcp@:8081"))
	multi := visit(t, h.server, "10.1.1.5:8081")
	if plain.subflows() != 0 || multi.subflows() == 0 {
		t.Errorf("%d and %d subflows, want none and some", plain.subflows(), multi.subflows())
	}
	if strings.Contains(p.log.String(), "restart") {
		t.Errorf("the log wants a restart")
	}

	// Another stack: an address that stays stays where it is.
	reload(config("user", "tcp@:8080", "mptcp@:8081", "mptcp@:8082"))
	waitFor(t, "a word about it", func() bool {
		return slices.ContainsFunc(strings.Split(p.log.String(), "\n"), func(line string) bool {
			return strings.Contains(line, "keeps its stack until a restart") && strings.Contains(line, "8081") && strings.Contains(line, "braid.yaml:1:18")
		})
	})
	plain.ask("with another stack")
	multi.ask("with another stack")
	if visit(t, h.server, "10.1.1.5:8081").subflows() == 0 {
		t.Error("no Multipath TCP at the address that stays")
	}
	fresh := visit(t, h.server, "10.1.1.5:8082")
	if fresh.subflows() == 0 {
		t.Error("no Multipath TCP at the new address")
	}
	if _, ok := endpointFlags(t, h.client, "10.1.1.5"); !ok {
		t.Error("the endpoints of the stack from before are gone")
	}
	for range 20 {
		plain.ask("in the end")
		multi.ask("in the end")
		fresh.ask("in the end")
	}
}
