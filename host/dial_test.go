package host

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestDialRefused(t *testing.T) {
	h := newHosts(t, 1)
	_, err := h.client.DialContext(context.Background(), "tcp", "10.0.1.2:81")
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want ECONNREFUSED", err)
	}
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" || op.Addr.String() != "10.0.1.2:81" {
		t.Errorf("got %#v, want a *net.OpError that names the address", err)
	}
}

func TestDialEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(twoHosts)
		h.connect(t, 1)
		defer h.close(t)
		// 10.0.1.9 is nobody: the SYNs get no answer.
		const nobody = "10.0.1.9:80"
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		start := time.Now()
		_, err := h.client.DialContext(ctx, "tcp", nobody)
		if !isTimeout(err) || time.Since(start) != 2*time.Second {
			t.Errorf("got %v after %v, want a timeout after 2 s", err, time.Since(start))
		}

		ctx, cancel = context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		start = time.Now()
		_, err = h.client.DialContext(ctx, "tcp", nobody)
		if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want Canceled after 1 s", err, time.Since(start))
		}
		if n := h.client.shard.connCount(); n != 0 {
			t.Errorf("%d connections left", n)
		}
	})
}

// TestDialTriesNext: of several addresses the first that answers is taken, and
// one that says nothing holds up the next only a moment.
func TestDialTriesNext(t *testing.T) {
	port := func(a string) netip.AddrPort { return netip.MustParseAddrPort(a) }
	good, refused, silent := port("10.0.1.2:80"), port("10.0.1.2:81"), port("10.0.1.9:80")
	tests := []struct {
		name    string
		remotes []netip.AddrPort
		takes   time.Duration
		want    error
	}{
		{"good first", []netip.AddrPort{good, silent}, 0, nil},
		{"refused first", []netip.AddrPort{refused, good}, 0, nil},
		{"silent first", []netip.AddrPort{silent, good}, attemptDelay, nil},
		{"two silent", []netip.AddrPort{silent, silent, good}, 2 * attemptDelay, nil},
		{"silent, then refused", []netip.AddrPort{silent, refused}, 3 * time.Second, context.DeadlineExceeded},
		{"all refused", []netip.AddrPort{refused, refused}, 0, syscall.ECONNREFUSED},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := new(twoHosts)
				h.connect(t, 1)
				defer h.close(t)
				l := h.listen(t)
				defer l.Close()
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				defer cancel()
				start := time.Now()
				c, err := h.client.dial(ctx, netip.AddrPort{}, tt.remotes, nil)
				if got := time.Since(start); !errors.Is(err, tt.want) || got != tt.takes {
					t.Errorf("got %v after %v, want %v after %v", err, got, tt.want, tt.takes)
				}
				var late net.Error
				if tt.want == context.DeadlineExceeded && !(errors.Is(err, os.ErrDeadlineExceeded) && errors.As(err, &late) && late.Timeout()) {
					t.Errorf("%v is no timeout to package net", err)
				}
				if err == nil {
					if got := c.RemoteAddr().String(); got != good.String() {
						t.Errorf("connected to %s, want %s", got, good)
					}
					c.Close()
				}
			})
		})
	}
}

func TestDialFromAddress(t *testing.T) {
	h := newHosts(t, 2)
	l := h.listen(t)
	defer l.Close()
	local := netip.AddrPortFrom(clientIP(1), 4321)
	c, err := h.client.DialAddrPort(context.Background(), local, netip.AddrPortFrom(serverIP(1), 80), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.LocalAddr().String(), local.String(); got != want {
		t.Errorf("local address %s, want %s", got, want)
	}
}

func TestDialBadAddress(t *testing.T) {
	h := newHosts(t, 1)
	for _, tt := range []struct{ network, address string }{
		{"udp", "10.0.1.2:80"}, {"tcp", "10.0.1.2"}, {"tcp", "10.0.1.2:nonsense"}, {"tcp", ":80"},
		{"tcp6", "10.0.1.2:80"}, {"tcp4", "[fd00::1]:80"},
		{"tcp", "[fd00::1]:80"}, // the host has no IPv6 address
	} {
		c, err := h.client.DialContext(context.Background(), tt.network, tt.address)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" {
			t.Errorf("dial %s %s = %v, %v, want a *net.OpError", tt.network, tt.address, c, err)
		}
	}
}

func TestAlternateFamilies(t *testing.T) {
	parse := func(list ...string) (addrs []netip.Addr) {
		for _, a := range list {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		return addrs
	}
	got := alternateFamilies(parse("fd00::1", "fd00::2", "fd00::3", "10.0.0.1"))
	if want := parse("fd00::1", "10.0.0.1", "fd00::2", "fd00::3"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = alternateFamilies(parse("10.0.0.1", "fd00::1", "10.0.0.2"))
	if want := parse("10.0.0.1", "fd00::1", "10.0.0.2"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestListen(t *testing.T) {
	h := newHosts(t, 2)
	one, err := h.server.Listen("tcp", "10.0.1.2:0")
	if err != nil {
		t.Fatal(err)
	}
	if a := one.Addr().(*net.TCPAddr); a.Port == 0 || a.IP.String() != "10.0.1.2" {
		t.Errorf("Addr() = %v, want 10.0.1.2 and a port", a)
	}
	if l, err := h.server.Listen("tcp", one.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v, %v, want EADDRINUSE", l, err)
	}
	if l, err := h.server.Listen("tcp", "10.9.9.9:80"); err == nil {
		t.Errorf("listening on somebody else's address: %v", l)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if err := one.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v, want net.ErrClosed", err)
	}
	if l, err := h.server.Listen("tcp", one.Addr().String()); err != nil {
		t.Errorf("listening again after Close: %v, %v", l, err)
	}
}

func TestAcceptEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(twoHosts)
		h.connect(t, 1)
		defer h.close(t)
		l := h.listen(t)
		start := time.Now()
		l.SetDeadline(start.Add(time.Second))
		if c, err := l.Accept(); !isTimeout(err) || time.Since(start) != time.Second {
			t.Errorf("Accept = %v, %v after %v, want a timeout after 1 s", c, err, time.Since(start))
		}
		l.SetDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { l.Close() })
		if c, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept = %v, %v, want net.ErrClosed", c, err)
		}
	})
}
