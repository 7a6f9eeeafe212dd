package balance

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Config.
const (
	DefaultConnectTimeout = 5 * time.Second
	DefaultConnectRetries = 2
	DefaultQueueTimeout   = 10 * time.Second
)

// Config sets up a Pool. Name, Source and Dial are needed.
type Config struct {
	// Name is unique in a Set.
	Name string
	// Source reports the backends.
	Source Source
	// Dial opens a connection to a backend, whose Network and Address it is
	// given.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Prepare, if set, readies a connection that was just opened, by a TLS
	// handshake or a PROXY header, within ConnectTimeout. It may wrap the
	// connection; when it fails the caller closes it. client is nil for
	// health checks.
	Prepare func(ctx context.Context, conn net.Conn, b Backend, client *Client) (net.Conn, error)
	// Transport names what Dial and Prepare do: connections to one address
	// that were opened under equal names are alike. It matters for
	// Reuse.SharePools, and after a reload.
	Transport string
	// Private keeps connections to the client for whom they were opened,
	// whatever Reuse.Mode says. It is for connections whose PROXY header has
	// told the server who the client is.
	Private bool

	Policy Policy
	// TableSize is for Maglev: a prime. 0: DefaultTableSize.
	TableSize int
	// SlowStart is over which time the share of a backend grows that came
	// back or was added.
	SlowStart time.Duration

	// MaxConnections limits the connections to each backend; see
	// Reuse.LimitType. 0: no limit.
	MaxConnections int
	// MaxPending limits how many requests may wait for room. 0: none waits.
	MaxPending int
	// QueueTimeout is how long one waits. 0: DefaultQueueTimeout.
	QueueTimeout time.Duration
	// ConnectTimeout is how long opening a connection may take. 0:
	// DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// ConnectRetries is to how many other backends Get turns when one cannot
	// be reached. 0: DefaultConnectRetries; less: none.
	ConnectRetries int

	Reuse    Reuse
	Check    *Check // nil: no active checks
	Ejection Ejection
	Retries  RetryBudget

	// Seed is for PowerOfTwo and for spreading checks over time.
	Seed uint64
	// Observe, if set, is told of changes of state, by any goroutine.
	Observe func(Change)
	// Listed, if set, is told when Source has another list, begins to fail or
	// no longer does, by any goroutine.
	Listed func(Listing)
}

// normal checks cfg and fills in the defaults.
func (cfg Config) normal() (Config, error) {
	bad := func(format string, args ...any) (Config, error) {
		return cfg, fmt.Errorf("%w: pool %s: %s", ErrConfig, cfg.Name, fmt.Sprintf(format, args...))
	}
	if cfg.TableSize == 0 {
		cfg.TableSize = DefaultTableSize
	}
	switch {
	case cfg.Name == "":
		return bad("no name")
	case cfg.Source == nil:
		return bad("no source of backends")
	case cfg.Dial == nil:
		return bad("no dial function")
	case int(cfg.Policy) >= len(policyNames):
		return bad("%v", cfg.Policy)
	case !big.NewInt(int64(cfg.TableSize)).ProbablyPrime(0) || cfg.TableSize < 3 || cfg.TableSize > 1<<24:
		// ProbablyPrime is exact for numbers as small as these.
		return bad("the table size %d is not a prime of 3 to %d", cfg.TableSize, 1<<24)
	case cfg.SlowStart < 0 || cfg.QueueTimeout < 0 || cfg.ConnectTimeout < 0:
		return bad("negative time")
	case cfg.MaxConnections < 0 || cfg.MaxPending < 0:
		return bad("negative limit")
	}
	if cfg.QueueTimeout == 0 {
		cfg.QueueTimeout = DefaultQueueTimeout
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = DefaultConnectTimeout
	}
	if cfg.ConnectRetries == 0 {
		cfg.ConnectRetries = DefaultConnectRetries
	}
	var err error
	if cfg.Reuse, err = cfg.Reuse.normal(); err != nil {
		return bad("%v", err)
	}
	if cfg.Ejection, err = cfg.Ejection.normal(); err != nil {
		return bad("%v", err)
	}
	if cfg.Retries, err = cfg.Retries.normal(); err != nil {
		return bad("%v", err)
	}
	if cfg.Check != nil {
		check, err := cfg.Check.normal()
		if err != nil {
			return bad("%v", err)
		}
		cfg.Check = &check
	}
	return cfg, nil
}

