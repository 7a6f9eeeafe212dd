package host

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/stream"
)

// How much one turn of Write hands to the stack, and of Read takes from it.
// Less would take the lock too often; more would have left the processor's
// cache by the time it is cut into segments.
const (
	writeChunk = 128 << 10
	readChunk  = 256 << 10
)

// inPlace is how many bytes are copied with the lock held. For more it is
// released meanwhile: the stack goes on with its work.
const inPlace = 4 << 10

// Conn is a connection of a Host. It implements net.Conn, and like one its
// methods may be called from any goroutine.
type Conn struct {
	shard         *shard
	core          *mptcp.Conn
	local, remote *net.TCPAddr

	// writing keeps the bytes of two concurrent Writes apart, and reading those
	// of two Reads. They are taken before the shard's lock.
	writing, reading sync.Mutex
	room, taken      []stream.Piece // being copied to and from; likewise guarded

	// What follows is guarded by the shard's lock.
	state    connState
	closed   error         // what a caller gets after Close, or after the Host's
	linger   time.Duration // see SetLinger
	lingerer *time.Timer
	readable waiter
	writable waiter
	dialing  *dial // the dial this connection is an attempt of, until it is decided
}

// connState is how far the core of a connection has come.
type connState uint8

const (
	connOpening connState = iota
	connOpen
	connFinished // no event comes any more
)

var _ net.Conn = (*Conn)(nil)

// newConn puts a Conn around a core connection; the shard's lock is held.
func (s *shard) newConn(core *mptcp.Conn, state connState) *Conn {
	c := &Conn{
		shard:  s,
		core:   core,
		state:  state,
		local:  net.TCPAddrFromAddrPort(core.LocalAddr()),
		remote: net.TCPAddrFromAddrPort(core.RemoteAddr()),
		linger: -1,
	}
	c.readable.init(s)
	c.writable.init(s)
	if _, over := core.User.(ended); over {
		c.state = connFinished
	} else {
		s.conns[c] = struct{}{}
	}
	core.User = c
	return c
}

// handleEvent notes what the core reports and whom that wakes.
func (c *Conn) handleEvent(kind stack.EventKind, b *batch) {
	switch kind {
	case stack.Established:
		c.state = connOpen
	case stack.Closed:
		c.state = connFinished
		c.shard.forget(c)
		c.stopLinger()
		b.waking = append(b.waking, &c.readable, &c.writable)
	case stack.Readable:
		b.waking = append(b.waking, &c.readable)
	case stack.Writable:
		b.waking = append(b.waking, &c.writable)
	}
	if c.dialing != nil {
		b.waking = append(b.waking, &c.dialing.decided)
	}
}

// Read implements net.Conn. It returns io.EOF after the peer has closed its
// direction and everything before that was read.
func (c *Conn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	now := c.shard.enter()
	for polled := false; ; now = time.Now() {
		if err := c.refused(now, &c.readable); err != nil {
			c.shard.mu.Unlock()
			return 0, c.opError("read", err)
		}
		if len(b) == 0 {
			c.shard.mu.Unlock()
			return 0, nil
		}
		n, err := c.take(now, b[:min(len(b), readChunk)])
		if err != mptcp.ErrWouldBlock {
			c.shard.leave(now)
			c.finishRead(b)
			if err != nil && err != io.EOF {
				err = c.opError("read", cause(err))
			}
			return n, err
		}
		if !polled {
			polled = !c.shard.poll()
			continue // the lock was released meanwhile
		}
		c.readable.wait(now)
		polled = false
	}
}

// take moves few bytes to b, and many to taken.
func (c *Conn) take(now time.Time, b []byte) (n int, err error) {
	if len(b) <= inPlace {
		return c.core.Read(now, b)
	}
	c.taken, err = c.core.Take(now, c.taken, len(b))
	for _, p := range c.taken {
		n += p.Len()
	}
	return n, err
}

// finishRead moves to b what was taken.
func (c *Conn) finishRead(b []byte) {
	if len(c.taken) == 0 {
		return
	}
	for _, p := range c.taken {
		b = b[copy(b, p.Data):]
	}
	c.shard.mu.Lock()
	stream.Release(c.taken)
	c.shard.mu.Unlock()
	c.taken = c.taken[:0]
}

// Write implements net.Conn. It returns when the last byte has been taken into
// the send buffer.
func (c *Conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	total := 0
	for {
		n, err := c.writeSome(b[total:])
		total += n
		if err != nil {
			return total, c.opError("write", err)
		}
		if total == len(b) {
			return total, nil
		}
	}
}

