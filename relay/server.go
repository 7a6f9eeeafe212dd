package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Config sets up a Server. Dial and Log are needed.
type Config struct {
	// Dial connects to the service.
	Dial func(ctx context.Context) (net.Conn, error)
	// DialTimeout bounds Dial; 0: 10 s.
	DialTimeout time.Duration
	// ProxyProtocol is the version of the PROXY protocol that tells the
	// service who its client is; 0: none.
	ProxyProtocol int
	// MaxConns is how many clients are served at once; the others wait to be
	// accepted. 0: no limit of ours.
	MaxConns int
	// IdleTimeout ends connections on which nothing passes for so long, in
	// either direction; 0: never.
	IdleTimeout time.Duration
	// Log gets a line for every connection when it has ended.
	Log *slog.Logger
	// InterfaceOf, if set, names the interface of a local address for the log.
	InterfaceOf func(local netip.Addr) string
}

const defaultDialTimeout = 10 * time.Second

// ErrServerClosed is returned by Serve after Shutdown.
var ErrServerClosed = errors.New("relay: server closed")

// Server takes connections and carries each to a connection of its own to a
// service. Its methods may be called from any goroutine.
type Server struct {
	cfg   Config
	slots chan struct{} // nil: no limit

	// ctx ends when Shutdown gives up waiting.
	ctx  context.Context
	stop context.CancelFunc

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	conns     map[*session]struct{}
	sessions  sync.WaitGroup
}

// NewServer makes a Server.
func NewServer(cfg Config) *Server {
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = defaultDialTimeout
	}
	s := &Server{cfg: cfg, listeners: make(map[net.Listener]struct{}), conns: make(map[*session]struct{})}
	if cfg.MaxConns > 0 {
		s.slots = make(chan struct{}, cfg.MaxConns)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Serve accepts connections from l until Shutdown, when it returns
// ErrServerClosed, or until l fails. Several listeners may be served at once.
func (s *Server) Serve(l net.Listener) error {
	if !s.track(l) {
		l.Close()
		return ErrServerClosed
	}
	defer s.untrack(l)
	wait := acceptWait(0)
	for {
		if !s.take() {
			return ErrServerClosed
		}
		c, err := l.Accept()
		if err != nil {
			s.release()
			if s.isClosing() {
				return ErrServerClosed
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Too many open files, say: that passes.
			wait = wait.next()
			s.cfg.Log.Warn("accept failed", "listener", l.Addr().String(), "error", err.Error(), "retry_in", time.Duration(wait).String())
			select {
			case <-time.After(time.Duration(wait)):
			case <-s.ctx.Done():
			}
			continue
		}
		wait = 0
		s.begin(c)
	}
}

// acceptWait is the time to wait after a failed accept.
type acceptWait time.Duration

func (w acceptWait) next() acceptWait {
	return min(max(2*w, acceptWait(5*time.Millisecond)), acceptWait(time.Second))
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// take waits for room for one more connection.
func (s *Server) take() bool {
	if s.slots == nil {
		return true
	}
	select {
	case s.slots <- struct{}{}:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s *Server) release() {
	if s.slots != nil {
		<-s.slots
	}
}

// begin serves c, unless the server is closing.
func (s *Server) begin(c net.Conn) {
	client, ok := c.(Conn)
	if !ok {
		panic(fmt.Sprintf("BUG: a connection of type %T cannot be half-closed", c))
	}
	ses := &session{s: s, client: client, began: time.Now()}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		s.release()
		abort(client)
		client.Close()
		return
	}
	s.conns[ses] = struct{}{}
	s.sessions.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.sessions.Done()
		defer s.release()
		ses.run()
		s.mu.Lock()
		delete(s.conns, ses)
		s.mu.Unlock()
	}()
}

// Shutdown stops accepting and waits for the connections to end. When ctx is
// done before that, the rest are broken off, and ctx's error is returned.
//
// With the listeners goes the ability to take additional subflows, unless
// another process listens at the same port by then: the connections live on
// those they have.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.sessions.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		s.mu.Lock()
		for ses := range s.conns {
			ses.abort()
		}
		s.mu.Unlock()
	}
	s.stop() // also dials under way and Serve waiting for room
	<-done
	return err
}

// Conns is the number of connections there are.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
