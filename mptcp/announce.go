package mptcp

import (
	"slices"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// announcement is an ADD_ADDR of ours that waits for its echo.
type announcement struct {
	ep    Endpoint
	sends int
	done  bool
}

// announceAll announces the endpoints that are to be, once. A responder need
// not wait for a DSS: the keys in the third ACK show that options pass.
func (p *pathManager) announceAll(now time.Time, c *Conn) {
	if p.announcedAll {
		return
	}
	p.announcedAll = true
	for _, ep := range c.host.Endpoints() {
		p.announceEndpoint(now, c, ep)
	}
}

// announceEndpoint begins to announce ep if it is to be.
func (p *pathManager) announceEndpoint(now time.Time, c *Conn, ep Endpoint) {
	if ep.Flags&EndpointSignal == 0 || ep.Addr == c.laddr.Addr() {
		return
	}
	p.announce = append(p.announce, announcement{ep: ep})
	p.announceNext(now, c)
}

// announceNext sends the next ADD_ADDR, or repeats one that was not echoed
// (section 3.4.1). They go one at a time, each after the echo of the one before
// it or the wait for that: Linux drops an address that comes while it is still
// busy with another.
func (p *pathManager) announceNext(now time.Time, c *Conn) {
	if c.timer.running(timerAddAddr) {
		return
	}
	var next *announcement
	for i := range p.announce {
		a := &p.announce[i]
		if !a.done && a.sends <= addAddrRetries && (next == nil || a.sends < next.sends) {
			next = a
		}
	}
	if next == nil {
		return
	}
	next.sends++
	p.queueAddAddr(now, c, next.ep)
	c.timer.set(timerAddAddr, now, p.announceWait(c, next.sends))
}

func (p *pathManager) queueAddAddr(now time.Time, c *Conn, ep Endpoint) {
	a := wire.AddAddr{Version: wire.V1, ID: ep.ID, Addr: ep.announced()}
	a.HMAC = wire.AddAddrHMAC(c.local.key, c.peer.key, &a)
	p.queue(now, c, signal{set: wire.HasAddAddr, add: a})
}

// announceWait is how long to wait for the echo of the n-th ADD_ADDR.
func (p *pathManager) announceWait(c *Conn, n int) time.Duration {
	wait := time.Second
	for _, sf := range c.subflows {
		if sf.established() {
			wait = max(sf.tc.RTO(), 2*sf.tc.SRTT())
			break
		}
	}
	return wait << (n - 1)
}

// echoed takes the peer's word that it heard of an address, and goes on with the
// next.
func (p *pathManager) echoed(now time.Time, c *Conn, a *wire.AddAddr) {
	for i := range p.announce {
		if n := &p.announce[i]; !n.done && n.ep.ID == a.ID && n.ep.announced() == a.Addr {
			n.done = true
			c.timer.stop(timerAddAddr)
		}
	}
	p.announceNext(now, c)
}

// unqueue takes back what was still to be said about an endpoint that came or
// went again: the peer would take it for the present.
func (p *pathManager) unqueue(c *Conn, ep Endpoint) {
	id := p.idOf(c, ep)
	p.signals = slices.DeleteFunc(p.signals, func(s signal) bool {
		return s.set == wire.HasRemoveAddr && s.rem.IDs[0] == id || s.set == wire.HasAddAddr && !s.add.Echo && s.add.ID == id
	})
}
