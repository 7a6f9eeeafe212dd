package braid

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/braid-mptcp/braid/cc"
	"github.com/braid-mptcp/braid/host"
)

// WithOptions gives a Network on n whose connections, dialled and accepted,
// behave as o says, whatever n was opened with. missing, unless nil, is told
// once of each thing that o asks for and the stack does not offer; the rest
// holds. n keeps everything: closing the result does nothing.
//
// With Options.Disabled its connections are the system's plain TCP. Buffers are fixed in size there, if o gives one.
func WithOptions(n Network, o Options, missing func(feature string)) Network {
	if missing == nil {
		missing = func(string) {}
	}
	if n, ok := n.(interface {
		withOptions(Options, func(string)) Network
	}); ok {
		return n.withOptions(o, missing)
	}
	missing("options of single connections")
	return shared{n}
}

// shared is a Network that somebody else closes.
type shared struct{ Network }

// Close implements Network.
func (shared) Close() error { return nil }

func (s shared) kind() Kind { return KindOf(s.Network) }

func (s shared) interfaceOf(a netip.Addr) string { return InterfaceOf(s.Network, a) }

func (s shared) withOptions(o Options, missing func(string)) Network {
	return WithOptions(s.Network, o, missing)
}

func (s *Stack) withOptions(o Options, missing func(string)) Network {
	return stackView{s.host, ofStack(o, missing)}
}

func (v stackView) withOptions(o Options, missing func(string)) Network {
	return stackView{v.host, ofStack(o, missing)}
}

// ofStack is what the user stack can do for o.
func ofStack(o Options, missing func(string)) *Options {
	if name := o.TCP.CongestionControl; name != "" {
		if _, err := cc.New(name, 1460); err != nil {
			missing("congestion control " + name)
			o.TCP.CongestionControl = ""
		}
	}
	return &o
}

// stackView is a Stack with options of its own.
type stackView struct {
	host *host.Host
	o    *Options
}

func (stackView) kind() Kind { return User }

// DialContext implements Network.
func (v stackView) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return v.host.DialFrom(ctx, network, anyAddr, address, v.o)
}

// Listen implements Network.
func (v stackView) Listen(network, address string) (net.Listener, error) {
	return listenWith(v.host, network, address, v.o)
}

// Close implements Network.
func (stackView) Close() error { return nil }

// listenWith listens for connections with options of their own; nil: the
// stack's.
func listenWith(h *host.Host, network, address string, o *Options) (net.Listener, error) {
	l, err := h.Listen(network, address)
	if err == nil && o != nil {
		l.(*host.Listener).SetConfig(*o)
	}
	return l, err
}

func (n *userNetwork) withOptions(o Options, missing func(string)) Network {
	if o.Disabled {
		return &plainNetwork{func() []string { return n.in.config().Interfaces }, n.in.config().Resolver, newSocketOptions(o, false, missing)}
	}
	// Its sockets are for clients on the host itself: what they lack is not
	// worth a word.
	return userView{n, ofStack(o, missing), newSocketOptions(o, false, func(string) {})}
}

func (v userView) withOptions(o Options, missing func(string)) Network {
	return v.n.withOptions(o, missing)
}

// userView is a userNetwork with options of its own.
type userView struct {
	n       *userNetwork
	o       *Options
	sockets socketOptions
}

func (userView) kind() Kind { return User }

func (v userView) interfaceOf(a netip.Addr) string { return v.n.interfaceOf(a) }

// DialContext implements Network.
func (v userView) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return v.n.dial(ctx, network, address, v.o)
}

// Listen implements Network.
func (v userView) Listen(network, address string) (net.Listener, error) {
	return v.n.listen(network, address, v.o, v.sockets)
}

// Close implements Network.
func (userView) Close() error { return nil }

func (n *kernelNetwork) withOptions(o Options, missing func(string)) Network {
	if o.Disabled {
		return &plainNetwork{n.paths.order, n.cfg.Resolver, newSocketOptions(o, false, missing)}
	}
	for _, err := range kernelLacks(&o) {
		missing(err.Error())
	}
	return shared{&kernelNetwork{n.cfg, n.paths, newSocketOptions(o, true, missing)}}
}

func (n *plainNetwork) withOptions(o Options, missing func(string)) Network {
	return &plainNetwork{n.order, n.resolver, newSocketOptions(o, false, missing)}
}

// socketOptions are what the kernel's sockets are told. They are set on the
// listening socket, from which accepted ones inherit them: accepting costs no
// system call for it.
type socketOptions struct {
	settings []socketSetting
	nagle    bool
	// given says that there are options; otherwise sockets are as package net
	// makes them.
	given bool
}

// socketSetting is an option of a socket.
type socketSetting struct {
	what          string
	level, option int
	value         int
	text          string // in place of value, if not empty
}

// newSocketOptions finds what the kernel's sockets can do for o, and tells what
// they cannot.
func newSocketOptions(o Options, multipath bool, missing func(string)) socketOptions {
	s := socketOptions{given: true, nagle: o.TCP.Nagle}
	s.settings = slices.DeleteFunc(settingsFor(&o), func(set socketSetting) bool {
		err := try(set, multipath)
		if err != nil {
			missing(fmt.Sprintf("%s on the kernel's sockets: %v", set.what, err))
		}
		return err != nil
	})
	if o.MaxSubflows != 0 && multipath {
		missing("a limit to the subflows of one connection: the kernel has one for all (ip mptcp limits)")
	}
	if o.TCP.NoSACK && sysctl("ipv4/tcp_sack") != "0" {
		missing("connections without SACK: the kernel has one setting for all (net.ipv4.tcp_sack)")
	}
	return s
}

// dialer prepares one that goes out by an interface; "": any.
func (s *socketOptions) dialer(iface string, resolver *net.Resolver) net.Dialer {
	d := net.Dialer{Resolver: resolver, Control: bindTo(iface)}
	if s.given {
		d.KeepAlive = -1 // settings say what is to be
		d.Control = s.control(iface)
	}
	return d
}

func (s *socketOptions) listenConfig() net.ListenConfig {
	if !s.given {
		return net.ListenConfig{}
	}
	return net.ListenConfig{KeepAlive: -1, Control: s.control("")}
}

// connected finishes a connection: package net switches Nagle's algorithm off.
func (s *socketOptions) connected(c net.Conn) net.Conn {
	if s.nagle {
		if c, ok := c.(interface{ SetNoDelay(bool) error }); ok {
			c.SetNoDelay(false)
		}
	}
	return c
}

// listener finishes what l accepts.
func (s *socketOptions) listener(l net.Listener) net.Listener {
	if s.nagle {
		return newNagleListener(l, true)
	}
	return l
}

// nagleListener accepts connections with Nagle's algorithm on, or off. It is
// package net that switches it off on each.
type nagleListener struct {
	net.Listener
	on atomic.Bool
}

func newNagleListener(l net.Listener, on bool) *nagleListener {
	n := &nagleListener{Listener: l}
	n.on.Store(on)
	return n
}

// Accept implements net.Listener.
func (l *nagleListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	o := socketOptions{nagle: l.on.Load()}
	return o.connected(c), nil
}
