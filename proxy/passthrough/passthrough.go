package passthrough

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/proxy/certs"
)

// Errors of Result.
var (
	// ErrIdle: nothing was said in either direction for Config.Idle.
	ErrIdle = errors.New("passthrough: idle for too long")
	// ErrShutdown: the context of Serve ended.
	ErrShutdown = errors.New("passthrough: shut down")
	// ErrGone: the client broke off before there was a server.
	ErrGone = errors.New("passthrough: the client is gone")
)

// Config says how connections are passed on. Route is needed.
type Config struct {
	// Route chooses the pool, by c.Hello and the addresses of c.Client. It may
	// set the fields of c that are for it. Request.Client is needed, and is
	// closed when the connection has ended. An error refuses the connection.
	Route func(c *Conn) (*balance.Pool, balance.Request, error)
	// SNI makes Serve read the client's TLS hello before it asks Route.
	SNI bool
	// HelloTimeout is how long the client may take for it. 0: for ever.
	HelloTimeout time.Duration
	// Idle ends connections on which nothing passes in either direction for so
	// long. 0: never.
	Idle time.Duration
	// Done, if set, is told how each connection went.
	Done func(Result)
}

// Conn is a client's connection.
type Conn struct {
	// Client is the connection as it was given to Serve. It belongs to Serve:
	// others may ask it for addresses and the like.
	Client net.Conn
	// Hello is the client's TLS hello. nil: none was asked for, or the client
	// does not speak TLS.
	Hello *certs.Hello
	// In and Out count the bytes from the client and to the client.
	In, Out atomic.Int64
	// Ending, if Route sets it, is called, maybe twice at once, when a
	// direction has ended and the peers have not heard of it yet. It is the
	// last moment to ask a connection what it did, since the kernel forgets as
	// soon as both directions have ended.
	Ending func()
	// Data is for Route and Config.Done.
	Data any
}

// Result says how a connection went.
type Result struct {
	Conn     *Conn
	Pool     string        // its name; "": none was chosen
	Backend  string        // its name; "": none was reached
	Server   net.Addr      // nil: none was reached
	Connect  time.Duration // from Route's answer until there was a server
	Duration time.Duration // of everything
	End      End
	Err      error // nil if both directions came to their end
}

// End is how a connection ended.
type End uint8

// Ways for a connection to end.
const (
	EndClosed   End = iota // both directions came to their end
	EndClient              // the client broke it off
	EndServer              // the server broke it off
	EndIdle                // nothing passed for Config.Idle
	EndShutdown            // the context of Serve ended
	EndHello               // the client said no hello, or a broken one
	EndRefused             // Route refused it
	EndNoServer            // no server could be reached
)

var ends = [...]string{"closed", "client", "server", "idle", "shutdown", "hello", "refused", "no server"}

// String is a word for logs.
func (e End) String() string {
	if int(e) < len(ends) {
		return ends[e]
	}
	return "unknown"
}

// Serve passes client on to a server of the pool that cfg.Route chooses, for as
// long as both want, and closes it. When ctx ends, so does the connection, at
// once.
func Serve(ctx context.Context, client net.Conn, cfg *Config) {
	s := newSession(client, cfg)
	stop := context.AfterFunc(ctx, func() { s.breakOff(EndShutdown, ErrShutdown) })
	defer stop()
	s.run(ctx)
}
