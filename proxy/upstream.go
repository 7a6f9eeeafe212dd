package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/http1"
)

// upstream is a pool of servers as requests are forwarded to it: it lends the
// connections of package balance to package http1.
type upstream struct {
	proxy    *Proxy
	name     string
	affinity *affinity      // nil: none
	hash     config.HashKey // of Maglev
	maglev   bool
	hostSNI  bool // the name for TLS is the request's host
	retry    config.Retry
	faults   []config.StatusRange // responses that count as the server's failures
	pool     atomic.Pointer[balance.Pool]
}

var _ http1.Retrier = (*upstream)(nil)

func (p *Proxy) newUpstream(name string, c *config.Pool) *upstream {
	u := &upstream{
		proxy: p, name: name, affinity: newAffinity(c.Affinity), hash: lowerKey(c.Hash),
		maglev: c.Policy == config.PolicyMaglev, hostSNI: c.TLS != nil && c.TLS.ServerName == "", retry: c.Retry,
		faults: []config.StatusRange{{From: 500, To: 599}},
	}
	if c.Ejection != nil {
		u.faults = c.Ejection.Status
	}
	return u
}

// lent is what an upstream notes with a connection to a server.
type lent struct {
	conn   *balance.Conn
	client *balance.Client // whose request it serves
}

// Get implements http1.Pool.
func (u *upstream) Get(x *http1.Exchange, fresh bool) (*http1.ServerConn, error) {
	cc := x.ConnData.(*clientConn)
	r := balance.Request{
		Client: cc.client, Fresh: fresh, Again: x.Attempt > 0, Idempotent: x.Request.Method.Idempotent(),
	}
	if u.maglev {
		r.Hash = hashOf(&u.hash, x, cc)
	}
	if u.affinity != nil {
		r.Affinity = u.affinity.wanted(x.Request)
	}
	if x.Failed != nil {
		r.Avoid = x.Failed.Data.(*lent).conn.Member()
	}
	ctx := x.Context()
	if u.hostSNI {
		ctx, r.Name = withHost(ctx, x)
	}
	c, err := u.lend(ctx, r)
	if err != nil {
		return nil, refusal(ctx, err)
	}
	s, ok := c.Data.(*http1.ServerConn)
	if !ok {
		s = u.proxy.engine.NewServerConn(c.NetConn())
		s.Data, c.Data = &lent{conn: c}, s
	}
	s.Data.(*lent).client = cc.client
	if u.affinity != nil {
		x.EditResponse().Reset() // what an attempt before has said
		if m := c.Member(); m.Affinity() != r.Affinity {
			u.affinity.set(x, m)
		}
	}
	return s, nil
}

// lend asks the pool. One that has just been replaced sends its requests on to
// the one in its place.
func (u *upstream) lend(ctx context.Context, r balance.Request) (*balance.Conn, error) {
	pool := u.pool.Load()
	for {
		c, err := pool.Get(ctx, r)
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
func refusal(ctx context.Context, err error) error {
	var dial *balance.DialError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return http1.ErrServerTimeout
	case errors.As(err, &dial):
		return err // http1 tells 502 and 504 apart
	}
	return &noServer{err}
}

// noServer is a pool's reason for lending no connection: the client is told 503,
// the log why.
type noServer struct{ why error }

func (e *noServer) Error() string   { return http1.ErrNoServer.Reason + ": " + e.why.Error() }
func (e *noServer) Unwrap() []error { return []error{http1.ErrNoServer, e.why} }

// Put implements http1.Pool.
func (u *upstream) Put(s *http1.ServerConn, r http1.Result) {
	l := s.Data.(*lent)
	c := l.conn
	if r.Err != http1.ErrDead { // else nothing is known of the server
		u.report(c, r)
	}
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

// report tells the balancer how a request went.
func (u *upstream) report(c *balance.Conn, r http1.Result) {
	switch {
	case r.Err != nil:
		c.ReportError(r.Err)
	case inRanges(u.faults, r.Status):
		c.ReportError(faultyStatus(r.Status))
	default:
		c.Report(true)
	}
}

// faultyStatus is an answer that counts as a failure of its server.
type faultyStatus int

func (s faultyStatus) Error() string { return fmt.Sprintf("status %d", int(s)) }

// Retry implements http1.Retrier.
func (u *upstream) Retry(x *http1.Exchange, status int) bool {
	if status != 0 && !inRanges(u.retry.Status, status) {
		return false
	}
	return x.Retries < u.retry.Attempts && u.pool.Load().AllowRetry()
}

func inRanges(ranges []config.StatusRange, status int) bool {
	for _, r := range ranges {
		if status >= r.From && status <= r.To {
			return true
		}
	}
	return false
}
