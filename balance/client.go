package balance

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Client is one connection of a client, as far as the choice of server
// connections goes. A proxy makes one for each connection it accepts, and
// closes it with that. Its methods may be called from any goroutine, so that
// one Client does for the requests of an HTTP/2 connection.
type Client struct {
	addr netip.Addr
	// Data is the proxy's. Config.Prepare may want it.
	Data any

	requests atomic.Uint32
	owned    atomic.Int32 // len(own), to be read without the lock

	mu     sync.Mutex
	own    []*Conn // connections that nobody else may use
	closed bool
}

// NewClient makes a Client. addr is the client's address before any
// translation on the server's side: what Reuse.SourceMask looks at.
func NewClient(addr netip.Addr) *Client { return &Client{addr: addr.Unmap().WithZone("")} }

// Addr gives the client's address.
func (c *Client) Addr() netip.Addr { return c.addr }

// Close closes the connections that belong to this client alone. Those in use
// close when they are given back.
func (c *Client) Close() {
	c.mu.Lock()
	own := c.own
	c.own, c.closed = nil, true
	c.owned.Store(0)
	c.mu.Unlock()
	for _, conn := range own {
		conn.evict(ClosedByClient)
	}
}

// begin counts a request and says whether it is the client's first.
func (c *Client) begin() bool { return c.requests.Add(1) == 1 }

// adopt notes that conn belongs to this client; bound says that its requests
// must go over it. The result is false when the client is gone.
func (c *Client) adopt(conn *Conn, bound bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn.bound = conn.bound || bound
	if c.closed {
		return false
	}
	if !slices.Contains(c.own, conn) {
		c.own = append(c.own, conn)
		c.owned.Store(int32(len(c.own)))
	}
	return true
}

// forget is for a connection that was closed.
func (c *Client) forget(conn *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.own, conn); i >= 0 {
		c.own = slices.Delete(c.own, i, i+1)
		c.owned.Store(int32(len(c.own)))
	}
}

// takeBound takes an idle connection that this client's requests to p must use,
// and tells the member it leads to.
func (c *Client) takeBound(p *Pool) (taken, *Member) {
	if c.owned.Load() == 0 {
		return taken{}, nil
	}
	servers := p.view.Load().byServer
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.own {
		m := servers[conn.server]
		if m == nil || !conn.bound {
			continue
		}
		// Lock order: the client's before the server's.
		if t := conn.server.takeThis(conn); t.conn != nil {
			return t, m
		}
	}
	return taken{}, nil
}

// takeOwn takes an idle connection to s that only this client may use, for
// requests of that name.
func (c *Client) takeOwn(s *server, name string) taken {
	if c.owned.Load() == 0 {
		return taken{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.own {
		if conn.server != s || conn.group.name != name {
			continue
		}
		if t := conn.server.takeThis(conn); t.conn != nil {
			return t
		}
	}
	return taken{}
}
