package mptcp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// pathManager decides which subflows to open and which addresses to announce
// (RFC 8684 section 3.4), in the manner of Linux's in-kernel one: from the
// host's endpoints and what the peer announced.
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

// remoteAddr is an address of the peer. Its ID names it (section 3.2).
type remoteAddr struct {
	id        uint8
	addr      netip.AddrPort
	announced bool // by ADD_ADDR, or the first subflow's: it may be joined
}

// announcement is an ADD_ADDR of ours that waits for its echo.
type announcement struct {
	ep    Endpoint
	sends int
	done  bool
}

// signal is an option that travels on an acknowledgement of its own.
type signal struct {
	sf  *Subflow // where, or nil for anywhere
	set wire.OptionSet
	add wire.AddAddr
	rem wire.RemoveAddr
	pri wire.Prio
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

// unqueue takes back what was still to be said about an endpoint that came or
// went again: the peer would take it for the present.
func (p *pathManager) unqueue(c *Conn, ep Endpoint) {
	id := p.idOf(c, ep)
	p.signals = slices.DeleteFunc(p.signals, func(s signal) bool {
		return s.set == wire.HasRemoveAddr && s.rem.IDs[0] == id || s.set == wire.HasAddAddr && !s.add.Echo && s.add.ID == id
	})
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

// learn stores which address an ID names, from a join (section 3.2).
func (p *pathManager) learn(id uint8, a netip.AddrPort) {
	for i := range p.remote {
		if p.remote[i].id == id {
			return
		}
	}
	p.remote = append(p.remote, remoteAddr{id: id, addr: a})
}

// fullyEstablished is reached when a DSS has come over the first path.
func (p *pathManager) fullyEstablished(now time.Time, c *Conn) {
	p.ready = true
	p.announceAll(now, c)
	p.openPaths(now, c)
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
	a := wire.AddAddr{Version: wire.V1, ID: ep.ID, Addr: ep.Addr}
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

// receivedAddAddr takes an address the peer announces, or the echo of ours.
func (p *pathManager) receivedAddAddr(now time.Time, c *Conn, sf *Subflow, a *wire.AddAddr) {
	if a.Echo {
		for i := range p.announce {
			if n := &p.announce[i]; !n.done && n.ep.ID == a.ID && n.ep.Addr == a.Addr {
				n.done = true
				c.timer.stop(timerAddAddr)
			}
		}
		p.announceNext(now, c)
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

// queue puts an option in line for an acknowledgement of its own.
func (p *pathManager) queue(now time.Time, c *Conn, s signal) {
	if c.mode != modeMultipath {
		return
	}
	p.signals = append(p.signals, s)
	p.sendSignals(now, c)
}

// sendSignals sends what is in line, not more than two in a row: more
// duplicate acknowledgements could look like loss (section 3.4.1).
func (p *pathManager) sendSignals(now time.Time, c *Conn) {
	if len(p.signals) == 0 {
		return
	}
	var via *Subflow
	for _, sf := range c.subflows {
		if sf.established() && !sf.closing && (via == nil || via.stale && !sf.stale) {
			via = sf
		}
	}
	for i := range p.signals {
		if s := &p.signals[i]; s.sf == nil || !s.sf.established() {
			if s.sf != nil && s.set == wire.HasPrio {
				s.set = 0 // about a subflow that is gone
			}
			s.sf = via
		}
	}
	p.signals = slices.DeleteFunc(p.signals, func(s signal) bool { return s.set == 0 })
	if via == nil || len(p.signals) == 0 {
		return // kept until a subflow is up
	}
	wait := max(via.tc.SRTT(), 10*time.Millisecond)
	if now.Sub(p.signalsSince) >= wait {
		p.signalsSince, p.signalsSent = now, 0
	}
	if p.signalsSent < maxSignalsPerRTT {
		p.signals[0].sf.tc.AckAlone()
	}
	c.timer.set(timerSignal, now, wait)
}

// putSignal adds the first signal in line for sf to one of its acknowledgements.
func (p *pathManager) putSignal(now time.Time, c *Conn, sf *Subflow, seg *wire.Segment) {
	if p.signalsSent >= maxSignalsPerRTT {
		return
	}
	i := slices.IndexFunc(p.signals, func(s signal) bool { return s.sf == sf })
	if i < 0 {
		return
	}
	s := p.signals[i]
	o := &seg.Options
	o.Set |= s.set
	switch s.set {
	case wire.HasAddAddr:
		o.AddAddr[0], o.AddAddrLen = s.add, 1
	case wire.HasRemoveAddr:
		o.RemoveAddr = s.rem
	case wire.HasPrio:
		o.Prio = s.pri
	}
	if !o.Fits() {
		o.Set &^= wire.HasDSS // beside timestamps any of them fits
		sf.sayFin = o.DSS.Fin
		sf.again = true // what it would have said must not wait
		p.signalsSent++
	}
	p.signals = slices.Delete(p.signals, i, i+1)
	p.signalsSent++
	if s.set == wire.HasAddAddr && !s.add.Echo {
		c.stats.AddAddrSent++
	}
	p.sendSignals(now, c)
}

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
