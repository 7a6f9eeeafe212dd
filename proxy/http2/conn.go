package http2

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// Sizes that a connection is bounded by, in bytes.
const (
	readBuffer   = 4096
	maxFrame     = 16 << 10  // of what is received, and of what is sent
	streamWindow = 256 << 10 // what a client may send on a stream before it is read
	connWindow   = 1 << 20   // and on all of them together
	tableSize    = 4096      // of header compression, in each direction
)

// conn is a client's connection. The goroutine of serve reads from it; everybody
// writes.
type conn struct {
	server   *Server
	nc       net.Conn
	frontend *http1.Frontend
	requests *http1.Streams
	limits   *limits

	// Of the goroutine of serve.
	source  source
	reader  *bufio.Reader
	framer  *http2.Framer
	decoder *hpack.Decoder
	block   block
	budget  budget
	settled bool // the first SETTINGS have come

	// Deadlines, for check: when what is being waited for began, or 0.
	settling atomic.Int64 // for the preface with the first SETTINGS
	heading  atomic.Int64 // for the rest of a header block
	writing  atomic.Int64 // for a write

	mu      sync.Mutex
	streams map[uint32]*stream
	closed  history
	last    uint32 // the client's highest stream
	count   int    // streams that the client has opened
	running int    // requests being served
	idle    time.Duration
	going   going
	goingAt time.Duration

	out     output
	receive window // what may come on all streams
}

// window is what may be received: left until the peer is told of more, and credit
// that it has not been told of.
type window struct{ left, credit int }

// going is how far a connection is on the way to its end.
type going uint8

const (
	staying going = iota
	warned        // the client was told to open no more streams, but may not have heard it
	leaving       // streams beyond last are ignored
	left          // nothing is served any more
)

func newConn(s *Server, nc net.Conn, read []byte, f *http1.Frontend, data any) *conn {
	c := &conn{
		server: s, nc: nc, frontend: f, limits: s.limits.Load(),
		requests: s.engine.NewStreams(nc, f, data, "HTTP/2.0"),
		streams:  make(map[uint32]*stream),
		idle:     s.now(),
		receive:  window{left: connWindow},
	}
	c.source = source{from: nc, early: read}
	c.reader = bufio.NewReaderSize(&c.source, readBuffer)
	c.framer = http2.NewFramer(nil, c.reader)
	c.framer.SetMaxReadFrameSize(maxFrame)
	c.framer.SetReuseFrames()
	c.decoder = hpack.NewDecoder(tableSize, nil)
	c.block.init(c)
	c.out.init(c)
	c.settling.Store(int64(s.now()) + 1)
	return c
}

// serve reads frames until the connection ends.
func (c *conn) serve() {
	err := c.readFrames()
	c.mu.Lock()
	code := http2.ErrCodeNo
	if e, ok := err.(http2.ConnectionError); ok {
		code = http2.ErrCode(e)
		c.server.log.Debug("HTTP/2 connection refused", "client", c.nc.RemoteAddr(), "code", code.String(), "error", c.framer.ErrorDetail())
	}
	polite := code != http2.ErrCodeNo && c.out.err == nil
	if polite {
		c.appendGoAway(c.last, code)
	}
	all := make([]*stream, 0, len(c.streams))
	for _, st := range c.streams {
		all = append(all, st)
	}
	for _, st := range all {
		c.end(st, errGone)
	}
	if polite {
		c.flushAll()
	}
	c.out.fail(errGone)
	c.mu.Unlock()
	for _, st := range all {
		st.hangUp()
	}
	if polite {
		c.linger()
	}
}

// errGone is what is wrong with a stream whose connection is.
var errGone = errors.New("http2: connection closed")

// readFrames gives the error with which the connection ends.
func (c *conn) readFrames() error {
	c.mu.Lock()
	c.appendGreeting()
	c.flush()
	c.mu.Unlock()
	if err := c.readPreface(); err != nil {
		return err
	}
	for {
		f, err := c.framer.ReadFrame()
		if err == nil {
			err = c.handle(f)
		} else {
			err = c.readError(err)
		}
		if e, ok := err.(http2.StreamError); ok {
			err = c.handleStreamError(e)
		}
		if err != nil {
			return err
		}
		if !c.bearable() {
			return io.EOF
		}
	}
}

// source notes the error with which the connection ends. The Framer has a frame
// that is too short for its fields end in the same way.
type source struct {
	from  net.Conn
	early []byte // comes first
	err   error
}

func (s *source) Read(b []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(b, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	n, err := s.from.Read(b)
	s.err = err
	return n, err
}

// readError gives what an error of the Framer means.
func (c *conn) readError(err error) error {
	switch err.(type) {
	case http2.ConnectionError, http2.StreamError:
		return err
	}
	if c.source.err != nil {
		return c.source.err
	}
	return http2.ConnectionError(http2.ErrCodeFrameSize) // too long, or too short
}

// bearable reports whether the client reads what it makes us say.
func (c *conn) bearable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.out.buf) <= outMost
}

