package balance

import (
	"fmt"
	"time"
)

// Ejection takes backends out of service that fail requests: passive health.
// The zero Ejection takes out none.
type Ejection struct {
	// Failures is how many requests in a row have to fail; see Conn.Report.
	// Connections that cannot be opened count. 0: no ejection.
	Failures int
	// Time is for how long a backend stays out at first; it doubles with
	// each time that follows soon. 0: 30 s.
	Time time.Duration
	// MaxTime bounds the doubling. 0: 5 min. A backend that has served for
	// that long begins at Time again.
	MaxTime time.Duration
	// MaxShare is which part of the pool may be out at once. 0: 0.5. The
	// last backend in service is never ejected.
	MaxShare float64
}

func (e Ejection) normal() (Ejection, error) {
	switch {
	case e.Failures < 0:
		return e, fmt.Errorf("%w: ejection after %d failures", ErrConfig, e.Failures)
	case e.Time < 0 || e.MaxTime < 0:
		return e, fmt.Errorf("%w: ejection for a negative time", ErrConfig)
	case e.MaxShare < 0 || e.MaxShare > 1:
		return e, fmt.Errorf("%w: ejection of a share of %v", ErrConfig, e.MaxShare)
	}
	if e.Time == 0 {
		e.Time = 30 * time.Second
	}
	if e.MaxTime == 0 {
		e.MaxTime = max(5*time.Minute, e.Time)
	}
	if e.MaxShare == 0 {
		e.MaxShare = 0.5
	}
	return e, nil
}

// report takes note of how a request went.
func (m *Member) report(ok bool) {
	if ok {
		// Reading alone leaves the cache line shared.
		if m.failures.Load() != 0 {
			m.failures.Store(0)
		}
		return
	}
	m.load.failed.Add(1)
	n := m.failures.Add(1)
	if limit := m.pool.cfg.Ejection.Failures; limit > 0 && int(n) >= limit {
		m.pool.eject(m, n)
	}
}

// eject takes m out of service, as far as that may be.
func (p *Pool) eject(m *Member, failures int32) {
	p.mu.Lock()
	var changes []Change
	if now := p.set.now(); m.State() <= Warming && p.mayEject(m) {
		e := p.cfg.Ejection
		if m.ejections > 0 && now-m.ejectedUntil > e.MaxTime {
			m.ejections = 0
		}
		span := e.Time
		for i := 0; i < m.ejections && span < e.MaxTime; i++ {
			span *= 2
		}
		m.ejections++
		m.ejectedUntil = now + min(span, e.MaxTime)
		changes = p.refresh(fmt.Sprintf("%d failures in a row", failures))
	}
	p.mu.Unlock()
	p.notify(changes)
}

// mayEject says whether one more member may be ejected; the lock is held.
func (p *Pool) mayEject(m *Member) bool {
	out, others := 1, 0
	for _, other := range p.members {
		switch state := other.State(); {
		case other == m:
		case state == Ejected:
			out++
		case state <= Warming:
			others++
		}
	}
	return others > 0 && float64(out) <= p.cfg.Ejection.MaxShare*float64(len(p.members))
}

// endEjection gives a member whose time is over a new chance.
func (m *Member) endEjection(now time.Duration) {
	if m.State() == Ejected && m.ejectedUntil <= now {
		m.failures.Store(0)
	}
}
