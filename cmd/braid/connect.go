package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/relay"
)

// connectCmd is `braid connect`.
type connectCmd struct {
	Address string        `arg:"" placeholder:"HOST:PORT" help:"Where to connect to."`
	Linger  time.Duration `default:"5m" help:"How long a session without any path is kept (${default})."`
	Timeout time.Duration `default:"30s" help:"How long connecting may take (${default}); 0: as long as TCP tries."`
	IPv4    bool          `short:"4" name:"ipv4" xor:"family" help:"Use IPv4 only."`
	IPv6    bool          `short:"6" name:"ipv6" xor:"family" help:"Use IPv6 only."`
	Verbose bool          `short:"v" help:"Say on standard error what happens."`

	networkFlags
}

// Help is the rest of what --help prints.
func (*connectCmd) Help() string {
	return `Carries standard input to HOST:PORT and what comes from there to standard
output, over all uplinks at once, through changes of their addresses. For ssh:

  ssh -o ProxyCommand='braid connect %h:%p' user@host

Exit codes: 0 when both directions came to their end, or after SIGHUP, by which
ssh ends it; 1 when no connection came about or input or output failed, 2 for a
mistake in the usage, 3 when the connection broke, 130 when interrupted.`
}

const exitBroken = 3

// Validate is called by the parser.
func (c *connectCmd) Validate() error {
	if c.Address == "" {
		return nil // the parser knows better words for it
	}
	if c.Linger <= 0 {
		return errors.New("--linger must be more than 0")
	}
	_, port, err := net.SplitHostPort(c.Address)
	if err == nil && port == "" {
		err = errors.New("no port")
	}
	if err != nil {
		return fmt.Errorf("%q is no HOST:PORT: %w", c.Address, err)
	}
	return c.networkFlags.Validate()
}

// Run implements the command.
func (c *connectCmd) Run(ctx context.Context, con console) error {
	c.cfg.Connections.KeepWithoutSubflow = c.Linger
	network, err := c.open(ctx, con.err)
	if err != nil {
		return err
	}
	conn, err := c.dial(ctx, network)
	if err != nil {
		return errors.Join(err, network.Close())
	}
	if c.Verbose {
		info, _ := braid.InfoOf(conn)
		fmt.Fprintf(con.err, "braid: connected to %v from %v, %v stack, multipath %v\n",
			conn.RemoteAddr(), conn.LocalAddr(), braid.KindOf(network), info.Multipath)
	}
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go relay.WatchPaths(ctx, conn, c.Linger, func() { cancel(fmt.Errorf("%w: no path for %v", relay.ErrBroken, c.Linger)) })
	err = relay.Stdio(ctx, conn.(relay.Conn), os.Stdin, con.out, os.Stdout.Close)
	if hungUp(outer) {
		err = nil
	}
	err = errors.Join(err, network.Close())
	if errors.Is(err, relay.ErrBroken) {
		return exitError{err, exitBroken}
	}
	return err
}

func (c *connectCmd) dial(ctx context.Context, n braid.Network) (net.Conn, error) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	family := "tcp"
	switch {
	case c.IPv4:
		family = "tcp4"
	case c.IPv6:
		family = "tcp6"
	}
	return n.DialContext(ctx, family, c.Address)
}