// readPreface wants what every client begins with (RFC 9113 section 3.4).
func (c *conn) readPreface() error {
	var preface [len(http2.ClientPreface)]byte
	if _, err := io.ReadFull(c.reader, preface[:]); err != nil {
		return err
	}
	if string(preface[:]) != http2.ClientPreface {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return nil
}

// handle deals with a frame.
func (c *conn) handle(f http2.Frame) error {
	if !c.settled {
		if s, ok := f.(*http2.SettingsFrame); !ok || s.IsAck() {
			return http2.ConnectionError(http2.ErrCodeProtocol)
		}
		c.settled = true
		c.settling.Store(0)
	}
	switch f := f.(type) {
	case *http2.HeadersFrame:
		return c.handleHeaders(f)
	case *http2.ContinuationFrame:
		return c.handleContinuation(f)
	case *http2.DataFrame:
		return c.handleData(f)
	case *http2.WindowUpdateFrame:
		return c.handleWindowUpdate(f)
	case *http2.RSTStreamFrame:
		return c.handleReset(f)
	case *http2.SettingsFrame:
		return c.handleSettings(f)
	case *http2.PingFrame:
		return c.handlePing(f)
	case *http2.PriorityFrame:
		return c.handlePriority(f)
	case *http2.PushPromiseFrame:
		return http2.ConnectionError(http2.ErrCodeProtocol) // clients do not push
	case *http2.GoAwayFrame:
		// Nothing is pushed, so there is nothing to stop. The client
		// closes the connection when it has all it wants.
		return c.useless()
	}
	return c.useless() // unknown: ignored (RFC 9113 section 4.1)
}

// handleStreamError resets a stream for what the client did.
func (c *conn) handleStreamError(e http2.StreamError) error {
	count := c.countReset
	if e.Code == http2.ErrCodeRefusedStream {
		count = c.useless // it cost next to nothing, and may be no fault
	}
	if err := count(); err != nil {
		return err
	}
	c.mu.Lock()
	st := c.streams[e.StreamID]
	if st == nil && e.StreamID > c.last {
		c.mu.Unlock()
		// An idle stream cannot be reset (RFC 9113 section 5.4.2 with 5.1).
		return http2.ConnectionError(e.Code)
	}
	c.appendReset(e.StreamID, e.Code)
	if st != nil {
		c.end(st, errReset)
	}
	c.closed.add(e.StreamID, byUs)
	c.flushSoon()
	c.mu.Unlock()
	if st != nil {
		st.hangUp()
	}
	return nil
}

// handlePing answers (RFC 9113 section 6.7).
func (c *conn) handlePing(f *http2.PingFrame) error {
	if f.IsAck() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.going == warned && f.Data == drainPing {
			c.leave()
		}
		return nil
	}
	if err := c.useless(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.appendPing(true, f.Data)
	c.flushSoon()
	return nil
}

func (c *conn) handlePriority(f *http2.PriorityFrame) error {
	if err := c.useless(); err != nil {
		return err
	}
	if f.StreamDep == f.StreamID {
		// RFC 7540 section 5.3.1. Of an idle stream there is nothing to reset.
		c.mu.Lock()
		defer c.mu.Unlock()
		if f.StreamID > c.last {
			return http2.ConnectionError(http2.ErrCodeProtocol)
		}
		return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeProtocol}
	}
	return nil
}

// drainPing is the PING that finds out when the client has heard of the end.
var drainPing = [8]byte{'d', 'r', 'a', 'i', 'n', 'i', 'n', 'g'}

// drain has the client open no more streams (RFC 9113 section 6.8): first it is
// told so, and once it must have heard it, which were the last.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startDrain()
}

// startDrain is drain with mu held.
func (c *conn) startDrain() {
	if c.going != staying {
		return
	}
	c.going, c.goingAt = warned, c.server.now()
	c.appendGoAway(1<<31-1, http2.ErrCodeNo)
	c.appendPing(false, drainPing)
	c.flushSoon()
}

// leave names the last stream. mu is held.
func (c *conn) leave() {
	c.going, c.goingAt = leaving, c.server.now()
	c.appendGoAway(c.last, http2.ErrCodeNo)
	c.flushSoon()
	c.leaveIfDone()
}

// leaveIfDone ends the connection when the last stream has. mu is held.
func (c *conn) leaveIfDone() {
	if c.going == leaving && len(c.streams) == 0 && c.running == 0 {
		c.goingAt = c.server.now()
		c.out.closing = true
		c.flushSoon()
	}
}

// lingerTime and lingerBytes bound what is read of a connection that has ended:
// closing with bytes that were not read would take the GOAWAY away from the
// client.
const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

func (c *conn) linger() {
	if cw, ok := c.nc.(interface{ CloseWrite() error }); ok {
		cw.CloseWrite()
	}
	c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, c.nc, lingerBytes)
}

// check is called by the sweeper. It ends what has taken too long.
func (c *conn) check(now time.Duration) {
	t := &c.frontend.Settings().Timeouts
	over := func(since *atomic.Int64, limit time.Duration) bool {
		at := time.Duration(since.Load())
		return at > 0 && now-at > limit
	}
	if over(&c.writing, t.Write) || over(&c.settling, t.Head) || over(&c.heading, t.Head) {
		go c.nc.Close() // which may take a moment, with TLS
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	quiet := len(c.streams) == 0 && c.running == 0
	switch {
	case c.going == staying && c.frontend.Draining():
		c.startDrain()
	case c.going == staying && quiet && now-c.idle > t.Idle:
		c.startDrain()
	case c.going == warned && now-c.goingAt > lingerTime:
		c.leave()
	case c.going == leaving && quiet && now-c.goingAt > lingerTime:
		go c.nc.Close()
	}
}
