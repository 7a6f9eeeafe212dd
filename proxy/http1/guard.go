package http1

import (
	"sync"
	"sync/atomic"
	"time"
)

// guard is the deadline of one kind of wait of a client connection. The
// goroutine that waits sets it, which is one atomic instruction; the sweeper
// looks at all guards a few times a second and breaks the waits that are over.
// So no timer is started or stopped on the way of a request.
//
// A guard that expired stays so: whoever set it finds out when setting it again
// and gives up the connection, which the sweeper has made unusable.
type guard struct {
	word atomic.Int64 // guardWord, or one of the constants below
}

const (
	noDeadline int64 = 0
	expired    int64 = -1 // the deadline has passed, or the client has gone meanwhile
)

// phase tells the sweeper what a client connection waits for, in the lowest
// bits of a guard's word.
type phase int64

const (
	inMessage phase = iota // nothing special
	isIdle                 // the next request: may be closed when draining
	atServer               // a server's answer: in vain when the client goes
	isNew                  // the first request: it is on its way, unless it does not come soon
)

// newGrace is how long a new connection has for its first request when draining.
const newGrace = 2 * time.Second

// guardWord is a deadline with the phase.
func guardWord(deadline time.Duration, p phase) int64 {
	return int64(deadline/time.Millisecond)<<2 | int64(p)
}

func wordDeadline(w int64) time.Duration { return time.Duration(w>>2) * time.Millisecond }
func wordPhase(w int64) phase            { return phase(w & 3) }

// set sets the deadline. It is false if the old one has passed.
func (g *guard) set(deadline time.Duration, p phase) bool {
	return g.word.Swap(guardWord(deadline, p)) >= 0
}

// clear takes the deadline away. It is false if it has passed.
func (g *guard) clear() bool { return g.word.Swap(noDeadline) >= 0 }

// isExpired reports whether that is what happened.
func (g *guard) isExpired() bool { return g.word.Load() == expired }

// longAgo makes a connection's reads or writes fail at once.
var longAgo = time.Unix(1, 0)

// sweeper watches the guards of all client connections of an engine.
type sweeper struct {
	base     time.Time
	coarse   atomic.Int64 // time since base, as of the last sweep
	date     atomic.Pointer[dateText]
	interval time.Duration
	draining atomic.Bool

	mu    sync.Mutex
	conns []*clientConn // each knows its place
	stop  chan struct{}
}

func newSweeper(interval time.Duration) *sweeper {
	s := &sweeper{base: time.Now(), interval: interval, stop: make(chan struct{})}
	s.tick()
	return s
}

// now is the time since base, at most an interval old.
func (s *sweeper) now() time.Duration { return time.Duration(s.coarse.Load()) }

// in gives the deadline that is d away. Since now may be old, an interval is
// added: nothing expires early.
func (s *sweeper) in(d time.Duration) time.Duration { return s.now() + d + s.interval }

// tick takes the time.
func (s *sweeper) tick() {
	now := time.Now()
	s.coarse.Store(int64(max(now.Sub(s.base), time.Millisecond)))
	if d := s.date.Load(); d == nil || d.second != now.Unix() {
		text := now.UTC().AppendFormat(nil, "Mon, 02 Jan 2006 15:04:05 GMT")
		s.date.Store(&dateText{now.Unix(), text})
	}
}

// dateText is the time of day for a Date field (RFC 9110 section 5.6.7).
type dateText struct {
	second int64
	text   []byte
}

// run sweeps until the sweeper is stopped.
func (s *sweeper) run() {
	t := time.NewTicker(s.interval)
	defer t.Stop()
	var found []finding
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.tick()
			found = s.sweep(found[:0])
			for _, f := range found {
				f.act()
			}
			clear(found)
		}
	}
}

// add and remove keep the list of connections.
func (s *sweeper) add(c *clientConn) {
	s.mu.Lock()
	c.place = len(s.conns)
	s.conns = append(s.conns, c)
	s.mu.Unlock()
}

func (s *sweeper) remove(c *clientConn) {
	s.mu.Lock()
	last := len(s.conns) - 1
	s.conns[c.place] = s.conns[last]
	s.conns[c.place].place = c.place
	s.conns[last] = nil
	s.conns = s.conns[:last]
	s.mu.Unlock()
}

// all gives the connections as of now.
func (s *sweeper) all() []*clientConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*clientConn(nil), s.conns...)
}

// finding is something to do about a connection, without the list's lock.
type finding struct {
	c     *clientConn
	s     *ServerConn // to which c was talking
	what  finds
	probe int64 // with mayHaveGone: the word of the read guard
}

// finds says which of a connection's guards expired, or that it is to be looked
// at.
type finds uint8

const (
	clientRead finds = iota
	clientWrite
	serverRead
	serverWrite
	mayHaveGone
)

// sweep looks at all connections.
func (s *sweeper) sweep(found []finding) []finding {
	now, draining := s.now(), s.draining.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		draining := draining || c.frontend.draining.Load()
		for what, g := range [...]*guard{&c.read, &c.write, &c.serverRead, &c.serverWrite} {
			w := g.word.Load()
			if w <= 0 || wordDeadline(w) > now && !(draining && c.mayEnd(wordPhase(w), now)) {
				continue
			}
			// The server connection is stored before the guard is set, and
			// changed only after it was cleared. So if the swap succeeds,
			// this is the one that the deadline was about.
			server := c.serverConn.Load()
			if g.word.CompareAndSwap(w, expired) {
				found = append(found, finding{c: c, s: server, what: finds(what)})
			}
		}
		if w := c.read.word.Load(); w > 0 && c.quiet(w) {
			found = append(found, finding{c: c, what: mayHaveGone, probe: w})
		}
	}
	return found
}

// mayEnd says whether nothing is lost when a connection ends that is to end
// sometime.
func (c *clientConn) mayEnd(p phase, now time.Duration) bool {
	return p == isIdle || p == isNew && now >= c.since+newGrace
}

// quiet decides whether to look if the client is still there: when it waits for
// a server, once in an interval; when idle, once in the whole pause. The
// latter is for a FIN that came together with a request and was not seen,
// since nobody reads until there is nothing more (see sock.onReadable).
func (c *clientConn) quiet(w int64) bool {
	p := wordPhase(w)
	if p == inMessage {
		return false
	}
	if w != c.lastWord {
		c.lastWord, c.probed = w, false
		return false
	}
	if p != atServer && c.probed {
		return false
	}
	c.probed = true
	return true
}

// act breaks the wait. After the swap that made the finding, the connection's
// goroutine gives up the connections concerned, so it does not matter when the
// deadline strikes.
func (f *finding) act() {
	switch f.what {
	case clientRead:
		f.c.conn.SetReadDeadline(longAgo)
	case clientWrite:
		f.c.conn.SetWriteDeadline(longAgo)
	case serverRead:
		f.breakServerRead()
	case serverWrite:
		if f.s != nil {
			f.s.conn.SetWriteDeadline(longAgo)
		}
	case mayHaveGone:
		// The word is as it was a sweep ago, and words set since the last
		// tick differ from it: what it was set for still goes on.
		p := wordPhase(f.probe)
		if !f.c.hasGone(p) || !f.c.read.word.CompareAndSwap(f.probe, expired) {
			return
		}
		f.c.conn.SetReadDeadline(longAgo)
		if p == atServer {
			f.c.hangUp()
		}
	}
}

func (f *finding) breakServerRead() {
	if f.s != nil {
		f.s.conn.SetReadDeadline(longAgo)
	}
}
