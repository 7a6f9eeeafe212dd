package passthrough

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/proxy/certs"
)

// grace is how long one direction may go on after the other one broke: time for
// what has arrived already, such as the reason.
const grace = 250 * time.Millisecond

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// session is the life of a connection.
type session struct {
	cfg    *Config
	conn   *Conn
	began  time.Time
	active atomic.Int64 // when something passed last, since began
	ended  atomic.Int32 // directions that have come to their end
	result Result

	mu     sync.Mutex
	client *side
	server *side // nil until there is one
	end    End
	err    error // why it was broken off; the first reason counts
	cancel context.CancelFunc
}

func newSession(client net.Conn, cfg *Config) *session {
	s := &session{cfg: cfg, conn: &Conn{Client: client}, began: time.Now(), client: newSide(client, EndClient)}
	s.result.Conn = s.conn
	return s
}

func (s *session) run(outer context.Context) {
	defer s.finish()
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	if s.cfg.SNI && !s.readHello() {
		return
	}
	pool, req, err := s.cfg.Route(s.conn)
	if req.Client != nil {
		defer req.Client.Close()
	}
	if err != nil {
		s.breakOff(EndRefused, err)
		return
	}
	s.result.Pool = pool.Name()
	server, err := s.connect(ctx, pool, req)
	if err != nil {
		if outer.Err() != nil {
			s.breakOff(EndShutdown, ErrShutdown)
		}
		s.breakOff(EndNoServer, err)
		return
	}
	// A connection that was somebody's is of no use to others.
	defer server.Discard()
	s.result.Backend, s.result.Server = server.Member().Name(), server.NetConn().RemoteAddr()
	if s.begin(newSide(server.NetConn(), EndServer)) {
		s.pass()
	}
	if s.conn.Out.Load() > 0 {
		// A server that says nothing is not reported as at fault: clients that
		// speak nonsense could put it out of service that way.
		server.Report(true)
	}
	s.mu.Lock()
	if s.err != nil {
		s.server.abort()
	}
	s.mu.Unlock()
}

// readHello waits for the client's hello. A client that begins with something
// else than TLS has none.
func (s *session) readHello() bool {
	hello, c, err := certs.PeekHello(s.client.conn, s.cfg.HelloTimeout)
	switch {
	case err == nil:
		s.conn.Hello = &hello
	case !errors.Is(err, certs.ErrNotTLS):
		s.breakOff(EndHello, err)
		return false
	}
	peeked := newSide(c, EndClient)
	peeked.conn = s.client.conn
	s.mu.Lock()
	s.client = peeked
	s.mu.Unlock()
	return true
}

// connect gets a server for the client, while that is there.
func (s *session) connect(ctx context.Context, pool *balance.Pool, req balance.Request) (*balance.Conn, error) {
	w := watchGone(s.client.inner, func() { s.breakOff(EndClient, ErrGone) })
	defer w.stop()
	req.Fresh = true
	since := time.Now()
	c, err := pool.Get(ctx, req)
	s.result.Connect = time.Since(since)
	return c, err
}

// begin notes that there is a server; false: too late.
func (s *session) begin(server *side) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = server
	return s.err == nil
}

// pass carries both directions to their ends.
func (s *session) pass() {
	s.touch()
	stop := s.watchIdle()
	up := &direction{s: s, from: s.client, to: s.server, bytes: &s.conn.In}
	down := &direction{s: s, from: s.server, to: s.client, bytes: &s.conn.Out}
	var other sync.WaitGroup
	other.Go(up.run)
	down.run()
	other.Wait()
	stop()
}

// touch notes that something passed.
func (s *session) touch() { s.active.Store(int64(time.Since(s.began))) }

// watchIdle ends the session when nothing passes, by one timer that is set
// again as often as it finds that something did: no deadline has to be moved
// for each piece of data.
func (s *session) watchIdle() (stop func()) {
	idle := s.cfg.Idle
	if idle <= 0 {
		return func() {}
	}
	var mu sync.Mutex // the timer may fire before it is assigned
	mu.Lock()
	defer mu.Unlock()
	stopped := false
	var timer *time.Timer
	timer = time.AfterFunc(idle, func() {
		mu.Lock()
		defer mu.Unlock()
		left := time.Duration(s.active.Load()) + idle - time.Since(s.began)
		switch {
		case stopped:
		case left > 0:
			timer.Reset(left)
		default:
			s.breakOff(EndIdle, ErrIdle)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// breakOff ends the session from here, at once, and says why.
func (s *session) breakOff(end End, why error) { s.breakBy(end, why, longAgo) }

// broke notes that one side broke. Where that was found by writing to it, what
// it said before has a moment to arrive.
func (s *session) broke(guilty *side, err error, writing bool) {
	deadline := longAgo
	if writing {
		deadline = time.Now().Add(grace)
	}
	s.breakBy(guilty.guilt, err, deadline)
}

func (s *session) breakBy(end End, why error, deadline time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil && deadline != longAgo {
		return
	}
	if s.err == nil {
		s.end, s.err = end, why
	}
	s.client.conn.SetDeadline(deadline)
	if s.server != nil {
		s.server.conn.SetDeadline(deadline)
	}
	if s.cancel != nil {
		s.cancel()
	}
}

// finish closes the client and tells Config.Done.
func (s *session) finish() {
	s.mu.Lock()
	s.result.End, s.result.Err = s.end, s.err
	if s.err != nil {
		s.client.abort()
	}
	s.mu.Unlock()
	s.client.conn.Close()
	s.result.Duration = time.Since(s.began)
	if s.cfg.Done != nil {
		s.cfg.Done(s.result)
	}
}

// direction carries what one side says to the other.
type direction struct {
	s        *session
	from, to *side
	bytes    *atomic.Int64
}

// run carries on until this direction has come to its end or broken.
func (d *direction) run() {
	broken, err := d.carry()
	if d.s.conn.Ending != nil {
		d.s.conn.Ending()
	}
	if err == nil && d.s.ended.Add(1) == 1 {
		// The end of the other direction goes with closing the connection.
		broken, err = d.to, d.to.closeWrite()
	}
	if err != nil {
		d.s.broke(broken, fmt.Errorf("passthrough: %w", err), broken == d.to)
	}
}

// passed counts bytes that were delivered.
func (d *direction) passed(n int) {
	d.bytes.Add(int64(n))
	d.s.touch()
}

// carry copies to the end of the stream. An error comes with the side that it
// is of.
func (d *direction) carry() (broken *side, err error) {
	if len(d.from.ahead) > 0 {
		n, err := d.to.inner.Write(d.from.ahead)
		d.passed(n)
		d.from.ahead = nil
		if err != nil {
			return d.to, err
		}
	}
	if d.from.raw != nil && d.to.raw != nil {
		return d.carryRaw()
	}
	return d.carryPlain()
}
