package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
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
}

// Proxy is a running proxy. Its methods may be called from any goroutine.
type Proxy struct {
	opts    Options
	log     *slog.Logger
	network braid.Network
	engine  *http1.Engine
	pools   *balance.Set
	conns   registry
	gate    *gate
	started time.Time

	closing chan struct{} // closed by Shutdown and Close
	closed  chan struct{} // closed when nothing is left
	failed  chan error    // a listener that stopped by itself
	serving sync.WaitGroup

	mu        sync.Mutex // one start, reload or end at a time
	ended     bool
	config    *config.Config
	sockets   map[string]*socket   // by address as configured
	listeners map[string]*listener // by name
	upstreams map[string]*upstream // by pool
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
		sockets: make(map[string]*socket), listeners: make(map[string]*listener), upstreams: make(map[string]*upstream),
	}
	p.conns.init()
	network, err := p.openNetwork(ctx, o.Config)
	if err != nil {
		return nil, err
	}
	p.network = network
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
	for _, s := range p.sockets {
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

// stopAccepting closes the listeners.
func (p *Proxy) stopAccepting() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	close(p.closing)
	for _, s := range p.sockets {
		s.close()
	}
	p.gate.shutDown()
	for _, l := range p.listeners {
		l.gate.shutDown()
	}
}

// release ends what there is, and gives back what is held.
func (p *Proxy) release() {
	p.stopAccepting()
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
	if err := p.network.Close(); err != nil {
		p.log.Warn("the network was not closed in good order", "error", err)
	}
	close(p.closed)
}

// ListenerAddr is an address that connections are accepted at.
type ListenerAddr struct {
	Name    string // of the listener
	Address string // as configured, with the port that was bound
}

// Addrs lists the addresses in the order of the configuration.
func (p *Proxy) Addrs() []ListenerAddr {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []ListenerAddr
	for _, l := range p.config.Listeners {
		for _, a := range l.Address {
			if s := p.sockets[a.String()]; s != nil {
				all = append(all, ListenerAddr{l.Name, s.bound()})
			}
		}
	}
	return all
}
