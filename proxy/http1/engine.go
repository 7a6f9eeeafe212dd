package http1

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/braid-mptcp/braid/internal/rawsock"
)

// ErrClosed is what Serve returns after Shutdown or Close.
var ErrClosed = errors.New("http1: engine closed")

// Config is what an Engine is made with. The zero Config has the defaults.
type Config struct {
	// Buffer can be changed later, by SetBuffer. It is the size in bytes of the buffers of a request in work, of
	// which it has three. Heads have to fit, so it is at least the largest
	// Limits.Head in use; larger ones are taken to be of this size. A body
	// that fits with its head is read whole before a server sees it.
	// Default: DefaultHead.
	Buffer int
	// Sweep is how often deadlines are looked at, and so how much later than
	// asked for they strike at most. Default: 100 ms.
	Sweep time.Duration
	// Raw finds the socket under a connection, for types that this package
	// does not know; nil is a legal answer and costs speed. A socket may be
	// given only if the connection's Read and Write do nothing but read and
	// write it.
	Raw func(net.Conn) syscall.RawConn
}

// Engine serves client connections. Its methods may be called by any
// goroutine.
type Engine struct {
	config  Config
	sweeper *sweeper
	buffer  atomic.Int64
	works   sync.Pool // of *work
	large   sync.Pool // of *[]byte, largeBuffer long at least
	tasks   chan task
	spare   atomic.Int32 // goroutines that wait for one
	ctx     context.Context
	cancel  context.CancelFunc

	counters counters

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     int           // being served
	none      chan struct{} // closed when draining and conns is 0
	draining  bool
	closed    bool
}

// largeBuffer is the size of the buffers that bodies are copied with. One write
// of that size is some ten microseconds of kernel work, so the rest of a
// round costs little beside it.
const largeBuffer = 128 << 10

// NewEngine makes an Engine. Close ends it.
func NewEngine(c Config) *Engine {
	if c.Buffer <= 0 {
		c.Buffer = DefaultHead
	}
	if c.Sweep <= 0 {
		c.Sweep = 100 * time.Millisecond
	}
	e := &Engine{config: c, listeners: make(map[net.Listener]struct{}), none: make(chan struct{}), tasks: make(chan task)}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.sweeper = newSweeper(c.Sweep)
	e.SetBuffer(c.Buffer)
	go e.sweeper.run()
	return e
}

// SetBuffer changes Config.Buffer for requests to come.
func (e *Engine) SetBuffer(size int) { e.buffer.Store(int64(size)) }

// getWork gives what a request in work needs. Buffers of another size than is
// wanted now are left to the garbage collector.
func (e *Engine) getWork() *work {
	size := int(e.buffer.Load())
	if w, ok := e.works.Get().(*work); ok && len(w.in) == size {
		return w
	}
	return newWork(size)
}

// getLarge gives a buffer for copying a body. What is in a buffer of least bytes
// fits in with room to spare.
func (e *Engine) getLarge(least int) *[]byte {
	size := max(largeBuffer, 2*least)
	if b, ok := e.large.Get().(*[]byte); ok && len(*b) >= size {
		return b
	}
	b := make([]byte, size)
	return &b
}

// rawOf gives the socket of a connection, or nil.
func (e *Engine) rawOf(c net.Conn) syscall.RawConn {
	if raw := rawsock.Of(c); raw != nil {
		return raw
	}
	if e.config.Raw != nil {
		return e.config.Raw(c)
	}
	return nil
}

// underOf gives the socket at the bottom of a connection, which may be wrapped,
// as by TLS.
func (e *Engine) underOf(c net.Conn) syscall.RawConn {
	for {
		if raw := e.rawOf(c); raw != nil {
			return raw
		}
		layer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = layer.NetConn()
	}
}

// Serve accepts connections from l and serves them as f says, until l fails or
// the engine ends: ErrClosed. It closes l.
func (e *Engine) Serve(l net.Listener, f *Frontend) error {
	return e.ServeFunc(l, func(c net.Conn) { e.ServeConn(c, f) })
}

