package mptcp

import (
	"slices"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// signal is an option that travels on an acknowledgement of its own.
type signal struct {
	sf  *Subflow // where, or nil for anywhere
	set wire.OptionSet
	add wire.AddAddr
	rem wire.RemoveAddr
	pri wire.Prio
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
