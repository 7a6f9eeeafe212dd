package mptcp

import (
	"io"
	"time"
)

// Read moves received bytes to b, in order. io.EOF follows the last byte of
// the peer's stream, ErrWouldBlock means that none are there yet; any other
// error is why the connection ended.
func (c *Conn) Read(now time.Time, b []byte) (int, error) {
	if n := c.in.Read(b); n > 0 {
		c.tuneRecv(now, n)
		c.maybeUpdateWindow()
		return n, nil
	}
	switch {
	case c.rcv.ended:
		return 0, io.EOF
	case c.mode == modeClosed || c.closed:
		return 0, c.endError()
	}
	return 0, ErrWouldBlock
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
	switch {
	case c.snd.fin != finNone:
		return 0, ErrClosed
	case c.mode == modeClosed:
		return 0, c.endError()
	}
	if n := c.out.Write(b); n > 0 || len(b) == 0 {
		c.host.Wake(c)
		return n, nil
	}
	return 0, ErrWouldBlock
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
