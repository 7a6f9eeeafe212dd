package stack

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// entry is a connection's place in the stack, and its mptcp.Host.
type entry struct {
	stack     *Stack
	prev      *entry // in stack.entries
	next      *entry
	conn      *mptcp.Conn
	listener  *Listener // until accepted
	isActive  bool      // in stack.active
	isTelling bool      // in stack.telling
	due       time.Time // its timer
	heapAt    int       // its place in stack.timers, -1 if none
}

func (s *Stack) newEntry() *entry {
	e := &entry{stack: s, heapAt: -1}
	s.entries.push(e)
	s.stats.ConnectionsEver++
	return e
}

// drop forgets a connection of which nothing is left.
func (s *Stack) drop(e *entry) {
	s.timers.set(e, time.Time{})
	s.entries.remove(e)
}

// Open directs a 4-tuple's segments to sf.
func (e *entry) Open(now time.Time, sf *mptcp.Subflow, local, remote netip.AddrPort, cfg *tcp.Config) error {
	s := e.stack
	a, ok := s.address(local.Addr())
	if !ok {
		return fmt.Errorf("%w: %v", ErrNoAddress, local.Addr())
	}
	if local.Port() == 0 {
		prefer := uint16(0)
		if e.conn != nil {
			prefer = e.conn.LocalAddr().Port() // RFC 8684 section 3.9.1
		}
		port, ok := s.freePort(local.Addr(), remote, prefer)
		if !ok {
			return ErrNoPort
		}
		local = netip.AddrPortFrom(local.Addr(), port)
	}
	t := fourTuple{local, remote}
	if _, used := s.bySegment[t]; used || s.waits.has(t) {
		return ErrAddressInUse
	}
	s.fill(now, cfg, a, t)
	s.bySegment[t] = subflow{e, sf}
	return nil
}

// fill says what a connection of the 4-tuple begins with.
func (s *Stack) fill(now time.Time, cfg *tcp.Config, a *Address, t fourTuple) {
	cfg.Local, cfg.Remote = t.local, t.remote
	cfg.ISN = s.waits.reopen(t, s.isn.Next(now, t.local, t.remote))
	cfg.TSOffset = s.isn.TimestampOffset(t.local, t.remote)
	cfg.MTU = a.MTU
	cfg.MaxPacket = s.cfg.MaxPacket
	cfg.PartialChecksum = s.cfg.ChecksumOffload
}

// Close takes out a subflow that is over.
func (e *entry) Close(now time.Time, sf *mptcp.Subflow) {
	t := fourTuple{sf.LocalAddr(), sf.RemoteAddr()}
	if at, ok := e.stack.bySegment[t]; ok && at.sf == sf {
		delete(e.stack.bySegment, t)
	}
	if sf.TCP().State() == tcp.StateTimeWait {
		e.stack.waits.add(t, sf.TCP().TimeWait(now))
	}
}

// NewKey makes a key with a token of its own (RFC 8684 section 3.1).
func (e *entry) NewKey(*mptcp.Conn) wire.Key {
	for {
		k := wire.Key(e.stack.cfg.Rand())
		token := wire.Token(k, wire.V1)
		if _, used := e.stack.byToken[token]; !used && token != 0 {
			e.stack.byToken[token] = e
			return k
		}
	}
}

// FreeToken lets c's token be used again.
func (e *entry) FreeToken(c *mptcp.Conn) {
	if token, ok := c.Token(); ok {
		delete(e.stack.byToken, token)
	}
}

// Wake puts the connection in line for Output and NextEvent.
func (e *entry) Wake(*mptcp.Conn) {
	if !e.isActive {
		e.isActive = true
		e.stack.active.push(e)
	}
	if !e.isTelling {
		e.isTelling = true
		e.stack.telling.push(e)
	}
}

func (e *entry) Endpoints() []mptcp.Endpoint { return e.stack.endpoints }
func (e *entry) Rand() uint64                { return e.stack.cfg.Rand() }
func (e *entry) Pool() *stream.Pool          { return &e.stack.pool }

// entryList holds entries in the order they came.
type entryList struct {
	first, last *entry
	n           int
}

func (l *entryList) push(e *entry) {
	e.prev = l.last
	if l.last != nil {
		l.last.next = e
	} else {
		l.first = e
	}
	l.last = e
	l.n++
}

// remove takes e out, if it is still there.
func (l *entryList) remove(e *entry) {
	if e.prev == nil && l.first != e {
		return
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
	e.prev, e.next = nil, nil
	l.n--
}

// all gives the entries; the one at hand may be removed meanwhile.
func (l *entryList) all(yield func(*entry) bool) {
	for e := l.first; e != nil; {
		next := e.next
		if !yield(e) {
			return
		}
		e = next
	}
}

// queue is a line of entries.
type queue struct {
	list []*entry
	head int
}

func (q *queue) push(e *entry) { q.list = append(q.list, e) }

func (q *queue) first() *entry {
	if q.head == len(q.list) {
		return nil
	}
	return q.list[q.head]
}

func (q *queue) pop() {
	q.list[q.head] = nil
	q.head++
	if q.head*2 >= len(q.list) { // what is done with is at least as much as what is left
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
}

// timerHeap orders entries by when they are due.
type timerHeap struct{ list []*entry }

func (h *timerHeap) first() time.Time {
	if len(h.list) == 0 {
		return time.Time{}
	}
	return h.list[0].due
}

// set moves e to its place for due; the zero time takes it out.
func (h *timerHeap) set(e *entry, due time.Time) {
	if due.IsZero() {
		h.remove(e)
		return
	}
	if e.due = due; e.heapAt < 0 {
		e.heapAt = len(h.list)
		h.list = append(h.list, e)
	}
	h.down(h.up(e.heapAt))
}

func (h *timerHeap) remove(e *entry) {
	i := e.heapAt
	if i < 0 {
		return
	}
	last := len(h.list) - 1
	h.swap(i, last)
	h.list[last] = nil
	h.list = h.list[:last]
	e.heapAt = -1
	if i < last {
		h.down(h.up(i))
	}
}

func (h *timerHeap) swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.list[i].heapAt, h.list[j].heapAt = i, j
}

func (h *timerHeap) up(i int) int {
	for i > 0 {
		p := (i - 1) / 2
		if !h.list[i].due.Before(h.list[p].due) {
			break
		}
		h.swap(i, p)
		i = p
	}
	return i
}

func (h *timerHeap) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.list) {
			return
		}
		if c+1 < len(h.list) && h.list[c+1].due.Before(h.list[c].due) {
			c++
		}
		if !h.list[c].due.Before(h.list[i].due) {
			return
		}
		h.swap(i, c)
		i = c
	}
}
