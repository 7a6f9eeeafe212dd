package hostnet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	rtnetlink "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/tun"
)

var (
	allTables   = &rtnetlink.Route{Table: unix.RT_TABLE_UNSPEC}
	filterTable = rtnetlink.RT_FILTER_TABLE
)

func TestUplinksAreFound(t *testing.T) {
	top := newTopology(t)
	all, err := top.h.Uplinks()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].Name != "eth1" || all[1].Name != "eth2" || all[0].MTU != 1500 {
		t.Fatalf("got %+v", all)
	}
	want := Way{Addr: addr("10.1.2.5"), Prefix: prefix("10.1.2.5/24"), Gateway: addr("10.1.2.1"), Metric: 200}
	if all[1].V4 != want {
		t.Errorf("IPv4: got %+v, want %+v", all[1].V4, want)
	}
	want = Way{Addr: addr("fd00:1:2::5"), Prefix: prefix("fd00:1:2::5/64"), Gateway: addr("fd00:1:2::1"), Metric: 200}
	if all[1].V6 != want {
		t.Errorf("IPv6: got %+v, want %+v", all[1].V6, want)
	}
	top.uplinks[0].SetUp(false)
	if all, err = top.h.Uplinks(); err != nil || len(all) != 1 || all[0].Name != "eth2" {
		t.Errorf("with eth1 down: %+v, %v", all, err)
	}
}

func TestStackPlanCarriesTraffic(t *testing.T) {
	t.Run("this kernel", func(t *testing.T) {
		testStackPlan(t, func(*State) {})
	})
	t.Run("IPv6 as before Linux 6.17", func(t *testing.T) {
		testStackPlan(t, func(s *State) {
			maps.DeleteFunc(s.Sysctls, func(name, _ string) bool { return strings.HasSuffix(name, "force_forwarding") })
		})
	})
}

