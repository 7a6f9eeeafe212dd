package balance

import (
	"errors"
	"net"
	"os"
	"time"
)

// longAgo interrupts a Read.
var longAgo = time.Unix(1, 0)

// reader waits in Read for an idle connection's end, where there is no better
// way. It is used by the connection's owner.
type reader struct {
	conn  net.Conn
	alive chan bool // of the goroutine at work, else nil
}

// start begins to read; false: there is no use in it. A deadline that was left
// from the last request is taken away.
func (r *reader) start(c *Conn) bool {
	if r.conn.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	alive := make(chan bool, 1)
	r.alive = alive
	go func() {
		var b [1]byte
		n, err := r.conn.Read(b[:])
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			alive <- true
			return
		}
		// The end, or data that nobody asked for.
		alive <- false
		c.server.peerClosed(c)
	}()
	return true
}

// stop ends reading and says whether nothing has come.
func (r *reader) stop() bool {
	if r.alive == nil {
		return true
	}
	failed := r.conn.SetReadDeadline(longAgo) != nil
	alive := <-r.alive
	r.alive = nil
	return alive && !failed && r.conn.SetReadDeadline(time.Time{}) == nil
}
