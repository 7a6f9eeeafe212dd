package http1

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// clientConn is a client's connection. Except where it says otherwise it
// belongs to the goroutine of serve.
type clientConn struct {
	sock
	under    syscall.RawConn // the socket at the bottom, only to ask about; nil: not known
	engine   *Engine
	frontend *Frontend
	client   netip.AddrPort
	local    netip.AddrPort
	data     any         // Exchange.ConnData
	streams  *Streams    // whose stream this is; nil: a connection
	hung     atomic.Bool // the client has gone: see hangUp
	closed   func(any)
	trace    Trace
	traced   *TraceConfig  // what trace was made for; nil: it was not
	requests int           // begun
	since    time.Duration // when it began, in the sweeper's time

	// The context of exchanges, made when first asked for.
	ctx connContext

	work *work // nil while idle
	next step
	// ending says that the response in hand is the last on this connection.
	ending bool

	// The deadlines, see sweeper. serverConn is the connection that the
	// server guards are about.
	read, write             guard
	serverRead, serverWrite guard
	serverConn              atomic.Pointer[ServerConn]
	aborted                 atomic.Bool
	handedOver              atomic.Bool // to Settings.Preface

	// The sweeper's.
	place    int
	lastWord int64
	probed   bool
}

// step is what a connection does next.
type step uint8

const (
	readRequests step = iota
	sendBody          // forward a request with a body that does not fit in the buffer
	runTunnel
	givePreface // HTTP/2
	linger      // close, once the client has read what was written
	closeNow
)

func newClientConn(e *Engine, f *Frontend, c net.Conn) *clientConn {
	cc := &clientConn{engine: e, frontend: f, client: addrPort(c.RemoteAddr()), local: addrPort(c.LocalAddr())}
	cc.init(c, e.rawOf(c))
	cc.under = e.underOf(c)
	cc.sock.blocked = (*clientBlocked)(cc)
	cc.ctx.parent = e.ctx
	return cc
}

// addrPort gives an address that has one as such.
func addrPort(a net.Addr) netip.AddrPort {
	if a, ok := a.(interface{ AddrPort() netip.AddrPort }); ok {
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// serve serves the connection until it ends.
func (c *clientConn) serve() {
	e := c.engine
	e.counters.connections.Add(1)
	s := c.frontend.settings.Load()
	if s.Opened != nil {
		c.data = s.Opened(c.conn)
	}
	c.closed = s.Closed
	c.since = e.sweeper.now()
	c.setRead(s.Timeouts.Head, isNew)
	e.sweeper.add(c)
	if e.isDraining() {
		c.next = closeNow
	}
	c.run()
	if c.closed != nil {
		c.closed(c.data)
	}
}

// run does what comes next until there is nothing, and closes the connection,
// which the sweeper knows until then.
func (c *clientConn) run() {
	for c.next != closeNow {
		switch c.next {
		case readRequests:
			c.readRequests()
		case sendBody:
			c.sendBody()
		case runTunnel:
			c.runTunnel()
		case givePreface:
			c.givePreface()
		case linger:
			c.linger()
		}
	}
	c.engine.sweeper.remove(c)
	c.conn.Close()
	c.ctx.end()
	if c.work != nil {
		c.releaseWork()
	}
}

// setRead and its like set the deadline that is d away. They are false if the
// old one has passed.
func (c *clientConn) setRead(d time.Duration, p phase) bool {
	return c.read.set(c.deadline(d), p)
}

func (c *clientConn) setServerRead(d time.Duration) bool {
	return c.serverRead.set(c.deadline(d), inMessage)
}

// deadline is d away, or that of the whole request if it comes sooner.
func (c *clientConn) deadline(d time.Duration) time.Duration {
	t := c.engine.sweeper.in(d)
	if w := c.work; w != nil && w.until > 0 {
		t = min(t, w.until)
	}
	return t
}

// clientBlocked and serverBlocked set the deadlines of writes that wait.
type (
	clientBlocked clientConn
	serverBlocked clientConn
)

func (b *clientBlocked) blocked() {
	c := (*clientConn)(b)
	c.write.set(c.deadline(c.timeouts().Write), inMessage)
}

func (b *serverBlocked) blocked() {
	c := (*clientConn)(b)
	c.serverWrite.set(c.deadline(c.timeouts().Write), inMessage)
}

func (c *clientConn) timeouts() *Timeouts {
	if c.work != nil && c.work.settings != nil {
		return &c.work.settings.Timeouts
	}
	return &c.frontend.settings.Load().Timeouts
}

// sendClient writes to the client.
func (c *clientConn) sendClient(b []byte) (int, error) {
	n, err := c.send(b)
	if c.write.word.Load() != noDeadline && !c.write.clear() && err == nil {
		err = ErrResponseTimeout
	}
	return n, err
}

// hasGone reports, to the sweeper, whether the client can be taken to have
// gone. A reset ends everything; the end of the client's stream alone may be
// meant as a half-close.
func (c *clientConn) hasGone(p phase) bool {
	if c.under == nil {
		return false
	}
	closed, reset := gone(c.under)
	if p == atServer && c.frontend.settings.Load().HalfClose {
		return reset
	}
	return closed
}

// hangUp ends what waits for a server, since the client has gone, from any
// goroutine. Whether the server connection is one from before, is being lent
// just now, or is about to be given back, does not matter: lend and giveBack
// change serverConn first and look whether anybody hung up then, so that one of
// the two sides always sees the other.
func (c *clientConn) hangUp() {
	c.hung.Store(true)
	c.ctx.end()
	if s := c.serverConn.Load(); s != nil {
		s.conn.SetReadDeadline(longAgo)
	}
}

// abandoned reports whether the client has gone, or is to go.
func (c *clientConn) abandoned() bool { return c.hung.Load() || c.aborted.Load() }

// abort has the connection end at once, from any goroutine. It does not close
// anything: closing waits until nobody uses the descriptor, and serve may be
// using it just now, within receive.
func (c *clientConn) abort() {
	c.aborted.Store(true)
	c.ctx.end()
	if c.handedOver.Load() {
		c.conn.Close()
		return
	}
	c.conn.SetDeadline(longAgo)
	if s := c.serverConn.Load(); s != nil {
		s.conn.SetDeadline(longAgo)
	}
}

// renewRead makes reading possible again after longAgo.
func (c *clientConn) renewRead() {
	c.conn.SetReadDeadline(time.Time{})
	if c.aborted.Load() {
		c.conn.SetReadDeadline(longAgo)
	}
}

// connContext is a context that costs nothing until somebody waits for its end,
// which for most connections nobody does.
type connContext struct {
	parent context.Context

	mu     sync.Mutex
	ctx    context.Context // nil: nobody has waited yet
	cancel context.CancelFunc
	ended  bool
}

// Deadline implements context.Context.
func (c *connContext) Deadline() (time.Time, bool) { return c.parent.Deadline() }

// Done implements context.Context.
func (c *connContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(c.parent)
		if c.ended {
			c.cancel()
		}
	}
	return c.ctx.Done()
}

// Err implements context.Context.
func (c *connContext) Err() error {
	if err := c.made().Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context. Package context asks who ends what Done gave.
func (c *connContext) Value(key any) any { return c.made().Value(key) }

// made gives the context that Done made, or the parent.
func (c *connContext) made() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != nil {
		return c.ctx
	}
	return c.parent
}

func (c *connContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}
