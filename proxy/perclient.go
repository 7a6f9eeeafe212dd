package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// perClient counts the connections of each client address.
type perClient struct {
	limit atomic.Int64 // 0: none, and nobody counts

	mu    sync.Mutex
	conns map[netip.Addr]int64
}

// enter counts a connection, if its client may have another one. counted says
// that leave is to be called.
func (p *perClient) enter(a netip.Addr) (counted, ok bool) {
	limit := p.limit.Load()
	if limit == 0 || !a.IsValid() {
		return false, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns[a] >= limit {
		return false, false
	}
	if p.conns == nil {
		p.conns = make(map[netip.Addr]int64)
	}
	p.conns[a]++
	return true, true
}

// leave counts it out.
func (p *perClient) leave(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns[a]--; p.conns[a] <= 0 {
		delete(p.conns, a)
	}
}
