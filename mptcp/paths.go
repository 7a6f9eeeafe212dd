package mptcp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// pathManager decides which subflows to open and which addresses to announce
// (RFC 8684 section 3.4), in the manner of Linux's in-kernel one: from the
// host's endpoints and what the peer announced. What it does is in files of
// their own: announce.go says which addresses we have, addresses.go hears which
// the peer has, openpaths.go joins the two, and signal.go sends what is said.
type pathManager struct {
	noJoinThere  bool // the peer's flag C
	announcedAll bool // announcements began
	ready        bool // a DSS came: new subflows may be opened (section 3.1)

	remote   []remoteAddr
	tried    retries
	announce []announcement
	signals  []signal

	signalsSince time.Time // of the last burst of acknowledgements for options' sake
	signalsSent  int
}

// firstSubflow notes the addresses the connection began with: ID 0 on both
// sides (section 3.2).
func (p *pathManager) firstSubflow(c *Conn) {
	p.remote = append(p.remote, remoteAddr{id: 0, addr: c.raddr, announced: true})
}

// idOf is the ID of an endpoint in this connection.
func (p *pathManager) idOf(c *Conn, ep Endpoint) uint8 {
	if ep.Addr == c.laddr.Addr() {
		return 0
	}
	return ep.ID
}

// localID is the address ID of one of our addresses in this connection.
func (p *pathManager) localID(c *Conn, a netip.Addr) uint8 {
	if ep := p.endpoint(c, a); ep != nil {
		return p.idOf(c, *ep)
	}
	return 0
}

func (p *pathManager) endpoint(c *Conn, a netip.Addr) *Endpoint {
	eps := c.host.Endpoints()
	for i := range eps {
		if eps[i].Addr == a {
			return &eps[i]
		}
	}
	return nil
}

func (p *pathManager) isBackup(c *Conn, a netip.Addr) bool {
	ep := p.endpoint(c, a)
	return ep != nil && ep.Flags&EndpointBackup != 0
}

// fullyEstablished is reached when a DSS has come over the first path.
func (p *pathManager) fullyEstablished(now time.Time, c *Conn) {
	p.ready = true
	p.announceAll(now, c)
	p.openPaths(now, c)
}

// AddEndpoint tells the connection of an address the host got.
func (c *Conn) AddEndpoint(now time.Time, ep Endpoint) {
	if c.mode != modeMultipath || !c.pm.announcedAll {
		return
	}
	c.pm.tried.renewed(ep.Addr)
	c.pm.unqueue(c, ep)
	c.pm.announceEndpoint(now, c, ep)
	c.pm.openPaths(now, c)
	c.afterwards(now)
}

// RemoveEndpoint tells the connection of an address the host lost: its
// subflows are over, and the peer is told through another (section 3.4.2).
func (c *Conn) RemoveEndpoint(now time.Time, ep Endpoint) {
	switch c.mode {
	case modePlain, modeOpening:
		if c.laddr.Addr() == ep.Addr {
			c.finish(now, ErrNoPath)
			c.host.Wake(c)
		}
		return
	case modeClosed:
		return
	}
	p := &c.pm
	p.unqueue(c, ep)
	p.announce = slices.DeleteFunc(p.announce, func(a announcement) bool { return a.ep.Addr == ep.Addr })
	for _, sf := range c.subflows {
		if sf.tc.LocalAddr().Addr() == ep.Addr {
			sf.tc.Abort(now)
		}
	}
	r := wire.RemoveAddr{Len: 1}
	r.IDs[0] = p.idOf(c, ep)
	p.queue(now, c, signal{set: wire.HasRemoveAddr, rem: r})
	c.afterwards(now)
}

// SetBackup changes the priority of the subflows from one of our addresses,
// and tells the peer (section 3.3.8).
func (c *Conn) SetBackup(now time.Time, local netip.Addr, backup bool) {
	for _, sf := range c.subflows {
		if sf.tc.LocalAddr().Addr() == local && sf.backup != backup {
			sf.backup = backup
			c.pm.queue(now, c, signal{sf: sf, set: wire.HasPrio, pri: wire.Prio{Backup: backup}})
		}
	}
	c.afterwards(now)
}
