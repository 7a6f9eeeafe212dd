package proxy

import (
	"time"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/accesslog"
	"github.com/braid-mptcp/braid/proxy/http1"
	"github.com/braid-mptcp/braid/proxy/passthrough"
	"github.com/braid-mptcp/braid/proxy/status"
)

// lookEvery is how old what is logged of a connection's paths may be: looking
// costs system calls.
const lookEvery = time.Second

// watched says whether anybody may ask how connections and requests do.
func watched(c *config.Config) bool {
	return c.Admin.Address != nil || c.Metrics.Enabled && c.Metrics.Address != nil
}

// openAccount begins the account of a connection, if anybody wants to know.
func (p *Proxy) openAccount(c *clientConn) {
	s := p.state.Load()
	if s.watched || s.access.Multipath() {
		c.account = p.ledger.Open(c.Conn, c.multipath)
	}
}

// lookNow asks a connection what it has done so far, at the last moment.
func (c *clientConn) lookNow() { c.account.Look(time.Now(), 0) }

// recorder keeps record of the requests of a listener.
type recorder struct {
	proxy    *Proxy
	listener string
	scheme   string
}

// record is Settings.Log: it counts a request that is over, and logs it.
func (l *recorder) record(x *http1.Exchange) {
	p, st := l.proxy, &x.Stats
	c := x.ConnData.(*clientConn)
	c.in.Add(st.RequestBytes)
	c.out.Add(st.ReplyBytes)
	s := p.state.Load()
	to, _ := x.Data.(*route)
	pool := ""
	if to != nil && to.upstream != nil {
		pool = to.upstream.name
	}
	if s.watched {
		r := status.Request{
			Code: st.Status, Duration: st.End, BytesIn: st.RequestBytes, BytesOut: st.ReplyBytes,
			Reused: st.Reused, Retried: st.Retried,
		}
		if st.Answered > 0 {
			r.Wait = max(st.Answered-st.Sent, 1)
		}
		if st.Connected > 0 && !st.Reused {
			r.Connect = max(st.Connected-st.Head, 1)
		}
		p.ledger.Series(l.listener, pool).Add(&r)
		c.noteFirst(x.Request)
	}
	if s.access != nil {
		l.logRequest(s.access, x, c, to)
	}
}

// logRequest writes a line of the access log.
func (l *recorder) logRequest(log *accesslog.Log, x *http1.Exchange, c *clientConn, to *route) {
	st, req := &x.Stats, x.Request
	r := accesslog.Record{
		Time: st.Start, Listener: l.listener, Protocol: x.Protocol, Scheme: l.scheme,
		Method: req.MethodName(), Host: req.Authority(), Target: req.Target(),
		Status: st.Status, BytesIn: st.RequestBytes, BytesOut: st.ReplyBytes, Body: st.Body,
		Head: st.Head, Connected: st.Connected, Answered: st.Answered, Total: st.End,
		Reused: st.Reused, Retried: st.Retried, Err: st.Err,
	}
	r.UserAgent, _ = req.Known(http1.UserAgent)
	r.Referer, _ = req.Get("referer")
	r.RequestID, _ = req.Get("x-request-id")
	if to != nil {
		r.Route = to.name
		if to.upstream != nil {
			r.Pool = to.upstream.name
		}
	}
	if st.Server != nil {
		r.Backend = st.Server.Data.(*lent).conn.Member().Name()
	}
	c.describe(&r.Conn, log)
	r.Conn.Client = x.Client
	log.Write(&r)
}

// describe fills in what the access log tells of a connection.
func (c *clientConn) describe(to *accesslog.Connection, log *accesslog.Log) {
	*to = accesslog.Connection{
		ID: c.id, Client: c.peer, Local: c.local, Requests: c.requests.Load(),
		BytesIn: c.in.Load(), BytesOut: c.out.Load(),
	}
	if t := c.tls.Load(); t != nil {
		to.TLSVersion, to.ServerName = t.version, t.serverName
	}
	if c.account == nil || !log.Multipath() {
		return
	}
	c.account.Look(time.Now(), lookEvery)
	var s status.Connection
	c.account.Describe(&s)
	to.Multipath, to.Fallback, to.Paths = s.Multipath, s.Fallback, s.Paths
}

// passedOn is passthrough.Config.Done: it counts a connection that is over, and
// logs it.
func (p *Proxy) passedOn(c *clientConn, result passthrough.Result) {
	in, out := result.Conn.In.Load(), result.Conn.Out.Load()
	c.in.Add(in)
	c.out.Add(out)
	c.passed.Store(nil)
	s := p.state.Load()
	if s.watched && result.Server != nil {
		p.ledger.Series(c.listener.name, result.Pool).Connected(result.Connect)
	}
	if s.access == nil {
		return
	}
	r := accesslog.Record{
		Time: c.opened, Listener: c.listener.name, Pool: result.Pool, Backend: result.Backend, Protocol: "tcp",
		BytesIn: in, BytesOut: out, Body: out, Connected: result.Connect, Total: result.Duration, Err: result.Err,
	}
	facts, _ := result.Conn.Data.(*tcpFacts)
	if facts != nil {
		r.Route = facts.route
	}
	c.describe(&r.Conn, s.access)
	if facts != nil {
		r.Conn.ServerName = facts.serverName
	}
	s.access.Write(&r)
}
