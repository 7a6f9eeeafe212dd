package host

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
)

// How long an attempt to connect may take before the next address is tried
// beside it (RFC 8305 section 5).
const attemptDelay = 250 * time.Millisecond

// DialContext connects to an address in the form that net.Dial takes; network
// is "tcp", "tcp4" or "tcp6". Names are looked up with the Host's resolver. Of
// several addresses the first that answers is taken (RFC 8305). The returned
// connection is a *Conn; ctx does not concern it any more.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.DialFrom(ctx, network, netip.Addr{}, address, nil)
}

// DialAddrPort connects from local to remote. The zero local, or one with only
// an address or only a port, leaves the choice to the stack; a nil cfg means
// the defaults of Config.Stack.
func (h *Host) DialAddrPort(ctx context.Context, local, remote netip.AddrPort, cfg *mptcp.Config) (*Conn, error) {
	return h.dial(ctx, local, []netip.AddrPort{remote}, cfg)
}

// dial is one call of DialContext: attempts to connect, of which one wins. It
// is guarded by the shard's lock.
type dial struct {
	shard   *shard
	local   netip.AddrPort
	left    []netip.AddrPort // still to be tried
	cfg     *mptcp.Config
	pending []*Conn
	next    time.Time // when the next of left is tried
	err     error     // of the first attempt that failed
	decided waiter    // woken by every event of a pending attempt
}

func (h *Host) dial(ctx context.Context, local netip.AddrPort, remotes []netip.AddrPort, cfg *mptcp.Config) (*Conn, error) {
	s := h.shard
	d := &dial{shard: s, local: local, left: remotes, cfg: cfg}
	d.decided.init(s)
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		d.decided.cond.Broadcast()
	})
	defer stop()
	c, err := d.run(ctx)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Source: addrOrNil(local),
			Addr: net.TCPAddrFromAddrPort(remotes[0]), Err: err}
	}
	return c, nil
}

// run makes attempts until one succeeds, all have failed or ctx is done.
func (d *dial) run(ctx context.Context) (*Conn, error) {
	s := d.shard
	now := s.enter()
	for {
		if winner := d.settle(); winner != nil {
			d.abandon(now)
			s.leave(now)
			return winner, nil
		}
		if err := d.failed(ctx); err != nil {
			d.abandon(now)
			s.leave(now)
			return nil, err
		}
		if len(d.left) > 0 && (len(d.pending) == 0 || !now.Before(d.next)) {
			d.attempt(now)
			// The SYN has to go out before we wait, and then things may have
			// changed.
			s.leave(now)
			now = s.enter()
			continue
		}
		if len(d.left) > 0 {
			d.decided.startTimer(now, d.next)
		}
		d.decided.cond.Wait()
		now = time.Now()
	}
}

// attempt starts to connect to the next address.
func (d *dial) attempt(now time.Time) {
	remote := d.left[0]
	d.left = d.left[1:]
	d.next = now.Add(attemptDelay)
	core, err := d.shard.stack.Dial(now, d.local, remote, d.cfg)
	if err != nil {
		d.note(cause(err))
		return
	}
	c := d.shard.newConn(core, connOpening)
	c.dialing = d
	d.pending = append(d.pending, c)
}

// settle takes the attempts that have ended out of pending and returns one
// that succeeded, if any.
func (d *dial) settle() (winner *Conn) {
	d.pending = slices.DeleteFunc(d.pending, func(c *Conn) bool {
		switch {
		case c.state == connFinished || c.closed != nil:
			d.note(c.failure())
			return true
		case c.state == connOpen && winner == nil:
			winner = c
			c.dialing = nil
			return true
		}
		return false
	})
	return winner
}

// failed gives the error to end with, if it is time to.
func (d *dial) failed(ctx context.Context) error {
	switch {
	case d.shard.closed:
		return ErrHostClosed
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return dialTimeout{errTimeout}
	case ctx.Err() != nil:
		return ctx.Err()
	case len(d.left) == 0 && len(d.pending) == 0:
		return d.err
	}
	return nil
}

// note keeps the first error: the first address is the one that should work.
func (d *dial) note(err error) {
	if d.err == nil {
		d.err = err
	}
}

// abandon ends the attempts that are not needed any more.
func (d *dial) abandon(now time.Time) {
	for _, c := range d.pending {
		c.dialing = nil
		c.abortLocked(now, net.ErrClosed)
	}
	d.pending = nil
	d.decided.stop()
}

// failure gives the reason why a connection that never opened has ended.
func (c *Conn) failure() error {
	if c.closed != nil {
		return c.closed
	}
	return cause(c.core.Err())
}

func addrOrNil(a netip.AddrPort) net.Addr {
	if !a.IsValid() {
		return nil
	}
	return net.TCPAddrFromAddrPort(a)
}
