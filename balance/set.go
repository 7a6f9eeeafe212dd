package balance

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// sweepInterval is how often idle connections are looked at. Expired ones are
// found before use all the same.
const sweepInterval = 250 * time.Millisecond

// Set holds the pools of a proxy and what they share: the connections to
// servers. Its methods may be called from any goroutine.
type Set struct {
	base  time.Time
	watch watch

	applying sync.Mutex // one Apply or Close at a time; taken first

	// mu is taken after a Pool's lock and before a server's.
	mu      sync.Mutex
	closed  bool
	pools   map[string]*Pool
	servers map[serverKey]*server
	scopes  map[string]*scope
	stop    chan struct{} // ends sweeping; nil: not begun
	swept   sync.WaitGroup
}

// NewSet makes a Set without pools.
func NewSet() *Set {
	return &Set{
		base:    time.Now(),
		pools:   make(map[string]*Pool),
		servers: make(map[serverKey]*server),
		scopes:  make(map[string]*scope),
	}
}

func (s *Set) now() time.Duration { return time.Since(s.base) }

// Pool gives the pool of that name, or nil.
func (s *Set) Pool(name string) *Pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pools[name]
}

// Pools gives all pools, in order of their names.
func (s *Set) Pools() []*Pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.pools), func(a, b *Pool) int {
		return cmp.Compare(a.cfg.Name, b.cfg.Name)
	})
}

// Apply makes the pools of cfgs the pools of the Set. It is for the start and
// for each reload: a pool that takes the place of one of the same name inherits
// the queue, and from backends of the same name and address the state of their
// health, the count of requests in flight and the idle connections, these if
// Config.Transport is the same. Connections in use are not disturbed, and
// connections of pools that are gone close when they are given back.
//
// Apply waits until the source of each new pool has answered, or ctx is done. A
// source that has no list then leaves the backends of the pool before in force.
// An error says that some Config cannot be; then nothing has changed.
func (s *Set) Apply(ctx context.Context, cfgs ...Config) error {
	normal := make([]Config, 0, len(cfgs))
	names := make(map[string]bool)
	for _, cfg := range cfgs {
		cfg, err := cfg.normal()
		if err != nil {
			return err
		}
		if names[cfg.Name] {
			return fmt.Errorf("%w: two pools are called %s", ErrConfig, cfg.Name)
		}
		names[cfg.Name] = true
		normal = append(normal, cfg)
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	s.mu.Lock()
	closed, old := s.closed, s.pools
	s.mu.Unlock()
	if closed {
		return ErrClosed
	}

	// The old pools serve until the new ones know their backends, and hold
	// on to the connections that the new ones inherit.
	pools := make(map[string]*Pool, len(normal))
	for _, cfg := range normal {
		pools[cfg.Name] = newPool(s, cfg, old[cfg.Name])
	}
	for _, p := range pools {
		p.awaitSource(ctx)
	}
	s.mu.Lock()
	s.pools = pools
	s.mu.Unlock()
	for name, p := range old {
		p.end(pools[name])
	}
	s.prune()
	s.startSweeping()
	return nil
}

// Close ends all pools. Idle connections close now, those in use when they are
// given back.
func (s *Set) Close() {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.mu.Lock()
	pools, stop := s.pools, s.stop
	s.closed, s.pools, s.stop = true, nil, nil
	s.mu.Unlock()
	for _, p := range pools {
		p.end(nil)
	}
	if stop != nil {
		close(stop)
		s.swept.Wait()
	}
	s.watch.close()
}

// serverFor gives the server for a member of p, and attaches the member.
func (s *Set) serverFor(cfg *Config, m *Member) *server {
	spec := m.Backend()
	key := serverKey{"pool " + cfg.Name, cfg.Transport, spec.Network, spec.Address}
	if cfg.Reuse.SharePools {
		key.scope = "profile " + cfg.Reuse.Profile
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sv := s.servers[key]
	if sv == nil {
		sc := s.scopes[key.scope]
		if sc == nil {
			sc = new(scope)
			s.scopes[key.scope] = sc
		}
		sv = &server{key: key, scope: sc, base: s.base}
		s.servers[key] = sv
	}
	sv.attach(m)
	return sv
}

// leave detaches a member; a server without members is given up.
func (s *Set) leave(m *Member) {
	s.mu.Lock()
	m.server.detach(m)
	last := m.server.refs == 0
	if last {
		delete(s.servers, m.server.key)
	}
	s.mu.Unlock()
	if last {
		m.server.retire()
	}
}

// prune forgets scopes without servers.
func (s *Set) prune() {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := make(map[string]bool)
	for key := range s.servers {
		used[key.scope] = true
	}
	maps.DeleteFunc(s.scopes, func(name string, _ *scope) bool { return !used[name] })
}

func (s *Set) startSweeping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return
	}
	stop := make(chan struct{})
	s.stop = stop
	s.swept.Go(func() { s.sweep(stop) })
}

func (s *Set) sweep(stop <-chan struct{}) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	var servers []*server
	for {
		select {
		case <-ticker.C:
		case <-stop:
			return
		}
		s.mu.Lock()
		servers = slices.AppendSeq(servers[:0], maps.Values(s.servers))
		s.mu.Unlock()
		for _, sv := range servers {
			sv.sweep()
		}
	}
}

// Remove ends one pool. It is for pools that a new configuration does not have,
// and that were kept for requests on their way to them.
func (s *Set) Remove(name string) {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.mu.Lock()
	p := s.pools[name]
	delete(s.pools, name)
	s.mu.Unlock()
	if p != nil {
		p.end(nil)
		s.prune()
	}
}
