package http1

import (
	"errors"
	"io"
)

// exchange forwards the request in the buffer, whose body is complete, and the
// response to it. c.next says how the connection goes on.
func (c *clientConn) exchange() {
	w := c.work
	if w.pool == nil {
		c.replyWith(w.x.reply, c.lastResponse())
		c.finishReply()
		return
	}
	c.appendRequest()
	c.settle(c.converse())
}

// finishReply goes on after an answer of ours to a whole request.
func (c *clientConn) finishReply() {
	if c.next != closeNow && c.lastResponse() {
		c.endGently()
	}
	c.finish()
}

// endGently ends the connection after the last response. If the client has sent
// nothing that was not read, closing does no harm to that.
func (c *clientConn) endGently() {
	w := c.work
	c.next = linger
	if w.whole && w.next == w.end {
		c.next = closeNow
	}
}

// appendRequest writes what goes to the server first.
func (c *clientConn) appendRequest() {
	w := c.work
	x := &w.x
	x.request.Edits = appendEdits(x.chain[:0:3], &w.settings.Request, x.shared[0], &x.edits[0])
	x.request.Trace = c.traceFor(w)
	w.out = w.req.AppendForward(w.out[:0], &x.request)
	w.out = append(w.out, w.body.of(w.in)...)
}

// traceFor gives what servers are told about this client. It is made anew when
// that has changed since the last request.
func (c *clientConn) traceFor(w *work) *Trace {
	config := w.x.trace
	if config == nil {
		config = &w.settings.Trace
	}
	if *config == (TraceConfig{}) {
		return nil
	}
	client := w.x.Client.Addr()
	if c.traced != config || c.trace.client != client {
		c.trace.init(config, c.client.Addr(), client, w.settings.Scheme)
		c.traced = config
	}
	return &c.trace
}

// responseChange gives what changes in a response. With end the connection ends
// after it.
func (c *clientConn) responseChange(end bool) *ResponseChange {
	w := c.work
	change := &w.answer.change
	*change = ResponseChange{
		Close: end,
		Old:   w.req.Minor == 0,
		Date:  c.engine.sweeper.date.Load().text,
	}
	if w.settings == nil {
		return change
	}
	change.Via = w.settings.Via
	change.Edits = appendEdits(w.x.chain[3:3], &w.settings.Response, w.x.shared[1], &w.x.edits[1])
	return change
}

// appendEdits leaves out those that change nothing.
func appendEdits(dst []*Edits, all ...*Edits) []*Edits {
	for _, e := range all {
		if e != nil && len(e.remove)+len(e.add) > 0 {
			dst = append(dst, e)
		}
	}
	return dst
}

// lastResponse reports whether the connection ends with the response to the
// request in hand.
func (c *clientConn) lastResponse() bool {
	w := c.work
	if w.settings != nil && w.settings.MaxRequests > 0 && c.requests >= w.settings.MaxRequests {
		return true
	}
	return c.ending || !w.req.KeepAlive || c.engine.isDraining() || c.frontend.draining.Load()
}

// converse sends the request to a server and forwards the response. A reused
// connection can turn out to be dead: the server closed it while the request
// was under way. Then the request goes again on a new one, if nothing of it
// was sent or it is idempotent (RFC 9110 section 9.2.2, RFC 9112 section
// 9.3.1). A POST is never sent twice.
func (c *clientConn) converse() error {
	w := c.work
	err := c.try(false)
	if err == ErrDead && (w.answer.unsent || w.repeatable()) {
		err = c.tryAgain(nil)
	}
	for err == errAgain || err == ErrServerClosed && c.retries() {
		w.x.Retries++
		err = c.tryAgain(w.x.Stats.Server)
	}
	return err
}

// tryAgain makes another attempt, after the one before failed at a server.
func (c *clientConn) tryAgain(failed *ServerConn) error {
	x := &c.work.x
	x.Attempt++
	x.Failed, x.Response = failed, nil
	x.Stats.Retried = true
	c.engine.counters.retries.Add(1)
	return c.try(true)
}

// ErrDead is how an attempt ends on which a reused connection was found to have
// been closed. Of the server it says nothing.
var ErrDead = &Error{502, "reused server connection was closed"}

// errAgain is how an attempt ends whose response is not to be forwarded, since
// the request goes again.
var errAgain = &Error{502, "request goes again"}

// repeatable reports whether the request may be sent once more, for all that
// the client can tell (RFC 9110 section 9.2.2).
func (w *work) repeatable() bool {
	return w.whole && w.req.Method.Idempotent() && w.answer.interim == 0 && !w.req.Upgrade
}

// retries asks the pool whether the request goes again after the server has
// closed the connection.
func (c *clientConn) retries() bool {
	r, ok := c.work.pool.(Retrier)
	return ok && (c.work.answer.unsent || c.work.repeatable()) && r.Retry(&c.work.x, 0)
}

