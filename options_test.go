package braid

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/tcp"
)

// connect gives both ends of a connection between two networks.
func connect(t *testing.T, client, server Network, at string) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := server.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		got <- c
	}()
	if dialled, err = client.DialContext(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if accepted = <-got; accepted == nil {
		t.Fatal("nothing was accepted")
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}

// twoStacks are two stacks with a cable between them.
func twoStacks(t *testing.T) (a, b *Stack) {
	t.Helper()
	left, right := link.NewPair(link.PairConfig{})
	for i, s := range []**Stack{&a, &b} {
		var err error
		*s, err = NewStack(Config{Interfaces: []Interface{{Device: []link.Device{left, right}[i], Addresses: []Address{
			{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), Bits: 24, Flags: Subflow}}}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*s).Close() })
	}
	return a, b
}

func TestOptionsOfStack(t *testing.T) {
	a, b := twoStacks(t)
	for _, tt := range []struct {
		name                 string
		client, server       Options
		multipath, checksums bool
	}{
		{"none", Options{}, Options{}, true, false},
		{"checksums of the client", Options{Checksum: true}, Options{}, true, true},
		{"checksums of the server", Options{}, Options{Checksum: true}, true, true},
		{"a plain server", Options{}, Options{Disabled: true}, false, false},
		{"a plain client", Options{Disabled: true}, Options{}, false, false},
	} {
		client := WithOptions(a, tt.client, nil)
		server := WithOptions(WithOptions(b, Options{}, nil), tt.server, nil)
		for _, c := range pair(connect(t, client, server, "10.0.0.2:0")) {
			info, ok := InfoOf(c)
			if !ok || info.Multipath != tt.multipath || info.Checksum != tt.checksums {
				t.Errorf("%s: multipath %v, checksums %v", tt.name, info.Multipath, info.Checksum)
			}
		}
		client.Close() // which must not end the stack
	}
	if kind := KindOf(WithOptions(a, Options{}, nil)); kind != User {
		t.Errorf("kind %v", kind)
	}
}

// TestOptionsCongestionControl: each end has what it was given, and a name
// nobody knows leaves the default.
func TestOptionsCongestionControl(t *testing.T) {
	a, b := twoStacks(t)
	var missing []string
	tell := func(what string) { missing = append(missing, what) }
	client := WithOptions(a, Options{TCP: tcp.Config{CongestionControl: "reno"}}, tell)
	server := WithOptions(b, Options{TCP: tcp.Config{CongestionControl: "nonsense"}}, tell)
	dialled, accepted := connect(t, client, server, "10.0.0.2:0")
	if len(missing) != 1 || !strings.Contains(missing[0], "nonsense") {
		t.Errorf("told %q", missing)
	}
	for i, want := range []string{"reno", "cubic"} {
		info, _ := InfoOf(pair(dialled, accepted)[i])
		if len(info.Subflows) != 1 || info.Subflows[0].CongestionControl != want {
			t.Errorf("%+v, want %s", info.Subflows, want)
		}
	}
}

// TestOptionsScheduler: each end has its own, and the one of the stack if none
// is asked for.
func TestOptionsScheduler(t *testing.T) {
	a, b := twoStacks(t)
	client := WithOptions(a, Options{Scheduler: SchedulerRedundant}, func(what string) { t.Errorf("told %q", what) })
	dialled, accepted := connect(t, client, b, "10.0.0.2:0")
	for i, want := range []Scheduler{SchedulerRedundant, SchedulerDefault} {
		if info, _ := InfoOf(pair(dialled, accepted)[i]); info.Scheduler != want {
			t.Errorf("end %d: got %v, want %v", i, info.Scheduler, want)
		}
	}
}

func pair(a, b net.Conn) []net.Conn { return []net.Conn{a, b} }

// foreign is a Network that is none of ours.
type foreign struct{ Network }

func TestOptionsOfForeignNetwork(t *testing.T) {
	closed := errors.New("closed")
	var missing []string
	n := WithOptions(foreign{failing{closed}}, Options{}, func(what string) { missing = append(missing, what) })
	if len(missing) != 1 || !strings.Contains(missing[0], "options") {
		t.Errorf("told %q", missing)
	}
	if err := n.Close(); err != nil {
		t.Errorf("closed what others hold: %v", err)
	}
}

type failing struct{ error }

func (f failing) Close() error { return f.error }

func (failing) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, net.ErrClosed
}
func (failing) Listen(string, string) (net.Listener, error) { return nil, net.ErrClosed }

func TestOptionsUnknownCongestionControl(t *testing.T) {
	n, err := Open(t.Context(), OpenConfig{Kind: Plain})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{TCP: tcp.Config{CongestionControl: "nonsense", KeepAlive: tcp.KeepAlive{Idle: time.Minute}}}
	var missing []string
	n = WithOptions(n, o, func(what string) { missing = append(missing, what) })
	if !slices.ContainsFunc(missing, func(s string) bool { return strings.Contains(s, "congestion control nonsense") }) {
		t.Errorf("told %q", missing)
	}
	connect(t, n, n, "127.0.0.1:0") // the rest holds
}
