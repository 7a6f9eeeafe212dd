package balance

import (
	"fmt"
	"net/netip"
	"time"
)

// Defaults of Reuse, those of F5's OneConnect.
const (
	DefaultMaxSize     = 10000
	DefaultMaxAge      = 24 * time.Hour
	DefaultMaxReuse    = 1000
	DefaultIdleTimeout = 5 * time.Minute
)

// Indefinite as Reuse.IdleTimeoutOverride lets connections be idle for as long
// as the server likes.
const Indefinite = time.Duration(-1)

// Unlimited as Reuse.MaxAge or Reuse.MaxReuse takes the limit away.
const Unlimited = -1

// Reuse says which requests may share a connection to a server, and for how
// long. The knobs are those of F5's OneConnect profile under their names, and
// Mode is HAProxy's http-reuse. The zero Reuse has the defaults.
type Reuse struct {
	// Mode says which requests may use a connection that others have used.
	Mode ReuseMode
	// SourceMask and SourceMask6 are prefix lengths for IPv4 and IPv6: only
	// clients whose addresses agree in so many leading bits share
	// connections. 0: all do; 32 and 128: each client keeps its own. The
	// mask is applied to the client's own address, before any translation.
	//
	// Deviation: F5 applies it after source address translation, where
	// clients behind one translated address share whatever the mask.
	SourceMask, SourceMask6 int
	// MaxSize is how many idle connections are kept, of all backends
	// together. When there are as many, one that is given back is closed.
	// 0: DefaultMaxSize; less: none is kept.
	MaxSize int
	// MaxAge is how old a connection may be to be used again. 0:
	// DefaultMaxAge; Unlimited.
	MaxAge time.Duration
	// MaxReuse is how many requests may follow a connection's first. 0:
	// DefaultMaxReuse; Unlimited.
	MaxReuse int
	// IdleTimeout is how long an idle connection is kept; in F5's terms the
	// one of the TCP profile. 0: DefaultIdleTimeout. The server's own limit,
	// as far as it is known, shortens it.
	IdleTimeout time.Duration
	// IdleTimeoutOverride replaces IdleTimeout, if not 0; Indefinite takes
	// it away. The server's own limit counts all the same.
	IdleTimeoutOverride time.Duration
	// LimitType says what idle connections count for in MaxConnections.
	LimitType LimitType
	// SharePools lets pools of the same Profile and Config.Transport share
	// their connections to the same address, and MaxSize with them.
	SharePools bool
	// Profile names this Reuse. Pools that share have equal ones.
	Profile string
}

// ReuseMode says which requests may use a connection that has served another
// client, with the meaning of HAProxy's http-reuse. A request that is sent over
// a connection just as the server closes it is lost, and unless it is
// idempotent only the client may send it again. Clients expect that of a
// connection they have used before, but not of a new one; hence the difference
// made for the first request of a client's connection.
type ReuseMode uint8

// Modes of reuse.
const (
	// ReuseSafe gives the first request of a client's connection a
	// connection of its own, and lets the following ones share.
	ReuseSafe ReuseMode = iota
	// ReuseNever keeps connections to the client for whom they were opened,
	// and closes them with the client's.
	ReuseNever
	// ReuseAggressive is ReuseSafe, but first requests may use connections
	// that have been reused before, which shows that the server keeps them.
	ReuseAggressive
	// ReuseAlways shares with every request.
	ReuseAlways
)

var reuseModeNames = [...]string{"safe", "never", "aggressive", "always"}

// String is HAProxy's word for the mode.
func (m ReuseMode) String() string { return nameOf(reuseModeNames[:], "reuse mode", uint8(m)) }

// LimitType says what counts towards the limit of a backend's connections when
// connections are reused, with F5's meaning of limit_type.
type LimitType uint8

// Types of limits.
const (
	// LimitNone counts requests in flight; idle connections come on top.
	LimitNone LimitType = iota
	// LimitIdle counts idle connections too, and closes the one that has
	// been idle longest to make room for a new one. The server may see one
	// more for the moment in which the old one closes.
	LimitIdle
	// LimitStrict counts idle connections too and never exceeds the limit: a
	// request that may not share the idle ones waits until one of them
	// expires.
	LimitStrict
)

var limitTypeNames = [...]string{"none", "idle", "strict"}

// String is F5's word for the type.
func (l LimitType) String() string { return nameOf(limitTypeNames[:], "limit type", uint8(l)) }

func nameOf(names []string, kind string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s %d", kind, i)
}

// normal fills in the defaults.
func (r Reuse) normal() (Reuse, error) {
	switch {
	case r.SourceMask < 0 || r.SourceMask > 32:
		return r, fmt.Errorf("%w: source mask %d is not in 0 to 32", ErrConfig, r.SourceMask)
	case r.SourceMask6 < 0 || r.SourceMask6 > 128:
		return r, fmt.Errorf("%w: source mask %d for IPv6 is not in 0 to 128", ErrConfig, r.SourceMask6)
	case int(r.Mode) >= len(reuseModeNames):
		return r, fmt.Errorf("%w: %v", ErrConfig, r.Mode)
	case int(r.LimitType) >= len(limitTypeNames):
		return r, fmt.Errorf("%w: %v", ErrConfig, r.LimitType)
	case r.IdleTimeout < 0:
		return r, fmt.Errorf("%w: idle timeout %v", ErrConfig, r.IdleTimeout)
	}
	if r.MaxSize == 0 {
		r.MaxSize = DefaultMaxSize
	}
	if r.MaxAge == 0 {
		r.MaxAge = DefaultMaxAge
	}
	if r.MaxReuse == 0 {
		r.MaxReuse = DefaultMaxReuse
	}
	if r.IdleTimeout == 0 {
		r.IdleTimeout = DefaultIdleTimeout
	}
	return r, nil
}

// idle is how long a connection may be idle as far as this configuration goes;
// negative: indefinitely.
func (r *Reuse) idle() time.Duration {
	if r.IdleTimeoutOverride != 0 {
		return r.IdleTimeoutOverride
	}
	return r.IdleTimeout
}

// groupOf gives the clients with whom c shares connections: the network of the
// source mask, or the zero Addr for everybody.
func (r *Reuse) groupOf(c *Client) netip.Addr {
	bits := r.SourceMask
	if c.addr.Is6() {
		bits = r.SourceMask6
	}
	if bits == 0 || !c.addr.IsValid() {
		return netip.Addr{}
	}
	prefix, err := c.addr.Prefix(bits)
	if err != nil { // the lengths were checked
		panic("BUG: " + err.Error())
	}
	return prefix.Addr()
}

// sharersOf gives the requests with which r shares connections.
func (r *Reuse) sharersOf(request Request) sharers {
	return sharers{r.groupOf(request.Client), request.Name}
}
