package proxy

import (
	"sync"
	"time"
)

// registry knows all connections of clients there are.
type registry struct {
	mu     sync.Mutex
	last   uint64
	conns  map[*clientConn]struct{}
	ending bool
	empty  chan struct{} // closed when ending and there is none
}

func (r *registry) init() {
	r.conns = make(map[*clientConn]struct{})
	r.empty = make(chan struct{})
}

// add enters a connection and gives it its number; false: it is too late.
func (r *registry) add(c *clientConn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending {
		return false
	}
	r.last++
	c.id, c.opened = r.last, time.Now()
	r.conns[c] = struct{}{}
	return true
}

// remove takes it out again.
func (r *registry) remove(c *clientConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	if r.ending && len(r.conns) == 0 {
		close(r.empty)
	}
}

// end lets nobody in any more.
func (r *registry) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending {
		return
	}
	r.ending = true
	if len(r.conns) == 0 {
		close(r.empty)
	}
}

// all gives the connections as of now.
func (r *registry) all() []*clientConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*clientConn, 0, len(r.conns))
	for c := range r.conns {
		all = append(all, c)
	}
	return all
}

// closeAll closes the connections, from below those who serve them.
func (r *registry) closeAll() {
	r.end()
	for _, c := range r.all() {
		c.Conn.Close()
	}
}

// wait waits until there is none, after end.
func (r *registry) wait() { <-r.empty }
