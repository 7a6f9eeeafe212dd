package braid

import (
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/hostnet"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/tcp"
)

func TestKind(t *testing.T) {
	for _, k := range []Kind{Auto, Kernel, User, Plain} {
		text, err := k.MarshalText()
		var got Kind
		if err == nil {
			err = got.UnmarshalText(text)
		}
		if err != nil || got != k {
			t.Errorf("%v: got %v, %v", k, got, err)
		}
	}
	var k Kind
	if err := k.UnmarshalText([]byte("magic")); err == nil {
		t.Errorf("got %v, want an error", k)
	}
	if got := Kind(9).String(); got != "kind 9" {
		t.Errorf("got %q", got)
	}
}

func TestPlainNetwork(t *testing.T) {
	n, err := Open(t.Context(), OpenConfig{Kind: Plain})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if got := KindOf(n); got != Plain {
		t.Errorf("kind %v", got)
	}
	l, err := n.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	c, err := n.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	info, ok := InfoOf(c)
	if !ok || info.Multipath || len(info.Subflows) != 1 || info.Subflows[0].Local.String() != c.LocalAddr().String() {
		t.Errorf("info %+v, %v", info, ok)
	}
	if info.Err == nil && (!info.Subflows[0].Established || info.Subflows[0].BytesReceived != 1000) {
		t.Errorf("subflow %+v", info.Subflows[0])
	}
	if name := InterfaceOf(n, netip.MustParseAddr("127.0.0.1")); name == "" {
		t.Error("nobody has 127.0.0.1")
	}
	if name := InterfaceOf(n, netip.MustParseAddr("192.0.2.77")); name != "" {
		t.Errorf("%s has 192.0.2.77", name)
	}
}

// TestUserInterfaceOf knows the stack's own addresses by their uplinks, and the
// host's, at which the kernel's sockets are.
func TestUserInterfaceOf(t *testing.T) {
	mine := netip.MustParseAddr("198.18.0.1")
	n := &userNetwork{uplinkOf: map[netip.Addr]string{mine: "uplink"}}
	if got := InterfaceOf(n, mine); got != "uplink" {
		t.Errorf("%v: got %q, want uplink", mine, got)
	}
	if got := InterfaceOf(n, netip.MustParseAddr("127.0.0.1")); got == "" {
		t.Error("nobody has 127.0.0.1")
	}
	if got := InterfaceOf(n, netip.MustParseAddr("192.0.2.77")); got != "" {
		t.Errorf("%s has 192.0.2.77", got)
	}
}

func TestKernelSubflowUnits(t *testing.T) {
	got := kernelSubflow(kernel.Subflow{ID: 3, TCP: kernel.TCPInfo{
		State: kernel.CloseWait, SndMSS: 1000, SndCwnd: 10, SndSsthresh: math.MaxInt32,
		Unacked: 9, Sacked: 2, Lost: 3, Retrans: 1, SndWnd: 5000,
		BytesSent: 700, BytesRetrans: 200, TotalRetrans: 4, DeliveryRate: 1e6, RTT: time.Second,
	}})
	want := SubflowInfo{
		ID: 3, State: tcp.StateCloseWait, MSS: 1000, CongestionWindow: 10_000, SlowStartThreshold: math.MaxInt,
		InFlight: 5000, SendWindow: 5000, BytesSent: 500, BytesRetransmitted: 200, SegmentsRetransmitted: 4,
		DeliveryRate: 1e6, RTT: time.Second,
	}
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	// Counters are read one by one, and may not fit each other.
	odd := kernelSubflow(kernel.Subflow{TCP: kernel.TCPInfo{SndMSS: 1000, Unacked: 1, Sacked: 2, Lost: 3}})
	if odd.InFlight != 0 {
		t.Errorf("%d bytes in flight", odd.InFlight)
	}
}