// goesAgain asks the pool whether the request goes again instead of this
// response being forwarded. If the response is all there, its connection is fit
// for use.
func (a *answer) goesAgain() bool {
	w := a.c.work
	r, ok := w.pool.(Retrier)
	if !ok || !w.repeatable() || !r.Retry(&w.x, a.status) {
		return false
	}
	switch b := w.resp.Body; {
	case b.Kind == NoBody && a.start == a.end, b.Kind == ByLength && b.Length == int64(a.end-a.start):
		a.start, a.done = a.end, true
	}
	return true
}

// try makes one attempt. With a nil error the response is through, or a tunnel
// begins.
func (c *clientConn) try(fresh bool) error {
	w := c.work
	a := &w.answer
	if w.whole {
		c.watchClient()
	}
	if c.hung.Load() {
		return ErrClientGone // it went between two attempts
	}
	a.prepare()
	s, err := w.pool.Get(&w.x, fresh)
	if err != nil {
		if c.abandoned() {
			return ErrClientGone
		}
		if fault := (*Error)(nil); errors.As(err, &fault) {
			return err
		}
		return &connectError{err}
	}
	w.x.Stats.Server, w.x.Stats.Reused = s, s.used > 0
	w.mark(&w.x.Stats.Connected)
	c.lend(s)
	a.reused = s.used > 0
	err = a.outcome(s.receive(a))
	if !w.whole {
		err = c.joinPump(err)
	}
	if a.tunnel && err == nil {
		return nil // the connection stays
	}
	c.giveBack(s, err)
	return err
}

// watchClient has the sweeper see whether the client goes away meanwhile.
func (c *clientConn) watchClient() {
	if !c.setRead(forever, atServer) {
		c.ending = true // the idle time was over: it is served, but not watched
	}
}

// connectError is a pool's reason for having no connection.
type connectError struct{ err error }

func (e *connectError) Error() string { return ErrConnectFailed.Reason + ": " + e.err.Error() }
func (e *connectError) Unwrap() []error {
	return []error{ErrConnectFailed, e.err}
}

// lend notes that the server guards are about s from now on.
func (c *clientConn) lend(s *ServerConn) {
	s.blocked = (*serverBlocked)(c)
	c.serverConn.Store(s)
	if c.abandoned() {
		s.conn.SetDeadline(longAgo) // abort or hangUp may not have seen it
	}
}

// giveBack gives the server connection back to its pool. If a deadline has
// passed meanwhile, or the client has gone, the sweeper has spoiled it.
func (c *clientConn) giveBack(s *ServerConn, err error) {
	w := c.work
	a := &w.answer
	intact := c.serverRead.clear()
	intact = c.serverWrite.clear() && intact
	if !c.read.clear() {
		intact, c.ending = false, true
	}
	c.serverConn.Store(nil)
	intact = intact && !c.abandoned() // or abort or hangUp may still see it
	s.blocked = nil
	r := Result{Reuse: intact && (err == nil || err == errAgain) && a.reusable(), Status: a.status}
	if err != ErrClientGone && err != ErrResponseTimeout && err != errAgain {
		r.Err = err
	}
	if a.headDone {
		a.learn(&r)
		r.Wait = w.x.Stats.Answered - w.x.Stats.Sent
	}
	a.release()
	w.pool.Put(s, r)
}

// settle decides how the connection goes on after an exchange.
func (c *clientConn) settle(err error) {
	w := c.work
	a := &w.answer
	w.x.Stats.Err = err
	switch {
	case err == nil && a.tunnel:
		c.next = runTunnel
		return // the exchange goes on
	case err == nil && a.last:
		c.endGently()
	case err == nil:
	case a.forwarded || err == ErrClientGone || err == ErrResponseTimeout || c.aborted.Load():
		// What is missing of the response cannot be had: ending the
		// connection tells the client so (RFC 9112 section 8).
		c.next = closeNow
	default:
		end := c.lastResponse() || !w.whole
		c.replyWith(errorReply(statusOf(err)), end)
		if end && c.next != closeNow {
			c.endGently()
		}
	}
	c.finish()
}

// outcome turns how receive ended into what is wrong with the exchange.
func (a *answer) outcome(err error) error {
	switch {
	case a.err == nil && err == nil:
		return nil
	case a.c.abandoned():
		return ErrClientGone // which may be why it failed
	case a.err != nil:
		return a.err
	case isTimeout(err):
		if a.headDone {
			return ErrTruncated
		}
		return ErrServerTimeout
	case a.received:
		if err == io.EOF && a.headDone && a.c.work.resp.Body.Kind == ByClose {
			return a.endOfClose()
		}
		if a.headDone {
			return ErrTruncated
		}
		return ErrServerClosed
	case a.reused:
		return ErrDead
	}
	return ErrServerClosed
}
