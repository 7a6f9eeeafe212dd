package http2

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// Config is what a Server is made with.
type Config struct {
	// Engine forwards the requests.
	Engine *http1.Engine
	// Logger is told of connections that ended for what the client did, at
	// level debug. nil: nobody is.
	Logger *slog.Logger
	// MaxStreams is how many streams of a connection may be open at once.
	// Default: 128.
	MaxStreams uint32
	// MaxResets is how many streams of a connection may be reset in a second,
	// by the client or for what it did. Default: 100.
	MaxResets int
}

// Server serves connections. Its methods may be called by any goroutine.
type Server struct {
	engine *http1.Engine
	log    *slog.Logger
	limits atomic.Pointer[limits]
	base   time.Time
	coarse atomic.Int64 // time since base, as of the last sweep
	stop   chan struct{}

	mu       sync.Mutex
	conns    map[*conn]struct{}
	none     chan struct{} // closed when draining and there are no conns
	draining bool
	closed   bool
}

type limits struct {
	streams uint32
	resets  int
}

// sweep is how often deadlines are looked at.
const sweep = 100 * time.Millisecond

// NewServer makes a Server. Close ends it.
func NewServer(c Config) *Server {
	s := &Server{
		engine: c.Engine, log: c.Logger, base: time.Now(),
		stop: make(chan struct{}), conns: make(map[*conn]struct{}), none: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.SetLimits(c.MaxStreams, c.MaxResets)
	go s.sweep()
	return s
}

// SetLimits changes MaxStreams and MaxResets for connections to come. Zero means
// the default.
func (s *Server) SetLimits(maxStreams uint32, maxResets int) {
	if maxStreams == 0 {
		maxStreams = 128
	}
	if maxResets <= 0 {
		maxResets = 100
	}
	s.limits.Store(&limits{maxStreams, maxResets})
}

// ServeConn serves a connection on which h2 was negotiated, until it ends. It
// closes c. The Opened and Closed of the settings are told of it.
func (s *Server) ServeConn(c net.Conn, f *http1.Frontend) {
	settings := f.Settings()
	var data any
	if settings.Opened != nil {
		data = settings.Opened(c)
	}
	s.ServePreface(c, nil, f, data)
	if settings.Closed != nil {
		settings.Closed(data)
	}
}

// ServePreface serves a connection of which read was read already, until it
// ends. It closes c. It is what http1.Settings.Preface wants.
func (s *Server) ServePreface(c net.Conn, read []byte, f *http1.Frontend, connData any) {
	defer c.Close()
	x := newConn(s, c, read, f, connData)
	if s.add(x) {
		defer s.remove(x)
		x.serve()
	}
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.draining && len(s.conns) == 0 {
		close(s.none)
	}
}

// all gives the connections as of now.
func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// Shutdown has clients open no more streams, lets those that are open come to
// their end and waits for that. It returns the context's error if that takes
// longer; Close ends what is left. It comes before the Shutdown of the engine,
// which would take no more streams.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain()
	for _, c := range s.all() {
		c.drain()
	}
	select {
	case <-s.none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return
	}
	s.draining = true
	if len(s.conns) == 0 {
		close(s.none)
	}
}

// Close ends all connections at once and waits until they are done.
func (s *Server) Close() error {
	s.drain()
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	for _, c := range s.all() {
		c.nc.Close()
	}
	<-s.none
	if !closed {
		close(s.stop)
	}
	return nil
}

// now is the time since the Server was made, a sweep old at most.
func (s *Server) now() time.Duration { return time.Duration(s.coarse.Load()) }

// sweep looks at the deadlines of all connections now and then.
func (s *Server) sweep() {
	t := time.NewTicker(sweep)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.coarse.Store(int64(time.Since(s.base)))
			for _, c := range s.all() {
				c.check(s.now())
			}
		}
	}
}
