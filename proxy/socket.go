package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/internal/rawsock"
)

// socket is an address that connections are accepted at. It outlives reloads
// that keep the address, and goes to another listener if they say so.
type socket struct {
	net.Listener
	address config.Address
	owner   atomic.Pointer[listener]
	gone    atomic.Bool // closed by us
	// multipath says that clients may speak Multipath TCP.
	multipath bool
	// Guarded by the Proxy's lock:
	started bool
	options braid.Options // of connections to come
}

// Accept implements net.Listener. A connection for which there is no room keeps
// those behind it waiting.
func (s *socket) Accept() (net.Conn, error) {
	nc, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for {
		l := s.owner.Load()
		if c := l.admit(nc, s.multipath); c != nil {
			return c, nil
		}
		if s.owner.Load() == l {
			nc.Close()
			return nil, net.ErrClosed
		}
	}
}

// serve serves a connection that Accept gave, in a goroutine of its own.
func (s *socket) serve(nc net.Conn) {
	c := nc.(*clientConn)
	c.listener.serve(c)
}

// close stops accepting.
func (s *socket) close() {
	s.gone.Store(true)
	s.Listener.Close()
}

// bound gives the address with the port that was bound.
func (s *socket) bound() string {
	a := s.address
	if tcp, ok := s.Addr().(*net.TCPAddr); ok && a.Port == 0 && a.Path == "" {
		a.Port = uint16(tcp.Port)
	}
	return a.String()
}

// listen binds an address, with the settings of a TCP profile.
func (p *Proxy) listen(ctx context.Context, a config.Address, n networks) (net.Listener, error) {
	network := listenNetwork(a)
	switch {
	case network == config.NetworkFD:
		return p.inherited(a.Path)
	case network == config.NetworkUnix:
		return listenUnix(ctx, a.Path)
	case network.Multipath():
		return bare(n.multipath.Listen(family(network), a.HostPort()))
	}
	return bare(n.plain.Listen(family(network), a.HostPort()))
}

// bare has connections accepted with few system calls, where they are the
// kernel's.
func bare(l net.Listener, err error) (net.Listener, error) {
	if err != nil {
		return nil, err
	}
	return rawsock.Listen(l), nil
}

// deferAccept has the kernel hold connections back as the listener wants it.
// Sockets that were handed over keep what they came with.
func (s *socket) deferAccept(l *config.Listener) {
	if s.address.Network != config.NetworkFD {
		rawsock.DeferAccept(s.Listener, l.DeferAccept && (l.Mode == config.ModeHTTP || l.TLS != nil))
	}
}

// inherited takes a socket that was handed over, or all those of a name.
func (p *Proxy) inherited(name string) (net.Listener, error) {
	ls := p.opts.Inherited[name]
	if len(ls) == 0 {
		var names []string
		for n := range p.opts.Inherited {
			names = append(names, n)
		}
		slices.Sort(names)
		if len(names) == 0 {
			return nil, fmt.Errorf("fd@%s: no sockets were handed over", name)
		}
		return nil, fmt.Errorf("fd@%s: there is no such socket; there are %s", name, strings.Join(names, ", "))
	}
	dups := make([]net.Listener, 0, len(ls))
	for _, l := range ls {
		dup, err := dupListener(l)
		if err != nil {
			for _, l := range dups {
				l.Close()
			}
			return nil, err
		}
		dups = append(dups, dup)
	}
	if len(dups) == 1 {
		return dups[0], nil
	}
	return join(dups), nil
}

// dupListener gives a listener of its own for a socket: closing it leaves the
// one that was handed over, so that a later configuration may have it again.
func dupListener(l net.Listener) (net.Listener, error) {
	filer, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return l, nil
	}
	f, err := filer.File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileListener(f)
}

// listenUnix binds a path. A socket that nobody listens on any more is in the
// way after a crash, and is taken away.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	c, dialErr := net.Dial("unix", path)
	if dialErr == nil {
		c.Close()
		return nil, err
	}
	if !errors.Is(dialErr, syscall.ECONNREFUSED) {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	return lc.Listen(ctx, "unix", path)
}
