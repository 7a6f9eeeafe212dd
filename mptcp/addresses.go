package mptcp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// remoteAddr is an address of the peer. Its ID names it (section 3.2).
type remoteAddr struct {
	id        uint8
	addr      netip.AddrPort
	announced bool // by ADD_ADDR, or the first subflow's: it may be joined
}

// learn stores which address an ID names, from a join (section 3.2).
func (p *pathManager) learn(id uint8, a netip.AddrPort) {
	for i := range p.remote {
		if p.remote[i].id == id {
			return
		}
	}
	p.remote = append(p.remote, remoteAddr{id: id, addr: a})
}

// receivedAddAddr takes an address the peer announces, or the echo of ours.
func (p *pathManager) receivedAddAddr(now time.Time, c *Conn, sf *Subflow, a *wire.AddAddr) {
	if a.Echo {
		p.echoed(now, c, a)
		return
	}
	want := wire.AddAddrHMAC(c.peer.key, c.local.key, a)
	if a.Version != wire.V1 || !wire.EqualHMAC(want[:], a.HMAC[:]) {
		c.stats.BadAddAddr++ // section 3.4.1: silently ignored
		return
	}
	if len(p.signals) < maxSignals {
		echo := *a
		echo.Echo = true
		p.queue(now, c, signal{sf: sf, set: wire.HasAddAddr, add: echo})
	}
	c.stats.AddAddrReceived++
	if !p.accept(c, sf, a) {
		return
	}
	p.tried.announced(a.Addr)
	p.openPaths(now, c)
}

// accept stores an announced address, unless there are enough (section 5) or
// its ID names another one that was not removed (section 3.4.1).
func (p *pathManager) accept(c *Conn, sf *Subflow, a *wire.AddAddr) bool {
	at := netip.AddrPortFrom(a.Addr, a.Port)
	if a.Port == 0 {
		at = netip.AddrPortFrom(a.Addr, sf.RemoteAddr().Port())
	}
	var known *remoteAddr
	announced := 0
	for i := range p.remote {
		r := &p.remote[i]
		if r.id == a.ID {
			known = r
		}
		if r.announced && r.id != 0 {
			announced++
		}
	}
	switch {
	case a.ID == 0, known != nil && known.addr.Addr() != a.Addr:
		return false
	case known != nil && known.announced:
		known.addr = at
		return true
	case announced >= c.cfg.MaxAddrAccepted:
		return false
	case known != nil:
		known.addr, known.announced = at, true
	default:
		p.remote = append(p.remote, remoteAddr{id: a.ID, addr: at, announced: true})
	}
	return true
}

// receivedRemoveAddr forgets addresses and ends what used them (section
// 3.4.2). A path that still answers is not torn down at once: the option may be
// a mistake or a forgery, so the peer is asked for a sign of life first.
func (p *pathManager) receivedRemoveAddr(now time.Time, c *Conn, r *wire.RemoveAddr) {
	for _, id := range r.IDs[:r.Len] {
		p.remote = slices.DeleteFunc(p.remote, func(a remoteAddr) bool { return a.id == id })
		for _, sf := range c.subflows {
			if sf.remoteID == id && sf.established() {
				sf.stale = c.alternative(sf) || sf.stale
				sf.removed = true
				sf.suspect(now)
				sf.reinject(now)
			}
		}
	}
}
