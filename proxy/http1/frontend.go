package http1

import (
	"net"
	"sync/atomic"
	"time"
)

// Settings say how the connections of a listener are served.
type Settings struct {
	// Route chooses the pool for a request whose head is complete. Without a
	// pool it has called Exchange.Reply, or the answer is 404. An error that
	// is an *Error is answered with its status.
	Route func(x *Exchange) (Pool, error)
	// Scheme is https if clients came over TLS; default: http.
	Scheme string
	// Trace says what servers learn of clients.
	Trace TraceConfig
	// Via is our name in the Via field of responses; empty: none is added.
	Via string
	// Request and Response are changes to all heads.
	Request, Response Edits
	// Limits bound the heads of both directions.
	Limits Limits
	// MaxBody bounds request bodies, in bytes; 0: no limit.
	MaxBody int64
	// Connect allows CONNECT requests, which are forwarded to the server as
	// such. Without it they are refused (405).
	Connect bool
	// MaxRequests is how many requests one connection may bring; with the
	// response to the last of them it ends. 0: any number.
	MaxRequests int
	// HalfClose serves clients that have ended their sending side to the
	// end. Without it, one that does so while it waits for a response is
	// taken to have gone, as nobody could tell.
	HalfClose bool
	Timeouts  Timeouts

	// Opened is told of a new connection and gives the ConnData of its
	// exchanges; Closed is told when it ends. Both may be nil.
	Opened func(c net.Conn) (connData any)
	Closed func(connData any)
	// Log is told of every exchange when it is over, and of requests that
	// were none, with a Request that is not complete. It may be nil, and
	// then nobody keeps time.
	Log func(x *Exchange)
	// Preface is given connections that begin with HTTP/2's preface (RFC
	// 9113 section 3.4), with the bytes already read, of which it must keep
	// a copy, and the connection's data. It returns when it is done with the
	// connection. nil: refused.
	Preface func(c net.Conn, read []byte, connData any)
}

// Timeouts bound what the peers may take for each phase. Zero means the
// default, a negative value no limit.
type Timeouts struct {
	Idle     time.Duration // between requests; default 60 s
	Head     time.Duration // for a whole request head, and for the first byte of a connection; default 10 s
	Body     time.Duration // between pieces of a request body; default 30 s
	Response time.Duration // from the request to the response's head; default 60 s
	Stream   time.Duration // between pieces of a response; default 60 s
	Write    time.Duration // until a peer takes more bytes; default 30 s
	Tunnel   time.Duration // without a byte in either direction of a tunnel; default 1 h
	Linger   time.Duration // for a client to read the last response; default 2 s
	Request  time.Duration // from the end of a request's head to the end of its response; default: no limit
}

// defaultTimeouts are the defaults, in the order of the fields.
var defaultTimeouts = Timeouts{
	Idle:     60 * time.Second,
	Head:     10 * time.Second,
	Body:     30 * time.Second,
	Response: 60 * time.Second,
	Stream:   60 * time.Second,
	Write:    30 * time.Second,
	Tunnel:   time.Hour,
	Linger:   2 * time.Second,
	Request:  forever,
}

// forever is a timeout that does not strike.
const forever = 10 * 365 * 24 * time.Hour

func (t Timeouts) withDefaults() Timeouts {
	d := &defaultTimeouts
	for _, p := range []struct {
		t *time.Duration
		d time.Duration
	}{
		{&t.Idle, d.Idle}, {&t.Head, d.Head}, {&t.Body, d.Body}, {&t.Response, d.Response},
		{&t.Stream, d.Stream}, {&t.Write, d.Write}, {&t.Tunnel, d.Tunnel}, {&t.Linger, d.Linger},
		{&t.Request, d.Request},
	} {
		switch {
		case *p.t == 0:
			*p.t = p.d
		case *p.t < 0:
			*p.t = forever
		}
	}
	return t
}

// Frontend is a set of Settings that can be exchanged while connections are
// served: the next request on each of them goes by the new ones.
type Frontend struct {
	settings atomic.Pointer[Settings]
	draining atomic.Bool
}

// NewFrontend makes a Frontend. Settings belongs to it from then on.
func NewFrontend(s *Settings) *Frontend {
	f := &Frontend{}
	f.Update(s)
	return f
}

// Settings gives the settings in force. They must not be changed.
func (f *Frontend) Settings() *Settings { return f.settings.Load() }

// Update puts other settings in force. s belongs to the Frontend from then on.
func (f *Frontend) Update(s *Settings) {
	if s.Scheme == "" {
		s.Scheme = "http"
	}
	s.Timeouts = s.Timeouts.withDefaults()
	f.settings.Store(s)
}

// Drain has all connections end, with their next response, or at once if they
// wait for a request. There is no way back.
func (f *Frontend) Drain() { f.draining.Store(true) }

// Draining reports whether Drain was called.
func (f *Frontend) Draining() bool { return f.draining.Load() }