func testStackPlan(t *testing.T, change func(*State)) {
	top := newTopology(t)
	top.host.SetSysctl("net.ipv6.conf.eth1.accept_ra", "1")
	top.host.SetSysctl("net.ipv6.conf.eth2.forwarding", "1")
	before := snapshot(t, top)
	d := openTUN(t, top.host)
	var s *Setup
	var err error
	top.host.Do(func() {
		s, err = top.h.Install("test", func(state State) (Plan, error) {
			change(&state)
			return StackPlan(state, StackConfig{Tag: "test", Dev: d.Name()})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	in, from := reader(d), udpEcho(t, top.server)
	paths := s.Plan().Paths
	if len(paths) != 4 {
		t.Fatalf("%d paths, want 4: %+v", len(paths), paths)
	}
	for _, path := range paths {
		if !carries(t, d, in, from, path) {
			t.Errorf("no answer by %+v", path)
		}
	}
	top.close(t, s)
	if carries(t, d, in, from, paths[0]) {
		t.Error("traffic passes after Close")
	}
	d.Close()
	wantSame(t, "after Close", snapshot(t, top), before)
}

// TestNothingElseIsForwarded shows that the host has not become a router for
// its neighbours.
func TestNothingElseIsForwarded(t *testing.T) {
	top := newTopology(t)
	d := openTUN(t, top.host)
	passes := func() bool {
		t.Helper()
		// Router 1 reaches for an address of router 2, through the host.
		r := top.routers[0]
		r.AddRoute(netns.Route{Dst: "10.1.2.0/24", Via: "10.1.1.5"})
		top.routers[1].AddRoute(netns.Route{Dst: "10.1.1.0/24", Via: "10.1.2.5"})
		var err error
		r.Do(func() { _, err = net.DialTimeout("tcp", "10.1.2.1:9", 300*time.Millisecond) })
		return errors.Is(err, unix.ECONNREFUSED) // by router 2
	}
	s := top.install(t, top.h, d.Name(), "test")
	if passes() {
		t.Error("the host forwards between its uplinks")
	}
	top.close(t, s)
	// A host that is a router stays one.
	top.host.SetForwarding()
	if !passes() {
		t.Fatal("a router does not forward: the test proves nothing")
	}
	s = top.install(t, top.h, d.Name(), "test")
	if !passes() {
		t.Error("a router no longer forwards")
	}
	top.close(t, s)
}

func TestForwardedPorts(t *testing.T) {
	top := newTopology(t)
	d := openTUN(t, top.host)
	s := top.install(t, top.h, d.Name(), "test", PortForward{Port: 443, To: 8443})
	t.Cleanup(func() { top.close(t, s) })
	asked := make(chan netip.AddrPort, 16)
	go answerSYNs(d, asked)
	for _, tt := range []struct {
		from *netns.NS
		to   string
		want string // stack's address by the path
	}{
		{top.server, "10.1.1.5:443", "10.1.1.5"},
		{top.server, "10.1.2.5:443", "10.1.2.5"},
		{top.server, "[fd00:1:2::5]:443", "fd00:1:2::5"},
		{top.host, "10.1.2.5:443", "10.1.2.5"}, // from the host itself
	} {
		for len(asked) > 0 { // the SYN before may have been sent twice
			<-asked
		}
		var c net.Conn
		var err error
		tt.from.Do(func() { c, err = net.DialTimeout("tcp", tt.to, 3*time.Second) })
		if err != nil {
			t.Errorf("from %s to %s: %v", tt.from.Name(), tt.to, err)
			continue
		}
		c.Close()
		i := slices.IndexFunc(s.Plan().Paths, func(p Path) bool { return p.Public == addr(tt.want) })
		want := netip.AddrPortFrom(s.Plan().Paths[i].Addr, 8443)
		if got := <-asked; got != want {
			t.Errorf("to %s: the stack was asked at %s, want %s", tt.to, got, want)
		}
	}
}

// answerSYNs accepts every connection, by its first answer at least.
func answerSYNs(d *tun.Device, asked chan<- netip.AddrPort) {
	for b := range reader(d) {
		src, dst, protocol, tcp := split(b)
		if protocol != unix.IPPROTO_TCP || tcp[13] != 0x02 {
			continue
		}
		asked <- netip.AddrPortFrom(dst, uint16(tcp[2])<<8|uint16(tcp[3]))
		answer := make([]byte, 20)
		copy(answer, tcp[2:4])
		copy(answer[2:], tcp[:2])
		copy(answer[8:], tcp[4:8]) // acknowledge its number...
		for i := 11; i >= 8; i-- { // ...and one more
			if answer[i]++; answer[i] != 0 {
				break
			}
		}
		answer[12], answer[13], answer[14] = 5<<4, 0x12, 0xff
		d.Write([]link.Packet{{Data: ipPacket(dst, src, unix.IPPROTO_TCP, 16, answer)}})
	}
}

// addUsersRules gives the host a ruleset of its own.
func addUsersRules(t *testing.T, top *topology) {
	t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(top.host.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "filter"})
	drop := nftables.ChainPolicyDrop
	c.AddChain(&nftables.Chain{
		Name: "unused", Table: table, Type: nftables.ChainTypeFilter, Policy: &drop,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	chain := c.AddChain(&nftables.Chain{
		Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestKilledProcess kills a process that has installed a plan, and cleans up.
func TestKilledProcess(t *testing.T) {
	top := newTopology(t)
	addUsersRules(t, top)
	before := snapshot(t, top)
	for _, by := range []string{"Cleanup", "Install"} {
		cmd := startChild(t, top)
		var s *Setup
		other := openTUN(t, top.host)
		// What belongs to the living is left alone.
		during := snapshot(t, top)
		if slices.Equal(during, before) {
			t.Fatal("the child has changed nothing")
		}
		top.host.Do(func() {
			if removed, err := top.h.Cleanup(); err != nil || removed != nil {
				t.Errorf("while it lives: removed %q, %v", removed, err)
			}
		})
		wantSame(t, "while it lives", snapshot(t, top), during)

		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		switch by {
		case "Cleanup":
			top.host.Do(func() {
				removed, err := top.h.Cleanup()
				if err != nil || !slices.ContainsFunc(removed, func(s string) bool { return strings.HasPrefix(s, "nft add table ip braid-") }) {
					t.Errorf("removed %q, %v", removed, err)
				}
			})
		case "Install":
			s = top.install(t, top.h, other.Name(), "other")
			top.close(t, s)
		}
		other.Close()
		wantSame(t, "after "+by, snapshot(t, top), before)
		if left, _ := filepath.Glob(top.dir + "/*.json"); left != nil {
			t.Errorf("journals left: %v", left)
		}
	}
}

func startChild(t *testing.T, top *topology) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "BRAID_HOSTNET_CHILD="+top.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := top.host.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "installed\n" {
		t.Fatalf("child: %q, %v", line, err)
	}
	return cmd
}

// child installs a plan and waits to be killed.
func child(dir string) {
	err := func() error {
		h, err := Open(dir)
		if err != nil {
			return err
		}
		d, err := tun.Open(tun.Config{})
		if err != nil {
			return err
		}
		tag := fmt.Sprint(os.Getpid())
		_, err = h.Install(tag, func(s State) (Plan, error) {
			return StackPlan(s, StackConfig{Tag: tag, Dev: d.Name(), Forwards: []PortForward{{Port: 443}}})
		})
		if err != nil {
			return err
		}
		fmt.Println("installed")
		time.Sleep(time.Minute)
		return d.Close()
	}()
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestTwoInstallations(t *testing.T) {
	top := newTopology(t)
	before := snapshot(t, top)
	d1, d2 := openTUN(t, top.host), openTUN(t, top.host)
	h2 := top.open(t)
	s1 := top.install(t, top.h, d1.Name(), "one")
	s2 := top.install(t, h2, d2.Name(), "two")
	if a, b := s1.Plan(), s2.Plan(); a.Prefix4 == b.Prefix4 || a.Prefix6 == b.Prefix6 || a.Table == b.Table {
		t.Errorf("they share: %s, %s, %d", a.Prefix4, a.Prefix6, a.Table)
	}
	var err error
	top.host.Do(func() { _, err = h2.Install("one", func(State) (Plan, error) { return Plan{}, nil }) })
	if !errors.Is(err, ErrInstalled) {
		t.Errorf("a tag in use: %v, want %v", err, ErrInstalled)
	}
	in1, in2, from := reader(d1), reader(d2), udpEcho(t, top.server)
	if !carries(t, d1, in1, from, s1.Plan().Paths[1]) || !carries(t, d2, in2, from, s2.Plan().Paths[1]) {
		t.Error("they do not work side by side")
	}
	top.close(t, s1)
	for _, path := range s2.Plan().Paths {
		if !carries(t, d2, in2, from, path) {
			t.Errorf("no answer by %+v after the other has closed", path)
		}
	}
	top.close(t, s2)
	d1.Close()
	d2.Close()
	wantSame(t, "after both have closed", snapshot(t, top), before)
}

// TestUpdate follows uplinks that change, as a program would.
func TestUpdate(t *testing.T) {
	top := newTopology(t)
	before := snapshot(t, top)
	d := openTUN(t, top.host)
	s := top.install(t, top.h, d.Name(), "test")
	in, from := reader(d), udpEcho(t, top.server)
	update := func() {
		t.Helper()
		var err error
		prev := s.Plan()
		top.host.Do(func() {
			err = s.Update(func(state State) (Plan, error) {
				return StackPlan(state, StackConfig{Tag: "test", Dev: d.Name(), Previous: &prev})
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	path := func(uplink string) Path {
		i := slices.IndexFunc(s.Plan().Paths, func(p Path) bool { return p.Uplink == uplink && p.Addr.Is4() })
		if i < 0 {
			return Path{}
		}
		return s.Plan().Paths[i]
	}
	stack2 := path("eth2").Addr
	down := func() { top.uplinks[1].SetUp(false) }
	up := func() {
		top.uplinks[1].SetUp(true)
		top.uplinks[1].AddAddr("fd00:1:2::5/64") // IPv6 addresses go with a link
		top.defaultRoute(1)
	}

	// A link that goes down takes its routes along, and an update brings them
	// back even if everything looks as before.
	down()
	up()
	if carries(t, d, in, from, path("eth2")) {
		t.Fatal("routes survive a link that went down: the test proves nothing")
	}
	update()
	if !carries(t, d, in, from, path("eth2")) {
		t.Error("no answer after the link came back")
	}

	// A new address of the uplink's.
	top.uplinks[1].DelAddr("10.1.2.5/24")
	top.uplinks[1].AddAddr("10.1.2.6/24")
	top.defaultRoute(1)
	update()
	if got := path("eth2"); got.Public != addr("10.1.2.6") || got.Addr != stack2 || !carries(t, d, in, from, got) {
		t.Errorf("after a new address: %+v", got)
	}

	// An uplink that is gone leaves nothing behind, and returns as it was.
	down()
	update()
	if got := path("eth2"); got.Addr.IsValid() {
		t.Errorf("after the uplink went: %+v", got)
	}
	if !carries(t, d, in, from, path("eth1")) {
		t.Error("the other uplink does not work")
	}
	up()
	update()
	if got := path("eth2"); got.Addr != stack2 || !carries(t, d, in, from, got) {
		t.Errorf("after the uplink came back: %+v", got)
	}

	top.uplinks[1].DelAddr("10.1.2.6/24")
	top.uplinks[1].AddAddr("10.1.2.5/24")
	top.defaultRoute(1)
	top.close(t, s)
	d.Close()
	wantSame(t, "after Close", snapshot(t, top), before)
}

func TestFollow(t *testing.T) {
	top := newTopology(t)
	d := openTUN(t, top.host)
	s := top.install(t, top.h, d.Name(), "test")
	t.Cleanup(func() { top.close(t, s) })
	var f *Follower
	var err error
	top.host.Do(func() { f, err = top.h.Follow() })
	if err != nil {
		t.Fatal(err)
	}
	changes := make(chan error)
	go func() {
		for {
			err := f.Next()
			changes <- err
			if err != nil {
				return
			}
		}
	}()
	expect := func(what string, want bool) {
		t.Helper()
		select {
		case err := <-changes:
			if err != nil || !want {
				t.Errorf("%s: told of a change, %v", what, err)
			}
		case <-time.After(5 * settleTime):
			if want {
				t.Errorf("%s: not told of", what)
			}
		}
	}
	expect("nothing happened", false)
	top.uplinks[1].AddAddr("10.1.2.77/24")
	expect("a new address", true)
	top.host.AddRoute(netns.Route{Dst: "10.99.0.0/16", Via: "10.1.1.1"})
	expect("a new route", true)
	prev := s.Plan()
	top.host.Do(func() {
		err = s.Update(func(state State) (Plan, error) {
			return StackPlan(state, StackConfig{Tag: "test", Dev: d.Name(), Previous: &prev})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	expect("an update of our own", false)
	top.uplinks[1].SetUp(false)
	expect("a link down", true)
	f.Close()
	if err := <-changes; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, net.ErrClosed)
	}
}

// TestKernelPlan sets the host up for the kernel's stack, uses both uplinks in
// one connection, and takes it all back.
func TestKernelPlanJoinsByEveryUplink(t *testing.T) {
	top := newTopology(t)
	var err error
	top.host.Do(func() { err = kernel.Supported() })
	if err != nil {
		t.Skip(err)
	}
	before := snapshot(t, top)
	top.host.Do(func() {
		_, err = top.h.InstallPersistent("paths", func(s State) (Plan, error) { return KernelPlan(s, KernelConfig{}) })
	})
	if err != nil {
		t.Fatal(err)
	}
	// It outlives the process, and others' cleaning.
	top.host.Do(func() {
		if removed, err := top.h.Cleanup(); err != nil || removed != nil {
			t.Errorf("Cleanup removed %q, %v", removed, err)
		}
	})
	var ln *kernel.Listener
	top.server.Do(func() {
		ln, err = kernel.Listen(context.Background(), "tcp", ":80")
		if err != nil {
			return
		}
		pm, perr := kernel.OpenPathManager()
		if err = perr; err == nil {
			defer pm.Close()
			err = pm.SetLimits(kernel.Limits{Subflows: 8})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	var c *kernel.Conn
	top.host.Do(func() { c, err = kernel.Dial(context.Background(), "tcp", "10.9.9.9:80") })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "hello")
	if _, err := io.ReadFull(c, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	locals := make(map[netip.Addr]bool)
	for deadline := time.Now().Add(20 * time.Second); len(locals) < 2 && time.Now().Before(deadline); {
		info, err := c.FullInfo()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range info.Subflows {
			if s.TCP.State == kernel.Established {
				locals[s.Local.Addr()] = true
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !locals[addr("10.1.1.5")] || !locals[addr("10.1.2.5")] {
		t.Errorf("subflows from %v, want from both uplinks", locals)
	}
	c.Close()

	top.host.Do(func() { err = top.h.Remove("paths") })
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "after Remove", snapshot(t, top), before)
	top.host.Do(func() { err = top.h.Remove("paths") })
	if !errors.Is(err, ErrNotInstalled) {
		t.Errorf("removed twice: %v, want %v", err, ErrNotInstalled)
	}
}

func TestFailedInstallLeavesNothing(t *testing.T) {
	top := newTopology(t)
	before := snapshot(t, top)
	d := openTUN(t, top.host)
	var err error
	top.host.Do(func() {
		_, err = top.h.Install("test", func(s State) (Plan, error) {
			p, err := StackPlan(s, StackConfig{Tag: "test", Dev: d.Name()})
			p.add(Action{Route: &RouteAction{Dst: prefix("10.77.0.0/16"), Dev: "nosuch", Table: p.Table}})
			return p, err
		})
	})
	if err == nil || !strings.Contains(err.Error(), "10.77.0.0/16") {
		t.Errorf("got %v, want an error about the route", err)
	}
	d.Close()
	wantSame(t, "after the failure", snapshot(t, top), before)
}

func TestWarnsOfAFirewall(t *testing.T) {
	top := newTopology(t)
	addUsersRules(t, top)
	var s State
	var err error
	top.host.Do(func() { s, err = top.h.State() })
	if err != nil || !slices.Equal(s.ForwardDrops, []string{"inet filter unused"}) {
		t.Errorf("got %q, %v", s.ForwardDrops, err)
	}
}
