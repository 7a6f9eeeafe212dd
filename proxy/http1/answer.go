package http1

import (
	"bytes"
	"math"
	"time"
)

// answer forwards the response to one request: it is the feeder of the server
// connection. It belongs to the goroutine of its client connection.
type answer struct {
	c     *clientConn
	small []byte  // the buffer of the head and of small bodies
	large *[]byte // that of a large body, while there is one

	buf        []byte // small or *large
	base       int    // where reading begins in buf
	start, end int    // bytes there

	change ResponseChange
	chunks Chunked
	left   int64 // of a body by length

	status    int
	interim   int
	reused    bool // the connection had been used before
	unsent    bool // nothing of the request was sent
	received  bool // something of the response has come
	headDone  bool
	forwarded bool // something of the final response was written to the client
	done      bool
	tunnel    bool
	last      bool // the client connection ends with this response
	encode    bool // the body is sent in chunks
	err       error
}

// maxInterim bounds how many interim responses are forwarded for one request.
const maxInterim = 32

// prepare makes ready for the response of an attempt.
func (a *answer) prepare() {
	chunks := a.chunks
	chunks.Reset()
	*a = answer{c: a.c, small: a.small, buf: a.small, chunks: chunks}
	a.c.work.resp.Reset()
}

// release gives back what was borrowed.
func (a *answer) release() {
	if a.large != nil {
		a.c.engine.large.Put(a.large)
		a.large, a.buf = nil, nil
	}
}

// begin is feeder's: it sends the request. The socket is ready to be waited for
// before that, so the response cannot be missed, and what it waits for begins
// right away.
func (a *answer) begin() verdict {
	c := a.c
	w := c.work
	s := c.serverConn.Load()
	s.used++
	n, err := s.send(w.out)
	if err != nil {
		a.unsent = n == 0
		switch {
		case isTimeout(err):
			a.err = ErrServerTimeout
		case a.reused:
			a.err = ErrDead
		default:
			a.err = ErrServerClosed
		}
		return stop
	}
	w.mark(&w.x.Stats.Sent)
	if !w.whole {
		c.startPump()
		return rest
	}
	c.setServerRead(w.responseTimeout())
	return rest
}

// pause is feeder's.
func (a *answer) pause() {}

// room is feeder's.
func (a *answer) room() []byte {
	if a.start == a.end {
		a.start, a.end = a.base, a.base
	}
	limit := len(a.buf)
	if a.encode {
		limit -= len("\r\n")
	}
	if a.end == limit {
		a.end = a.base + copy(a.buf[a.base:], a.buf[a.start:a.end])
		a.start = a.base
	}
	return a.buf[a.end:limit]
}

// feed is feeder's.
func (a *answer) feed(n int) verdict {
	a.end += n
	a.received = true
	if !a.headDone {
		return a.readHead()
	}
	if a.err = a.relay(); a.err != nil || a.done {
		return stop
	}
	a.c.setServerRead(a.c.work.settings.Timeouts.Stream)
	return more
}

// fail ends the exchange.
func (a *answer) fail(err error) verdict {
	a.err = err
	return stop
}

// readHead reads heads until that of the final response is complete.
func (a *answer) readHead() verdict {
	w := a.c.work
	for {
		b := a.buf[a.start:a.end]
		done, err := w.resp.Parse(b, &w.settings.Limits, w.req.Method)
		if err != nil {
			return a.fail(&responseError{err})
		}
		if !done {
			if len(b) == len(a.buf) {
				return a.fail(&responseError{ErrHeadLength})
			}
			return more
		}
		a.start += w.resp.HeadLen()
		if !w.resp.Interim() {
			return a.beginResponse()
		}
		if err := a.forwardInterim(); err != nil {
			return a.fail(err)
		}
		if a.start == a.end {
			return more
		}
	}
}

// responseError is a response that cannot be forwarded.
type responseError struct{ err error }

func (e *responseError) Error() string   { return ErrResponse.Reason + ": " + e.err.Error() }
func (e *responseError) Unwrap() []error { return []error{ErrResponse, e.err} }

