package relay

import (
	"io"
	"net"
	"time"
)

// Conn is a connection whose directions end one by one. Those of both stacks
// are, and *net.TCPConn.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// grace is how long the direction that still works may go on after the other
// one broke: time for what has arrived already, such as the reason.
const grace = 250 * time.Millisecond

// result is how one direction ended: err is nil if it came to its end.
type result struct {
	bytes int64
	err   error
}

// pipe carries both directions between a and b until both have ended, and
// closes both. There is the result from a to b, and that from b to a. It calls
// ending, maybe twice at once, when a direction has ended and the peers have not
// heard of it yet: the last moment to ask a connection what it did, since the
// kernel forgets as soon as both directions have ended.
func pipe(a, b Conn, ending func()) (there, back result) {
	done := make(chan result, 1)
	go func() { done <- carry(b, a, ending) }()
	there = carry(a, b, ending)
	back = <-done
	if there.err != nil || back.err != nil {
		abort(a)
		abort(b)
	}
	a.Close()
	b.Close()
	return there, back
}

// carry copies from src to dst, and then ends that direction of dst.
func carry(src, dst Conn, ending func()) result {
	n, err := io.Copy(dst, src)
	ending()
	if err == nil {
		err = dst.CloseWrite()
	}
	if err != nil {
		// Which of the two broke is not known, and does not matter: a
		// direction that waits for ever is ended.
		deadline := time.Now().Add(grace)
		src.SetDeadline(deadline)
		dst.SetDeadline(deadline)
	}
	return result{n, err}
}

// abort makes Close say that the stream broke (a reset, or FASTCLOSE).
func abort(c Conn) {
	if c, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = c.SetLinger(0) // an error: it is over already
	}
}
