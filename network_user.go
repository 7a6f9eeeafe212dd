package braid

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/braid-mptcp/braid/hostnet"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/tun"
	"github.com/braid-mptcp/braid/mptcp"
)

// userNetwork is Braid's own stack behind a TUN interface of the host. It has
// one address for each uplink's address; the host sends what comes from it out
// by that uplink, and under that uplink's address.
type userNetwork struct {
	stack *Stack
	dev   *tun.Device
	in    *installation
	tag   string

	mu       sync.Mutex
	paths    []hostnet.Path              // in service
	uplinkOf map[netip.Addr]string       // of all paths there ever were
	forwards map[uint16]*forwardListener // by port
	retired  []string                    // uplinks that an Update took out, which have paths still
}

func openUser(_ context.Context, cfg OpenConfig) (Network, error) {
	in, err := newInstallation(&cfg)
	if err != nil {
		return nil, err
	}
	n := &userNetwork{in: in, tag: newTag(), uplinkOf: make(map[netip.Addr]string), forwards: make(map[uint16]*forwardListener)}
	if n.dev, err = tun.Open(tun.Config{}); err != nil {
		in.Close()
		return nil, err
	}
	if err := in.install(n.tag, n.planner(nil)); err != nil {
		n.dev.Close()
		in.Close()
		return nil, err
	}
	if err := n.start(&cfg); err != nil {
		in.Close()
		return nil, err
	}
	if err := in.follow(n.changed); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// start starts the stack on the paths that are installed. It owns the device,
// also when it fails.
func (n *userNetwork) start(cfg *OpenConfig) error {
	n.paths = n.order(n.in.plan().Paths)
	device := Interface{Device: n.dev}
	for _, p := range n.paths {
		n.uplinkOf[p.Addr] = p.Uplink
		device.Addresses = append(device.Addresses, n.address(p))
	}
	var err error
	n.stack, err = NewStack(Config{
		Interfaces:    []Interface{device},
		Connections:   cfg.Connections,
		LargeSegments: true,
		Resolver:      cfg.Resolver,
		DeviceFailed:  func(_ link.Device, err error) { cfg.warn("the stack has lost its interface: %v", err) },
	})
	return err
}

// planner plans for the uplinks that may be used.
func (n *userNetwork) planner(previous *hostnet.Plan) hostnet.Planner {
	return func(state hostnet.State) (hostnet.Plan, error) {
		state.Uplinks = hostnet.Select(state.Uplinks, n.wanted())
		return hostnet.StackPlan(state, hostnet.StackConfig{
			Tag: n.tag, Dev: n.dev.Name(), Forwards: n.ports(), Previous: previous})
	}
}

func (n *userNetwork) ports() (all []hostnet.PortForward) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for port := range n.forwards {
		all = append(all, hostnet.PortForward{Port: port})
	}
	return all
}

// replan installs what fits the uplinks and forwards there are now.
func (n *userNetwork) replan() error {
	previous := n.in.plan()
	return n.in.update(n.planner(&previous))
}

// address is a path's address as the stack is to use it.
func (n *userNetwork) address(p hostnet.Path) Address {
	flags := n.in.config().flagsFor(p.Uplink, p.Public)
	if n.isRetired(p.Uplink) {
		flags = kernel.FlagBackup
	}
	a := Address{Addr: p.Addr, Public: p.Public, MTU: mtuOf(p.Uplink)}
	if e, ok := n.in.config().endpointFor(p.Uplink, p.Public); ok {
		a.ID = e.ID
	}
	for _, f := range []struct {
		kernel kernel.EndpointFlags
		ours   mptcp.EndpointFlags
	}{{kernel.FlagSubflow, Subflow}, {kernel.FlagSignal, Signal}, {kernel.FlagBackup, Backup}, {kernel.FlagFullmesh, Fullmesh}} {
		if flags&f.kernel != 0 {
			a.Flags |= f.ours
		}
	}
	return a
}

// mtuOf is the largest packet an uplink carries, and 0 for the device's own
// where the uplink's is none of its business.
func mtuOf(uplink string) int {
	i, err := net.InterfaceByName(uplink)
	if err != nil || i.MTU < 1280 || i.MTU > 1500 {
		return 0
	}
	return i.MTU
}

// changed gives the stack the addresses of the uplinks that have come, and
// takes those that have gone. An uplink with another address of its own is
// another path, though the stack's address for it is the same: what the peer
// sees has changed.
func (n *userNetwork) changed() error {
	if err := n.replan(); err != nil {
		return err
	}
	paths := n.order(n.in.plan().Paths)
	n.mu.Lock()
	old := n.paths
	n.paths = paths
	for _, p := range paths {
		n.uplinkOf[p.Addr] = p.Uplink
	}
	n.mu.Unlock()
	var errs []error
	// New ones first, so that connections have where to go.
	for _, p := range paths {
		if !hasAddr(old, p) {
			errs = append(errs, n.stack.host.AddAddress(n.dev, n.address(p)))
		}
	}
	for _, p := range old {
		if !hasPath(paths, p) {
			errs = append(errs, n.stack.host.RemoveAddress(p.Addr))
		}
	}
	for _, p := range paths {
		if hasAddr(old, p) && !hasPath(old, p) {
			errs = append(errs, n.stack.host.AddAddress(n.dev, n.address(p)))
		}
	}
	return errors.Join(errs...)
}