// Request says for whom and for what a connection is wanted.
type Request struct {
	// Client is whose request it is. It is needed.
	Client *Client
	// Name is what the connection is opened for, besides the backend: the
	// name of a site in TLS, say. Only requests with equal ones share
	// connections.
	Name string
	// Hash is for Maglev; see HashKey.
	Hash uint64
	// Affinity is the word of the member that should serve the request,
	// Member.Affinity, from a cookie say. One that is down or unknown does
	// not count.
	Affinity string
	// Avoid is the member at which the request has failed already. It is
	// taken only when no other has room.
	Avoid *Member
	// Fresh refuses connections that served another request before.
	Fresh bool
	// Again says that Get was called for this request before.
	Again bool
	// Idempotent says that the request may be sent again when the connection
	// turns out to be dead. For one that may not, a reused connection is
	// looked at more carefully.
	Idempotent bool
}

// Pool is a set of backends that serve the same thing. Its methods may be
// called from any goroutine.
type Pool struct {
	cfg    Config
	set    *Set
	choose chooser
	queue  *queue
	budget *budget
	view   atomic.Pointer[view]

	ctx    context.Context // ends with the pool
	cancel context.CancelFunc
	work   sync.WaitGroup // source and checks
	first  chan struct{}  // closed when the source has answered

	mu       sync.Mutex
	answered bool   // first is closed
	listed   bool   // there has been a list
	failing  string // why the source has no list; "": it has one
	ended    bool
	members  []*Member          // in order of their names
	previous map[string]*Member // of the pool this one replaces, until there is a list
	timer    *time.Timer
	table    []uint16 // see tableFor
	tableKey []tableMember
}

// Name gives the pool's name.
func (p *Pool) Name() string { return p.cfg.Name }

// Members gives the members, in order of their names.
func (p *Pool) Members() []*Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.members)
}

// Ready says whether any member is in service.
func (p *Pool) Ready() bool { return len(p.view.Load().members) > 0 }

// Get gives a connection for a request, idle or new. It waits for room while
// ctx lasts and Config.QueueTimeout; ctx does not concern the connection once
// it is there. Errors are ErrNoBackend, ErrQueueFull, ErrQueueTimeout,
// ErrClosed, a *DialError, or that of ctx.
func (p *Pool) Get(ctx context.Context, r Request) (*Conn, error) {
	first := false
	if !r.Again {
		first = r.Client.begin()
		p.budget.deposit()
	}
	if !r.Fresh {
		if c := p.bound(r); c != nil {
			return c, nil
		}
	}
	for try := 0; ; {
		m, err := p.acquire(ctx, r)
		if err != nil {
			return nil, err
		}
		c, err := p.open(ctx, m, r, first)
		if err == nil {
			m.load.requests.Add(1)
			return c, nil
		}
		m.release()
		if errors.Is(err, errNoRoom) {
			continue
		}
		if try++; ctx.Err() != nil || try > p.cfg.ConnectRetries {
			return nil, err
		}
		r.Avoid = m
	}
}

// AllowRetry asks the budget whether a request that failed may go again; see
// RetryBudget. It need not be asked for one that was not sent, or went over a
// reused connection that turned out to be dead: neither adds load to a server
// in trouble.
func (p *Pool) AllowRetry() bool { return p.budget.withdraw() }

// bound gives the idle connection that the client's requests have to use, if
// there is one. It is open already, so no limit can be in its way.
func (p *Pool) bound(r Request) *Conn {
	for {
		t, m := r.Client.takeBound(p)
		if t.conn == nil {
			return nil
		}
		if t.conn.server.check(t, !r.Idempotent) {
			m.load.active.Add(1)
			m.load.requests.Add(1)
			return t.conn.lend(m)
		}
	}
}

