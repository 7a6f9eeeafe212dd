package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// verdict is what becomes of a wait for bytes.
type verdict uint8

const (
	more verdict = iota // bytes are missing: go on
	rest                // nothing is missing: wait until something new comes
	stop                // return
)

// feeder takes the bytes that arrive on a socket.
type feeder interface {
	// begin is called first, when nothing that arrives can be missed any
	// more. With rest as its verdict nothing is read before something has
	// arrived since.
	begin() verdict
	// room is where to put bytes. It is never empty.
	room() []byte
	// feed says that n bytes were put there. Whatever needs doing about them
	// is done in there, however long it takes.
	feed(n int) verdict
	// pause is called before a wait for more bytes.
	pause()
}

// sock is a connection with what the engine needs of it: waits that cost one
// system call for each piece of data where the kernel's sockets are
// underneath, and the ordinary methods of net.Conn elsewhere.
//
// Reading belongs to one goroutine at a time, and so does writing.
type sock struct {
	conn net.Conn
	raw  syscall.RawConn // nil: conn's methods only

	// Of the receive under way.
	feeder feeder
	begun  bool
	rerr   error
	// Of the write under way.
	out  []byte
	werr error
	// The two as functions, made once.
	readable, writable func(fd uintptr) bool
	blocked            blocker // nil: nobody
}

// blocker is told when a write has to wait, so that there is a deadline.
type blocker interface{ blocked() }

// init prepares for c. What raw gives is trusted to be the socket that c reads
// from and writes to, with nothing in between.
func (s *sock) init(c net.Conn, raw syscall.RawConn) {
	s.conn, s.raw = c, raw
	if raw != nil {
		s.readable, s.writable = s.onReadable, s.onWritable
	}
}

// receive gives f what arrives until f says stop, which is a nil error. At the
// end of the stream the error is io.EOF.
func (s *sock) receive(f feeder) error {
	if s.raw == nil {
		return s.receivePlain(f)
	}
	s.feeder, s.begun, s.rerr = f, false, nil
	err := s.raw.Read(s.readable)
	s.feeder = nil
	if err != nil {
		return err
	}
	return s.rerr
}

// receivePlain is receive with the connection's own Read.
func (s *sock) receivePlain(f feeder) error {
	if f.begin() == stop {
		return nil
	}
	for {
		f.pause()
		n, err := s.conn.Read(f.room())
		if n > 0 && f.feed(n) == stop {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// send writes all of b. blocked, if there is one, is called when that has to
// wait.
func (s *sock) send(b []byte) (n int, err error) {
	if s.raw == nil {
		if s.blocked != nil {
			s.blocked.blocked()
		}
		return s.conn.Write(b)
	}
	s.out, s.werr = b, nil
	err = s.raw.Write(s.writable)
	n = len(b) - len(s.out)
	s.out = nil
	if err != nil {
		return n, err
	}
	return n, s.werr
}

// closeWrite ends the stream towards the peer, where that can be done alone.
func (s *sock) closeWrite() error {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// isTimeout reports whether a deadline has passed.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// isEnd reports whether the peer ended its stream in good order.
func isEnd(err error) bool { return err == io.EOF }