// writeSome waits until at least one byte of b is taken.
func (c *Conn) writeSome(b []byte) (int, error) {
	now := c.shard.enter()
	for {
		if err := c.refused(now, &c.writable); err != nil {
			c.shard.mu.Unlock()
			return 0, err
		}
		if len(b) == 0 {
			c.shard.mu.Unlock()
			return 0, nil
		}
		var n int
		var err error
		n, now, err = c.put(now, b)
		if n > 0 || err != mptcp.ErrWouldBlock {
			if n >= pushLeast {
				c.shard.leaveToPusher(now)
			} else {
				c.shard.leave(now)
			}
			return n, cause(err)
		}
		c.writable.wait(now)
		now = time.Now()
	}
}

// put takes bytes of b into the send buffer. It releases the lock while it
// copies many, which takes time.
func (c *Conn) put(now time.Time, b []byte) (n int, later time.Time, err error) {
	if len(b) <= inPlace {
		n, err = c.core.Write(now, b)
		return n, now, err
	}
	if len(b) > writeChunk {
		b = b[:c.core.FullSegments(writeChunk)]
	}
	if c.room, err = c.core.Reserve(c.room, len(b)); err != nil {
		return 0, now, err
	}
	c.shard.mu.Unlock()
	for _, p := range c.room {
		n += copy(p.Data, b[n:])
	}
	now = c.shard.enter()
	stream.Release(c.room)
	c.room = c.room[:0]
	if err := c.core.Commit(now, n); err != nil {
		if c.closed != nil {
			err = c.closed
		}
		return 0, now, err
	}
	return n, now, nil
}

// refused gives the reason why an operation must not even be tried.
func (c *Conn) refused(now time.Time, w *waiter) error {
	if c.closed != nil {
		return c.closed
	}
	if w.expired(now) {
		return errTimeout
	}
	return nil
}

// CloseWrite ends our direction of the stream. The peer reads io.EOF after the
// data written before; reading goes on until the peer closes its direction.
func (c *Conn) CloseWrite() error {
	now := c.shard.enter()
	if c.closed != nil {
		c.shard.mu.Unlock()
		return c.opError("close", c.closed)
	}
	c.core.CloseWrite(now)
	c.shard.leave(now)
	return nil
}

// Close implements net.Conn. Data written before is still delivered, unless
// SetLinger says otherwise or data from the peer was left unread.
func (c *Conn) Close() error {
	now := c.shard.enter()
	if c.closed != nil {
		c.shard.mu.Unlock()
		return c.opError("close", c.closed)
	}
	c.shut(net.ErrClosed)
	switch {
	case c.linger == 0:
		c.core.Abort(now)
	default:
		c.core.Close(now)
		c.startLinger()
	}
	c.shard.leave(now)
	return nil
}

// abortLocked ends the connection without delivering what was written.
func (c *Conn) abortLocked(now time.Time, why error) {
	if c.closed == nil {
		c.shut(why)
	}
	c.stopLinger()
	c.core.Abort(now)
}

// shut fails all pending and later calls with err.
func (c *Conn) shut(err error) {
	c.closed = err
	c.readable.stop()
	c.writable.stop()
}

// SetLinger sets what Close does with data not yet acknowledged. With sec
// negative (the default) it is delivered in the background for as long as that
// takes; with 0 it is discarded and the peer sees a reset; with more it is
// discarded when it has not been delivered after so many seconds.
func (c *Conn) SetLinger(sec int) error {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	if c.closed != nil {
		return c.opError("set", c.closed)
	}
	c.linger = time.Duration(sec) * time.Second
	return nil
}

func (c *Conn) startLinger() {
	if c.linger <= 0 || c.state == connFinished {
		return
	}
	c.lingerer = time.AfterFunc(c.linger, func() {
		now := c.shard.enter()
		if c.state != connFinished {
			c.core.Abort(now)
		}
		c.shard.leave(now)
	})
}

func (c *Conn) stopLinger() {
	if c.lingerer != nil {
		c.lingerer.Stop()
	}
}

// LocalAddr implements net.Conn: a *net.TCPAddr with the address of the first
// subflow, even after that has gone. Of an accepted connection it is the one
// that the peer connected to, where stack.Address.Public says so.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn, with the same meaning as LocalAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, &c.readable, &c.writable) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.readable) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writable) }

func (c *Conn) setDeadlines(t time.Time, waiters ...*waiter) error {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	if c.closed != nil {
		return c.opError("set", c.closed)
	}
	for _, w := range waiters {
		w.setDeadline(t)
	}
	return nil
}

// Info gives a snapshot of the connection: version, tokens, fallback and its
// reason, and for each subflow its addresses, state, round-trip time, window,
// rates and byte counts. It may be called after Close as well.
func (c *Conn) Info() mptcp.Info {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	return c.core.Info(time.Now())
}
