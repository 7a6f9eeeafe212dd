package simtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
)

// Result is what a run of a Plan came to.
type Result struct {
	Elapsed  time.Duration // until all applications were done
	Limit    time.Duration // that would have been too long
	Steps    int
	Buffers  int // the most bytes of stream buffers on one host
	Mappings int // the most mappings held by one subflow
	Conns    []ConnResult
}

// ConnResult is what became of one connection of a Plan.
type ConnResult struct {
	Whole     bool   // both streams arrived and ended as they should
	Excuse    string // why it did not have to
	Multipath bool
	Subflows  int // ever, at the dialler's end
	Fallback  mptcp.FallbackReason
	Bytes     int
	LateError bool // an end closed, and the connection ended with an error all the same
}

// run is a Plan being carried out.
type run struct {
	plan  *Plan
	net   *sim.Network
	hosts [2]*Host
	links []*sim.Link
	void  *sim.Link         // what is sent on it is lost
	addrs [2][]netip.Addr   // of each path, now; invalid while it is away
	known [2][][]netip.Addr // of each path, ever
	conns []*connRun
	res   Result
	err   error
}

type connRun struct {
	plan   *ConnPlan
	ends   [2]*App
	sent   [2][]byte
	began  bool
	excuse string
}

// Run carries the plan out and checks everything that has to hold. taps
// listen to all links.
func (p Plan) Run(taps sim.Taps) (Result, error) {
	r := &run{plan: &p, net: sim.New(p.Scenario.Seed)}
	r.net.Listen(taps)
	r.build()
	r.schedule()
	r.res.Limit = r.limit()
	err := r.net.Run(r.applicationsDone, r.res.Limit)
	r.res.Elapsed = r.net.Elapsed()
	if err != nil && !errors.Is(err, sim.ErrLimit) && !errors.Is(err, sim.ErrIdle) {
		return r.res, err
	}
	r.giveUp(err)
	if err := r.net.Run(r.nothingLeft, goneLimit); err != nil && !r.nothingLeft() {
		r.fail("state is left: %v: %+v %+v", err, r.hosts[0].Stack.Stats(), r.hosts[1].Stack.Stats())
	}
	for i, c := range r.conns {
		if err := c.check(); err != nil {
			r.fail("conn%d: %w", i, err)
		}
		r.res.Conns = append(r.res.Conns, c.result())
	}
	return r.res, r.err
}

// goneLimit is how long a stack may go on after its applications are done:
// the retransmissions to a peer that is not there any more take longest.
const goneLimit = 45 * time.Minute

func (r *run) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *run) build() {
	s := &r.plan.Scenario
	for h := range r.hosts {
		name := string(rune('A' + h))
		r.hosts[h] = NewHost(name, s.Seed, r.plan.Hosts[h].Config)
		r.addrs[h] = make([]netip.Addr, len(s.Paths))
		r.known[h] = make([][]netip.Addr, len(s.Paths))
	}
	r.links = s.Build(r.net)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	r.void = r.net.Connect("nowhere", a, b, sim.LinkConfig{}, sim.LinkConfig{})
	r.void.Down(r.net.Now())
	for i, p := range s.Paths {
		r.arrive(0, i, p.A)
		r.arrive(1, i, p.B)
	}
	for i := range r.plan.Conns {
		c := &connRun{plan: &r.plan.Conns[i]}
		for e := range c.plan.Ends {
			c.sent[e] = Pattern(c.plan.Ends[e].Size, s.Seed*64+uint64(2*i+e))
		}
		r.conns = append(r.conns, c)
		server := r.hosts[1-c.plan.From]
		if _, err := server.Stack.Listen(netip.AddrPortFrom(netip.IPv6Unspecified(), firstPort+uint16(i)), 0); err != nil {
			r.fail("listen: %v", err)
		}
		server.Serve = r.serve
	}
}

const firstPort = 8000

// arrive gives a host an address on a path.
func (r *run) arrive(host, path int, addr netip.Addr) {
	r.net.Attach(r.hosts[host], addr)
	r.addrs[host][path] = addr
	if !slices.Contains(r.known[host][path], addr) {
		r.known[host][path] = append(r.known[host][path], addr)
	}
	for _, other := range r.known[1-host][path] {
		r.route(r.links[path], host, addr, other)
	}
	bits := 24
	if addr.Is6() {
		bits = 64
	}
	h := &r.plan.Hosts[host]
	err := r.hosts[host].Stack.AddAddress(r.net.Now(), stack.Address{Addr: addr, Bits: bits, MTU: h.MTU[path], Flags: h.Flags[path]})
	if err != nil {
		r.fail("add address: %v", err)
	}
}

func (r *run) route(l *sim.Link, host int, from, to netip.Addr) {
	if host == 1 {
		from, to = to, from
	}
	r.net.Route(l, from, to)
}

