package balance

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// probeAfter is for how long a connection has to have been idle to be looked at
// before use. Under load connections rest for less, and the system call would
// cost more than it finds; under little load its cost does not matter.
const probeAfter = time.Millisecond

// serverKey tells servers apart. Connections to one server are alike, whoever
// opened them.
type serverKey struct {
	scope     string // the pool, or the profile that pools share
	transport string
	network   string
	address   string
}

// scope is the extent of Reuse.MaxSize: a pool, or all that share a profile.
type scope struct {
	idle atomic.Int64
}

// group is who may use an idle connection. Those that have been reused are
// apart, for ReuseAggressive.
type group struct {
	sharers
	proven bool
}

// sharers are requests that share connections.
type sharers struct {
	clients netip.Addr // see Reuse.groupOf
	name    string     // Request.Name
}

// everybody says that there are no others.
func (s sharers) everybody() bool { return !s.clients.IsValid() && s.name == "" }

// server is an address with the connections to it. Several members may lead to
// one: those of pools that share, and those before and after a reload.
type server struct {
	key   serverKey
	scope *scope
	base  time.Time // what times are counted from
	refs  int       // members; guarded by the Set's lock

	// members are woken when a connection closes.
	members atomic.Pointer[[]*Member]

	mu      sync.Mutex
	retired bool // no member is left
	open    int  // connections, with those being opened
	// Idle connections are in two orders: all of them by time, and those
	// of a group as a stack, since the one used last is the least likely to
	// be stale, and those not needed may then grow old. Those of one client
	// alone are in no group.
	oldest, newest *Conn
	common         [2]*Conn // tops of the groups of everybody
	tops           map[group]*Conn
	idle           int
	learned        idleLearner
	counts         ConnCounts
}

// now is the time since the Set was made. It is cheaper to read and to compare
// than a time.Time.
func (s *server) now() time.Duration { return time.Since(s.base) }

// taken is an idle connection that was taken out of the lists.
type taken struct {
	conn    *Conn
	rest    time.Duration // for how long it was idle
	expired bool
	why     CloseReason // for which reason
}

// take takes an idle connection that requests of who may use; conn is nil when there is
// none. proven asks for one that has been reused before.
func (s *server) take(who sharers, proven bool) taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.top(group{who, true})
	if c == nil && !proven {
		c = s.top(group{who, false})
	}
	if c == nil {
		return taken{}
	}
	s.unlink(c)
	return s.taken(c)
}

// taken looks at a connection that has just been unlinked; the lock is held.
func (s *server) taken(c *Conn) taken {
	now := s.now()
	t := taken{conn: c, rest: now - c.idleSince}
	if t.why, t.expired = s.expired(c, now); !t.expired {
		s.counts.Reused++ // until check finds otherwise
	}
	return t
}

// takeThis is take for one connection; conn is nil when it is not idle.
func (s *server) takeThis(c *Conn) taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.place != placeIdle {
		return taken{}
	}
	s.unlink(c)
	return s.taken(c)
}

// couldServe says whether a request of who finds an idle connection
// or room for a new one.
func (s *server) couldServe(who sharers, limit int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(s.open) < limit || s.top(group{who, true}) != nil || s.top(group{who, false}) != nil
}

// reserve makes room for a connection that is going to be opened. victim, if
// any, is an idle one that has to be closed for it.
func (s *server) reserve(limit int64, kind LimitType) (victim *Conn, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit > 0 && kind != LimitNone && int64(s.open) >= limit {
		if kind == LimitStrict {
			return nil, false
		}
		if victim = s.oldest; victim != nil {
			s.unlink(victim)
		}
	}
	s.open++
	return victim, true
}

// opened counts a connection for which there was a reservation.
func (s *server) opened() {
	s.mu.Lock()
	s.counts.Opened++
	s.mu.Unlock()
}

// unreserve is for a connection that could not be opened.
func (s *server) unreserve() {
	s.mu.Lock()
	s.open--
	s.mu.Unlock()
	s.wake()
}

// keep makes c idle. When it must not be, keep says for which reason c is to be
// closed instead.
func (s *server) keep(c *Conn) (why CloseReason, kept bool) {
	r := &c.member.pool.cfg.Reuse
	s.mu.Lock()
	defer s.mu.Unlock()
	c.mustBeInUse()
	now := s.now()
	c.idleSince, c.maxAge, c.idleLimit = now, r.MaxAge, c.stated
	if idle := r.idle(); c.stated < 0 || idle >= 0 && idle < c.stated {
		c.idleLimit = idle
	}
	switch {
	case c.gone:
		return ClosedByServer, false
	case s.retired:
		return ClosedRetired, false
	case r.MaxReuse > 0 && c.uses > r.MaxReuse || c.lastUse:
		return ClosedReused, false
	}
	if why, expired := s.expired(c, now); expired {
		return why, false
	}
	if s.scope.idle.Add(1) > int64(r.MaxSize) {
		s.scope.idle.Add(-1)
		return ClosedFull, false
	}
	s.link(c)
	return 0, true
}

