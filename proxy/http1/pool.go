package http1

import (
	"net"
	"time"
)

// Pool lends server connections. Its methods are called by any number of
// goroutines.
type Pool interface {
	// Get lends a connection for the request of x. With fresh set it must
	// not have been used before. Get may wait, for a place in a queue or for
	// a new connection, until the context of x ends. An error that is or
	// wraps an *Error decides what the client is told; others stand for
	// ErrConnectFailed.
	//
	// The pool answers for a connection having been quiet until now: neither
	// closed nor with bytes to read, which would be taken for the response.
	Get(x *Exchange, fresh bool) (*ServerConn, error)
	// Put gives the connection back, with what came of it.
	Put(s *ServerConn, r Result)
}

// Retrier is a Pool that may have failed requests go again.
type Retrier interface {
	Pool
	// Retry is asked when an attempt at a request has failed that could be
	// repeated: the request is at hand, and idempotent unless nothing of it
	// was sent, and the client knows of no response. status is that of the response, or 0 if there was none
	// and the server closed the connection. With true the request goes again,
	// over a new connection.
	Retry(x *Exchange, status int) bool
}

// Result is what a pool learns of an exchange.
type Result struct {
	// Reuse says that another request may go over the connection. Otherwise
	// the pool closes it.
	Reuse bool
	// Status is the status of the response, 0 if there was none.
	Status int
	// Err is what was wrong with the server or the connection, if anything
	// was. What the client did wrong is not in here.
	Err error
	// KeepAlive is how long the server says it keeps the connection, and
	// Requests how many more it takes, by its Keep-Alive field; 0 if it does
	// not say.
	KeepAlive time.Duration
	Requests  int
	// Bound says that the connection stands for this client from now on: the
	// server authenticates connections instead of requests (NTLM,
	// Negotiate). No other client may get it.
	Bound bool
	// Wait is the time from the request to the response's first byte, if the
	// frontend keeps time (Settings.Log).
	Wait time.Duration
}

// ServerConn is a connection to a server, as a pool keeps it. It belongs to the
// pool or to the one exchange it is lent to.
type ServerConn struct {
	sock
	// Data is the pool's own.
	Data any

	used int64 // requests sent over it
}

// NewServerConn makes a server connection of c.
func (e *Engine) NewServerConn(c net.Conn) *ServerConn {
	s := &ServerConn{}
	s.init(c, e.rawOf(c))
	return s
}

// NetConn gives the connection that NewServerConn was given.
func (s *ServerConn) NetConn() net.Conn { return s.conn }

// Requests counts the requests that have been sent over the connection.
func (s *ServerConn) Requests() int64 { return s.used }

// Quiet reports whether the server has neither closed the connection nor sent
// anything since the last response, as far as that can be told without
// waiting. The connection must not be in use.
func (s *ServerConn) Quiet() bool { return s.raw == nil || quiet(s.raw) }
