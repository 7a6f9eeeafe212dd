package hostnet

import (
	"fmt"
	"net"
	"testing"

	rtnetlink "github.com/vishvananda/netlink"

	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/kernel"
)

// installKernel installs a KernelPlan in the host.
func (top *topology) installKernel(t *testing.T, h *Host, tag string) (s *Setup) {
	t.Helper()
	var err error
	top.host.Do(func() {
		s, err = h.Install(tag, func(state State) (Plan, error) { return KernelPlan(state, KernelConfig{}) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// endpoints lists the path manager's endpoints and limits.
func (top *topology) endpoints(t *testing.T) string {
	t.Helper()
	var pm *kernel.PathManager
	var err error
	top.host.Do(func() { pm, err = kernel.OpenPathManager() })
	if err != nil {
		t.Fatal(err)
	}
	defer pm.Close()
	all, err := pm.Endpoints()
	if err != nil {
		t.Fatal(err)
	}
	limits, err := pm.Limits()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(all, limits)
}

// TestKernelPlansShare: an endpoint that two processes want stays until the
// last has gone, since deleting it ends the subflows of both.
func TestKernelPlansShare(t *testing.T) {
	top := newTopology(t)
	before := snapshot(t, top)
	one := top.installKernel(t, top.h, "one")
	with := top.endpoints(t)
	two := top.installKernel(t, top.open(t), "two")
	if got := top.endpoints(t); got != with {
		t.Errorf("after the second: %s, want %s", got, with)
	}
	// What is installed already is no reason to leave it out of a new plan.
	var err error
	top.host.Do(func() {
		err = two.Update(func(state State) (Plan, error) { return KernelPlan(state, KernelConfig{}) })
	})
	if got := top.endpoints(t); err != nil || got != with {
		t.Errorf("after an update: %s, %v, want %s", got, err, with)
	}
	top.close(t, one)
	if got := top.endpoints(t); got != with {
		t.Errorf("after the first has closed: %s, want %s", got, with)
	}
	top.close(t, two)
	wantSame(t, "after both have closed", snapshot(t, top), before)
}

// TestKernelPlanKeepsOtherRoutes: what the main table has a route for of its
// own is reached as before.
func TestKernelPlanKeepsOtherRoutes(t *testing.T) {
	top := newTopology(t)
	top.host.AddRoute(netns.Route{Dst: "10.99.0.0/16", Via: "10.1.2.1"})
	way := func(to, from string) string {
		t.Helper()
		routes, err := top.host.Netlink().RouteGetWithOptions(net.ParseIP(to),
			&rtnetlink.RouteGetOptions{SrcAddr: net.ParseIP(from)})
		if err != nil || len(routes) != 1 {
			t.Fatalf("route from %s to %s: %v, %v", from, to, routes, err)
		}
		return routes[0].Gw.String()
	}
	if got := way("10.9.9.9", "10.1.2.5"); got != "10.1.1.1" {
		t.Fatalf("before: %s: the test proves nothing", got)
	}
	s := top.installKernel(t, top.h, "test")
	defer top.close(t, s)
	for _, tt := range []struct{ to, from, want string }{
		{"10.9.9.9", "10.1.2.5", "10.1.2.1"},
		{"10.9.9.9", "10.1.1.5", "10.1.1.1"},
		{"10.99.0.1", "10.1.1.5", "10.1.2.1"},
	} {
		if got := way(tt.to, tt.from); got != tt.want {
			t.Errorf("from %s to %s by %s, want %s", tt.from, tt.to, got, tt.want)
		}
	}
}