func TestFlagsFor(t *testing.T) {
	a1, a2 := netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("10.0.2.1")
	endpoints := func(words ...string) (all []Endpoint) {
		for _, w := range words {
			e, err := kernel.ParseEndpoint(w)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		return all
	}
	for _, tt := range []struct {
		cfg    OpenConfig
		dev    string
		addr   netip.Addr
		expect string
	}{
		{OpenConfig{}, "eth1", a1, "subflow"},
		{OpenConfig{Flags: kernel.FlagSignal}, "eth1", a1, "signal"},
		{OpenConfig{Flags: kernel.FlagBackup}, "eth1", a1, "subflow backup"},
		{OpenConfig{Endpoints: endpoints("dev eth2 backup")}, "eth1", a1, "subflow"},
		{OpenConfig{Endpoints: endpoints("dev eth2 backup")}, "eth2", a2, "subflow backup"},
		{OpenConfig{Flags: kernel.FlagSignal, Endpoints: endpoints("dev eth2 backup")}, "eth2", a2, "signal backup"},
		{OpenConfig{Flags: kernel.FlagSignal, Endpoints: endpoints("dev eth2 subflow")}, "eth2", a2, "subflow"},
		{OpenConfig{Endpoints: endpoints("10.0.2.1 fullmesh")}, "eth2", a2, "subflow fullmesh"},
		{OpenConfig{Endpoints: endpoints("10.0.2.1 fullmesh")}, "eth2", a1, "subflow"},
		{OpenConfig{Endpoints: endpoints("dev eth2 backup", "10.0.2.1 subflow")}, "eth2", a2, "subflow"},
	} {
		if got := tt.cfg.flagsFor(tt.dev, tt.addr).String(); got != tt.expect {
			t.Errorf("%+v, %s on %s: %q, want %q", tt.cfg, tt.addr, tt.dev, got, tt.expect)
		}
	}
}

// endpointPlan is a plan of endpoints alone.
func endpointPlan(addrs ...string) (p hostnet.Plan) {
	for _, a := range addrs {
		p.Actions = append(p.Actions, hostnet.Action{Endpoint: &hostnet.EndpointAction{Addr: netip.MustParseAddr(a)}})
	}
	return p
}

func TestDeparting(t *testing.T) {
	old, next := endpointPlan("10.0.1.1", "10.0.2.1"), endpointPlan("10.0.2.1", "10.0.3.1")
	old.Actions = append(old.Actions, hostnet.Action{Limits: &hostnet.LimitsAction{}})
	addrs := func(actions []hostnet.Action) (all []string) {
		for _, a := range actions {
			all = append(all, a.Endpoint.Addr.String())
		}
		return all
	}
	if got, want := addrs(departing(old, next)), []string{"10.0.1.1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := addrs(departing(old, old)); got != nil {
		t.Errorf("got %q of the same", got)
	}
}

// TestForwardListener: both sides are accepted from, and closed.
func TestForwardListener(t *testing.T) {
	a, b := link.NewPair(link.PairConfig{Features: link.Features{MTU: 1500}})
	addrs := func(a string) []Address { return []Address{{Addr: netip.MustParseAddr(a), Bits: 24}} }
	server, err := NewStack(Config{Interfaces: []Interface{{a, addrs("10.0.0.1")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := NewStack(Config{Interfaces: []Interface{{b, addrs("10.0.0.2")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	outer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inner, err := server.Listen("tcp", "10.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	closed := 0
	l := newForwardListener(outer, inner, func() { closed++ })
	for _, dial := range []func() (net.Conn, error){
		func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) },
		func() (net.Conn, error) { return client.Dial("tcp", "10.0.0.1:80") },
	} {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		accepted, err := l.Accept()
		if err != nil || accepted.RemoteAddr().String() != c.LocalAddr().String() {
			t.Fatalf("accepted %v, %v, want the connection from %v", accepted, err, c.LocalAddr())
		}
		accepted.Close()
	}
	waiting := make(chan error)
	go func() {
		_, err := l.Accept()
		waiting <- err
	}()
	if err := l.Close(); err != nil || closed != 1 {
		t.Errorf("Close: %v, called %d times", err, closed)
	}
	if err := <-waiting; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v, want %v", err, net.ErrClosed)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) || closed != 1 {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := client.Dial("tcp", "10.0.0.1:80"); err == nil {
		t.Error("the stack's side still listens")
	}
}
