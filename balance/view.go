package balance

import (
	"cmp"
	"slices"
	"time"
)

// weightUnit is what a weight of 1 counts inside, so that slow start has steps.
const weightUnit = 256

// view is what a Pool's members look like to requests. It never changes: when
// the members do, the Pool gets another one.
type view struct {
	members    []*Member // in service, of the best priority that has any
	weights    []int64   // theirs, above 0, with slow start
	sums       []int64   // of weights, up to each
	total      int64
	table      []uint16 // of Maglev: indexes of members
	byAffinity map[string]*Member
	byServer   map[*server]*Member
}

func (v *view) contains(m *Member) bool { return slices.Contains(v.members, m) }

// sticky gives the member an affinity leads to, if it is in service or draining.
func (v *view) sticky(affinity string) *Member {
	if m := v.byAffinity[affinity]; m != nil && m.State() <= Draining {
		return m
	}
	return nil
}

// refresh brings states, view and timers up to date after anything about
// members has changed; why goes into the Changes. The lock is held, and the
// caller passes the result to notify when it has released it.
func (p *Pool) refresh(why string) []Change {
	now := p.set.now()
	var changes []Change
	for _, m := range p.members {
		m.endEjection(now)
		from, to := m.State(), m.judge(now)
		if from != to {
			m.state.Store(uint32(to))
			m.why = why
			changes = append(changes, Change{p.cfg.Name, m.Name(), from, to, why})
		}
	}
	p.view.Store(p.newView(now))
	p.schedule(now)
	return changes
}

// notify tells the Observe function, and those who wait for a member.
func (p *Pool) notify(changes []Change) {
	if p.cfg.Observe != nil {
		for _, c := range changes {
			p.cfg.Observe(c)
		}
	}
	p.queue.wake()
}

// judge derives a member's state from what is known of it.
func (m *Member) judge(now time.Duration) State {
	serving := false
	state := Up
	switch {
	case m.checked == checkFailing:
		state = Down
	case m.ejectedUntil > now:
		state = Ejected
	case m.draining || m.spec.Load().Drain:
		state, serving = Draining, true
	default:
		serving = true
	}
	if before := m.State(); serving && (before == Down || before == Ejected) {
		m.warm, m.warmSince = true, now
	}
	if m.warm && (!serving || now-m.warmSince >= m.pool.cfg.SlowStart) {
		m.warm = false
	}
	if m.warm && state == Up {
		state = Warming
	}
	return state
}

// newView looks at the members, whose states are up to date.
func (p *Pool) newView(now time.Duration) *view {
	v := &view{
		byAffinity: make(map[string]*Member, len(p.members)),
		byServer:   make(map[*server]*Member, len(p.members)),
	}
	best := MaxPriority + 1
	for _, m := range p.members {
		v.byAffinity[m.affinity] = m
		v.byServer[m.server] = m
		if m.State() <= Warming {
			best = min(best, m.spec.Load().Priority)
		}
	}
	for _, m := range p.members {
		if spec := m.spec.Load(); m.State() <= Warming && spec.Priority == best {
			v.members = append(v.members, m)
		}
	}
	for _, m := range v.members {
		w := m.weight(now)
		v.total += w
		v.weights = append(v.weights, w)
		v.sums = append(v.sums, v.total)
	}
	if p.cfg.Policy == Maglev {
		v.table = p.tableFor(v.members)
	}
	return v
}

// tableFor builds the table of Maglev, unless the last one will do.
func (p *Pool) tableFor(members []*Member) []uint16 {
	var key []tableMember
	for _, m := range members {
		spec := m.spec.Load()
		key = append(key, tableMember{spec.Name, spec.Weight})
	}
	if p.table == nil || !slices.Equal(key, p.tableKey) {
		p.table, p.tableKey = maglevTable(members, p.cfg.TableSize), key
	}
	return p.table
}

// tableMember is what the table of Maglev knows of a member.
type tableMember struct {
	name   string
	weight int
}

// weight is a member's share at this moment: in slow start it grows with time,
// from a tenth.
func (m *Member) weight(now time.Duration) int64 {
	full := int64(m.spec.Load().Weight) * weightUnit
	if !m.warm {
		return full
	}
	share := 0.1 + 0.9*float64(now-m.warmSince)/float64(m.pool.cfg.SlowStart)
	return max(int64(float64(full)*min(share, 1)), 1)
}

// schedule sets the timer for the next change that time alone brings: the end of
// an ejection, or a step of slow start.
func (p *Pool) schedule(now time.Duration) {
	next := time.Duration(-1)
	sooner := func(d time.Duration) {
		if next < 0 || d < next {
			next = max(d, 0)
		}
	}
	for _, m := range p.members {
		if m.ejectedUntil > now {
			sooner(m.ejectedUntil - now)
		}
		if m.warm {
			step := max(p.cfg.SlowStart/20, 10*time.Millisecond)
			sooner(min(step, m.warmSince+p.cfg.SlowStart-now))
		}
	}
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if next >= 0 && p.ctx.Err() == nil {
		p.timer = time.AfterFunc(next, p.tick)
	}
}

func (p *Pool) tick() {
	p.mu.Lock()
	changes := p.refresh("time has passed")
	p.mu.Unlock()
	p.notify(changes)
}

// sortMembers orders members by name, so that equal pools are equal in every
// process.
func sortMembers(list []*Member) {
	slices.SortFunc(list, func(a, b *Member) int { return cmp.Compare(a.Name(), b.Name()) })
}
