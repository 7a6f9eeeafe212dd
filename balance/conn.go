package balance

import (
	"net"
	"time"
)

// Conn is a connection to a server, lent for one request. Whoever has it from
// Pool.Get owns it until Put or Discard, one of which has to be called once;
// its methods are for that goroutine, or for one at a time.
type Conn struct {
	// Data is the user's and stays with the connection: read buffers, say.
	Data any

	conn   net.Conn
	server *server
	opened time.Duration // server.now
	owner  *Client       // the only client that may use it, or nil
	peer   peer

	// The owner's, while in use.
	member  *Member
	uses    int           // requests, with the present one
	lastUse bool          // the server takes no more
	stated  time.Duration // how long the server keeps it by its own word; negative: unknown

	bound bool // guarded by the lock of owner

	// Guarded by the server's lock.
	place        place
	gone         bool // the server has closed it
	group        group
	idleSince    time.Duration
	idleLimit    time.Duration // from then on; negative: none
	maxAge       time.Duration // since opened; negative: any
	older, newer *Conn         // all idle connections of the server
	below, above *Conn         // those of the group
}

// place is where a connection is.
type place uint8

const (
	placeInUse place = iota
	placeIdle
	placeClosed
)

// NetConn gives the connection itself. Deadlines are the user's business: a
// reused connection has those that were set last.
func (c *Conn) NetConn() net.Conn { return c.conn }

// Member gives the backend it leads to.
func (c *Conn) Member() *Member { return c.member }

// Reused says whether it has served another request before. When it fails
// before anything of the response has come, the request may go again with
// Request.Fresh, if it is idempotent or was not sent (RFC 9110 section 9.2.2).
func (c *Conn) Reused() bool { return c.uses > 1 }

// Requests counts the requests it has been lent for, with the present one.
func (c *Conn) Requests() int { return c.uses }

// KeepAlive takes note of what the server said in a Keep-Alive header field;
// see ParseKeepAlive. timeout is how long it keeps the connection when idle, and
// requests how many more it takes on it; 0: it did not say.
func (c *Conn) KeepAlive(timeout time.Duration, requests int) {
	if timeout != 0 {
		c.stated = below(timeout)
		if c.stated < time.Millisecond {
			c.stated = 0 // it is not worth keeping
		}
	}
	if requests == 1 {
		// Some servers count the request they have just answered, some do
		// not; being one short costs less than sending one too many.
		c.lastUse = true
	}
}

// Bind keeps the connection for the client that uses it now, and that client's
// requests to this connection's pool on it. It is for protocols that tie a
// client's identity to the connection, such as NTLM.
func (c *Conn) Bind(client *Client) {
	if c.owner != nil && c.owner != client {
		panic("BUG: connection bound to two clients")
	}
	c.owner = client
	if !client.adopt(c, true) {
		c.lastUse = true
	}
}

// Report tells how the backend served the request: ok, or not, as by a broken
// connection or a status that stands for a fault of the server. Ejection lives
// on it.
func (c *Conn) Report(ok bool) { c.member.report(ok) }

// ReportError is Report of a request that failed, with the reason for
// MemberStats.LastError.
func (c *Conn) ReportError(err error) {
	c.member.noteFailure(err)
	c.member.report(false)
}

// Put gives the connection back for other requests. The response has to have
// been read to its end, and neither side may have asked to close.
func (c *Conn) Put() {
	m := c.member
	if !c.peer.park(c) {
		c.close(ClosedByServer)
	} else if why, kept := c.server.keep(c); !kept {
		c.close(why)
	}
	m.release()
}

// Discard closes the connection.
func (c *Conn) Discard() {
	m := c.member
	c.close(ClosedByUser)
	m.release()
}

// mustBeInUse finds users that give a connection back twice, which would lend
// it to two at once. The server's lock is held.
func (c *Conn) mustBeInUse() {
	if c.place != placeInUse {
		panic("BUG: connection given back twice")
	}
}

// lend readies a connection for a request.
func (c *Conn) lend(m *Member) *Conn {
	c.member = m
	c.uses++
	return c
}

// evict closes the connection if it is idle; if it is in use, that happens when
// it is given back.
func (c *Conn) evict(why CloseReason) {
	s := c.server
	s.mu.Lock()
	wasIdle := c.place == placeIdle
	if wasIdle {
		s.unlink(c)
	}
	c.gone = true
	s.mu.Unlock()
	if wasIdle {
		c.close(why)
	}
}

// close closes a connection that is in use, or was just taken out of the lists.
func (c *Conn) close(why CloseReason) {
	s := c.server
	s.mu.Lock()
	c.mustBeInUse()
	c.place = placeClosed
	s.mu.Unlock()
	c.peer.forget()
	c.conn.Close()
	if c.owner != nil {
		c.owner.forget(c)
	}
	s.closed(why)
}

// newConn wraps a connection that was just opened.
func newConn(nc net.Conn, s *server, w *watch, owner *Client, who sharers) *Conn {
	c := &Conn{conn: nc, server: s, opened: s.now(), owner: owner, stated: -1, group: group{sharers: who}}
	c.peer.init(nc, w)
	return c
}
