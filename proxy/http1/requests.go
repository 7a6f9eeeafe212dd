package http1

import (
	"errors"
	"time"
)

// readRequests serves requests one after the other for as long as they fit in
// the buffer with their bodies and nothing else is asked for. All of that goes
// on inside of receive, so that between two requests there is one read.
func (c *clientConn) readRequests() {
	if c.work != nil && len(c.work.buffered()) > 0 && c.serveBuffered() == stop {
		return
	}
	if err := c.receive(c); err != nil {
		c.readFailed(err)
	}
}

// begin is feeder's.
func (c *clientConn) begin() verdict { return more }

// pause is feeder's. A connection without a request gives back its buffers.
func (c *clientConn) pause() {
	if c.work != nil && c.work.x.Request == nil && len(c.work.buffered()) == 0 {
		c.releaseWork()
	}
}

// room is feeder's.
func (c *clientConn) room() []byte {
	if c.work == nil {
		c.work = c.engine.getWork()
		c.work.answer.c, c.work.pump.c = c, c
	}
	w := c.work
	if w.end == len(w.in) {
		w.makeRoom()
	}
	return w.in[w.end:]
}

func (c *clientConn) releaseWork() {
	w := c.work
	c.work = nil
	w.next = w.end
	w.nextRequest()
	w.answer.c, w.pump.c = nil, nil
	c.engine.works.Put(w)
}

// feed is feeder's.
func (c *clientConn) feed(n int) verdict {
	c.work.end += n
	return c.serveBuffered()
}

// serveBuffered serves the requests in the buffer.
func (c *clientConn) serveBuffered() verdict {
	for {
		w := c.work
		if len(w.buffered()) == 0 {
			if !c.setRead(c.timeouts().Idle, isIdle) {
				c.next = closeNow
				return stop
			}
			return rest
		}
		if w.x.Request == nil {
			c.beginRequest()
		}
		if v, whole := c.collect(); !whole {
			return v
		}
		if c.exchange(); c.next != readRequests {
			return stop
		}
	}
}

// beginRequest is called when the first byte of a request is there.
func (c *clientConn) beginRequest() {
	w := c.work
	s := c.frontend.settings.Load()
	w.settings = s
	x := &w.x
	x.Request = &w.req
	x.Conn, x.Client, x.Local, x.ConnData, x.Protocol = c.conn, c.client, c.local, c.data, "HTTP/1.1"
	if c.streams != nil {
		x.Conn, x.Protocol = c.streams.conn, c.streams.protocol
	}
	x.ctx = &c.ctx
	x.bodyMax = s.MaxBody
	if s.Log != nil {
		x.Stats.Start = time.Now()
	}
	c.requests++
	// The deadline is for the whole head, however slowly it comes. If the idle
	// time was over just now, the request is served all the same.
	if !c.setRead(s.Timeouts.Head, inMessage) {
		c.ending = true
	}
}

// collect reads the head, and the body if it fits in the buffer. It is true
// once the request is to be forwarded as it stands there. Otherwise it says
// what to do: with stop, c.next says it too.
func (c *clientConn) collect() (v verdict, whole bool) {
	w := c.work
	if !w.headDone {
		done, err := w.req.Parse(w.buffered(), &w.settings.Limits)
		if err != nil {
			c.malformed(err)
			return stop, false
		}
		if !done {
			return c.waitForHead(), false
		}
		if !c.headComplete() {
			return stop, false
		}
	}
	return c.collectBody()
}

// waitForHead goes on reading, if there is room.
func (c *clientConn) waitForHead() verdict {
	w := c.work
	if w.end-w.start < len(w.in) {
		return more
	}
	err := ErrHeadLength
	if w.req.start == 0 {
		err = ErrTargetLength
	}
	c.malformed(err)
	return stop
}

// malformed refuses a request that is none. What follows it cannot be trusted,
// so the connection ends.
func (c *clientConn) malformed(err error) {
	w := c.work
	if err == ErrPreface && w.settings.Preface != nil && c.requests == 1 {
		c.next = givePreface
		return
	}
	c.engine.counters.malformed.Add(1)
	c.refuse(err)
}