// acquire finds a member with room, waiting for one if need be.
func (p *Pool) acquire(ctx context.Context, r Request) (*Member, error) {
	// Nobody overtakes those who wait.
	if p.queue.waiting.Load() == 0 {
		if m := p.tryAcquire(r); m != nil {
			return m, nil
		}
	}
	if err := p.unserviceable(r); err != nil {
		return nil, err
	}
	return p.queue.wait(ctx, p, r)
}

// tryAcquire finds a member with room.
func (p *Pool) tryAcquire(r Request) *Member {
	v := p.view.Load()
	if r.Affinity != "" {
		if m := v.sticky(r.Affinity); m != nil && m != r.Avoid {
			if m.admit(r) {
				return m
			}
			return nil // the client's state is there, so it waits
		}
	}
	return p.choose.choose(v, r)
}

// unserviceable says why waiting is of no use.
func (p *Pool) unserviceable(r Request) error {
	if p.ctx.Err() != nil {
		return ErrClosed
	}
	v := p.view.Load()
	if len(v.members) == 0 && v.sticky(r.Affinity) == nil {
		return ErrNoBackend
	}
	return nil
}

// open gives an idle connection to m, or opens one. The caller has a slot of m.
func (p *Pool) open(ctx context.Context, m *Member, r Request, first bool) (*Conn, error) {
	if !r.Fresh {
		if c := p.reuse(m, r, first); c != nil {
			return c, nil
		}
	}
	victim, ok := m.server.reserve(m.limit(), p.cfg.Reuse.LimitType)
	if !ok {
		return nil, errNoRoom
	}
	if victim != nil {
		victim.close(ClosedForRoom)
	}
	c, err := p.dial(ctx, m, r)
	if err != nil {
		m.server.unreserve()
		if ctx.Err() == nil {
			m.noteFailure(err)
			m.report(false)
		}
		return nil, &DialError{m.Name(), err}
	}
	return c.lend(m), nil
}

// reuse gives an idle connection to m that r may use.
func (p *Pool) reuse(m *Member, r Request, first bool) *Conn {
	mode := p.cfg.Reuse.Mode
	private := p.private()
	if !private && first && mode == ReuseSafe {
		return nil
	}
	who := p.cfg.Reuse.sharersOf(r)
	for {
		t := taken{}
		if private {
			t = r.Client.takeOwn(m.server, r.Name)
		} else {
			t = m.server.take(who, first && mode == ReuseAggressive)
		}
		if t.conn == nil {
			return nil
		}
		if m.server.check(t, !r.Idempotent) {
			return t.conn.lend(m)
		}
	}
}

// private says whether connections belong to clients.
func (p *Pool) private() bool { return p.cfg.Private || p.cfg.Reuse.Mode == ReuseNever }

// dial opens a connection for which there is a reservation.
func (p *Pool) dial(ctx context.Context, m *Member, r Request) (*Conn, error) {
	nc, err := p.connect(ctx, m, r.Client)
	if err != nil {
		return nil, err
	}
	m.server.opened()
	var owner *Client
	if p.private() {
		owner = r.Client
	}
	c := newConn(nc, m.server, &p.set.watch, owner, p.cfg.Reuse.sharersOf(r))
	if owner != nil && !owner.adopt(c, false) {
		c.lastUse = true
	}
	return c, nil
}

// connect dials and prepares.
func (p *Pool) connect(ctx context.Context, m *Member, client *Client) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.ConnectTimeout)
	defer cancel()
	spec := m.spec.Load()
	nc, err := p.cfg.Dial(ctx, spec.Network, spec.Address)
	if err != nil || p.cfg.Prepare == nil {
		return nc, err
	}
	prepared, err := p.cfg.Prepare(ctx, nc, *spec, client)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return prepared, nil
}

// SetDrain takes a member out of service for new clients, or back into it.
// false: there is none of that name.
func (p *Pool) SetDrain(backend string, drain bool) bool {
	p.mu.Lock()
	i := slices.IndexFunc(p.members, func(m *Member) bool { return m.Name() == backend })
	var changes []Change
	if i >= 0 {
		p.members[i].draining = drain
		changes = p.refresh("by command")
	}
	p.mu.Unlock()
	p.notify(changes)
	return i >= 0
}
