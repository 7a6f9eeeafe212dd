package status

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/mptcp"
)

var (
	server1  = netip.MustParseAddrPort("198.51.100.1:443")
	server2  = netip.MustParseAddrPort("203.0.113.1:443")
	client1  = netip.MustParseAddrPort("192.0.2.7:40000")
	client2  = netip.MustParseAddrPort("192.0.2.8:40001")
	carrying = func(id int, local, remote netip.AddrPort, in, out uint64) braid.SubflowInfo {
		return braid.SubflowInfo{ID: id, Local: local, Remote: remote, Established: true, BytesReceived: in, BytesSent: out, RTT: time.Millisecond}
	}
)

func namedLedger() *Ledger {
	return NewLedger(func(a netip.Addr) string {
		return map[netip.Addr]string{server1.Addr(): "eth0", server2.Addr(): "eth1"}[a]
	})
}

func pathTotalsOf(t *testing.T, l *Ledger, name string) PathTotals {
	t.Helper()
	for _, p := range l.Totals().Paths {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no path %s in %+v", name, l.Totals().Paths)
	return PathTotals{}
}

// TestAccountMultipath follows a connection whose subflows come and go. Totals
// must only grow, whatever is told of it.
func TestAccountMultipath(t *testing.T) {
	l := namedLedger()
	a := l.Open(nil, true)
	multi := func(subflows ...braid.SubflowInfo) *braid.Info {
		return &braid.Info{Multipath: true, LocalToken: 9, Subflows: subflows}
	}
	a.note(multi(carrying(1, server1, client1, 100, 1000)))
	a.note(multi(carrying(1, server1, client1, 150, 1500), carrying(2, server2, client2, 10, 70)))
	third := multi(carrying(2, server2, client2, 30, 90)) // the first one has ended
	third.Stats.BytesReinjected, third.Stats.JoinsFailed = 40, 2
	a.note(third)
	a.note(multi(carrying(2, server2, client2, 20, 80))) // nonsense
	a.note(&braid.Info{})                                // it is over

	var c Connection
	a.Describe(&c)
	if !c.Multipath || c.Fallback != "" || c.Token != 9 || c.Joins != 1 || len(c.Paths) != 2 {
		t.Fatalf("got %+v", c)
	}
	for i, want := range []Path{
		{Interface: "eth0", Local: server1, BytesIn: 150, BytesOut: 1500},
		{Interface: "eth1", Local: server2, BytesIn: 30, BytesOut: 90},
	} {
		got := c.Paths[i]
		if got.Interface != want.Interface || got.Local != want.Local || got.BytesIn != want.BytesIn || got.BytesOut != want.BytesOut || got.Up {
			t.Errorf("path %d: got %+v, want %+v, not up", i, got, want)
		}
	}
	eth0, eth1 := pathTotalsOf(t, l, "eth0"), pathTotalsOf(t, l, "eth1")
	if want := (ProtocolTotals{Subflows: 1, BytesIn: 150, BytesOut: 1500}); eth0.Multipath != want {
		t.Errorf("eth0: got %+v, want %+v", eth0.Multipath, want)
	}
	if want := (ProtocolTotals{Subflows: 1, BytesIn: 30, BytesOut: 90}); eth1.Multipath != want || eth1.Plain != (ProtocolTotals{}) {
		t.Errorf("eth1: got %+v, want %+v", eth1, want)
	}
	tot := l.Totals()
	if tot.Connections != 1 || tot.Multipath != 1 || tot.Joins["done"] != 1 || tot.Joins["failed"] != 2 || tot.Reinjected != 40 || len(tot.Fallbacks) != 0 {
		t.Errorf("totals: %+v", tot)
	}
}

// TestAccountFallback counts a reason once, and none where Multipath TCP was not
// offered.
func TestAccountFallback(t *testing.T) {
	plain := func(reason mptcp.FallbackReason) *braid.Info {
		return &braid.Info{Fallback: reason, Subflows: []braid.SubflowInfo{carrying(1, server1, client1, 5, 6)}}
	}
	for _, test := range []struct {
		name    string
		offered bool
		infos   []*braid.Info
		want    string
	}{
		{"asked for plain TCP", true, []*braid.Info{plain(mptcp.NotOffered), plain(mptcp.NotOffered)}, "not_offered"},
		{"damaged later", true, []*braid.Info{{Multipath: true, Subflows: plain(0).Subflows}, plain(mptcp.ChecksumFailed)}, "checksum_failed"},
		{"lost later, for reasons the kernel keeps", true, []*braid.Info{{Multipath: true, Subflows: plain(0).Subflows}, plain(mptcp.None)}, "unknown"},
		{"a TCP listener", false, []*braid.Info{plain(mptcp.None)}, ""},
		{"not settled", true, []*braid.Info{{Subflows: []braid.SubflowInfo{{ID: 1, Local: server1, Remote: client1}}}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := namedLedger()
			a := l.Open(nil, test.offered)
			for _, info := range test.infos {
				a.note(info)
			}
			var c Connection
			a.Describe(&c)
			if c.Fallback != test.want || c.Multipath {
				t.Errorf("fallback %q, Multipath %v, want %q", c.Fallback, c.Multipath, test.want)
			}
			got := l.Totals().Fallbacks
			if test.want == "" && len(got) != 0 || test.want != "" && (got[test.want] != 1 || len(got) != 1) {
				t.Errorf("counted %v", got)
			}
		})
	}
}

// TestPathsAreBounded has more addresses than there may be paths.
func TestPathsAreBounded(t *testing.T) {
	l := NewLedger(nil)
	for i := range 3 * maxPaths {
		a := l.Open(nil, false)
		local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)
		a.note(&braid.Info{Subflows: []braid.SubflowInfo{carrying(1, local, client1, 1, 2)}})
	}
	paths := l.Totals().Paths
	if len(paths) != maxPaths+1 {
		t.Errorf("%d paths, want %d", len(paths), maxPaths+1)
	}
	sum := uint64(0)
	for _, p := range paths {
		sum += p.Plain.BytesOut
	}
	if want := uint64(2 * 3 * maxPaths); sum != want {
		t.Errorf("%d bytes on all paths, want %d", sum, want)
	}
	if other := pathTotalsOf(t, l, OtherPath); other.Plain.Subflows != 2*maxPaths {
		t.Errorf("%d subflows elsewhere, want %d", other.Plain.Subflows, 2*maxPaths)
	}
}

