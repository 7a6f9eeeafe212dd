package balance

import (
	"fmt"
	"time"
)

// CloseReason is why a connection to a server was closed.
type CloseReason uint8

// Reasons for closing.
const (
	ClosedByUser   CloseReason = iota // given back with Discard
	ClosedByServer                    // by the server, while nobody used it
	ClosedIdle                        // idle for too long
	ClosedAge                         // Reuse.MaxAge
	ClosedReused                      // Reuse.MaxReuse, or the server's own limit
	ClosedFull                        // Reuse.MaxSize
	ClosedForRoom                     // LimitIdle
	ClosedByClient                    // it belonged to a client that has gone
	ClosedRetired                     // its backend was removed
	closeReasons
)

var closeReasonNames = [closeReasons]string{"user", "server", "idle", "max_age", "max_reuse", "max_size",
	"limit", "client", "retired"}

// String is the reason's word in metrics.
func (r CloseReason) String() string { return nameOf(closeReasonNames[:], "reason", uint8(r)) }

// ConnCounts counts connections to servers. InUse and Idle are of the moment,
// the others since the beginning.
type ConnCounts struct {
	InUse  int // lent, with those being opened
	Idle   int
	Opened uint64 // connections that were established
	Reused uint64 // requests that got a connection from before
	Closed [closeReasons]uint64
}

// ReuseRatio is the share of requests that needed no new connection, 0 to 1.
func (c ConnCounts) ReuseRatio() float64 {
	if c.Opened+c.Reused == 0 {
		return 0
	}
	return float64(c.Reused) / float64(c.Opened+c.Reused)
}

func (c ConnCounts) add(d ConnCounts) ConnCounts {
	c.InUse += d.InUse
	c.Idle += d.Idle
	c.Opened += d.Opened
	c.Reused += d.Reused
	for i := range c.Closed {
		c.Closed[i] += d.Closed[i]
	}
	return c
}

// MemberStats is what a member does.
type MemberStats struct {
	Name     string
	Address  string
	Affinity string
	State    State
	Why      string // it is in that state; "" if it never was in another one
	Weight   int    // as configured
	Priority int
	Active   int // requests in flight
	Requests uint64
	Failures uint64 // requests reported as failed, with connections that could not be opened
	// LastError is what went wrong the last time with a connection, a check
	// or a request, and LastFailure when.
	LastError   string
	LastFailure time.Time
	// Conns counts the connections to the address. Pools that share
	// connections report the same ones.
	Conns ConnCounts
}

// PoolStats is what a pool does.
type PoolStats struct {
	Name      string
	Members   []MemberStats
	Pending   int // requests that wait for room
	QueueFull uint64
	TimedOut  uint64 // in the queue
	Retries   uint64 // allowed by the budget
	Refused   uint64 // retries refused by it
	Conns     ConnCounts
}

// Stats gives a snapshot; members are in order of their names.
func (p *Pool) Stats() PoolStats {
	s := PoolStats{
		Name:      p.cfg.Name,
		Pending:   int(p.queue.waiting.Load()),
		QueueFull: p.queue.refused.Load(),
		TimedOut:  p.queue.timedOut.Load(),
		Retries:   p.budget.allowed.Load(),
		Refused:   p.budget.refused.Load(),
	}
	seen := make(map[*server]bool)
	for _, m := range p.Members() {
		ms := m.stats()
		s.Members = append(s.Members, ms)
		if !seen[m.server] {
			seen[m.server] = true
			s.Conns = s.Conns.add(ms.Conns)
		}
	}
	return s
}

func (m *Member) stats() MemberStats {
	spec := m.spec.Load()
	last := m.load.last.Load()
	if last == nil {
		last = new(failure)
	}
	m.pool.mu.Lock()
	why := m.why
	m.pool.mu.Unlock()
	return MemberStats{
		Name: spec.Name, Address: spec.Address, Affinity: m.affinity, State: m.State(), Why: why,
		Weight: spec.Weight, Priority: spec.Priority,
		Active: m.Active(), Requests: m.load.requests.Load(), Failures: m.load.failed.Load(),
		LastError: last.err, LastFailure: last.at,
		Conns: m.server.connCounts(),
	}
}

func (s *server) connCounts() ConnCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Idle = s.idle
	c.InUse = s.open - s.idle
	return c
}

// Change tells that a member has changed its state.
type Change struct {
	Pool, Backend string
	From, To      State
	Why           string
}

// String says it in a line for logs.
func (c Change) String() string {
	return fmt.Sprintf("pool %s: %s was %v, is %v: %s", c.Pool, c.Backend, c.From, c.To, c.Why)
}