// expired says whether and why an idle connection, or one just taken, may not
// be used any more. The lock is held.
func (s *server) expired(c *Conn, now time.Duration) (why CloseReason, expired bool) {
	if c.maxAge > 0 && now-c.opened >= c.maxAge {
		return ClosedAge, true
	}
	limit := c.idleLimit
	if l := s.learned.current(now); l > 0 && (limit < 0 || l < limit) {
		limit = l
	}
	return ClosedIdle, limit >= 0 && now-c.idleSince >= limit
}

// check closes a connection that was taken and cannot be used after all.
// careful looks whether it lives even when it has rested for a moment only.
func (s *server) check(t taken, careful bool) bool {
	alive := t.conn.peer.unpark(careful || t.rest >= probeAfter)
	if alive && !t.expired {
		return true
	}
	if !t.expired {
		t.why = ClosedByServer
		s.mu.Lock()
		s.counts.Reused--
		s.learned.closedEarly(s.now(), t.rest)
		s.mu.Unlock()
	}
	t.conn.close(t.why)
	return false
}

// peerClosed is told by whoever watches c that the server has closed it, or
// has said something nobody asked for.
func (s *server) peerClosed(c *Conn) {
	now := s.now()
	s.mu.Lock()
	wasIdle := c.place == placeIdle
	if wasIdle {
		s.unlink(c)
		s.learned.closedEarly(now, now-c.idleSince)
	}
	c.gone = true
	s.mu.Unlock()
	if wasIdle {
		c.close(ClosedByServer)
	}
}

// closed takes c out of the count.
func (s *server) closed(why CloseReason) {
	s.mu.Lock()
	s.open--
	s.counts.Closed[why]++
	s.mu.Unlock()
	s.wake()
}

// sweep closes the idle connections that have expired, or all of them when the
// server is retired.
func (s *server) sweep() {
	type doomed struct {
		c   *Conn
		why CloseReason
	}
	var list []doomed
	now := s.now()
	s.mu.Lock()
	for c := s.oldest; c != nil; {
		next := c.newer
		why, expired := s.expired(c, now)
		if s.retired {
			why, expired = ClosedRetired, true
		}
		if expired {
			s.unlink(c)
			list = append(list, doomed{c, why})
		}
		c = next
	}
	s.mu.Unlock()
	for _, d := range list {
		d.c.close(d.why)
	}
}

// retire closes all idle connections, and those in use when they come back.
func (s *server) retire() {
	s.mu.Lock()
	s.retired = true
	s.mu.Unlock()
	s.sweep()
}

// wake tells the queues that there may be room.
func (s *server) wake() {
	if members := s.members.Load(); members != nil {
		for _, m := range *members {
			m.pool.queue.wake()
		}
	}
}

// attach and detach keep members; the Set's lock is held.
func (s *server) attach(m *Member) {
	s.refs++
	s.setMembers(func(list []*Member) []*Member { return append(list, m) })
}

func (s *server) detach(m *Member) {
	s.refs--
	s.setMembers(func(list []*Member) []*Member {
		return slices.DeleteFunc(list, func(other *Member) bool { return other == m })
	})
}

func (s *server) setMembers(change func([]*Member) []*Member) {
	var list []*Member
	if old := s.members.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = change(list)
	s.members.Store(&list)
}

// The rest are the lists. The lock is held.

func (s *server) top(g group) *Conn {
	if g.everybody() {
		return s.common[index(g.proven)]
	}
	return s.tops[g]
}

func (s *server) setTop(g group, c *Conn) {
	switch {
	case g.everybody():
		s.common[index(g.proven)] = c
	case c == nil:
		delete(s.tops, g)
	default:
		if s.tops == nil {
			s.tops = make(map[group]*Conn)
		}
		s.tops[g] = c
	}
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// link puts c in as the newest.
func (s *server) link(c *Conn) {
	c.place = placeIdle
	s.idle++
	c.older, c.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = c
	} else {
		s.oldest = c
	}
	s.newest = c
	if c.owner != nil {
		return
	}
	c.group.proven = c.uses > 1
	c.below, c.above = s.top(c.group), nil
	if c.below != nil {
		c.below.above = c
	}
	s.setTop(c.group, c)
}

// unlink takes c out; it is in use then.
func (s *server) unlink(c *Conn) {
	c.place = placeInUse
	s.idle--
	s.scope.idle.Add(-1)
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		s.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		s.newest = c.older
	}
	c.older, c.newer = nil, nil
	if c.owner != nil {
		return
	}
	if c.below != nil {
		c.below.above = c.above
	}
	if c.above != nil {
		c.above.below = c.below
	} else {
		s.setTop(c.group, c.below)
	}
	c.below, c.above = nil, nil
}