// forwardInterim forwards a response before the final one, which HTTP/1.0 does
// not know (RFC 9110 section 15.2).
func (a *answer) forwardInterim() error {
	w := a.c.work
	if a.interim++; a.interim > maxInterim {
		return ErrManyInterim
	}
	if w.req.Minor > 0 {
		w.out = w.resp.AppendForward(w.out[:0], &ResponseChange{})
		if err := a.write(w.out); err != nil {
			return err
		}
	}
	w.resp.Reset()
	return nil
}

// beginResponse is called when the head of the final response is complete. Head
// and body, as far as it has come, are written at once.
func (a *answer) beginResponse() verdict {
	c := a.c
	w := c.work
	r := &w.resp
	a.headDone, a.status = true, r.Status
	w.mark(&w.x.Stats.Answered)
	w.x.Response = r
	if a.goesAgain() {
		return a.fail(errAgain)
	}
	a.last = c.lastResponse() || !w.whole && !w.pump.complete.Load()
	old := w.req.Minor == 0
	switch r.Body.Kind {
	case ByProtocol:
		if r.Status == 101 && !w.req.Upgrade {
			return a.fail(ErrSwitch)
		}
		a.tunnel = true
	case ByLength:
		a.left = r.Body.Length
	case ByChunks:
		a.chunks.Decode = old
		a.last = a.last || old
	case ByClose:
		// The client is told the end by chunks, and keeps its connection.
		a.encode = !old
		a.last = a.last || old
	}
	change := c.responseChange(a.last)
	change.Encode, change.Decode = a.encode, a.chunks.Decode
	w.out = r.AppendForward(w.out[:0], change)
	w.x.Stats.Status = r.Status
	return a.forwardHead()
}

// forwardHead writes the head and what has come of the body.
func (a *answer) forwardHead() verdict {
	w := a.c.work
	heads := len(w.out)
	err := a.fillOut()
	if err == nil {
		a.forwarded = true
		err = a.write(w.out)
		w.x.Stats.Body -= int64(min(heads, len(w.out)))
	}
	if err != nil {
		return a.fail(err)
	}
	if a.done || a.tunnel {
		return stop
	}
	a.prepareBody()
	a.c.setServerRead(w.settings.Timeouts.Stream)
	return more
}

// fillOut puts what has come of the body behind the head.
func (a *answer) fillOut() error {
	w := a.c.work
	if a.tunnel {
		return nil
	}
	var part []byte
	switch kind := w.resp.Body.Kind; kind {
	case ByClose:
		part = a.buf[a.start:a.end]
		a.start = a.end
		if a.encode && len(part) > 0 {
			w.out = appendChunkSize(w.out, int64(len(part)))
			w.out = append(w.out, part...)
			w.out = append(w.out, "\r\n"...)
			return nil
		}
	default:
		var err error
		if part, err = a.take(); err != nil {
			return err
		}
	}
	w.out = append(w.out, part...)
	return nil
}

// take takes from the buffer what belongs to the body, ready to be written.
func (a *answer) take() ([]byte, error) {
	switch a.c.work.resp.Body.Kind {
	case ByLength:
		n := int(min(a.left, int64(a.end-a.start)))
		part := a.buf[a.start : a.start+n]
		a.start += n
		a.left -= int64(n)
		a.done = a.left == 0
		return part, nil
	case ByChunks:
		b := a.buf[a.start:a.end]
		out, n, done, err := a.chunks.Next(b, &a.c.work.settings.Limits)
		if err != nil {
			return nil, &responseError{err}
		}
		a.start += n
		a.done = done
		if !done && out == 0 && n == 0 && len(b) == len(a.buf)-a.base {
			return nil, &responseError{ErrTrailerLength}
		}
		return b[:out], nil
	}
	a.done = true
	return nil, nil
}

