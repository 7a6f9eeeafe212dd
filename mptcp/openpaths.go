package mptcp

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// subflowUp notes that a path works.
func (p *pathManager) subflowUp(now time.Time, c *Conn, sf *Subflow) {
	if !sf.first {
		c.stats.JoinsDone++
	}
	p.sendSignals(now, c)
	if p.ready {
		p.openPaths(now, c)
	}
}

// subflowDown notes that a path was lost, or could not be opened, and plans
// when to try it again.
func (p *pathManager) subflowDown(now time.Time, c *Conn, sf *Subflow, err error) {
	c.sortSubflows()
	wasUp := time.Duration(0)
	if !sf.upAt.IsZero() {
		wasUp = now.Sub(sf.upAt)
	} else if !sf.first {
		c.stats.JoinsFailed++
	}
	alone := !c.anyAlive()
	if alone {
		if sf.join == joinSYNSent && sf.resetGot.is && sf.resetGot.reason == wire.ResetMPTCP {
			c.finish(now, ErrReset) // the peer knows nothing of us any more
			return
		}
		if !c.timer.running(timerAlone) {
			c.timer.set(timerAlone, now, c.cfg.KeepWithoutSubflow)
		}
	}
	if sf.openedByUs() {
		at := p.tried.failed(now, sf.LocalAddr().Addr(), sf.RemoteAddr().Addr(), wasUp, sf.isHopeless(err, alone))
		p.wake(c, at)
	}
	if p.ready {
		p.openPaths(now, c)
	}
}

// isHopeless reports whether the path of sf, which is over, should be left
// alone. The peer's word counts (RFC 8684 section 3.6); so does an answer that
// was no subflow (section 3.4.1), and our own judgement as long as there is
// another path. Deviation: no answer at all is tried again later, since a link
// that is down now may come up.
func (sf *Subflow) isHopeless(err error, alone bool) bool {
	switch {
	case sf.resetGot.is:
		return !sf.resetGot.transient
	case alone:
		return false
	case sf.resetSent.is:
		return !sf.resetSent.transient
	}
	return sf.upAt.IsZero() && err != ErrTimeout && err != ErrUnreachable
}

func (p *pathManager) wake(c *Conn, at time.Time) {
	c.timer[timerPaths] = earlier(c.timer[timerPaths], at)
}

// anyAlive reports whether any subflow is up or coming up.
func (c *Conn) anyAlive() bool {
	for _, sf := range c.subflows {
		if s := sf.tc.State(); s != 0 && !sf.closing {
			return true
		}
	}
	return false
}

// openPaths opens the subflows that should exist and do not. Only the
// initiator does so, or a responder to an address that was announced to it:
// behind the first address of an initiator there is usually a NAT.
func (p *pathManager) openPaths(now time.Time, c *Conn) {
	if !p.ready || c.mode != modeMultipath {
		return
	}
	if c.rcv.ended && c.snd.fin >= finSent && c.anyAlive() && c.snd.timeouts < stuckTimeouts {
		return // nearly over; but the last Data ACKs need a path
	}
	for !c.isFull(now) {
		ep, r, at := p.nextPath(now, c)
		if ep == nil {
			return
		}
		if c.openJoin(now, *ep, at, r.id) != nil {
			p.wake(c, p.tried.failed(now, ep.Addr, at.Addr(), 0, false))
		}
	}
}

// nextPath chooses among the subflows that are to be opened now: one that
// failed less often comes before others, or one dead path could hold the only
// free place for ever; then one between neighbours. nil: there is none.
func (p *pathManager) nextPath(now time.Time, c *Conn) (ep *Endpoint, r *remoteAddr, at netip.AddrPort) {
	best := 0
	eps := c.host.Endpoints()
	for i := range eps {
		for j := range p.remote {
			to, ok := p.wanted(now, c, &eps[i], &p.remote[j])
			if !ok {
				continue
			}
			cost := 2 * p.tried.failures(eps[i].Addr, to.Addr())
			if !eps[i].onLink(to.Addr()) {
				cost++
			}
			if ep == nil || cost < best {
				ep, r, at, best = &eps[i], &p.remote[j], to, cost
			}
		}
	}
	return ep, r, at
}

// wanted reports whether a subflow from ep to r is to be opened now.
func (p *pathManager) wanted(now time.Time, c *Conn, ep *Endpoint, r *remoteAddr) (netip.AddrPort, bool) {
	at := r.addr
	switch {
	case !r.announced, r.id == 0 && p.noJoinThere:
		return at, false
	case r.id == 0 && !c.initiator:
		return at, false
	case at.Addr().Is4() != ep.Addr.Is4():
		return at, false
	case ep.Flags&EndpointSubflow == 0 && ep.Addr != c.laddr.Addr():
		return at, false
	}
	localUsed, remoteUsed := false, false
	for _, sf := range c.subflows {
		if sf.tc.State() == 0 || sf.closing {
			continue
		}
		if sf.isStuck() && sf.established() && !c.alternative(sf) {
			continue // another beside it may help, if only past a NAT
		}
		l, rem := sf.tc.LocalAddr().Addr(), sf.tc.RemoteAddr()
		if l == ep.Addr && rem == at {
			return at, false
		}
		localUsed = localUsed || l == ep.Addr
		// Of what the peer opened only the address says where it ends: a port
		// of ours that was announced anew is another place (section 3.4.1).
		remoteUsed = remoteUsed || !sf.openedByUs() && rem.Addr() == at.Addr() || rem == at
	}
	if until, held := p.tried.held(now, ep.Addr, at.Addr()); held {
		if !until.IsZero() {
			p.wake(c, until)
		}
		return at, false
	}
	if ep.Flags&EndpointFullmesh != 0 {
		return at, true
	}
	return at, p.fits(c, ep, at.Addr()) && (!localUsed || !remoteUsed)
}

// fits reports whether ep is a sensible source for a: on the same link, or a
// is on no link of ours and any source will do.
func (p *pathManager) fits(c *Conn, ep *Endpoint, a netip.Addr) bool {
	if ep.onLink(a) {
		return true
	}
	for _, other := range c.host.Endpoints() {
		if other.onLink(a) {
			return false
		}
	}
	return true
}