// leave takes a host's address on a path away.
func (r *run) leave(m *Move) {
	addr := r.addrs[m.Host][m.Path]
	r.net.Detach(addr)
	r.addrs[m.Host][m.Path] = netip.Addr{}
	if !m.Reachable {
		for _, other := range r.known[1-m.Host][m.Path] {
			r.route(r.void, m.Host, addr, other)
		}
	}
	if err := r.hosts[m.Host].Stack.RemoveAddress(r.net.Now(), addr); err != nil {
		r.fail("remove address: %v", err)
	}
}

// schedule enters everything that happens at a certain time.
func (r *run) schedule() {
	for i := range r.conns {
		r.net.After(r.conns[i].plan.Start, func() { r.dial(i) })
	}
	for i := range r.plan.Moves {
		m := &r.plan.Moves[i]
		r.net.After(m.At, func() {
			r.excuseMove(m)
			r.leave(m)
		})
		if m.Back == 0 {
			continue
		}
		r.net.After(m.Back, func() {
			known := r.known[m.Host][m.Path]
			addr := known[len(known)-1]
			if m.Renumber {
				addr = renumbered(addr)
			}
			r.arrive(m.Host, m.Path, addr)
		})
	}
	for i := range r.plan.Scenario.Paths {
		p := &r.plan.Scenario.Paths[i]
		for _, change := range p.Changes {
			if !change.Up {
				r.net.After(change.At, func() { r.excuseFirst(i) })
			}
		}
		if !lasts(p) {
			r.net.After(p.Changes[len(p.Changes)-1].At, func() { r.excuseCut(i) })
		}
	}
}

func (r *run) dial(i int) {
	c := r.conns[i]
	c.began = true
	from, to := r.addrs[c.plan.From][c.plan.Path], r.addrs[1-c.plan.From][c.plan.Path]
	if !from.IsValid() || !to.IsValid() {
		c.excuse = "the address to dial from or to was away"
		return
	}
	if p := &r.plan.Scenario.Paths[c.plan.Path]; !lasts(p) && r.net.Elapsed() >= p.Changes[len(p.Changes)-1].At {
		c.excuse = "dialled over a path that was cut"
	}
	h := r.hosts[c.plan.From]
	app, err := h.Dial(r.net.Now(), netip.AddrPortFrom(from, 0), netip.AddrPortFrom(to, firstPort+uint16(i)), nil, r.app(c, 0))
	if err != nil {
		r.fail("conn%d: dial: %v", i, err)
		return
	}
	c.ends[0] = app
	app.Step(r.net.Now())
}

func (r *run) serve(conn *mptcp.Conn) *App {
	i := int(conn.LocalAddr().Port()) - firstPort
	c := r.conns[i]
	if c.ends[1] != nil {
		r.fail("conn%d was accepted twice", i)
		return &App{}
	}
	c.ends[1] = r.app(c, 1)
	return c.ends[1]
}

// app makes the application of one end.
func (r *run) app(c *connRun, end int) *App {
	p := &c.plan.Ends[end]
	a := &App{Send: c.sent[end], Shut: true, Close: true, Habits: p.Habits}
	if p.ReadFrom > 0 {
		a.Habits.ReadFrom = r.net.Now().Add(p.ReadFrom)
	}
	if p.AbortAt > 0 {
		a.Habits.AbortAt = r.net.Now().Add(p.AbortAt)
	}
	return a
}

// applicationsDone is asked after every step.
func (r *run) applicationsDone() bool {
	r.watch()
	for _, c := range r.conns {
		if !c.done() {
			return false
		}
	}
	return true
}

func (r *run) nothingLeft() bool {
	r.watch()
	for _, h := range r.hosts {
		st := h.Stack.Stats()
		if st.Connections+st.TimeWaits+st.Subflows+st.Tokens+st.Timers+st.BufferBytes != 0 || !h.Stack.NextTimeout().IsZero() {
			return false
		}
	}
	return true
}

// watch looks at memory from time to time.
func (r *run) watch() {
	if r.res.Steps++; r.res.Steps%watchEvery != 0 {
		return
	}
	for i, h := range r.hosts {
		used := h.Stack.Stats().BufferBytes
		r.res.Buffers = max(r.res.Buffers, used)
		if most := r.mostBuffers(i); used > most {
			r.fail("host %c has %d bytes in buffers, want at most %d", 'A'+i, used, most)
		}
		h.Stack.Conns(func(c *mptcp.Conn) { r.res.Mappings = max(r.res.Mappings, c.HeldMappings()) })
	}
}

const watchEvery = 16

