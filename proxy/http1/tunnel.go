package http1

import "sync"

// tunnelBuffer is the size of a tunnel's buffer for each direction.
const tunnelBuffer = 32 << 10

// tunnel is a direction of a connection that speaks HTTP no more: after 101
// Switching Protocols (RFC 9110 section 7.8), or 2xx to CONNECT (section
// 9.3.6). It is a feeder of the side it reads from.
type tunnel struct {
	c        *clientConn
	buf      []byte
	send     func([]byte) error
	progress func()
	bytes    int64
	err      error
}

func (t *tunnel) begin() verdict { return more }
func (t *tunnel) pause()         {}
func (t *tunnel) room() []byte   { return t.buf }
func (t *tunnel) feed(n int) verdict {
	t.progress()
	t.bytes += int64(n)
	if t.err = t.send(t.buf[:n]); t.err != nil {
		return stop
	}
	return more
}

// runTunnel passes bytes in both directions until both have ended. The end of
// one is passed on too, as a half-close; an error in one ends both.
func (c *clientConn) runTunnel() {
	c.next = closeNow
	w := c.work
	a := &w.answer
	s := c.serverConn.Load()
	c.engine.counters.tunnels.Add(1)
	w.until = 0 // a tunnel is no request

	idle := c.timeouts().Tunnel
	progress := func() {
		c.setRead(idle, inMessage)
		c.setServerRead(idle)
	}
	progress()
	up := &tunnel{c: c, buf: make([]byte, tunnelBuffer), send: c.sendServer, progress: progress}
	down := &tunnel{c: c, buf: make([]byte, tunnelBuffer), send: a.write, progress: progress}

	// What either side said behind its head was read with it.
	rest := w.in[w.next:w.end]
	w.next = w.end
	early := a.write(a.buf[a.start:a.end]) == nil && (len(rest) == 0 || c.sendServer(rest) == nil)
	if early {
		var both sync.WaitGroup
		both.Go(func() { c.passOn(up, &c.sock, &s.sock) })
		c.passOn(down, &s.sock, &c.sock)
		both.Wait()
	}
	w.x.Stats.RequestBytes += up.bytes
	if up.err == nil {
		up.err = down.err
	}
	w.x.Stats.Err = up.err
	a.tunnel = false
	c.giveBack(s, nil)
	c.finish()
}

// passOn runs one direction to its end.
func (c *clientConn) passOn(t *tunnel, from, to *sock) {
	err := from.receive(t)
	if isEnd(err) && to.closeWrite() == nil {
		return
	}
	if err != nil && t.err == nil && !isEnd(err) {
		t.err = err
	}
	// There is no half of it to be had any more.
	from.conn.SetReadDeadline(longAgo)
	to.conn.SetReadDeadline(longAgo)
	from.conn.SetWriteDeadline(longAgo)
	to.conn.SetWriteDeadline(longAgo)
}
