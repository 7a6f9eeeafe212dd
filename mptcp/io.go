package mptcp

import (
	"io"
	"time"

	"github.com/braid-mptcp/braid/stream"
)

// Read moves received bytes to b, in order. io.EOF follows the last byte of
// the peer's stream, ErrWouldBlock means that none are there yet; any other
// error is why the connection ended.
func (c *Conn) Read(now time.Time, b []byte) (int, error) {
	n := c.in.Read(b)
	return n, c.haveRead(now, n)
}

// Take is Read without the copy: the pieces in which up to n bytes lie are
// appended to dst. Whoever takes them releases them, with no lock of the
// connection's needed before that.
func (c *Conn) Take(now time.Time, dst []stream.Piece, n int) ([]stream.Piece, error) {
	before := c.in.Readable()
	dst = c.in.Take(dst, n)
	return dst, c.haveRead(now, before-c.in.Readable())
}

// haveRead does what is to be done after n bytes were read.
func (c *Conn) haveRead(now time.Time, n int) error {
	switch {
	case n > 0:
		c.tuneRecv(now, n)
		c.maybeUpdateWindow()
		return nil
	case c.rcv.ended:
		return io.EOF
	case c.mode == modeClosed || c.closed:
		return c.endError()
	}
	return ErrWouldBlock
}

// maybeUpdateWindow tells the peer of room that reading made, once that at
// least doubles what it knows of.
func (c *Conn) maybeUpdateWindow() {
	gain := c.in.WouldGain()
	if offered := c.in.Offered(); gain >= 2*crumb && gain >= offered || gain >= c.in.Limit()/2 {
		c.ackAll()
		c.host.Wake(c)
	}
}

// Write takes as many of the bytes as there is room for. ErrWouldBlock means
// for none; ErrClosed that this direction was closed.
func (c *Conn) Write(now time.Time, b []byte) (int, error) {
	if err := c.refusesWrite(); err != nil {
		return 0, err
	}
	if n := c.out.Write(b); n > 0 || len(b) == 0 {
		c.host.Wake(c)
		return n, nil
	}
	return 0, ErrWouldBlock
}

// Reserve and Commit are Write in two steps. Reserve appends to dst the memory
// for up to n bytes, for the caller to fill and to release. Commit says how many
// bytes that were; until then nothing else may be written.
func (c *Conn) Reserve(dst []stream.Piece, n int) ([]stream.Piece, error) {
	if err := c.refusesWrite(); err != nil {
		return dst, err
	}
	had := len(dst)
	if dst = c.out.Reserve(dst, n); len(dst) == had {
		return dst, ErrWouldBlock
	}
	return dst, nil
}

// Commit ends what Reserve began. With an error, as Write's, no byte was taken.
func (c *Conn) Commit(now time.Time, n int) error {
	if err := c.refusesWrite(); err != nil {
		c.out.Commit(0)
		return err
	}
	if !c.out.Commit(n) {
		return ErrClosed
	}
	c.host.Wake(c)
	return nil
}

// FullSegments is the most bytes, up to about n, that go out in segments as large
// as they can be. Whoever has more to write than that writes so many at a time,
// or each time a crumb goes out in a segment of its own.
func (c *Conn) FullSegments(n int) int {
	largest := 1
	for _, sf := range c.subflows {
		if sf.established() {
			largest = max(largest, sf.tc.MaxPayload())
		}
	}
	return max(n-n%largest, largest)
}

func (c *Conn) refusesWrite() error {
	switch {
	case c.snd.fin != finNone:
		return ErrClosed
	case c.mode == modeClosed:
		return c.endError()
	}
	return nil
}

func (c *Conn) endError() error {
	if c.err != nil {
		return c.err
	}
	return ErrClosed
}

// Readable reports whether Read would return something else than ErrWouldBlock.
func (c *Conn) Readable() bool {
	return c.in.Readable() > 0 || c.rcv.ended || c.mode == modeClosed
}

// Writable likewise for Write.
func (c *Conn) Writable() bool {
	return c.out.Free() > 0 || c.snd.fin != finNone || c.mode == modeClosed
}

// tuneRecv lets the receive buffer grow with the paths' bandwidth and delay.
func (c *Conn) tuneRecv(now time.Time, n int) {
	var rtt time.Duration
	for _, sf := range c.subflows {
		if sf.established() {
			rtt = max(rtt, sf.tc.RecvRTT())
		}
	}
	c.in.Grow(c.tune.Read(now, n, rtt))
}
