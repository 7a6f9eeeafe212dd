package http2

import (
	"os"
	"strconv"

	"golang.org/x/net/http2"
)

// handleData takes in a part of a request's body (RFC 9113 section 6.1).
func (c *conn) handleData(f *http2.DataFrame) error {
	id, data, size := f.StreamID, f.Data(), int(f.Length)
	if len(data) == 0 && !f.StreamEnded() {
		if err := c.useless(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Padding counts, and so does what nobody wants (RFC 9113 section 6.9.1).
	if c.receive.left -= size; c.receive.left < 0 {
		return http2.ConnectionError(http2.ErrCodeFlowControl)
	}
	st := c.streams[id]
	if st == nil || st.remoteDone {
		c.credit(size)
		c.flushSoon()
		return c.lateData(id, st)
	}
	if st.receive.left -= size; st.receive.left < 0 {
		c.credit(size)
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeFlowControl}
	}
	st.received += int64(len(data))
	if st.declared != noLength && st.received > st.declared {
		c.credit(size)
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol} // RFC 9113 section 8.1.1
	}
	if st.filling {
		st.reopen(size) // nobody reads it
	} else {
		st.reopen(size - len(data))
		st.owed += len(data)
		st.take(data)
	}
	c.flushSoon()
	if f.StreamEnded() {
		return st.endRemote(nil)
	}
	return nil
}

// lateData decides about DATA that its stream does not expect. mu is held.
func (c *conn) lateData(id uint32, st *stream) error {
	how := c.closed.find(id)
	switch {
	case id > c.last || id%2 == 0:
		if c.going == leaving && id%2 == 1 {
			return nil
		}
		return http2.ConnectionError(http2.ErrCodeProtocol) // idle (RFC 9113 section 5.1)
	case st == nil && how == byUs:
		return nil // as much as the windows were open when we reset it
	case st == nil && how == byEnd:
		return http2.ConnectionError(http2.ErrCodeStreamClosed)
	}
	return http2.StreamError{StreamID: id, Code: http2.ErrCodeStreamClosed}
}

// take puts data where Read finds it. mu is held.
func (st *stream) take(data []byte) {
	if len(data) == 0 {
		return
	}
	b := st.in
	if st.mode == chunks {
		b = strconv.AppendUint(b, uint64(len(data)), 16)
		b = append(b, "\r\n"...)
		b = append(b, data...)
		b = append(b, "\r\n"...)
	} else {
		b = append(b, data...)
	}
	st.in = b
	st.changed.Broadcast()
}

// endRemote notes that the client has ended its side, with trailers as lines of
// HTTP/1.1. mu is held.
func (st *stream) endRemote(trailers []byte) error {
	if st.declared != noLength && st.received != st.declared {
		return http2.StreamError{StreamID: st.id, Code: http2.ErrCodeProtocol} // RFC 9113 section 8.1.1
	}
	st.remoteDone = true
	if st.mode == chunks && !st.filling {
		st.in = append(st.in, "0\r\n"...)
		st.in = append(st.in, trailers...)
		st.in = append(st.in, "\r\n"...)
	}
	if st.localDone {
		st.c.closed.add(st.id, byEnd)
		st.c.remove(st)
	}
	st.changed.Broadcast()
	return nil
}

// consume notes that n bytes of the input were read. The windows open again as
// what came in DATA is read; the lines around it do not count. mu is held.
func (st *stream) consume(n int) {
	st.next += n
	n = min(n, st.owed)
	if st.next == len(st.in) {
		st.in, st.next = st.in[:0], 0
		n = st.owed
	}
	if n > 0 {
		st.owed -= n
		st.reopen(n)
		st.c.flushSoon()
	}
}

// reopen opens both windows by n bytes. mu is held.
func (st *stream) reopen(n int) {
	st.c.credit(n)
	if st.receive.credit += n; st.receive.credit >= streamWindow/2 && !st.remoteDone && !st.removed {
		st.c.appendWindowUpdate(st.id, st.receive.credit)
		st.receive.left += st.receive.credit
		st.receive.credit = 0
	}
}

// dropInput forgets what was not read. mu is held.
func (st *stream) dropInput() {
	st.in, st.next = st.in[:0], 0
	st.c.credit(st.owed)
	st.owed = 0
}

// credit opens the window of the connection by n bytes. The client is told when
// it is worth it. mu is held.
func (c *conn) credit(n int) {
	if c.receive.credit += n; c.receive.credit >= connWindow/4 {
		c.appendWindowUpdate(0, c.receive.credit)
		c.receive.left += c.receive.credit
		c.receive.credit = 0
	}
}

// writeData sends a part of the response's body, as the windows of the client
// allow. With flush it goes out at once.
func (st *stream) writeData(b []byte, end, flush bool) error {
	c := st.c
	o := &c.out
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 {
		if err := st.awaitRoom(); err != nil {
			return err
		}
		n := int(min(int64(len(b)), st.window, o.window, int64(o.frame)))
		if n <= 0 {
			st.awaitWindow()
			continue
		}
		var flags http2.Flags
		if end && n == len(b) {
			flags = http2.FlagDataEndStream
		}
		o.appendHead(http2.FrameData, flags, st.id, n)
		o.buf = append(o.buf, b[:n]...)
		b = b[n:]
		st.window -= int64(n)
		o.window -= int64(n)
		if flags != 0 {
			st.endLocal()
		}
		if st.running != nil {
			st.running.Progress()
		}
	}
	if end && !st.localDone {
		if err := st.writable(); err != nil {
			return err
		}
		o.appendHead(http2.FrameData, http2.FlagDataEndStream, st.id, 0)
		st.endLocal()
	}
	if flush {
		c.flush()
	}
	return nil
}

// awaitRoom waits until there is not too much to be written already. mu is held.
func (st *stream) awaitRoom() error {
	o := &st.c.out
	for {
		if err := st.writable(); err != nil {
			return err
		}
		switch {
		case len(o.buf) < outLimit:
			return nil
		case o.flushing:
			o.room.Wait()
		default:
			st.c.flush()
		}
	}
}

// awaitWindow waits for a change when a window is closed. What is there goes out
// before, or the client would have no reason to open it. mu is held.
func (st *stream) awaitWindow() {
	st.c.flush()
	if st.window > 0 && st.c.out.window > 0 || st.writable() != nil {
		return // while that was written
	}
	st.waiting = true
	st.changed.Wait()
	st.waiting = false
}

// writable gives the reason for which nothing can be sent on the stream. mu is
// held.
func (st *stream) writable() error {
	switch {
	case st.gone != nil:
		return st.gone
	case st.c.out.err != nil:
		return st.c.out.err
	case st.writeLate:
		return os.ErrDeadlineExceeded
	case st.localDone:
		return errClosed
	}
	return nil
}
