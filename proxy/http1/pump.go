package http1

import (
	"sync/atomic"
	"time"
)

// pump forwards the rest of a request's body while the response is being
// waited for or already comes. It is the feeder of the client connection and
// runs in a goroutine of its own, which owns it until done.
type pump struct {
	c    *clientConn
	done chan struct{} // closed at its end

	large      *[]byte
	start, end int
	left       int64 // of a body by length
	read       int64 // from the client
	err        error // what the client did wrong; what the server did shows in its response

	complete atomic.Bool // all of the body was read from the client
	stopping atomic.Bool // the exchange is over
	sent     bool        // all of it was written to the server
}

// sendBody forwards a request whose body comes in pieces.
func (c *clientConn) sendBody() {
	c.next = readRequests
	w := c.work
	if w.pool == nil {
		c.replyWith(w.x.reply, true)
		if c.next != closeNow {
			c.next = linger
		}
		c.finish()
		return
	}
	c.appendRequest()
	c.settle(c.converse())
}

// startPump starts forwarding. The first part of the body went with the head.
func (c *clientConn) startPump() {
	w := c.work
	p := &w.pump
	p.large = c.engine.getLarge(len(w.in))
	p.start, p.read, p.err = 0, 0, nil
	p.end = copy(*p.large, w.in[w.next:w.end])
	w.next = w.end
	p.left = w.req.Body.Length - int64(w.body.len())
	p.complete.Store(false)
	p.stopping.Store(false)
	p.sent = false
	p.done = make(chan struct{})
	go p.run()
}

// run is the goroutine.
func (p *pump) run() {
	defer close(p.done)
	c := p.c
	s := c.serverConn.Load()
	patience := c.timeouts().Body
	if c.work.req.Continue {
		patience += c.work.responseTimeout() // the server speaks first
	}
	c.setRead(patience, inMessage)
	v := more
	if p.end > 0 {
		v = p.forward() // chunks that had come with the head, in part
	}
	var err error
	if v != stop {
		err = c.receive(p)
	}
	switch {
	case p.sent:
		// From now on the server takes time, and the client can only go away.
		c.setServerRead(c.work.responseTimeout())
		c.setRead(forever, atServer)
		return
	case p.stopping.Load():
	case err == nil && p.err == nil:
		c.setServerRead(c.work.responseTimeout()) // it did not want all of it
	case p.err != nil:
	case isTimeout(err) && c.read.isExpired():
		p.err = ErrBodyTimeout
	default:
		p.err = ErrClientGone
	}
	if p.err != nil {
		s.conn.SetReadDeadline(longAgo) // nobody needs the response any more
	}
}

// begin is feeder's.
func (p *pump) begin() verdict { return more }

// pause is feeder's.
func (p *pump) pause() {}

// room is feeder's. Of a body by length nothing behind it is read; of chunks no
// more than the buffer of requests can take back.
func (p *pump) room() []byte {
	b := *p.large
	if p.start == p.end {
		p.start, p.end = 0, 0
	}
	if p.c.work.req.Body.Kind == ByLength {
		return b[:min(int64(len(b)), p.left)]
	}
	b = b[:len(p.c.work.in)]
	if p.end == len(b) {
		p.end = copy(b, b[p.start:p.end])
		p.start = 0
	}
	return b[p.end:]
}

// feed is feeder's.
func (p *pump) feed(n int) verdict {
	p.end += n
	p.read += int64(n)
	p.c.setRead(p.c.timeouts().Body, inMessage)
	return p.forward()
}

// forward writes to the server what has come.
func (p *pump) forward() verdict {
	part, done, err := p.take()
	if err != nil {
		p.err = err
		return stop
	}
	if done {
		// Before the last write: the answer can be there right after it, and
		// wants to know whether the client's connection can go on.
		p.complete.Store(true)
	}
	if len(part) > 0 {
		if err := p.c.sendServer(part); err != nil {
			// The server does not want it. It may say why.
			return stop
		}
	}
	p.sent = done
	if done {
		return stop
	}
	return more
}

// take takes from the buffer what belongs to the body.
func (p *pump) take() (part []byte, done bool, err error) {
	w := p.c.work
	b := (*p.large)[p.start:p.end]
	if w.req.Body.Kind == ByLength {
		p.start = p.end
		p.left -= int64(len(b))
		return b, p.left == 0, nil
	}
	out, n, done, err := w.chunks.Next(b, &w.settings.Limits)
	if err != nil {
		return nil, false, err
	}
	p.start += n
	if w.x.bodyMax > 0 && w.chunks.Data > w.x.bodyMax {
		return nil, false, ErrBodyTooLarge
	}
	if !done && n == 0 && len(b) == len(w.in) {
		return nil, false, ErrTrailerLength
	}
	return b[:out], done, nil
}

// sendServer writes to the server connection in use.
func (c *clientConn) sendServer(b []byte) error {
	_, err := c.serverConn.Load().send(b)
	if c.serverWrite.word.Load() != noDeadline && !c.serverWrite.clear() && err == nil {
		err = ErrServerTimeout
	}
	return err
}

// joinPump ends the pump, if there was one, after the exchange came to err, and
// gives what the exchange comes to with what the pump saw.
func (c *clientConn) joinPump(err error) error {
	w := c.work
	p := &w.pump
	if p.large == nil {
		return err // it was never started
	}
	p.stopping.Store(true)
	if p.complete.Load() {
		// It is at its last write, or behind it, unless the server does not
		// read any more.
		select {
		case <-p.done:
		case <-time.After(lastWrite):
		}
	}
	select {
	case <-p.done:
	default:
		// Whatever it waits for is not needed any more.
		c.conn.SetReadDeadline(longAgo)
		c.serverConn.Load().conn.SetWriteDeadline(longAgo)
		<-p.done
		p.sent = false // the server connection is spoiled
		if p.complete.Load() {
			c.renewRead()
		}
	}
	if p.err != nil {
		return p.err
	}
	return err
}

// lastWrite is how long the last write of a body may take after the response
// has come.
const lastWrite = 10 * time.Millisecond

// beyond gives how many bytes of the request were not in its buffer.
func (p *pump) beyond() int64 { return p.read - int64(p.end-p.start) }

// finish puts what was read behind the body, which is the next request, in
// place of the one that is finished.
func (p *pump) finish() {
	w := p.c.work
	w.start, w.next = 0, 0
	w.end = copy(w.in, (*p.large)[p.start:p.end])
	p.c.engine.large.Put(p.large)
	p.large = nil
}
