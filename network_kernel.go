package braid

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/braid-mptcp/braid/kernel"
)

// kernelNetwork is Linux' own Multipath TCP.
type kernelNetwork struct {
	cfg     OpenConfig
	paths   pathKeeper
	sockets socketOptions
}

// pathKeeper keeps the host prepared for several paths until it is closed.
type pathKeeper interface {
	// order gives the interfaces to begin a connection on, "" being the
	// system's choice.
	order() []string
	// update takes Interfaces, Endpoints and Flags of another configuration.
	update(*OpenConfig) error
	Close() error
}

func openKernel(ctx context.Context, cfg OpenConfig) (Network, error) {
	if err := kernel.Supported(); err != nil {
		return nil, fmt.Errorf("braid: %w", err)
	}
	if lacks := kernelLacks(&cfg.Connections); lacks != nil {
		return nil, fmt.Errorf("%w: %w", ErrFeature, errors.Join(lacks...))
	}
	paths, err := keepKernelPaths(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &kernelNetwork{cfg: cfg, paths: paths}, nil
}

func (*kernelNetwork) kind() Kind { return Kernel }

// DialContext implements Network.
func (n *kernelNetwork) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return dialEach(ctx, n.paths.order(), func(ctx context.Context, iface string) (net.Conn, error) {
		d := kernel.Dialer{Dialer: n.sockets.dialer(iface, n.cfg.Resolver)}
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err // not a nil *Conn in an interface
		}
		return n.sockets.connected(c), nil
	})
}

// Listen implements Network.
func (n *kernelNetwork) Listen(network, address string) (net.Listener, error) {
	lc := kernel.ListenConfig{ListenConfig: n.sockets.listenConfig()}
	l, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return n.sockets.listener(l), nil
}

// Close implements Network.
func (n *kernelNetwork) Close() error { return n.paths.Close() }

func (*kernelNetwork) interfaceOf(a netip.Addr) string { return interfaceWith(a) }

// kernelLacks are what o asks for and the kernel's Multipath TCP does not do, or
// does for no connection.
func kernelLacks(o *Options) (lacks []error) {
	missing := func(what string) { lacks = append(lacks, errors.New(what)) }
	if o.Disabled {
		missing("the kernel's stack without Multipath TCP is Plain")
	}
	if o.Checksum && mptcpSetting("checksum_enabled") != "1" {
		missing("DSS checksums are off (sysctl net.mptcp.checksum_enabled=1)")
	}
	if o.RefuseChecksum {
		missing("the kernel refuses no checksums")
	}
	if o.NoJoinHere && mptcpSetting("allow_join_initial_addr_port") != "0" {
		missing("joins to the first address are allowed (sysctl net.mptcp.allow_join_initial_addr_port=0)")
	}
	if o.Scheduler != SchedulerUnset {
		if err := kernel.CheckScheduler(o.Scheduler.String()); err != nil {
			lacks = append(lacks, err)
		}
	}
	return lacks
}

// mptcpSetting reads a setting of the kernel's Multipath TCP; "" when there is
// no such setting.
func mptcpSetting(name string) string {
	return sysctl("mptcp/" + name)
}
