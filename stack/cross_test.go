package stack_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
)

// TestJoinsCross has both ends announce and join the second path at the same
// moment, from and to the same ports. One subflow has to come of it.
func TestJoinsCross(t *testing.T) {
	n := sim.New(1)
	var hosts [2]*simtest.Host
	for i, name := range []string{"client", "server"} {
		hosts[i] = simtest.NewHost(name, 1, stack.Config{})
		for path := range 2 {
			addr := [2]netip.Addr{simtest.ClientAddr(path), simtest.ServerAddr(path)}[i]
			n.Attach(hosts[i], addr)
			err := hosts[i].Stack.AddAddress(n.Now(), stack.Address{Addr: addr, Bits: 24, Flags: mptcp.EndpointSubflow | mptcp.EndpointSignal})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for path := range 2 {
		line := simtest.Line(10, time.Duration(10+20*path)*ms) // the second is slower than the news of it
		n.Connect("path", simtest.ClientAddr(path), simtest.ServerAddr(path), line, line)
	}
	at := netip.AddrPortFrom(simtest.ServerAddr(0), 80)
	if _, err := hosts[1].Stack.Listen(at, 0); err != nil {
		t.Fatal(err)
	}
	var server *simtest.App
	hosts[1].Serve = func(*mptcp.Conn) *simtest.App {
		server = &simtest.App{Send: simtest.Pattern(1<<20, 2)}
		return server
	}
	client, err := hosts[0].Dial(n.Now(), netip.AddrPortFrom(simtest.ClientAddr(0), 0), at, nil, &simtest.App{Send: simtest.Pattern(1<<20, 1)})
	if err != nil {
		t.Fatal(err)
	}
	n.After(0, func() { client.Step(n.Now()) })
	if err := n.RunFor(time.Second); err != nil {
		t.Fatal(err)
	}
	for _, app := range []*simtest.App{client, server} {
		up := 0
		for _, sf := range app.Conn.Info(n.Now()).Subflows {
			if sf.Established {
				up++
			}
		}
		if up != 2 {
			t.Errorf("got %d subflows, want 2: %+v", up, app.Conn.Info(n.Now()))
		}
	}
}