// mostBuffers is what the connections of a host may hold at most.
func (r *run) mostBuffers(host int) int {
	cfg := &r.plan.Hosts[host].Config.Conn
	send, recv := cfg.SendBuffer, cfg.RecvBuffer
	if send == 0 {
		send = 8 << 20
	}
	if recv == 0 {
		recv = 8 << 20
	}
	const rounding = 64 << 10 // to blocks, at either end
	const kept = 3 << 20      // acknowledged, but in flight on a dead subflow
	return len(r.conns) * (send + kept + 2*recv + 4*rounding)
}

func (c *connRun) done() bool {
	if !c.began {
		return false
	}
	switch a, b := c.ends[0], c.ends[1]; {
	case a == nil:
		return true
	case b == nil: // not yet, or not any more
		return a.Done() && a.Conn.Done()
	default:
		return a.Done() && b.Done()
	}
}

// giveUp lets the applications that are still waiting abort. Only those that
// have an excuse may be.
func (r *run) giveUp(why error) {
	for i, c := range r.conns {
		for e, app := range c.ends {
			if app == nil || app.Done() {
				continue
			}
			if c.excuse == "" && !c.aborted() {
				r.fail("conn%d: end %d still waits (%v): to send %d, received %d of %d, err %v\n%v", i, e, why,
					len(app.Send), app.Received.Len(), len(c.sent[1-e]), app.Err, r.describe())
			}
			app.Abort(r.net.Now())
		}
	}
}

func (r *run) describe() string {
	var b bytes.Buffer
	for i, c := range r.conns {
		for e, a := range c.ends {
			if a != nil {
				fmt.Fprintf(&b, "  conn%d end %d: to send %d, received %d, err %v, %+v\n", i, e,
					len(a.Send), a.Received.Len(), a.Err, a.Conn.Info(r.net.Now()))
			}
		}
	}
	return b.String()
}

// check is what has to hold in the end.
func (c *connRun) check() error {
	for e, app := range c.ends {
		if app == nil {
			continue
		}
		want, got := c.sent[1-e], app.Received.Bytes()
		if !bytes.HasPrefix(want, got) {
			return fmt.Errorf("end %d got %d bytes that are not what was sent", e, len(got))
		}
		if app.Err == io.EOF && len(got) != len(want) {
			return fmt.Errorf("end %d got a clean end after %d of %d bytes", e, len(got), len(want))
		}
	}
	if c.excuse != "" || c.aborted() || c.whole() {
		return nil
	}
	return fmt.Errorf("%v, %v", c.fate(0), c.fate(1))
}

func (c *connRun) fate(e int) string {
	app := c.ends[e]
	if app == nil {
		return fmt.Sprintf("end %d never began", e)
	}
	return fmt.Sprintf("end %d got %d of %d bytes and %v, connection ended with %v",
		e, app.Received.Len(), len(c.sent[1-e]), app.Err, app.Conn.Err())
}

// aborted reports whether an application did what may cost the other bytes.
func (c *connRun) aborted() bool {
	for e, app := range c.ends {
		if app != nil && (app.Aborted || c.plan.Ends[e].Habits.Hasty && len(c.sent[1-e]) > 0) {
			return true
		}
	}
	return false
}

func (c *connRun) whole() bool {
	for e, app := range c.ends {
		if app == nil {
			return false
		}
		if !c.plan.Ends[e].Habits.Hasty && (app.Err != io.EOF || app.Received.Len() != len(c.sent[1-e])) {
			return false
		}
	}
	return true
}

func (c *connRun) result() ConnResult {
	res := ConnResult{Whole: c.whole(), Excuse: c.excuse}
	if res.Excuse == "" && c.aborted() {
		res.Excuse = "aborted"
	}
	for e, app := range c.ends {
		if app == nil {
			continue
		}
		res.Bytes += app.Received.Len()
		res.LateError = res.LateError || app.Conn.Err() != nil && res.Whole
		if e == 0 {
			info := app.Conn.Info(time.Time{})
			res.Multipath, res.Fallback = info.Multipath, info.Fallback
			res.Subflows = 1 + int(info.Stats.JoinsDone)
		}
	}
	return res
}

// Join gives taps that call all of list.
func Join(list ...sim.Taps) sim.Taps {
	return sim.Taps{
		Sent: func(now time.Time, where string, pkt []byte) {
			for _, t := range list {
				if t.Sent != nil {
					t.Sent(now, where, pkt)
				}
			}
		},
		Arrived: func(now time.Time, where string, pkt []byte) {
			for _, t := range list {
				if t.Arrived != nil {
					t.Arrived(now, where, pkt)
				}
			}
		},
		Lost: func(now time.Time, where string, why sim.Fate, pkt []byte) {
			for _, t := range list {
				if t.Lost != nil {
					t.Lost(now, where, why, pkt)
				}
			}
		},
	}
}
