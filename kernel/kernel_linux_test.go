package kernel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/internal/netns"
)

// pair is a client and a server joined by two cables: 10.0.1.x and 10.0.2.x,
// fd00:1::x and fd00:2::x, where x is 1 at the client and 2 at the server.
type pair struct {
	client, server *netns.NS
	c, s           [2]*netns.End
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{client: netns.New(t, "client"), server: netns.New(t, "server")}
	var err error
	p.client.Do(func() { err = Supported() })
	if err != nil {
		t.Skip(err)
	}
	for i, n := range []string{"1", "2"} {
		p.c[i], p.s[i] = netns.Connect(p.client, p.server, netns.Cable{
			A: "eth" + n, B: "eth" + n,
			Addrs: []string{
				"10.0." + n + ".1/24", "10.0." + n + ".2/24",
				"fd00:" + n + "::1/64", "fd00:" + n + "::2/64",
			},
		})
	}
	// From its second address the client reaches the server's first one over
	// the second cable.
	for _, a := range []struct{ from, via string }{
		{"10.0.2.1", "10.0.2.2"}, {"fd00:2::1", "fd00:2::2"},
	} {
		p.client.AddRoute(netns.Route{Dst: "default", Via: a.via, Dev: p.c[1], Table: 2})
		p.client.AddSourceRule(a.from, 2)
	}
	return p
}

func openPM(t *testing.T, n *netns.NS) (pm *PathManager) {
	t.Helper()
	var err error
	n.Do(func() { pm, err = OpenPathManager() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pm.Close() })
	return pm
}

func addEndpoint(t *testing.T, pm *PathManager, words string) {
	t.Helper()
	e, err := ParseEndpoint(words)
	if err != nil {
		t.Fatal(err)
	}
	if err := pm.Add(e); err != nil {
		t.Fatal(err)
	}
}

func setLimits(t *testing.T, pm *PathManager, l Limits) {
	t.Helper()
	if err := pm.SetLimits(l); err != nil {
		t.Fatal(err)
	}
}

