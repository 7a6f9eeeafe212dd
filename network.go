package braid

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/braid-mptcp/braid/kernel"
)

// Network makes and accepts connections. *Stack is one, and what Open returns.
// Its methods may be called from any goroutine.
type Network interface {
	// DialContext connects to an address such as "example.org:443"; network
	// is "tcp", "tcp4" or "tcp6". ctx does not concern the connection once
	// it is made.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	// Listen accepts connections to an address such as ":80".
	Listen(network, address string) (net.Listener, error)
	// Close gives back what the Network holds. Connections of the user stack
	// end with it, those of the kernel live on.
	Close() error
}

var _ Network = (*Stack)(nil)

// Kind says which implementation of Multipath TCP a Network uses.
type Kind uint8

// Kinds of networks.
const (
	// Auto takes the kernel's where it offers what is wanted, else the user
	// stack where this process may set it up, else plain TCP with a warning.
	Auto Kind = iota
	// Kernel is Linux' own Multipath TCP.
	Kernel
	// User is Braid's own stack behind a TUN interface.
	User
	// Plain is TCP without multipath, the last resort of Auto.
	Plain
)

var kindNames = [...]string{Auto: "auto", Kernel: "kernel", User: "user", Plain: "plain"}

// String is the kind's word on the command line.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads "auto", "kernel", "user" or "plain".
func (k *Kind) UnmarshalText(text []byte) error {
	for i, name := range kindNames {
		if string(text) == name {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("stack %q is none of %s", text, strings.Join(kindNames[:], ", "))
}

// Endpoint is a local address or an interface with the flags of
// ip-mptcp(8); see kernel.ParseEndpoint.
type Endpoint = kernel.Endpoint

// OpenConfig says what Open is to give. The zero OpenConfig will do.
type OpenConfig struct {
	// Kind chooses the implementation.
	Kind Kind
	// Connections says how connections behave. The kernel offers of it what
	// its settings say: see ErrFeature.
	Connections Options
	// Interfaces are the uplinks that may be used, in order of preference for
	// the first subflow; empty: all.
	Interfaces []string
	// Flags say what the uplinks' addresses are used for; 0: kernel.FlagSubflow,
	// which suits clients. A server of several uplinks wants kernel.FlagSignal.
	// The user stack announces the uplinks' addresses, not its own, which are
	// not seen outside of the host.
	Flags kernel.EndpointFlags
	// Endpoints choose for single uplinks what differs from Flags. One without
	// an address is about all addresses of its Dev.
	Endpoints []Endpoint
	// SinglePath leaves the host as it is: connections begin on one path and
	// use others only as far as the host has been prepared for it.
	SinglePath bool
	// Resolver looks up host names; nil means net.DefaultResolver.
	Resolver *net.Resolver
	// Warn, if set, is told in a sentence what cannot be had and what is done
	// instead. It may be called later too, by any goroutine.
	Warn func(message string)
}

// ErrFeature is wrapped by errors of Open about what a stack was asked for and
// does not do.
var ErrFeature = errors.New("braid: not offered by this stack")

func (cfg *OpenConfig) warn(format string, args ...any) {
	if cfg.Warn != nil {
		cfg.Warn(fmt.Sprintf(format, args...))
	}
}

// Open gives the host's own network, in the network namespace of the process.
//
// With the kernel's stack, and with the right to (CAP_NET_ADMIN), it tells the
// path manager of the uplinks it does not know yet, follows them as they come
// and go, and takes its additions back in Close. The user stack cannot do
// without that right: it has to make a TUN interface and route to it.
func Open(ctx context.Context, cfg OpenConfig) (Network, error) {
	if err := cfg.checkInterfaces(); err != nil {
		return nil, err
	}
	switch cfg.Kind {
	case Kernel:
		return openKernel(ctx, cfg)
	case User:
		return openUser(ctx, cfg)
	case Plain:
		return openPlain(cfg), nil
	}
	n, kernelErr := openKernel(ctx, cfg)
	if kernelErr == nil {
		return n, nil
	}
	n, userErr := openUser(ctx, cfg)
	if userErr == nil {
		return n, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cfg.warn("plain TCP, over one path: kernel stack: %v; user stack: %v", unprefixed(kernelErr), unprefixed(userErr))
	return openPlain(cfg), nil
}

// unprefixed is what err says, without the name of this package.
func unprefixed(err error) string { return strings.TrimPrefix(err.Error(), "braid: ") }

// KindOf tells which implementation n uses. Auto stands for one that is not
// known here.
func KindOf(n Network) Kind {
	switch n := n.(type) {
	case *Stack:
		return User
	case interface{ kind() Kind }:
		return n.kind()
	}
	return Auto
}

// InterfaceOf gives the name of the host's interface over which n sends from
// one of its addresses; "" where that is not known.
func InterfaceOf(n Network, local netip.Addr) string {
	if n, ok := n.(interface{ interfaceOf(netip.Addr) string }); ok {
		return n.interfaceOf(local)
	}
	return ""
}

// plainNetwork is the system's TCP.
type plainNetwork struct {
	order    func() []string // of interfaces to dial over; nil: the system's choice
	resolver *net.Resolver
	sockets  socketOptions
}

func openPlain(cfg OpenConfig) *plainNetwork {
	return &plainNetwork{order: func() []string { return cfg.Interfaces }, resolver: cfg.Resolver}
}

func (*plainNetwork) kind() Kind { return Plain }

// DialContext implements Network.
func (n *plainNetwork) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return dialEach(ctx, n.order(), func(ctx context.Context, iface string) (net.Conn, error) {
		d := n.sockets.dialer(iface, n.resolver)
		d.SetMultipathTCP(false)
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return n.sockets.connected(c), nil
	})
}

// Listen implements Network.
func (n *plainNetwork) Listen(network, address string) (net.Listener, error) {
	lc := n.sockets.listenConfig()
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return n.sockets.listener(l), nil
}

// Close implements Network.
func (*plainNetwork) Close() error { return nil }

func (*plainNetwork) interfaceOf(a netip.Addr) string { return interfaceWith(a) }

// interfaceWith gives the name of the interface that has the address.
func interfaceWith(a netip.Addr) string {
	all, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, have := range addrs {
			if p, err := netip.ParsePrefix(have.String()); err == nil && p.Addr().WithZone("") == a.Unmap().WithZone("") {
				return i.Name
			}
		}
	}
	return ""
}
