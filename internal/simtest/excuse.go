package simtest

import (
	"slices"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
)

// Not every connection can survive what a random plan does to it. These rules
// say which need not, and are as few as they can be: they are decided at the
// moment of the damage, from what the connection had then.

// excuseCut is called when a path is cut for good.
func (r *run) excuseCut(path int) {
	for _, c := range r.conns {
		if c.uses(r, path) && !c.hasSafeSubflow(r) {
			c.excuse = "its only path was cut for good"
		}
	}
}

// excuseMove is called before an address goes away.
func (r *run) excuseMove(m *Move) {
	for _, c := range r.conns {
		if !c.uses(r, m.Path) || c.hasSafeSubflow(r) {
			continue
		}
		flags := r.plan.Hosts[m.Host].Flags[m.Path]
		switch {
		case m.Back == 0:
			c.excuse = "its only address went away for good"
		case !c.canRejoin():
			c.excuse = "the address went away before others could join"
		case m.Host != c.plan.From:
			// Nobody tells the dialler that there is somewhere to come back
			// to, and it may have nothing to send that would show.
			c.excuse = "the address of the end that cannot dial went away"
		case r.plan.Hosts[1-m.Host].Config.Conn.NoJoinHere:
			c.excuse = "the peer's address must not be joined"
		case m.Renumber && flags&mptcp.EndpointSubflow == 0:
			c.excuse = "the new address is not for subflows"
		}
	}
}

// excuseFirst is called whenever a path is cut: the first subflow of a
// connection may be lost, and where the peer wants no joins to that address
// nothing can take its place.
func (r *run) excuseFirst(path int) {
	for _, c := range r.conns {
		if c.plan.Path == path && c.uses(r, path) && r.plan.Hosts[1-c.plan.From].Config.Conn.NoJoinHere {
			c.excuse = "its first path was cut and must not be joined"
		}
	}
}

// uses reports whether a connection that is not over, or was not even begun,
// may have to do with a path.
func (c *connRun) uses(r *run, path int) bool {
	if !c.began || c.ends[0] == nil || c.done() && c.ends[0].Conn.Done() {
		return false
	}
	if c.plan.Path == path && !c.canRejoin() {
		return true
	}
	for _, app := range c.ends {
		if app == nil {
			continue
		}
		for _, sf := range app.Conn.Info(r.net.Now()).Subflows {
			if slices.Contains(r.known[0][path], sf.Local.Addr()) || slices.Contains(r.known[1][path], sf.Local.Addr()) {
				return true
			}
		}
	}
	return c.plan.Path == path
}

// canRejoin reports whether the dialler knows that it may add subflows, and
// the other end that it may take them.
func (c *connRun) canRejoin() bool {
	if c.ends[0] == nil || c.ends[1] == nil {
		return false
	}
	a, b := c.ends[0].Conn.Info(time.Time{}), c.ends[1].Conn.Info(time.Time{})
	return a.Multipath && b.Multipath && (a.BytesAcked > 0 || a.Stats.BytesReceived > 0)
}

// hasSafeSubflow reports whether both ends have a subflow up on a path that
// stays and whose addresses stay.
func (c *connRun) hasSafeSubflow(r *run) bool {
	if c.ends[0] == nil || c.ends[1] == nil {
		return false
	}
	now := r.net.Now()
	for path := range r.plan.Scenario.Paths {
		if !lasts(&r.plan.Scenario.Paths[path]) ||
			slices.ContainsFunc(r.plan.Moves, func(m Move) bool { return m.Path == path }) {
			continue
		}
		both := true
		for e, app := range c.ends {
			host := c.plan.From
			if e == 1 {
				host = 1 - host
			}
			on := false
			for _, sf := range app.Conn.Info(now).Subflows {
				on = on || sf.Established && slices.Contains(r.known[host][path], sf.Local.Addr())
			}
			both = both && on
		}
		if both {
			return true
		}
	}
	return false
}
