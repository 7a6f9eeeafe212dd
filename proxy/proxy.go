package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
	"github.com/braid-mptcp/braid/proxy/status"
)

// Options say what a Proxy is made of. Config is needed.
type Options struct {
	Config *config.Config
	// Version is the program's, for the administrator's pages.
	Version string
	// Logger is told what happens; nil: slog.Default.
	Logger *slog.Logger
	// Open opens the network; nil: braid.Open.
	Open func(context.Context, braid.OpenConfig) (braid.Network, error)
	// Inherited are sockets that were handed over by systemd, by the names
	// that stand behind fd@. They belong to the Proxy if New succeeds.
	Inherited map[string][]net.Listener
	// Reload loads the configuration again, when the administrator asks for
	// it on the admin page; nil: it cannot be asked for.
	Reload func(context.Context) error
}

// Proxy is a running proxy. Its methods may be called from any goroutine.
type Proxy struct {
	opts    Options
	log     *slog.Logger
	network atomic.Pointer[uplinks]
	engine  *http1.Engine
	pools   *balance.Set
	conns   registry
	ledger  *status.Ledger
	gate    *gate // limits.connections
	started time.Time
	said    sync.Map // see sayOnce

	perClient perClient
	state     atomic.Pointer[state]
	acme      atomic.Pointer[challenges]
	accepting atomic.Bool

	stop    sync.Once
	closing chan struct{} // closed by Shutdown and Close
	closed  chan struct{} // closed when nothing is left
	failed  chan error    // a listener that stopped by itself
	serving sync.WaitGroup

	mu          sync.Mutex // one start, reload or end at a time
	ended       bool
	pages       *pages
	former      []*uplinks                // networks that others have taken the place of
	poolConfigs map[string]balance.Config // of the pools there are
}

// New makes a Proxy: the network is opened, the pools know their servers, and
// the listeners are bound, so connections are accepted, and wait for Serve. A
// start that fails leaves nothing behind.
func New(ctx context.Context, o Options) (*Proxy, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Open == nil {
		o.Open = braid.Open
	}
	p := &Proxy{
		opts: o, log: o.Logger, gate: newGate(), pools: balance.NewSet(), started: time.Now(),
		closing: make(chan struct{}), closed: make(chan struct{}), failed: make(chan error, 1),
		poolConfigs: make(map[string]balance.Config),
	}
	p.pages = newPages(p)
	p.conns.init()
	p.ledger = status.NewLedger(p.interfaceOf)
	p.engine = http1.NewEngine(http1.Config{Buffer: int(o.Config.Limits.HeaderSize), Raw: rawOf})
	if err := p.apply(ctx, o.Config); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// Serve serves until Shutdown or Close, after which it returns nil, or until a
// listener fails.
func (p *Proxy) Serve() error {
	p.mu.Lock()
	p.accepting.Store(true)
	for _, s := range p.sockets() {
		p.start(s)
	}
	p.mu.Unlock()
	select {
	case <-p.closed:
		return nil
	case err := <-p.failed:
		p.Close()
		return err
	}
}

// start has connections of s accepted. The lock is held.
func (p *Proxy) start(s *socket) {
	if s.started || p.ended {
		return
	}
	s.started = true
	p.serving.Go(func() {
		err := p.engine.ServeFunc(s, s.serve)
		if errors.Is(err, http1.ErrClosed) || s.gone.Load() {
			return
		}
		select {
		case p.failed <- fmt.Errorf("listener %s: %w", s.address, err):
		default:
		}
	})
}

// Shutdown ends the Proxy gracefully: it stops accepting, lets requests in work
// come to their end, and tells clients that their connections end. When ctx is
// done first, the rest is cut off, and its error returned.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.stopAccepting()
	err := p.drain(ctx)
	p.release()
	return err
}

// Close ends the Proxy and all connections at once.
func (p *Proxy) Close() error {
	p.stopAccepting()
	p.release()
	return nil
}

// stopAccepting closes the listeners. What they have accepted is served.
func (p *Proxy) stopAccepting() {
	p.stop.Do(func() { close(p.closing) }) // which ends the waits of a reload
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	s := p.state.Load()
	if s == nil {
		return // it never came to that
	}
	for _, so := range s.sockets {
		so.close()
	}
	gates := []*gate{p.gate}
	for _, l := range s.listeners {
		gates = append(gates, l.gate)
	}
	for _, g := range gates {
		g.hurry()
	}
	p.serving.Wait()
	for _, g := range gates {
		g.shutDown()
	}
}

// release ends what there is, and gives back what is held.
func (p *Proxy) release() {
	p.stopAccepting()
	s := p.state.Load()
	if s != nil {
		for _, l := range s.listeners {
			l.end()
			if l.http2 != nil {
				l.http2.Close()
			}
		}
	}
	p.engine.Close()
	p.conns.closeAll()
	p.conns.wait()
	p.serving.Wait()
	p.pools.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closed:
		return
	default:
	}
	p.pages.close()
	if s != nil {
		for _, l := range s.listeners {
			if c := l.rules.Load().certs; c != nil {
				c.Close()
			}
		}
		if err := s.access.Close(); err != nil {
			p.log.Error(err.Error())
		}
	}
	p.closeNetworks()
	close(p.closed)
}

// isClosing says whether Shutdown or Close was called.
func (p *Proxy) isClosing() bool {
	select {
	case <-p.closing:
		return true
	default:
		return false
	}
}

// ListenerAddr is an address that connections are accepted at.
type ListenerAddr struct {
	Name    string // of the listener
	Address string // as configured, with the port that was bound
}

// Addrs lists the addresses in the order of the configuration.
func (p *Proxy) Addrs() []ListenerAddr {
	state := p.state.Load()
	var all []ListenerAddr
	for _, l := range state.config.Listeners {
		for i := range l.Address {
			all = append(all, ListenerAddr{l.Name, state.sockets[socketKey(l, i)].bound()})
		}
	}
	return all
}
