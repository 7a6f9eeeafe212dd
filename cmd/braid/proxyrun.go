package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy"
)

// proxyRun is a proxy that runs, with all that may happen to it from outside.
// It belongs to the goroutine of its loop.
type proxyRun struct {
	load  func() (*config.Config, error)
	cfg   *config.Config // in force
	proxy *proxy.Proxy
	out   *proxyLog
	log   *slog.Logger
	sys   supervisor
	addrs []proxy.ListenerAddr // as they were told last

	signals  chan os.Signal
	served   chan error
	orders   chan *reload  // from the admin page
	reloaded chan *reload  // the end of the one under way
	busy     bool          // there is one
	next     *reload       // to be done after that; nil: none
	ending   chan struct{} // closed when no order is taken any more
	refuse   func()        // closes it
}

// reload is an order to put the configuration in force as it is at the time,
// and how that went.
type reload struct {
	because string
	waiting []chan error // told how it went

	cfg    *config.Config
	target *logTarget
	err    error
}

// runProxy starts a proxy and runs it to its end.
func runProxy(ctx context.Context, con console, cmd *proxyCmd, cfg *config.Config) error {
	// Signals mean something else here than for other commands.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	out, err := newProxyLog(con, cfg.Log)
	if err != nil {
		return err
	}
	r := &proxyRun{
		load: cmd.load, cfg: cfg, out: out, log: out.logger(), signals: signals,
		served: make(chan error, 1), orders: make(chan *reload), reloaded: make(chan *reload, 1),
		ending: make(chan struct{}),
	}
	r.refuse = sync.OnceFunc(func() { close(r.ending) })
	defer r.refuse()
	r.sys = supervisor{r.log}
	if err := r.start(ctx); err != nil {
		return err
	}
	go func() { r.served <- r.proxy.Serve() }()
	r.tellStart()

	var changed chan struct{}
	if cmd.Config != "" && cmd.Watch {
		w, err := watchFile(cmd.Config)
		if err != nil {
			r.log.Warn("the configuration is not watched; SIGHUP reads it again", "error", err)
		} else {
			defer w.close()
			changed = w.changed
		}
	}
	r.sys.ready(r.status())
	return r.loop(ctx, changed)
}

// start makes the proxy. A signal to end stops it on its way there.
func (r *proxyRun) start(ctx context.Context) error {
	inherited, err := handedOver()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	made := make(chan error, 1)
	go func() {
		var err error
		r.proxy, err = proxy.New(ctx, proxy.Options{
			Config: r.cfg, Version: version(), Logger: r.log, Inherited: inherited, Reload: r.order,
		})
		made <- err
	}()
	for {
		select {
		case err := <-made:
			if err != nil && context.Cause(ctx) != nil {
				return context.Cause(ctx)
			}
			r.tellUnused(inherited)
			return startError(err)
		case s := <-r.signals:
			if s != syscall.SIGHUP {
				number, _ := s.(syscall.Signal)
				cancel(signalled{number})
			}
		}
	}
}

// startError adds what helps against the usual reasons why an address cannot be
// had.
func startError(err error) error {
	address := ""
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Addr != nil {
		address = op.Addr.String()
	}
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && port != "":
		return fmt.Errorf("%w: another process listens there; \"ss -ltnp sport = :%s\" tells which", err, port)
	case errors.Is(err, syscall.EADDRNOTAVAIL) && address != "":
		return fmt.Errorf("%w: this host does not have that address", err)
	case errors.Is(err, syscall.EACCES) && port != "":
		return fmt.Errorf("%w: ports below 1024 need CAP_NET_BIND_SERVICE, or a socket from systemd", err)
	}
	return err
}