// TestAccountOfKernel looks at connections of this system: plain TCP, and
// Multipath TCP where the kernel has it.
func TestAccountOfKernel(t *testing.T) {
	for _, test := range []struct {
		name      string
		server    bool // offers Multipath TCP
		client    bool // asks for it
		multipath bool
		fallback  string
	}{
		{"TCP to TCP", false, false, false, ""},
		{"TCP to MPTCP", true, false, false, FallbackNotOffered},
		{"MPTCP to TCP", false, true, false, ""},
		{"MPTCP to MPTCP", true, true, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lc net.ListenConfig
			lc.SetMultipathTCP(test.server)
			ln, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			if test.server && !kernelHasMPTCP(t, ln) {
				t.Skip("SKIPPED: this kernel has no Multipath TCP")
			}
			var d net.Dialer
			d.SetMultipathTCP(test.client)
			client, err := d.DialContext(t.Context(), "tcp4", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			served, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer served.Close()
			l := NewLedger(nil)
			a := l.Open(served, test.server)
			if _, err := client.Write(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(served, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			a.Look(now, time.Second)
			var c Connection
			a.Describe(&c)
			if c.Looked.Before(now) || time.Since(c.Looked) > time.Minute {
				t.Errorf("looked at %v", c.Looked)
			}
			if c.Multipath != test.multipath || c.Fallback != test.fallback {
				t.Errorf("Multipath %v, fallback %q, want %v, %q", c.Multipath, c.Fallback, test.multipath, test.fallback)
			}
			if len(c.Paths) != 1 || c.Paths[0].BytesIn != 1000 || !c.Paths[0].Up || c.Paths[0].Name() != "127.0.0.1" {
				t.Fatalf("paths: %+v", c.Paths)
			}

			served.Write(make([]byte, 500))
			io.ReadFull(client, make([]byte, 500))
			a.Look(now.Add(time.Second/2), time.Second)
			if a.Describe(&c); c.Paths[0].BytesOut != 0 {
				t.Error("it looked again too soon")
			}
			a.Close(now.Add(time.Second / 2))
			a.Close(now) // again
			a.Look(now.Add(time.Hour), 0)
			if a.Describe(&c); c.Paths[0].BytesOut != 500 || c.Paths[0].Up {
				t.Errorf("at the end: %+v", c.Paths[0])
			}
			tot := l.Totals()
			if tot.Connections != 1 || tot.Closed != 1 || (tot.Multipath == 1) != test.multipath || tot.Multipath != tot.MultipathClosed {
				t.Errorf("totals: %+v", tot)
			}
		})
	}
}

func kernelHasMPTCP(t *testing.T, ln net.Listener) bool {
	t.Helper()
	var d net.Dialer
	d.SetMultipathTCP(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	served, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	is, err := c.(*net.TCPConn).MultipathTCP()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	return is
}
