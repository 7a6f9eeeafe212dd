package http1

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Exchange is a request and its response on their way through. Routes, pools
// and logs see it; it is valid until Settings.Log returns, and then serves
// another request. Its methods are called by whoever has been handed it, while
// being called.
type Exchange struct {
	// Request is the request. Its bytes must not be changed.
	Request *Request
	// Conn is the client's connection, for what it can tell of itself. It
	// must not be read from, written to or closed.
	Conn net.Conn
	// Client and Local are the addresses of Conn. A route may put another
	// Client in place, who has come through a trusted proxy.
	Client, Local netip.AddrPort
	// Protocol is what the client speaks: HTTP/1.1, HTTP/1.0 or HTTP/2.0.
	Protocol string
	// Data is for the route, the pool and the log, and is nil at first.
	Data any
	// ConnData is theirs too, and stays with the client's connection.
	// Settings.Opened may have set it.
	ConnData any

	// Attempt counts how often the request has gone to a server before, and
	// Failed is where it went last, if it failed there. It is nil when the
	// connection was merely found dead, which says little about the server.
	// Both are for Pool.Get. Retries are those attempts that a Retrier asked
	// for.
	Attempt int
	Retries int
	Failed  *ServerConn

	// Response is the response, once there is one: in Pool.Put and
	// Settings.Log. Local replies have none.
	Response *Response
	// Stats is what came of it, for Settings.Log.
	Stats Stats

	ctx             *connContext
	timed           context.Context // with the deadline of Timeouts.Request; nil: not made
	cancel          context.CancelFunc
	until           time.Time // that deadline; zero: none
	request         RequestChange
	edits           [2]Edits  // of this request, and of its response
	shared          [2]*Edits // of the route
	chain           [6]*Edits // room for RequestChange.Edits and ResponseChange.Edits
	trace           *TraceConfig
	bodyMax         int64
	responseTimeout time.Duration // in place of Timeouts.Response, if not 0
	reply           reply
}

// Stats says how an exchange went. Times are since the first byte of the
// request was there, and kept only with Settings.Log; a phase that was not
// reached has time 0.
type Stats struct {
	Start     time.Time
	Head      time.Duration // the request's head was complete
	Connected time.Duration // there was a server connection
	Sent      time.Duration // the request was sent, or the part of it that had come
	Answered  time.Duration // the response's head was there
	End       time.Duration

	Status       int   // what the client got; 0: nothing
	RequestBytes int64 // of head and body, as read from the client
	ReplyBytes   int64 // as written to the client
	Body         int64 // of ReplyBytes, those that are no head
	Server       *ServerConn
	Reused       bool // the server connection had been used before
	Retried      bool // the request had gone to a server before
	Err          error
}

// Context ends when the client goes away, the engine closes, or the time for
// the request is over. It is for what waits: a queue, a new connection.
func (x *Exchange) Context() context.Context {
	if x.until.IsZero() {
		return x.ctx
	}
	if x.timed == nil {
		x.timed, x.cancel = context.WithDeadline(x.ctx, x.until)
	}
	return x.timed
}

// SetPath forwards the request with another path and query, which begin with a
// slash. The bytes must stay as they are. ErrEdit says that they cannot stand
// in a request line.
func (x *Exchange) SetPath(path []byte) error {
	if len(path) == 0 || path[0] != '/' || !all(path, isTarget) {
		return ErrEdit
	}
	x.request.Path = path
	return nil
}

// SetHost forwards the request with another authority. The bytes must stay as
// they are. ErrEdit says that they are no host with a port.
func (x *Exchange) SetHost(host []byte) error {
	if !isAuthority(host, false) {
		return ErrEdit
	}
	x.request.Host = host
	return nil
}

// Authority gives the host and port that the request is forwarded with.
func (x *Exchange) Authority() []byte {
	if x.request.Host != nil {
		return x.request.Host
	}
	return x.Request.Authority()
}

// EditRequest gives changes to this request's fields.
func (x *Exchange) EditRequest() *Edits { return &x.edits[0] }

// EditResponse gives changes to the fields of the response to come.
func (x *Exchange) EditResponse() *Edits { return &x.edits[1] }

// ShareEdits has changes apply that many requests have in common; either may be
// nil. They come before those of EditRequest and EditResponse.
func (x *Exchange) ShareEdits(request, response *Edits) { x.shared = [2]*Edits{request, response} }

// SetTrace tells the server about the client in another way than Settings.Trace
// says. The TraceConfig must stay as it is.
func (x *Exchange) SetTrace(c *TraceConfig) { x.trace = c }

// SetResponseTimeout replaces Timeouts.Response for this request.
func (x *Exchange) SetResponseTimeout(d time.Duration) { x.responseTimeout = d }

// LimitBody refuses a request body of more bytes (413), in place of
// Settings.MaxBody.
func (x *Exchange) LimitBody(bytes int64) { x.bodyMax = bytes }

// Reply answers the request without a server: a route calls it and returns no
// pool. Edits of the response apply. body must stay as it is.
func (x *Exchange) Reply(status int, contentType string, body []byte) {
	x.reply = reply{status, contentType, body}
}

// reset prepares for the next request and keeps the memory.
func (x *Exchange) reset() {
	edits := x.edits
	edits[0].Reset()
	edits[1].Reset()
	if x.cancel != nil {
		x.cancel()
	}
	*x = Exchange{edits: edits}
}