// loop does what signals and files ask for until the end.
func (r *proxyRun) loop(ctx context.Context, changed <-chan struct{}) error {
	ticks, stop := r.sys.watchdog()
	defer stop()
	ended := ctx.Done()
	for {
		select {
		case s := <-r.signals:
			if s != syscall.SIGHUP {
				return r.end(s.String(), ticks)
			}
			r.reopen()
			r.reload(&reload{because: "SIGHUP"})
		case <-changed:
			r.reload(&reload{because: "the file has changed"})
		case o := <-r.orders:
			r.reload(o)
		case end := <-r.reloaded:
			r.noteReload(end)
		case <-ticks:
			r.sys.alive()
		case err := <-r.served:
			return err
		case <-ended:
			ended = nil
			if s := (signalled{}); !errors.As(context.Cause(ctx), &s) { // signals come by themselves
				return r.end("the caller", ticks)
			}
		}
	}
}

// reopen opens log files anew.
func (r *proxyRun) reopen() {
	if err := errors.Join(r.out.reopen(), r.proxy.Reopen()); err != nil {
		r.log.Error("a log file cannot be opened again; the one before stays in use", "error", err)
	}
}

// errEnding is what becomes of orders to a proxy that ends.
var errEnding = errors.New("the proxy is ending")

// order has the configuration put in force and waits for how that goes. It may
// be called from any goroutine.
func (r *proxyRun) order(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case r.orders <- &reload{because: "the admin page", waiting: []chan error{done}}:
	case <-r.ending:
		return errEnding
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-r.ending:
		return errEnding
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reload begins to put the configuration in force as it is now. One reload runs
// at a time; orders that come meanwhile are one more together.
func (r *proxyRun) reload(o *reload) {
	if r.busy {
		if r.next != nil {
			o.waiting = append(o.waiting, r.next.waiting...)
		}
		r.next = o
		return
	}
	r.busy = true
	r.sys.reloading()
	go func() {
		o.cfg, o.target, o.err = r.putInForce()
		r.reloaded <- o
	}()
}

// putInForce loads the configuration and hands it to the proxy. With an error
// nothing has changed.
func (r *proxyRun) putInForce() (*config.Config, *logTarget, error) {
	cfg, err := r.load()
	if err != nil {
		r.proxy.ReloadFailed()
		return nil, nil, err
	}
	target, err := r.out.target(cfg.Log)
	if err != nil {
		r.proxy.ReloadFailed()
		return nil, nil, err
	}
	if err := r.proxy.Reload(context.Background(), cfg); err != nil {
		r.out.drop(target)
		return nil, nil, startError(err)
	}
	return cfg, target, nil
}

// noteReload says how a reload went.
func (r *proxyRun) noteReload(o *reload) {
	r.busy = false
	if o.err != nil {
		r.log.Error("reload failed; the configuration from before stays in force", "because", o.because, "error", o.err)
		r.sys.ready("reload failed, " + r.status())
	} else {
		r.out.use(o.target)
		r.cfg = o.cfg
		r.tellAddresses()
		r.log.Info("reloaded", "because", o.because, "listeners", len(r.cfg.Listeners), "pools", len(r.cfg.Pools))
		r.sys.ready(r.status())
	}
	for _, done := range o.waiting {
		done <- o.err
	}
	if next := r.next; next != nil {
		r.next = nil
		r.reload(next)
	}
}

// end lets requests in work come to their end, for as long as timeouts.drain
// allows or until a second signal.
func (r *proxyRun) end(because string, ticks <-chan time.Time) error {
	r.refuse()
	limit := r.cfg.Timeouts.Drain.D()
	r.log.Info("ending", "because", because, "drain", limit.String())
	r.sys.stopping(limit)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.proxy.Shutdown(ctx) }()
	for {
		select {
		case err := <-done:
			return r.ended(err)
		case <-ticks:
			r.sys.alive()
		case s := <-r.signals:
			if s == syscall.SIGHUP {
				r.reopen()
				continue
			}
			r.log.Warn("ending at once", "because", s.String())
			cancel()
		}
	}
}

func (r *proxyRun) ended(err error) error {
	if err == nil {
		r.log.Info("ended")
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return exitError{errors.New("connections were broken off"), exitBroken}
	}
	return err
}
