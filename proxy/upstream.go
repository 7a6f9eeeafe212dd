package proxy

import (
	"errors"
	"sync/atomic"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// upstream is a pool of servers as requests are forwarded to it: it lends the
// connections of package balance to package http1.
type upstream struct {
	proxy  *Proxy
	name   string
	config *config.Pool
	pool   atomic.Pointer[balance.Pool]
}

// lent is what an upstream notes with a connection to a server.
type lent struct {
	conn   *balance.Conn
	client *balance.Client // whose request it serves
}

// Get implements http1.Pool.
func (u *upstream) Get(x *http1.Exchange, fresh bool) (*http1.ServerConn, error) {
	client := x.ConnData.(*clientConn).client
	r := balance.Request{
		Client: client, Fresh: fresh, Again: fresh, Idempotent: x.Request.Method.Idempotent(),
	}
	c, err := u.lend(x, r)
	if err != nil {
		return nil, u.refusal(err)
	}
	s, ok := c.Data.(*http1.ServerConn)
	if !ok {
		s = u.proxy.engine.NewServerConn(c.NetConn())
		s.Data, c.Data = &lent{conn: c}, s
	}
	s.Data.(*lent).client = client
	return s, nil
}

// lend asks the pool. One that has just been replaced sends its requests on to
// the one in its place.
func (u *upstream) lend(x *http1.Exchange, r balance.Request) (*balance.Conn, error) {
	pool := u.pool.Load()
	for {
		c, err := pool.Get(x.Context(), r)
		if !errors.Is(err, balance.ErrClosed) {
			return c, err
		}
		next := u.proxy.pools.Pool(u.name)
		if next == nil || next == pool {
			return nil, err
		}
		pool = next
	}
}

// refusal says what the client is told when there is no connection.
func (u *upstream) refusal(err error) error {
	var dial *balance.DialError
	if errors.As(err, &dial) {
		return err // http1 tells 502 and 504 apart
	}
	return http1.ErrNoServer
}

// Put implements http1.Pool.
func (u *upstream) Put(s *http1.ServerConn, r http1.Result) {
	l := s.Data.(*lent)
	c := l.conn
	c.Report(r.Err == nil && r.Status < 500)
	if r.KeepAlive > 0 || r.Requests > 0 {
		c.KeepAlive(r.KeepAlive, r.Requests)
	}
	if !r.Reuse {
		c.Discard()
		return
	}
	if r.Bound {
		c.Bind(l.client)
	}
	c.Put()
}