// hasAddr tells whether one of the paths has p's address.
func hasAddr(paths []hostnet.Path, p hostnet.Path) bool {
	for _, o := range paths {
		if o.Addr == p.Addr {
			return true
		}
	}
	return false
}

// hasPath tells whether one of the paths is p in the eyes of others.
func hasPath(paths []hostnet.Path, p hostnet.Path) bool {
	for _, o := range paths {
		if o.Addr == p.Addr && o.Public == p.Public && o.Index == p.Index {
			return true
		}
	}
	return false
}

func (*userNetwork) kind() Kind { return User }

func (n *userNetwork) interfaceOf(a netip.Addr) string {
	n.mu.Lock()
	uplink := n.uplinkOf[a]
	n.mu.Unlock()
	if uplink == "" {
		return interfaceWith(a) // of a socket of the host's own
	}
	return uplink
}

// DialContext implements Network. The first attempt is the stack's own choice,
// which is the preferred uplink.
func (n *userNetwork) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return n.dial(ctx, network, address, nil)
}

// anyAddr leaves the choice of a local address to the stack.
var anyAddr netip.Addr

// dial dials with options of the connection's own; nil: the stack's.
func (n *userNetwork) dial(ctx context.Context, network, address string, o *Options) (net.Conn, error) {
	locals := []netip.Addr{anyAddr}
	n.mu.Lock()
	if len(n.retired) > 0 {
		locals = nil // the stack might choose one of them
	}
	for i, p := range n.paths {
		switch {
		case slices.Contains(n.retired, p.Uplink):
		case len(n.retired) > 0 || i > 0 && p.Uplink != n.paths[0].Uplink:
			locals = append(locals, p.Addr)
		}
	}
	n.mu.Unlock()
	return firstOf(ctx, attemptDelay, locals, func(ctx context.Context, local netip.Addr) (net.Conn, error) {
		return n.stack.host.DialFrom(ctx, network, local, address, o)
	})
}

// order puts the paths in the order in which to begin connections on them:
// that of the interfaces where those are chosen, else hostnet's, which has the
// host's preferred uplinks first.
func (n *userNetwork) order(paths []hostnet.Path) []hostnet.Path {
	chosen := n.in.config().Interfaces
	if len(chosen) == 0 {
		return paths
	}
	sorted := slices.Clone(paths)
	place := func(p hostnet.Path) int {
		if i := slices.Index(chosen, p.Uplink); i >= 0 {
			return i
		}
		return len(chosen)
	}
	slices.SortStableFunc(sorted, func(a, b hostnet.Path) int { return place(a) - place(b) })
	return sorted
}

// closeTime is how long Close waits for connections to end in an orderly way.
const closeTime = 3 * time.Second

// Close implements Network.
func (n *userNetwork) Close() error {
	n.in.stop()
	n.mu.Lock()
	var listeners []*forwardListener
	for _, l := range n.forwards {
		listeners = append(listeners, l)
	}
	n.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := n.stack.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // then they were cut off
	}
	return errors.Join(err, n.in.Close())
}

// Listen implements Network. It takes the port at the addresses of all uplinks,
// or of one, away from the kernel; at the others, such as the loopback
// interface's, the kernel accepts, in plain TCP.
func (n *userNetwork) Listen(network, address string) (net.Listener, error) {
	return n.listen(network, address, nil, socketOptions{})
}

// listen listens for connections with options of their own, those of the stack
// and those of the kernel's sockets beside it.
func (n *userNetwork) listen(network, address string, o *Options, sockets socketOptions) (net.Listener, error) {
	outer, err := (&plainNetwork{sockets: sockets}).Listen(network, address)
	if err != nil {
		return nil, err
	}
	if _, ok := outer.(*nagleListener); !ok {
		outer = newNagleListener(outer, false) // which may change
	}
	l, err := n.forward(network, outer, o)
	if err != nil {
		outer.Close()
		return nil, &net.OpError{Op: "listen", Net: network, Addr: outer.Addr(), Err: err}
	}
	return l, nil
}

func (n *userNetwork) forward(network string, outer net.Listener, o *Options) (*forwardListener, error) {
	at := addrPort(outer.Addr())
	inner := ":" + fmt.Sprint(at.Port())
	if !at.Addr().IsUnspecified() {
		local, err := n.stackAddr(at.Addr())
		if err != nil {
			return nil, err
		}
		inner = netip.AddrPortFrom(local, at.Port()).String()
	}
	stackSide, err := listenWith(n.stack.host, network, inner, o)
	if err != nil {
		return nil, err
	}
	l := newForwardListener(outer, stackSide, func() { n.forgo(at.Port()) })
	n.mu.Lock()
	n.forwards[at.Port()] = l
	n.mu.Unlock()
	if err := n.replan(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// stackAddr is the stack's address behind an uplink's.
func (n *userNetwork) stackAddr(public netip.Addr) (netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.paths {
		if p.Public == public {
			return p.Addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%w: listening at %s, which is no uplink's address", ErrFeature, public)
}

// forgo gives a port back to the kernel.
func (n *userNetwork) forgo(port uint16) {
	n.mu.Lock()
	delete(n.forwards, port)
	n.mu.Unlock()
	if err := n.replan(); err != nil && !errors.Is(err, net.ErrClosed) {
		n.in.config().warn("give port %d back: %v", port, err)
	}
}
