package http2

import (
	"golang.org/x/net/http2"
)

// handleHeaders begins a header block (RFC 9113 section 6.2).
func (c *conn) handleHeaders(f *http2.HeadersFrame) error {
	use, err := c.useOf(f)
	if err != nil {
		return err
	}
	c.block.begin(f.StreamID, use, f.StreamEnded())
	if f.HasPriority() && f.Priority.StreamDep == f.StreamID {
		c.block.fault = "stream that depends on itself"
	}
	return c.addPart(f.HeaderBlockFragment(), f.HeadersEnded())
}

// useOf decides what the header block is for. The Framer has seen to it that it
// is not in the middle of another.
func (c *conn) useOf(f *http2.HeadersFrame) (use, error) {
	id := f.StreamID
	if id%2 == 0 {
		return 0, http2.ConnectionError(http2.ErrCodeProtocol) // RFC 9113 section 5.1.1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if id > c.last {
		if c.going == leaving {
			return forNothing, nil // RFC 9113 section 6.8
		}
		c.last = id
		c.count++
		return forRequest, nil
	}
	if st := c.streams[id]; st != nil {
		if st.remoteDone {
			return forNothing, nil // and finish says so
		}
		return forTrailers, nil
	}
	switch c.closed.find(id) {
	case byUs:
		return forNothing, nil
	case byEnd, byClient:
		return 0, http2.ConnectionError(http2.ErrCodeStreamClosed) // RFC 9113 section 5.1
	}
	return 0, http2.ConnectionError(http2.ErrCodeProtocol)
}

// handleContinuation goes on with a header block.
func (c *conn) handleContinuation(f *http2.ContinuationFrame) error {
	return c.addPart(f.HeaderBlockFragment(), f.HeadersEnded())
}

// addPart decodes a part of a header block, which may be the last.
func (c *conn) addPart(part []byte, last bool) error {
	if err := c.block.add(part); err != nil {
		return err
	}
	if !last {
		if c.heading.Load() == 0 {
			c.heading.Store(int64(c.server.now()) + 1)
		}
		return nil
	}
	c.heading.Store(0)
	if err := c.decoder.Close(); err != nil {
		return http2.ConnectionError(http2.ErrCodeCompression)
	}
	switch c.block.use {
	case forRequest:
		return c.beginRequest()
	case forTrailers:
		return c.endRequest()
	}
	return c.refuseBlock()
}

// refuseBlock answers a header block of a stream that is no more, or has no
// more to say.
func (c *conn) refuseBlock() error {
	c.mu.Lock()
	open := c.streams[c.block.id] != nil
	c.mu.Unlock()
	if open {
		return c.streamError(http2.ErrCodeStreamClosed)
	}
	return c.useless()
}

func (c *conn) streamError(code http2.ErrCode) error {
	return http2.StreamError{StreamID: c.block.id, Code: code}
}

// malformed is the error for a malformed request (RFC 9113 section 8.1.1).
func (c *conn) malformed(fault string) error {
	c.server.log.Debug("HTTP/2 request refused", "client", c.nc.RemoteAddr(), "fault", fault)
	return c.streamError(http2.ErrCodeProtocol)
}

// beginRequest is called with the complete header block of a request.
func (c *conn) beginRequest() error {
	b := &c.block
	if fault := b.judge(); fault != "" {
		return c.malformed(fault)
	}
	if !c.admit() {
		return c.streamError(http2.ErrCodeRefusedStream)
	}
	if n := c.frontend.Settings().MaxRequests; n > 0 && c.count >= n {
		c.drain()
	}
	return nil
}

// admit begins to serve the request of the block. It is false if there are too
// many, or the engine ends.
func (c *conn) admit() bool {
	b := &c.block
	most := int(c.limits.streams)
	c.mu.Lock()
	// Streams that were reset are served until that is noticed, and count as
	// long: there may be as many of them again, but not more.
	if len(c.streams) >= most || c.running >= 2*most {
		c.mu.Unlock()
		return false
	}
	st := newStream(c, b)
	st.window = c.out.initial
	c.streams[b.id] = st
	c.running++
	c.mu.Unlock()
	if c.requests.Go(st) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	c.remove(st)
	st.release()
	return false
}

// endRequest is called with the complete trailers of a request.
func (c *conn) endRequest() error {
	b := &c.block
	if !b.end {
		return c.malformed("trailers that do not end the stream") // RFC 9113 section 8.1
	}
	if b.fault != "" {
		return c.malformed(b.fault)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[b.id]
	if st == nil {
		return nil // it has ended meanwhile
	}
	if b.large {
		return c.malformed("trailers too long")
	}
	return st.endRemote(b.lines)
}

// isLeaving reports whether streams beyond the last are ignored.
func (c *conn) isLeaving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.going == leaving
}

// handleReset ends a stream that the client does not want any more.
func (c *conn) handleReset(f *http2.RSTStreamFrame) error {
	c.mu.Lock()
	st := c.streams[f.StreamID]
	idle := f.StreamID > c.last || f.StreamID%2 == 0
	if st != nil {
		c.end(st, errReset)
		c.closed.add(f.StreamID, byClient)
	}
	c.mu.Unlock()
	switch {
	case st != nil:
		st.hangUp()
		return c.countReset()
	case idle && !c.isLeaving():
		return http2.ConnectionError(http2.ErrCodeProtocol) // RFC 9113 section 6.4
	}
	return c.useless()
}