// headComplete looks at a head that has just become complete. It is false if
// the request goes no further.
func (c *clientConn) headComplete() bool {
	w := c.work
	s, r := w.settings, &w.req
	w.headDone = true
	if r.Minor == 0 {
		w.x.Protocol = "HTTP/1.0"
	}
	w.next = w.start + r.HeadLen()
	w.mark(&w.x.Stats.Head)
	c.engine.counters.requests.Add(1)
	if d := s.Timeouts.Request; d < forever {
		w.until = c.engine.sweeper.in(d)
		w.x.until = time.Now().Add(d)
	}
	if w.start > 0 && r.Body.Kind == ByLength && int64(len(w.in)-w.next) < r.Body.Length {
		w.makeRoom()
		r.buf = w.buffered()
	}
	if r.Method == CONNECT && !s.Connect {
		c.refuse(ErrConnect)
		return false
	}
	if err := c.route(); err != nil {
		w.x.Stats.Err = err
		w.x.reply = errorReply(statusOf(err))
	}
	if w.x.bodyMax > 0 && r.Body.Length > w.x.bodyMax {
		c.refuse(ErrBodyTooLarge)
		return false
	}
	return true
}

// route asks where the request is to go.
func (c *clientConn) route() error {
	w := c.work
	if w.settings.Route == nil {
		return ErrNoRoute
	}
	pool, err := w.settings.Route(&w.x)
	if err != nil {
		return err
	}
	w.pool = pool
	if pool == nil && w.x.reply.status == 0 {
		return ErrNoRoute
	}
	return nil
}

// collectBody waits for a body that fits in the buffer: servers are not kept
// waiting by slow clients, and head and body go out in one write. A client that
// waits for 100 Continue gets it from the server.
func (c *clientConn) collectBody() (v verdict, whole bool) {
	w := c.work
	r := &w.req
	switch {
	case r.Body.Kind == NoBody || r.Body.Length == 0 && r.Body.Kind == ByLength:
		w.body, w.whole = span{uint32(w.next), uint32(w.next)}, true
		return more, true
	case r.Continue:
		return c.sendBodyNext()
	case r.Body.Kind == ByChunks:
		return c.collectChunks()
	}
	end := int64(w.start+r.HeadLen()) + r.Body.Length
	if end > int64(len(w.in)) {
		return c.sendBodyNext()
	}
	if int64(w.end) < end {
		return c.waitForBody(), false
	}
	w.body, w.whole = span{uint32(w.next), uint32(end)}, true
	w.next = int(end)
	return more, true
}

// waitForBody sets one deadline for all of a small body.
func (c *clientConn) waitForBody() verdict {
	w := c.work
	if !w.waiting {
		w.waiting = true
		if !c.setRead(w.settings.Timeouts.Body, inMessage) {
			c.ending = true // and the next read fails
		}
	}
	return more
}

// sendBodyNext forwards the head with what there is of the body, and the rest
// as it comes.
func (c *clientConn) sendBodyNext() (v verdict, whole bool) {
	w := c.work
	end := w.end
	switch {
	case w.req.Body.Kind == ByLength && int64(end-w.next) >= w.req.Body.Length:
		end = w.next + int(w.req.Body.Length)
		w.whole = true // the client did not wait after all
	case w.req.Body.Kind == ByChunks:
		end = w.next
	}
	w.body = span{uint32(w.next), uint32(end)}
	w.next = end
	c.next = sendBody
	return stop, false
}

// collectChunks takes a chunked body that is complete already, as most small
// ones are, since clients send them with the head.
func (c *clientConn) collectChunks() (v verdict, whole bool) {
	w := c.work
	out, n, done, err := w.chunks.Next(w.in[w.next:w.end], &w.settings.Limits)
	if err != nil {
		c.malformed(err)
		return stop, false
	}
	if w.x.bodyMax > 0 && w.chunks.Data > w.x.bodyMax {
		c.refuse(ErrBodyTooLarge)
		return stop, false
	}
	w.body, w.whole = span{uint32(w.next), uint32(w.next + out)}, done
	w.next += n
	if !done {
		c.next = sendBody
		return stop, false
	}
	return more, true
}

