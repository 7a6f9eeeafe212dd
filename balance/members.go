package balance

import "context"

// newPool makes a pool that takes the place of old, if that is not nil, and
// asks its source.
func newPool(s *Set, cfg Config, old *Pool) *Pool {
	p := &Pool{cfg: cfg, set: s, choose: newChooser(&cfg), budget: newBudget(cfg.Retries), first: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.queue = &queue{pool: p}
	if old != nil {
		p.queue = old.queue
		p.previous = make(map[string]*Member)
		for _, m := range old.Members() {
			p.previous[m.Name()] = m
		}
	}
	p.view.Store(p.newView(s.now()))
	p.work.Go(func() { cfg.Source.Run(p.ctx, p.update) })
	return p
}

// awaitSource waits for the first answer of the source. Without one, or with an
// error, the backends of the pool before serve on.
func (p *Pool) awaitSource(ctx context.Context) {
	select {
	case <-p.first:
	case <-ctx.Done():
	}
	p.mu.Lock()
	var changes []Change
	if !p.listed {
		list := make([]Backend, 0, len(p.previous))
		for _, m := range p.previous {
			list = append(list, m.Backend())
		}
		p.merge(list)
		changes = p.refresh("listed before")
	}
	p.mu.Unlock()
	p.notify(changes)
}

// end stops the pool's goroutines and gives up its servers. successor has them
// too, as far as it needs them, and gets the queue.
func (p *Pool) end(successor *Pool) {
	p.queue.hand(successor)
	p.cancel()
	p.work.Wait()
	p.mu.Lock()
	p.ended = true
	members := p.members
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, m := range members {
		p.set.leave(m)
	}
	p.queue.wake()
}

// merge makes the members those of list, and gives those that are new and those
// that are gone. The lock is held.
func (p *Pool) merge(list []Backend) (come, gone []*Member) {
	old := make(map[string]*Member, len(p.members))
	for _, m := range p.members {
		old[m.Name()] = m
	}
	members := make([]*Member, 0, len(list))
	for _, b := range list {
		m := old[b.Name]
		if m != nil && m.leadsTo(b) {
			m.spec.Store(&b)
			delete(old, b.Name)
		} else {
			m = p.newMember(b)
			come = append(come, m)
		}
		members = append(members, m)
	}
	for _, m := range old {
		gone = append(gone, m)
	}
	sortMembers(members)
	sortMembers(come)
	sortMembers(gone)
	// Views and snapshots may hold the old slice.
	p.members = members
	return come, gone
}

// newMember makes a member and starts its checks; the lock is held.
func (p *Pool) newMember(b Backend) *Member {
	m := &Member{pool: p, affinity: affinityOf(p.cfg.Name, b.Name), load: new(load)}
	m.spec.Store(&b)
	m.server = p.set.serverFor(&p.cfg, m)
	if before := p.previous[b.Name]; before != nil && before.leadsTo(b) {
		m.inherit(before)
	} else if p.listed && p.cfg.SlowStart > 0 {
		// It was added to a pool at work: slow start.
		m.warm, m.warmSince = true, p.set.now()
		m.state.Store(uint32(Warming))
	}
	p.startCheck(m)
	return m
}

// leadsTo says whether m and b are the same server.
func (m *Member) leadsTo(b Backend) bool {
	spec := m.spec.Load()
	return spec.Network == b.Network && spec.Address == b.Address
}

// inherit takes over what is known of a member of the pool before a reload.
func (m *Member) inherit(before *Member) {
	before.pool.mu.Lock()
	defer before.pool.mu.Unlock()
	m.load = before.load
	m.state.Store(before.state.Load())
	m.failures.Store(before.failures.Load())
	m.ejectedUntil, m.ejections = before.ejectedUntil, before.ejections
	m.warm, m.warmSince = before.warm, before.warmSince
	m.draining, m.why = before.draining, before.why
	if m.pool.cfg.Check != nil {
		m.checked, m.streak = before.checked, before.streak
	}
}
