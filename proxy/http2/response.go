package http2

import (
	"bytes"
	"errors"
	"strconv"
	"sync"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// response reads the message of HTTP/1.1 that http1 writes to a stream. It
// belongs to whom Write does.
type response struct {
	head    http1.Response
	phase   phase
	left    int64  // of a body by length, or of a chunk
	pending []byte // a head, or trailers, that are not complete
	digits  int    // of a chunk's size, so far
}

// phase is what comes next of a message.
type phase uint8

const (
	inHead phase = iota
	inLength
	inTunnel
	inSize // of a chunk
	inChunk
	afterChunk // its line end
	inTrailers
	done
)

var responses = sync.Pool{New: func() any { return new(response) }}

func (r *response) release() {
	r.head.Reset()
	*r = response{head: r.head, pending: r.pending[:0]}
	responses.Put(r)
}

// errMessage says that http1 wrote what is no message.
var errMessage = errors.New("http2: malformed message to send")

// headLimits are wider than those of any server's response: that has been
// judged, and fields were added since.
var headLimits = http1.Limits{Line: 1 << 20, Head: 1 << 20, Fields: 10000}

// lastChunk is what a chunked body without trailers ends with.
var lastChunk = []byte("\r\n0\r\n\r\n")

// Write takes the response as a message of HTTP/1.1.
func (st *stream) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n, err := st.step(rest)
		if err != nil {
			return len(b) - len(rest), err
		}
		rest = rest[n:]
	}
	st.c.mu.Lock()
	st.c.flush()
	st.c.mu.Unlock()
	return len(b), nil
}

// step deals with the next n bytes.
func (st *stream) step(b []byte) (n int, err error) {
	r := st.response
	switch r.phase {
	case inHead:
		return st.stepHead(b)
	case inTunnel:
		return len(b), st.writeData(b, false, false)
	case inLength:
		n = int(min(r.left, int64(len(b))))
		if r.left -= int64(n); r.left == 0 {
			r.phase = done
		}
		return n, st.writeData(b[:n], r.left == 0, false)
	case inSize:
		return r.stepSize(b)
	case inChunk:
		return st.stepChunk(b)
	case afterChunk:
		if r.left++; r.left == 2 {
			r.left, r.digits, r.phase = 0, 0, inSize
		}
		return 1, nil
	case inTrailers:
		return st.stepTrailers(b)
	}
	return 0, errMessage
}

// stepHead reads a head, which as a rule comes in one piece.
func (st *stream) stepHead(b []byte) (n int, err error) {
	r := st.response
	before := len(r.pending)
	whole := b
	if before > 0 {
		r.pending = append(r.pending, b...)
		whole = r.pending
	}
	ok, err := r.head.Parse(whole, &headLimits, st.method)
	if err != nil {
		return 0, err
	}
	if !ok {
		if before == 0 {
			r.pending = append(r.pending, b...)
		}
		return len(b), nil
	}
	n = r.head.HeadLen() - before
	err = st.sendHead()
	r.pending = r.pending[:0]
	return n, err
}

// sendHead sends the head, and decides what comes behind it.
func (st *stream) sendHead() error {
	r := st.response
	h := &r.head
	end := false
	switch {
	case h.Interim():
	case st.extended && h.Status >= 200 && h.Status < 300:
		// The server took no notice of the upgrade. To the client it would
		// seem that it did.
		return st.misunderstood()
	case h.Body.Kind == http1.ByProtocol:
		r.phase = inTunnel
		if !st.upgrade.accepts(h) {
			return st.misunderstood()
		}
	case h.Body.Kind == http1.ByLength && h.Body.Length > 0:
		r.phase, r.left = inLength, h.Body.Length
	case h.Body.Kind == http1.ByChunks:
		r.phase = inSize
	case h.Body.Kind == http1.ByClose:
		return errMessage // http1 sends those in chunks
	default:
		r.phase, end = done, true
	}
	status := strconv.Itoa(h.Status)
	if h.Status == 101 {
		status = "200" // RFC 8441 section 4
	}
	err := st.sendFields(status, h, end)
	if r.phase == inHead {
		h.Reset()
	}
	return err
}

// misunderstood answers an extended CONNECT to which the server's response does
// not fit.
func (st *stream) misunderstood() error {
	if err := st.sendFields("502", nil, true); err != nil {
		return err
	}
	return errMessage
}

// sendFields sends a header block with the fields of h, which may be nil.
func (st *stream) sendFields(status string, h *http1.Response, end bool) error {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := st.awaitRoom(); err != nil {
		return err
	}
	o := &c.out
	o.encode(":status", status)
	if h != nil {
		for i := range h.Len() {
			name, value := h.Field(i)
			o.encodeLine(name, value)
		}
	}
	c.appendBlock(st.id, end)
	if end {
		st.endLocal()
	}
	return nil
}

// encodeLine adds a field to the block, unless it is about a connection of
// HTTP/1.1 (RFC 9113 section 8.2.2).
func (o *output) encodeLine(name, value []byte) {
	var room [64]byte
	lower := room[:0]
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower = append(lower, c)
	}
	switch string(lower) {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "sec-websocket-accept":
		return
	}
	o.encode(o.intern(lower), o.intern(value))
}

// stepSize reads the size of a chunk, which http1 has written in canonical form.
func (r *response) stepSize(b []byte) (n int, err error) {
	for n < len(b) {
		c := b[n]
		n++
		switch {
		case '0' <= c && c <= '9':
			r.left = r.left<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			r.left = r.left<<4 | int64(c-'a'+10)
		case c == '\r' && r.digits > 0:
			continue
		case c == '\n' && r.digits > 0:
			r.phase = inChunk
			if r.left == 0 {
				r.phase = inTrailers
			}
			return n, nil
		default:
			return 0, errMessage
		}
		if r.digits++; r.digits > 15 {
			return 0, errMessage
		}
	}
	return n, nil
}

// stepChunk sends the data of a chunk. If the body ends right behind it, so does
// the stream with the same frame.
func (st *stream) stepChunk(b []byte) (n int, err error) {
	r := st.response
	n = int(min(r.left, int64(len(b))))
	data := b[:n]
	if r.left -= int64(n); r.left > 0 {
		return n, st.writeData(data, false, false)
	}
	if bytes.Equal(b[n:], lastChunk) {
		r.phase = done
		return len(b), st.writeData(data, true, false)
	}
	r.phase = afterChunk
	return n, st.writeData(data, false, false)
}

// stepTrailers reads the trailer section and ends the stream with it.
func (st *stream) stepTrailers(b []byte) (n int, err error) {
	r := st.response
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		r.pending = append(r.pending, b...)
		return len(b), nil
	}
	r.pending = append(r.pending, b[:i+1]...)
	if !bytes.Equal(r.pending, []byte("\r\n")) && !bytes.HasSuffix(r.pending, []byte("\r\n\r\n")) {
		return i + 1, nil
	}
	r.phase = done
	if len(r.pending) == 2 {
		return i + 1, st.writeData(nil, true, false)
	}
	return i + 1, st.sendTrailers(r.pending)
}

// sendTrailers sends the lines of a trailer section.
func (st *stream) sendTrailers(lines []byte) error {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := st.awaitRoom(); err != nil {
		return err
	}
	for line := range bytes.Lines(lines) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok {
			c.out.encodeLine(name, bytes.TrimSpace(value))
		}
	}
	c.appendBlock(st.id, true)
	st.endLocal()
	return nil
}
