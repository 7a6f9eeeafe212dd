package http2

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// stream is a stream as http1 sees it: a connection on which one request comes.
// The connection's mu guards what is not said to belong to anybody.
type stream struct {
	c       *conn
	id      uint32
	changed sync.Cond      // something of the below has
	running *http1.Running // nil before Begin
	gone    error          // the stream has ended before its time
	removed bool           // not in conn.streams any more
	closed  bool           // by http1

	// The request.
	in         []byte // what was not read yet, from next on
	pooled     *[]byte
	next       int
	owed       int // bytes of DATA of which the client's windows do not know
	receive    window
	mode       bodyMode
	declared   int64 // Content-Length, or noLength
	received   int64
	remoteDone bool // the client has ended its side
	filling    bool // the head is too long, and goes on until http1 says so
	readLate   bool

	// The response.
	window    int64
	waiting   bool // for a window
	localDone bool
	writeLate bool
	response  *response // http1's
	method    http1.Method
	extended  bool // CONNECT with a protocol
	upgrade   upgrade
}

// bodyMode is how DATA becomes the body of a message.
type bodyMode uint8

const (
	plain  bodyMode = iota // as it is: the head gives the length, or it is a tunnel
	chunks                 // in chunks
)

var (
	errReset  = errors.New("http2: stream reset")
	errClosed = errors.New("http2: stream closed")
)

// buffers are for what streams hold, of type *[]byte.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

// newStream makes the stream of a request that is not malformed.
func newStream(c *conn, b *block) *stream {
	st := &stream{c: c, id: b.id, receive: window{left: streamWindow}, declared: b.body, remoteDone: b.end}
	st.changed.L = &c.mu
	st.pooled = buffers.Get().(*[]byte)
	st.response = responses.Get().(*response)
	st.in = st.appendRequest((*st.pooled)[:0], b)
	st.filling = b.large
	return st
}

// appendRequest appends the head of the request as HTTP/1.1 has it.
func (st *stream) appendRequest(dst []byte, b *block) []byte {
	p := &b.pseudo
	method, target, host := p.method, p.path, p.authority
	if host == "" {
		host = b.host
	}
	tunnel := p.method == "CONNECT"
	switch {
	case p.protocol != "":
		method = "GET"
	case tunnel:
		target, st.method = p.authority, http1.CONNECT
	case method == "HEAD":
		st.method = http1.HEAD
	}
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	if host != "" {
		dst = appendLine(dst, "host", host)
	}
	dst = append(dst, b.lines...)
	if len(b.cookie) > 0 {
		dst = append(dst, "cookie: "...)
		dst = append(dst, b.cookie...)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case p.protocol != "":
		st.extended = true
		dst = st.upgrade.append(dst, p.protocol)
	case b.te:
		dst = append(dst, "te: trailers\r\nconnection: te\r\n"...)
	}
	switch {
	case tunnel || b.body != noLength:
	case !b.end:
		st.mode = chunks
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	case method == "POST" || method == "PUT" || method == "PATCH":
		dst = append(dst, "content-length: 0\r\n"...) // RFC 9110 section 8.6
	}
	if b.large {
		return append(dst, "x: "...) // and so on
	}
	return append(dst, "\r\n"...)
}

// Begin is http1.Stream's.
func (st *stream) Begin(r *http1.Running) {
	st.c.mu.Lock()
	st.running = r
	gone := st.gone != nil
	st.c.mu.Unlock()
	if gone {
		r.HangUp()
	}
}

// hangUp tells http1 that the client has gone. mu is not held.
func (st *stream) hangUp() {
	st.c.mu.Lock()
	r := st.running
	st.c.mu.Unlock()
	if r != nil {
		r.HangUp()
	}
}

// end ends a stream before its time. mu is held; hangUp is to follow.
func (c *conn) end(st *stream, err error) {
	if st.gone == nil {
		st.gone = err
	}
	c.remove(st)
	st.dropInput()
	st.changed.Broadcast()
	c.out.room.Broadcast()
}

// remove takes a stream that is closed out of the list. mu is held.
func (c *conn) remove(st *stream) {
	if st.removed {
		return
	}
	st.removed = true
	delete(c.streams, st.id)
}

// Read reads from the request.
func (st *stream) Read(b []byte) (int, error) {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	for {
		switch {
		case st.gone != nil:
			return 0, st.gone
		case st.readLate:
			return 0, os.ErrDeadlineExceeded
		case st.next < len(st.in):
			n := copy(b, st.in[st.next:])
			st.consume(n)
			return n, nil
		case st.filling:
			for i := range b {
				b[i] = 'x'
			}
			return len(b), nil
		case st.remoteDone:
			return 0, io.EOF
		}
		st.changed.Wait()
	}
}

// endLocal notes that our side has ended. mu is held.
func (st *stream) endLocal() {
	st.localDone = true
	if st.remoteDone {
		st.c.closed.add(st.id, byEnd)
		st.c.remove(st)
	}
	st.changed.Broadcast()
}

// CloseWrite ends our side of a tunnel.
func (st *stream) CloseWrite() error { return st.writeData(nil, true, true) }

// Close is called when http1 is done with the stream. If either side has not
// come to its end, it is reset: with NO_ERROR if the response is complete (RFC
// 9113 section 8.1).
func (st *stream) Close() error {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.closed {
		return nil
	}
	st.closed = true
	if st.gone == nil && !st.removed {
		code := http2.ErrCodeNo
		if !st.localDone {
			code = http2.ErrCodeInternal
			if st.method == http1.CONNECT {
				code = http2.ErrCodeConnect // RFC 9113 section 8.5
			}
		}
		c.closed.add(st.id, byUs)
		c.appendReset(st.id, code)
		c.end(st, errClosed)
	}
	st.release()
	c.running--
	c.idle = c.server.now()
	c.leaveIfDone()
	c.flush()
	c.trim()
	return nil
}

// release gives back memory. mu is held.
func (st *stream) release() {
	st.dropInput()
	st.gone = errClosed
	if cap(st.in) <= 2*streamWindow {
		*st.pooled = st.in[:0]
	}
	buffers.Put(st.pooled)
	st.in, st.pooled = nil, nil
	st.response.release()
	st.response = nil
}

// SetDeadline and its like know two kinds of time: past, and none.
func (st *stream) SetDeadline(t time.Time) error {
	st.setLate(t, &st.readLate)
	return st.SetWriteDeadline(t)
}

// SetReadDeadline is SetDeadline for Read.
func (st *stream) SetReadDeadline(t time.Time) error {
	st.setLate(t, &st.readLate)
	return nil
}

// SetWriteDeadline is SetDeadline for Write.
func (st *stream) SetWriteDeadline(t time.Time) error {
	st.setLate(t, &st.writeLate)
	return nil
}

func (st *stream) setLate(t time.Time, late *bool) {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	*late = !t.IsZero()
	st.changed.Broadcast()
	st.c.out.room.Broadcast()
}

// LocalAddr gives the connection's.
func (st *stream) LocalAddr() net.Addr { return st.c.nc.LocalAddr() }

// RemoteAddr gives the connection's.
func (st *stream) RemoteAddr() net.Addr { return st.c.nc.RemoteAddr() }
