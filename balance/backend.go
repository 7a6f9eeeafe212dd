package balance

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// Limits of what a Source may say of a backend.
const (
	MaxWeight   = 65535 // as in SRV records, RFC 2782
	MaxPriority = 65535
)

// Backend describes a server, as a Source reports it.
type Backend struct {
	// Name is unique in a pool; empty: Address, behind "NETWORK@" if Network
	// is not "tcp". Maglev and affinity go by it, so it should outlive a
	// change of address.
	Name string
	// Network is what Config.Dial is given; empty: "tcp". With "unix" the
	// Address is a path.
	Network string
	// Address is "host:port".
	Address string
	// Weight is the share of requests in comparison with other backends;
	// 0 counts as 1.
	Weight int
	// Priority is the group a backend belongs to. Those of the lowest number
	// that has any backend in service take all requests, the others stand by.
	Priority int
	// MaxConnections replaces the Config's, if not 0.
	MaxConnections int
	// Drain takes no more requests, except those with an affinity to it.
	Drain bool
}

// normal fills in what Backend leaves open.
func (b Backend) normal() (Backend, error) {
	if b.Network == "" {
		b.Network = "tcp"
	}
	if _, _, err := net.SplitHostPort(b.Address); err != nil && b.Network != "unix" || b.Address == "" {
		return b, fmt.Errorf("%w: backend address %q: %v", ErrConfig, b.Address, err)
	}
	if b.Name == "" {
		b.Name = b.Address
		if b.Network != "tcp" {
			b.Name = b.Network + "@" + b.Address
		}
	}
	if b.Weight == 0 {
		b.Weight = 1
	}
	if b.Weight < 0 || b.Weight > MaxWeight {
		return b, fmt.Errorf("%w: backend %s: weight %d is not in 0 to %d", ErrConfig, b.Name, b.Weight, MaxWeight)
	}
	if b.Priority < 0 || b.Priority > MaxPriority {
		return b, fmt.Errorf("%w: backend %s: priority %d is not in 0 to %d", ErrConfig, b.Name, b.Priority, MaxPriority)
	}
	if b.MaxConnections < 0 {
		return b, fmt.Errorf("%w: backend %s: %d connections", ErrConfig, b.Name, b.MaxConnections)
	}
	return b, nil
}

// normalList is normal for a whole list; names have to be unique.
func normalList(list []Backend) ([]Backend, error) {
	seen := make(map[string]bool, len(list))
	normal := make([]Backend, 0, len(list))
	for _, b := range list {
		b, err := b.normal()
		if err != nil {
			return nil, err
		}
		if seen[b.Name] {
			return nil, fmt.Errorf("%w: two backends are called %s", ErrConfig, b.Name)
		}
		seen[b.Name] = true
		normal = append(normal, b)
	}
	return normal, nil
}

// State is whether a backend gets requests.
type State uint8

// States of backends.
const (
	// Up gets its full share of requests.
	Up State = iota
	// Warming has come back and gets a share that grows: slow start.
	Warming
	// Draining gets only requests with an affinity to it.
	Draining
	// Ejected failed requests and is left alone for a while.
	Ejected
	// Down fails its checks.
	Down
)

var stateNames = [...]string{"up", "warming", "draining", "ejected", "down"}

// String is the state's word in logs and metrics.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Member is a backend in a Pool. Its methods may be called from any goroutine.
type Member struct {
	pool     *Pool
	affinity string
	server   *server
	load     *load
	spec     atomic.Pointer[Backend]
	state    atomic.Uint32 // State

	// Passive health; see eject.go.
	failures atomic.Int32 // in a row

	// Guarded by the pool's lock.
	checked      checkState
	streak       int // checks in a row that contradict checked
	ejectedUntil time.Duration
	ejections    int
	warmSince    time.Duration
	warm         bool   // warmSince counts
	draining     bool   // by Drain
	why          string // it is in its state
	stopCheck    func()

	// Guarded by the lock of roundRobin.
	current int64
}

// load is what a member and the one it replaces after a reload have in common.
type load struct {
	active   atomic.Int64 // requests in flight
	requests atomic.Uint64
	failed   atomic.Uint64
	last     atomic.Pointer[failure]
}

// failure is what went wrong with a member, and when.
type failure struct {
	err string
	at  time.Time
}

// noteFailure keeps err for those who look at the member's Stats.
func (m *Member) noteFailure(err error) {
	m.load.last.Store(&failure{err.Error(), time.Now()})
}

// Backend gives the description it has now, with the defaults filled in.
func (m *Member) Backend() Backend { return *m.spec.Load() }

// Name gives the backend's name.
func (m *Member) Name() string { return m.spec.Load().Name }

// Address gives the backend's address, "host:port" as a rule.
func (m *Member) Address() string { return m.spec.Load().Address }

// State says whether the backend gets requests.
func (m *Member) State() State { return State(m.state.Load()) }

// Active counts the requests in flight.
func (m *Member) Active() int { return int(m.load.active.Load()) }

// Affinity gives a short word for a cookie that brings the same client back to
// this backend; see Request.Affinity. It depends on the names of pool and
// backend alone, so proxies side by side agree on it, and it does not tell
// them.
func (m *Member) Affinity() string { return m.affinity }

func affinityOf(pool, backend string) string {
	sum := sha256.Sum256([]byte(pool + "\x00" + backend))
	return hex.EncodeToString(sum[:8])
}

// limit is how many connections the backend may have; 0: any number.
func (m *Member) limit() int64 {
	if n := m.spec.Load().MaxConnections; n > 0 {
		return int64(n)
	}
	return int64(m.pool.cfg.MaxConnections)
}

// admit takes a slot for one request, if there is room.
func (m *Member) admit(r Request) bool {
	limit := m.limit()
	for {
		// Not add and take back: a slot that is released in between would
		// look taken to those who wait for it.
		n := m.load.active.Load()
		if limit > 0 && n >= limit {
			return false
		}
		if m.load.active.CompareAndSwap(n, n+1) {
			break
		}
	}
	if limit > 0 && m.pool.cfg.Reuse.LimitType == LimitStrict &&
		!m.server.couldServe(m.pool.cfg.Reuse.sharersOf(r), limit) {
		m.load.active.Add(-1)
		return false
	}
	return true
}

// release gives the slot back and wakes who waits for one.
func (m *Member) release() {
	m.load.active.Add(-1)
	m.pool.queue.wake()
}