// readFailed ends a connection on which the next request, or the rest of one,
// did not come.
func (c *clientConn) readFailed(err error) {
	c.next = closeNow
	w := c.work
	if w == nil || w.x.Request == nil {
		return // between requests anybody may go, and so may we
	}
	switch {
	case !isTimeout(err) || c.abandoned():
		w.x.Stats.Err = ErrClientGone
		c.log()
	case w.headDone:
		c.refuse(ErrBodyTimeout)
	default:
		c.refuse(ErrHeadTimeout)
	}
}

// refuse answers a request in the name of the proxy and ends the connection,
// since the request may not have been read to its end.
func (c *clientConn) refuse(err error) {
	w := c.work
	w.x.Stats.Err = err
	w.next = w.end
	c.next = linger
	c.replyWith(errorReply(statusOf(err)), true)
	c.finish()
}

// statusOf gives the status for an error.
func statusOf(err error) int {
	var (
		fault   *Error
		connect *connectError
		timeout interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &connect) && errors.As(connect.err, &timeout) && timeout.Timeout():
		return ErrServerTimeout.Status
	case errors.As(err, &fault):
		return fault.Status
	}
	return ErrConnectFailed.Status
}

// replyWith writes an answer of ours. With end the connection ends.
func (c *clientConn) replyWith(r reply, end bool) {
	w := c.work
	w.x.Stats.Status = r.status
	change := c.responseChange(end)
	w.out = r.append(w.out[:0], w.req.Method, change)
	n, err := c.sendClient(w.out)
	w.x.Stats.ReplyBytes += int64(n)
	w.x.Stats.Body += int64(max(0, n-len(w.out)+len(r.bodyFor(w.req.Method))))
	if err != nil {
		c.next = closeNow
		if w.x.Stats.Err == nil {
			w.x.Stats.Err = ErrClientGone
		}
	}
}

// finish ends an exchange: it is told to the log, and its bytes leave the
// buffer.
func (c *clientConn) finish() {
	w := c.work
	w.mark(&w.x.Stats.End)
	w.x.Stats.RequestBytes += int64(w.next - w.start)
	if w.pump.large != nil {
		w.x.Stats.RequestBytes += w.pump.beyond()
	}
	c.log()
	if w.pump.large != nil {
		w.pump.finish()
	}
	w.nextRequest()
}

func (c *clientConn) log() {
	if w := c.work; w.settings != nil && w.settings.Log != nil {
		w.settings.Log(&w.x)
	}
}

// linger ends the connection without taking the last response from the client:
// closing with unread bytes would have the kernel send a reset, and a reset
// discards what the client has not read yet (RFC 9112 section 9.6).
func (c *clientConn) linger() {
	c.next = closeNow
	if c.streams != nil || c.closeWrite() != nil {
		return // a stream that ends takes nothing away from others
	}
	c.read.clear()
	c.renewRead()
	c.setRead(c.timeouts().Linger, inMessage)
	c.receive(&discard{buf: make([]byte, 4096)})
}

// discard reads what a client still sends, up to a limit.
type discard struct {
	buf  []byte
	seen int
}

// lingerLimit is how many bytes of a request that was refused are read. A
// client that sends more without reading loses the answer.
const lingerLimit = 1 << 20

func (d *discard) begin() verdict { return more }
func (d *discard) room() []byte   { return d.buf }
func (d *discard) pause()         {}
func (d *discard) feed(n int) verdict {
	if d.seen += n; d.seen > lingerLimit {
		return stop
	}
	return more
}

// givePreface hands the connection over to whoever speaks HTTP/2.
func (c *clientConn) givePreface() {
	c.next = closeNow
	if c.streams != nil {
		return // it is spoken already
	}
	w := c.work
	read := append([]byte(nil), w.buffered()...)
	preface := w.settings.Preface
	c.releaseWork()
	if !c.read.clear() {
		return
	}
	c.handedOver.Store(true)
	c.renewRead()
	preface(c.conn, read, c.data)
}
