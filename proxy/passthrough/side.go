package passthrough

import (
	"errors"
	"net"
	"syscall"

	"github.com/braid-mptcp/braid/internal/rawsock"
)

// side is one end of a session: a connection with what is needed of it.
type side struct {
	conn  net.Conn // as it was given: to be closed
	inner net.Conn // carries the bytes
	raw   syscall.RawConn
	ahead []byte // was read already, and comes before what inner gives
	guilt End    // that this side broke
}

// readAhead is a connection some of whose bytes were read already. Take gives
// them, and from then on NetConn may be used in its place.
type readAhead interface {
	NetConn() net.Conn
	Take() []byte
}

func newSide(c net.Conn, guilt End) *side {
	s := &side{conn: c, inner: c, guilt: guilt}
	for {
		w, ok := s.inner.(readAhead)
		if !ok {
			break
		}
		// What an outer layer gives comes before what an inner one does.
		s.ahead = append(s.ahead, w.Take()...)
		s.inner = w.NetConn()
	}
	s.raw = rawsock.Of(s.inner)
	return s
}

// closeWrite ends the direction towards this side.
func (s *side) closeWrite() error {
	if c, ok := s.inner.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// abort makes closing the connection say that it broke: a reset, or FASTCLOSE.
func (s *side) abort() {
	if c, ok := bottom(s.inner).(interface{ SetLinger(sec int) error }); ok {
		_ = c.SetLinger(0) // an error: it is over already
	}
}

// bottom takes off all layers that say what they wrap.
func bottom(c net.Conn) net.Conn {
	for {
		w, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = w.NetConn()
	}
}