// ServeFunc accepts connections from l, and calls serve for each of them in a
// goroutine of its own, until l fails or the engine ends: ErrClosed. It closes l.
// What serve has to do before it comes to ServeConn holds nobody up.
func (e *Engine) ServeFunc(l net.Listener, serve func(net.Conn)) error {
	if !e.addListener(l) {
		l.Close()
		return ErrClosed
	}
	defer e.removeListener(l)
	var wait time.Duration
	for {
		c, err := l.Accept()
		if err == nil {
			wait = 0
			e.spawn(task{c, serve})
			continue
		}
		if e.isDraining() {
			return ErrClosed
		}
		if !isTemporary(err) {
			return err
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		if !e.sleep(wait) {
			return ErrClosed
		}
	}
}

// task is a connection to serve.
type task struct {
	c     net.Conn
	serve func(net.Conn)
}

// spawn serves a connection in a goroutine: one that waits for the next, if
// there is any. Its stack has grown already, which costs as much as all else
// about a new goroutine.
func (e *Engine) spawn(t task) {
	select {
	case e.tasks <- t:
	default:
		go e.work(t)
	}
}

// maxSpare is how many goroutines wait for connections at most.
const maxSpare = 256

func (e *Engine) work(t task) {
	for {
		t.serve(t.c)
		if e.spare.Add(1) > maxSpare {
			e.spare.Add(-1)
			return
		}
		select {
		case t = <-e.tasks:
			e.spare.Add(-1)
		case <-e.ctx.Done():
			e.spare.Add(-1)
			return
		}
	}
}

// isTemporary finds errors of Accept that pass: out of descriptors or memory,
// or a connection that was gone before it was accepted.
func isTemporary(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func (e *Engine) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-e.ctx.Done():
		return false
	}
}

// ServeConn serves one connection as f says, until it is closed. It closes c.
func (e *Engine) ServeConn(c net.Conn, f *Frontend) {
	if !e.begin() {
		c.Close()
		return
	}
	defer e.end()
	newClientConn(e, f, c).serve()
}

// Shutdown stops accepting, closes idle connections, lets requests in work come
// to their end and waits for that. It returns the context's error if that takes
// longer; Close ends what is left.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.drain()
	select {
	case <-e.none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain closes the listeners and has connections end with their next response.
func (e *Engine) drain() {
	e.sweeper.draining.Store(true)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining {
		return
	}
	e.draining = true
	for l := range e.listeners {
		l.Close()
	}
	if e.conns == 0 {
		close(e.none)
	}
}

// Abort ends the connections of a Frontend at once.
func (e *Engine) Abort(f *Frontend) {
	for _, c := range e.sweeper.all() {
		if c.frontend == f {
			c.abort()
		}
	}
}

// Close closes all listeners and connections and waits until they are done.
func (e *Engine) Close() error {
	e.drain()
	e.cancel()
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	e.mu.Unlock()
	for _, c := range e.sweeper.all() {
		c.abort()
	}
	<-e.none
	if !closed {
		close(e.sweeper.stop)
	}
	return nil
}

func (e *Engine) isDraining() bool { return e.sweeper.draining.Load() }

func (e *Engine) addListener(l net.Listener) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining {
		return false
	}
	e.listeners[l] = struct{}{}
	return true
}

func (e *Engine) removeListener(l net.Listener) {
	l.Close()
	e.mu.Lock()
	delete(e.listeners, l)
	e.mu.Unlock()
}

// begin counts a connection in, end out.
func (e *Engine) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining {
		return false
	}
	e.conns++
	return true
}

func (e *Engine) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conns--
	if e.draining && e.conns == 0 {
		close(e.none)
	}
}

// Counters are totals since the engine was made.
type Counters struct {
	Connections int64 // accepted
	Requests    int64 // whose head was well-formed
	Malformed   int64 // refused for their form
	Retries     int64 // sent again on another connection
	Tunnels     int64
}

type counters struct {
	connections, requests, malformed, retries, tunnels atomic.Int64
}

// Counters gives the totals.
func (e *Engine) Counters() Counters {
	c := &e.counters
	return Counters{c.connections.Load(), c.requests.Load(), c.malformed.Load(), c.retries.Load(), c.tunnels.Load()}
}

// Open gives the number of client connections being served.
func (e *Engine) Open() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conns
}
