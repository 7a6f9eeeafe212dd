package host

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// twoHosts are a client and a server, back to back over some devices. Path i
// has the addresses 10.0.i.1 and 10.0.i.2, counted from 1.
type twoHosts struct {
	client, server *Host
	near, far      []link.Device
	clientCfg      Config
	serverCfg      Config
	clientEnd      func(path int, dev link.Device) link.Device
	features       link.Features
}

func clientIP(path int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(path + 1), 1}) }
func serverIP(path int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(path + 1), 2}) }

// connect makes the hosts with so many paths between them.
func (h *twoHosts) connect(t testing.TB, paths int) {
	t.Helper()
	seeded := func(seed uint64) func() uint64 { return rand.New(rand.NewPCG(seed, 7)).Uint64 }
	h.clientCfg.Stack.Rand, h.serverCfg.Stack.Rand = seeded(1), seeded(2)
	h.client, h.server = New(h.clientCfg), New(h.serverCfg)
	if h.features.MTU == 0 {
		h.features.MTU = 1500
	}
	for i := range paths {
		a, b := link.NewPair(link.PairConfig{Features: h.features})
		near, far := link.Device(a), link.Device(b)
		if h.clientEnd != nil {
			near = h.clientEnd(i, near)
		}
		h.near, h.far = append(h.near, near), append(h.far, far)
		if err := h.client.AddDevice(near, stack.Address{Addr: clientIP(i), Bits: 24, Flags: mptcp.EndpointSubflow}); err != nil {
			t.Fatal(err)
		}
		if err := h.server.AddDevice(far, stack.Address{Addr: serverIP(i), Bits: 24, Flags: mptcp.EndpointSignal}); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *twoHosts) close(t testing.TB) {
	t.Helper()
	for _, host := range []*Host{h.client, h.server} {
		if err := host.Close(); err != nil {
			t.Errorf("closing a host: %v", err)
		}
	}
}

// newHosts makes hosts that are closed with the test.
func newHosts(t *testing.T, paths int) *twoHosts {
	t.Helper()
	h := new(twoHosts)
	h.connect(t, paths)
	t.Cleanup(func() { h.close(t) })
	return h
}

// listen listens on port 80 of the server.
func (h *twoHosts) listen(t testing.TB) *Listener {
	t.Helper()
	l, err := h.server.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	return l.(*Listener)
}

// pipe gives both ends of a connection.
func (h *twoHosts) pipe(t testing.TB) (client, server *Conn) {
	t.Helper()
	l := h.listen(t)
	defer l.Close()
	c, err := h.client.DialContext(context.Background(), "tcp", "10.0.1.2:80")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.AcceptConn()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Conn), s
}

func closeBoth(t *testing.T, conns ...net.Conn) {
	t.Helper()
	for _, c := range conns {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}