// connect opens a connection to addr at the server.
func (p *pair) connect(t *testing.T, addr string) (client, server *Conn) {
	t.Helper()
	var ln *Listener
	var err error
	_, port, _ := net.SplitHostPort(addr)
	p.server.Do(func() { ln, err = Listen(context.Background(), "tcp", ":"+port) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	p.client.Do(func() { client, err = Dial(context.Background(), "tcp", addr) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	// The connection is established at both ends once data was acknowledged.
	exchange(t, client, s.(*Conn))
	exchange(t, s.(*Conn), client)
	return client, s.(*Conn)
}

func exchange(t *testing.T, from, to net.Conn) {
	t.Helper()
	if _, err := from.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

func fullInfo(t *testing.T, c *Conn) FullInfo {
	t.Helper()
	info, err := c.FullInfo()
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func established(info FullInfo) (n int) {
	for _, s := range info.Subflows {
		if s.TCP.State == Established {
			n++
		}
	}
	return n
}

// transfer sends size bytes and checks what arrives.
func transfer(t *testing.T, from, to net.Conn, size int) {
	t.Helper()
	data := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(data)
		sent <- err
	}()
	got := make([]byte, size)
	if _, err := io.ReadFull(to, got); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Error("the stream was changed on its way")
	}
}

func TestTwoPathsByTheClientsEndpoint(t *testing.T) {
	for _, tt := range []struct{ addr, from, to string }{
		{"10.0.1.2:80", "10.0.2.1", "10.0.1.2"},
		{"[fd00:1::2]:80", "fd00:2::1", "fd00:1::2"},
	} {
		t.Run(tt.addr, func(t *testing.T) {
			p := newPair(t)
			cpm, spm := openPM(t, p.client), openPM(t, p.server)
			setLimits(t, cpm, Limits{Subflows: 2})
			setLimits(t, spm, Limits{Subflows: 2})
			addEndpoint(t, cpm, tt.from+" id 5 subflow dev eth2")
			for _, e := range p.c {
				e.SetShape(netns.Shape{Rate: 50e6})
			}
			before := p.server.Counters()
			client, server := p.connect(t, tt.addr)
			waitFor(t, "two subflows at both ends", func() bool {
				return established(fullInfo(t, client)) == 2 && established(fullInfo(t, server)) == 2
			})
			const size = 4 << 20
			transfer(t, client, server, size)
			waitFor(t, "all is acknowledged", func() bool { return fullInfo(t, client).BytesAcked > size })

			info := fullInfo(t, client)
			if info.ExtraSubflows != 1 || info.SubflowsTotal != 2 || !info.RemoteKeyReceived || info.Fallback {
				t.Errorf("info %+v", info.Info)
			}
			if info.SndUna != info.WriteSeq || info.BytesSent < size || info.LimitExtraSubflows != 2 {
				t.Errorf("info %+v", info.Info)
			}
			second := -1
			for i, s := range info.Subflows {
				if s.TCP.BytesAcked < size/5 {
					t.Errorf("subflow %s carried %d of %d bytes", s.Local, s.TCP.BytesAcked, size)
				}
				if s.TCP.RTT <= 0 || s.TCP.SndCwnd == 0 || s.TCP.PathMTU != 1500 {
					t.Errorf("subflow %s: %+v", s.Local, s.TCP)
				}
				if s.Local.Addr() == netip.MustParseAddr(tt.from) {
					second = i
				}
			}
			if second < 0 || info.Subflows[second].Remote != netip.MustParseAddrPort(tt.addr) {
				t.Errorf("no subflow from %s to %s: %+v", tt.from, tt.addr, info.Subflows)
			}
			if info.Subflows[0].ID == info.Subflows[1].ID {
				t.Errorf("two subflows have number %d", info.Subflows[0].ID)
			}
			grown := p.server.Counters().Since(before).With("MPTcpExt")
			if grown["MPTcpExtMPCapableSYNRX"] != 1 || grown["MPTcpExtMPJoinAckRx"] != 1 {
				t.Errorf("counters of the server: %v", grown)
			}
			theirs, err := server.Info()
			if err != nil || theirs.BytesReceived < size || theirs.Token == info.Token {
				t.Errorf("the server's info %+v, %v", theirs, err)
			}
		})
	}
}

// TestPiecewiseInfo compares what kernels before MPTCP_FULL_INFO offer with it.
func TestPiecewiseInfo(t *testing.T) {
	p := newPair(t)
	setLimits(t, openPM(t, p.server), Limits{Subflows: 2})
	cpm := openPM(t, p.client)
	setLimits(t, cpm, Limits{Subflows: 2})
	addEndpoint(t, cpm, "10.0.2.1 subflow")
	client, _ := p.connect(t, "10.0.1.2:80")
	waitFor(t, "two subflows", func() bool { return established(fullInfo(t, client)) == 2 })
	var pieces FullInfo
	err := control(client, func(fd int) (err error) {
		pieces, err = readPiecewise(fd)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	whole := fullInfo(t, client)
	if pieces.Token != whole.Token || len(pieces.Subflows) != len(whole.Subflows) {
		t.Fatalf("got %+v\nwant %+v", pieces, whole)
	}
	for i, s := range pieces.Subflows {
		w := whole.Subflows[i]
		if s.Local != w.Local || s.Remote != w.Remote || s.TCP.State != w.TCP.State || s.TCP.SndMSS != w.TCP.SndMSS {
			t.Errorf("got %+v\nwant %+v", s, w)
		}
	}
	// More subflows than there is room for at first.
	var small FullInfo
	var total int
	err = control(client, func(fd int) (err error) {
		small, total, err = readFullInfoOf(fd, 1)
		return err
	})
	if err != nil || total != 2 || len(small.Subflows) != 1 {
		t.Errorf("with room for one: %d of %d, %v", len(small.Subflows), total, err)
	}
}

func TestPlainTCPPeer(t *testing.T) {
	p := newPair(t)
	var ln net.Listener
	var err error
	p.server.Do(func() {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		ln, err = lc.Listen(context.Background(), "tcp", ":80")
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, addr := range []string{"10.0.1.2:80", "[fd00:1::2]:80"} {
		var c *Conn
		p.client.Do(func() { c, err = Dial(context.Background(), "tcp", addr) })
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if is, err := c.IsMPTCP(); is || err != nil {
			t.Errorf("%s: IsMPTCP: %v, %v, want false", addr, is, err)
		}
		if _, err := c.Info(); !errors.Is(err, ErrNotMPTCP) {
			t.Errorf("%s: Info: %v, want %v", addr, err, ErrNotMPTCP)
		}
		if _, err := c.FullInfo(); !errors.Is(err, ErrNotMPTCP) {
			t.Errorf("%s: FullInfo: %v, want %v", addr, err, ErrNotMPTCP)
		}
		if info, err := c.TCPInfo(); err != nil || info.State != Established || info.SndMSS < 1000 {
			t.Errorf("%s: TCPInfo: %+v, %v", addr, info, err)
		}
	}
}

func TestIsMPTCP(t *testing.T) {
	p := newPair(t)
	client, server := p.connect(t, "10.0.1.2:80")
	for _, c := range []*Conn{client, server} {
		if is, err := c.IsMPTCP(); !is || err != nil {
			t.Errorf("IsMPTCP: %v, %v, want true", is, err)
		}
	}
	client.Close()
	if _, err := client.IsMPTCP(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, net.ErrClosed)
	}
}

func TestSwitchedOff(t *testing.T) {
	n := netns.New(t, "host")
	n.SetSysctl("net.mptcp.enabled", "0")
	n.Do(func() {
		err := Supported()
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "net.mptcp.enabled") {
			t.Errorf("Supported: %v", err)
		}
		if _, err := Dial(context.Background(), "tcp", "127.0.0.1:80"); !errors.Is(err, ErrUnsupported) {
			t.Errorf("Dial: %v, want %v", err, ErrUnsupported)
		}
		if _, err := Listen(context.Background(), "tcp", ":0"); !errors.Is(err, ErrUnsupported) {
			t.Errorf("Listen: %v, want %v", err, ErrUnsupported)
		}
	})
}

// watch gathers events until it is asked for one of a type.
type watch struct {
	t      *testing.T
	events chan Event
	seen   []Event
}

func newWatch(t *testing.T, n *netns.NS) *watch {
	t.Helper()
	var w *Watcher
	var err error
	n.Do(func() { w, err = Watch() })
	if err != nil {
		t.Fatal(err)
	}
	watch := &watch{t: t, events: make(chan Event, 100)}
	done := make(chan error, 1)
	go func() {
		for {
			e, err := w.Next()
			if err != nil {
				done <- err
				return
			}
			watch.events <- e
		}
	}()
	t.Cleanup(func() {
		w.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the watcher ended with %v, want %v", err, net.ErrClosed)
		}
	})
	return watch
}

func (w *watch) want(typ EventType) Event {
	w.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case e := <-w.events:
			w.seen = append(w.seen, e)
			if e.Type == typ {
				return e
			}
		case <-timeout:
			w.t.Fatalf("no %s among %v", typ, w.seen)
		}
	}
}

func TestEventsAndAnnouncements(t *testing.T) {
	p := newPair(t)
	cpm, spm := openPM(t, p.client), openPM(t, p.server)
	setLimits(t, cpm, Limits{Subflows: 4, AddAddrAccepted: 4})
	setLimits(t, spm, Limits{Subflows: 4})
	atClient, atServer := newWatch(t, p.client), newWatch(t, p.server)
	addEndpoint(t, spm, "10.0.2.2 id 9 signal")

	client, server := p.connect(t, "10.0.1.2:80")
	token := fullInfo(t, client).Token
	created := atClient.want(EventCreated)
	if created.Token != token || created.ServerSide ||
		created.Remote != netip.MustParseAddrPort("10.0.1.2:80") ||
		created.Local.String() != client.LocalAddr().String() {
		t.Errorf("created: %+v", created)
	}
	if e := atClient.want(EventEstablished); e.Token != token {
		t.Errorf("established: %+v", e)
	}
	if e := atServer.want(EventCreated); !e.ServerSide || e.Token != fullInfo(t, server).Token {
		t.Errorf("created at the server: %+v", e)
	}
	announced := atClient.want(EventAnnounced)
	if announced.RemoteID != 9 || announced.Remote.Addr() != netip.MustParseAddr("10.0.2.2") {
		t.Errorf("announced: %+v", announced)
	}
	sub := atClient.want(EventSubEstablished)
	if sub.RemoteID != 9 || sub.Remote != netip.MustParseAddrPort("10.0.2.2:80") || sub.Backup || sub.Token != token {
		t.Errorf("sub_established: %+v", sub)
	}
	atServer.want(EventSubEstablished)

	// The server makes its subflow a backup one.
	if err := spm.Change(9, FlagBackup, 0); err != nil {
		t.Fatal(err)
	}
	if e := atClient.want(EventSubPriority); !e.Backup || e.RemoteID != 9 {
		t.Errorf("sub_priority: %+v", e)
	}
	if e, err := spm.Get(9); err != nil || e.Flags != FlagSignal|FlagBackup {
		t.Errorf("endpoint after change: %+v, %v", e, err)
	}
	if err := spm.Change(9, 0, FlagBackup); err != nil {
		t.Fatal(err)
	}
	if e := atClient.want(EventSubPriority); e.Backup {
		t.Errorf("sub_priority after taking it back: %+v", e)
	}

	// It takes the address back.
	if err := spm.Delete(Endpoint{Addr: netip.MustParseAddr("10.0.2.2")}); err != nil {
		t.Fatal(err)
	}
	if e := atClient.want(EventRemoved); e.RemoteID != 9 || e.Token != token {
		t.Errorf("removed: %+v", e)
	}
	if e := atClient.want(EventSubClosed); e.RemoteID != 9 {
		t.Errorf("sub_closed: %+v", e)
	}
	client.Close()
	server.Close()
	if e := atClient.want(EventClosed); e.Token != token {
		t.Errorf("closed: %+v", e)
	}
}

func TestListenerEvents(t *testing.T) {
	p := newPair(t)
	w := newWatch(t, p.server)
	pm := openPM(t, p.server)
	addEndpoint(t, pm, "10.0.2.2 port 8443 signal")
	want := netip.MustParseAddrPort("10.0.2.2:8443")
	if e := w.want(EventListenerCreated); e.Local != want {
		t.Errorf("listener_created: %+v", e)
	}
	if err := pm.Delete(Endpoint{Addr: want.Addr(), Port: want.Port()}); err != nil {
		t.Fatal(err)
	}
	if e := w.want(EventListenerClosed); e.Local != want {
		t.Errorf("listener_closed: %+v", e)
	}
}

func TestEventsLost(t *testing.T) {
	p := newPair(t)
	var w *Watcher
	var err error
	p.server.Do(func() { w, err = Watch() })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.c.SetReadBuffer(1); err != nil { // the kernel's least is some 2 KiB
		t.Fatal(err)
	}
	pm := openPM(t, p.server)
	e := Endpoint{Addr: netip.MustParseAddr("10.0.2.2"), Port: 8443, Flags: FlagSignal}
	flood := func(n int) {
		for range n {
			if err := pm.Add(e); err != nil {
				t.Fatal(err)
			}
			if err := pm.Delete(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	flood(50)
	got := 0
	for {
		_, err := w.Next()
		if errors.Is(err, ErrEventsLost) {
			break
		}
		if got++; err != nil || got == 100 {
			t.Fatalf("event %d: %v; none lost", got, err)
		}
	}
	// The stream goes on: what was queued before the gap, then the new ones.
	flood(1)
	for range 100 {
		if e, err := w.Next(); err == nil && e.Type == EventListenerClosed {
			return
		}
	}
	t.Error("no event after the gap")
}

func TestDeletedEndpointEndsItsSubflows(t *testing.T) {
	p := newPair(t)
	cpm := openPM(t, p.client)
	setLimits(t, cpm, Limits{Subflows: 2})
	setLimits(t, openPM(t, p.server), Limits{Subflows: 2})
	addEndpoint(t, cpm, "10.0.2.1 subflow id 7")
	w := newWatch(t, p.client)
	client, _ := p.connect(t, "10.0.1.2:80")
	waitFor(t, "two subflows", func() bool { return established(fullInfo(t, client)) == 2 })
	if err := cpm.Delete(Endpoint{ID: 7}); err != nil {
		t.Fatal(err)
	}
	if e := w.want(EventSubClosed); e.LocalID != 7 || e.Local.Addr() != netip.MustParseAddr("10.0.2.1") {
		t.Errorf("sub_closed: %+v", e)
	}
	waitFor(t, "one subflow", func() bool { return established(fullInfo(t, client)) == 1 })
}

func TestEndpointAdministration(t *testing.T) {
	p := newPair(t)
	pm := openPM(t, p.client)
	for _, words := range []string{
		"10.0.1.1 id 1 subflow", "10.0.2.1 id 2 subflow backup dev eth2",
		"fd00:2::1 id 3 subflow fullmesh", "10.0.2.1 port 8443 id 4 signal",
	} {
		addEndpoint(t, pm, words)
	}
	list := func() (words []string) {
		t.Helper()
		all, err := pm.Endpoints()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			words = append(words, e.String())
		}
		return words
	}
	want := []string{
		"10.0.1.1 id 1 subflow", "10.0.2.1 id 2 subflow backup dev eth2",
		"fd00:2::1 id 3 subflow fullmesh", "10.0.2.1 port 8443 id 4 signal",
	}
	if got := list(); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if err := pm.Change(3, FlagBackup, FlagFullmesh); err != nil {
		t.Error(err)
	}
	if err := pm.Delete(Endpoint{Addr: netip.MustParseAddr("10.0.2.1")}); err != nil {
		t.Error(err) // the one without a port
	}
	want = []string{"10.0.1.1 id 1 subflow", "fd00:2::1 id 3 subflow backup", "10.0.2.1 port 8443 id 4 signal"}
	if got := list(); !slices.Equal(got, want) {
		t.Errorf("after change and delete: got %q\nwant %q", got, want)
	}

	if err := pm.Add(Endpoint{Addr: netip.MustParseAddr("10.0.1.1"), Flags: FlagSubflow}); !errors.Is(err, unix.EEXIST) {
		t.Errorf("added twice: %v, want %v", err, unix.EEXIST)
	}
	if err := pm.Add(Endpoint{Addr: netip.MustParseAddr("10.0.1.1"), Dev: "nosuch"}); err == nil {
		t.Error("an endpoint of no interface was added")
	}
	if err := pm.Add(Endpoint{Dev: "eth1"}); !errors.Is(err, ErrEndpoint) {
		t.Errorf("without address: %v, want %v", err, ErrEndpoint)
	}
	if _, err := pm.Get(99); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get(99): %v, want %v", err, fs.ErrNotExist)
	}
	if err := pm.Delete(Endpoint{Addr: netip.MustParseAddr("10.9.9.9")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Delete of none: %v, want %v", err, fs.ErrNotExist)
	}
	if err := pm.Flush(); err != nil {
		t.Error(err)
	}
	if got := list(); got != nil {
		t.Errorf("after flush: %q", got)
	}

	setLimits(t, pm, Limits{AddAddrAccepted: 3, Subflows: 5})
	if got, err := pm.Limits(); err != nil || got != (Limits{AddAddrAccepted: 3, Subflows: 5}) {
		t.Errorf("limits %+v, %v", got, err)
	}
	if err := pm.SetLimits(Limits{Subflows: 1000}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("limits of 1000: %v, want %v", err, unix.EINVAL)
	}
}

// TestWithoutPrivilege asks as a thread that has given up its rights.
func TestWithoutPrivilege(t *testing.T) {
	n := netns.New(t, "host")
	type result struct{ add, watch error }
	done := make(chan result)
	n.Go(func() { // the thread ends with the function
		var r result
		if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			done <- result{errno, errno}
			return
		}
		pm, err := OpenPathManager()
		if err != nil {
			done <- result{err, err}
			return
		}
		defer pm.Close()
		r.add = pm.Add(Endpoint{Addr: netip.MustParseAddr("10.0.0.1"), Flags: FlagSubflow})
		_, r.watch = Watch()
		done <- r
	})
	r := <-done
	if !errors.Is(r.add, ErrPermission) {
		t.Errorf("Add: %v, want %v", r.add, ErrPermission)
	}
	if !errors.Is(r.watch, ErrPermission) {
		t.Errorf("Watch: %v, want %v", r.watch, ErrPermission)
	}
}