// relay writes what has come of the body.
func (a *answer) relay() error {
	if !a.encode {
		if a.c.work.resp.Body.Kind == ByClose {
			part := a.buf[a.start:a.end]
			a.start = a.end
			return a.write(part)
		}
		part, err := a.take()
		if err != nil || len(part) == 0 {
			return err
		}
		return a.write(part)
	}
	// The chunk's frame goes around the bytes where they are: room has left
	// place for it.
	from := a.start
	var line [maxChunkHead]byte
	head := appendChunkSize(line[:0], int64(a.end-a.start))
	from -= copy(a.buf[from-len(head):], head)
	end := a.end + copy(a.buf[a.end:], "\r\n")
	a.start = a.end
	return a.write(a.buf[from:end])
}

// prepareBody chooses the buffer for the rest of the body.
func (a *answer) prepareBody() {
	kind := a.c.work.resp.Body.Kind
	if a.encode {
		a.base = maxChunkHead
	}
	if kind == ByLength && a.left <= int64(len(a.small)) {
		return
	}
	a.large = a.c.engine.getLarge(len(a.small))
	rest := a.buf[a.start:a.end]
	a.buf = *a.large
	a.start = a.base
	a.end = a.start + copy(a.buf[a.start:], rest)
}

// endOfClose ends a body that ended with its connection.
func (a *answer) endOfClose() error {
	a.done = true
	if a.encode {
		return a.write(lastChunk)
	}
	return nil
}

var lastChunk = []byte("0\r\n\r\n")

// write writes to the client.
func (a *answer) write(b []byte) error {
	n, err := a.c.sendClient(b)
	stats := &a.c.work.x.Stats
	stats.ReplyBytes += int64(n)
	stats.Body += int64(n)
	switch {
	case err == nil:
		return nil
	case isTimeout(err) || err == ErrResponseTimeout:
		return ErrResponseTimeout
	}
	return ErrClientGone
}

// reusable reports whether another request may go over the server connection:
// the response is through, the server keeps the connection, has said nothing
// beyond the response, and has the whole request.
func (a *answer) reusable() bool {
	w := a.c.work
	return a.done && !a.tunnel && w.resp.KeepAlive && a.start == a.end && (w.whole || w.pump.sent)
}

// learn reads what the response says about its connection.
func (a *answer) learn(r *Result) {
	resp := &a.c.work.resp
	if value, ok := resp.Known(KeepAlive); ok {
		r.KeepAlive, r.Requests = parseKeepAlive(value)
	}
	switch resp.Status {
	case 401:
		r.Bound = resp.authenticates(WWWAuthenticate)
	case 407:
		r.Bound = resp.authenticates(ProxyAuthenticate)
	}
}

// authenticates reports whether a field of that name offers to authenticate the
// connection in place of the request (RFC 4559 section 5).
func (h *head) authenticates(n Name) bool {
	first := int(h.first[n])
	if first == 0 {
		return false
	}
	for _, f := range h.fields[first-1:] {
		if f.known != n {
			continue
		}
		for list := f.value.of(h.buf); list != nil; {
			var item []byte
			item, list = nextItem(list)
			scheme, _, _ := bytes.Cut(item, []byte(" "))
			if equalFold(scheme, "ntlm") || equalFold(scheme, "negotiate") {
				return true
			}
		}
	}
	return false
}

// parseKeepAlive reads timeout and max of a Keep-Alive field, in seconds and
// requests. What it does not understand it leaves at 0.
func parseKeepAlive(list []byte) (timeout time.Duration, requests int) {
	for list != nil {
		var item []byte
		item, list = nextItem(list)
		switch {
		case len(item) > 8 && equalFold(item[:8], "timeout="):
			if n, ok := parseLength(item[8:]); ok {
				timeout = time.Duration(min(n, int64(math.MaxInt64/time.Second))) * time.Second
			}
		case len(item) > 4 && equalFold(item[:4], "max="):
			if n, ok := parseLength(item[4:]); ok {
				requests = int(min(n, math.MaxInt32))
			}
		}
	}
	return timeout, requests
}
