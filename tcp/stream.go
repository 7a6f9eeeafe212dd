package tcp

import (
	"io"
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// Stream is plain TCP: a Conn with its two buffers, and the Upper between
// them. It is all there is to a connection that never asked for more paths.
type Stream struct {
	Conn *Conn
	out  stream.Send
	in   stream.Recv
	tune stream.Tuner
	next seq.Pos // first byte not yet given to the Conn

	closed    bool // Close or CloseWrite was called
	peerEnded bool
	events    []Event
}

// Buffers says how much a Stream holds, in bytes. The receive buffer begins at
// stream.InitialRecv and grows to Recv as throughput and distance call for it.
type Buffers struct {
	Pool       *stream.Pool
	Send, Recv int
}

// ConnectStream starts an active open.
func ConnectStream(now time.Time, cfg Config, b Buffers) *Stream {
	s := newStream(&cfg, b)
	s.Conn = Connect(now, cfg, s)
	return s
}

// AcceptStream starts a passive open with a SYN.
func AcceptStream(now time.Time, cfg Config, b Buffers, syn *wire.Segment) *Stream {
	s := newStream(&cfg, b)
	s.Conn = Accept(now, cfg, s, syn)
	return s
}

func newStream(cfg *Config, b Buffers) *Stream {
	cfg.MaxWindow = b.Recv
	return &Stream{
		out: stream.NewSend(b.Pool, b.Send), next: 1,
		in:   stream.NewRecv(b.Pool, min(stream.InitialRecv, b.Recv)),
		tune: stream.Tuner{Max: b.Recv},
	}
}

// Read takes received bytes. io.EOF follows the last byte before the peer's
// FIN; ErrWouldBlock means none are there yet.
func (s *Stream) Read(now time.Time, b []byte) (int, error) {
	if n := s.in.Read(b); n > 0 {
		s.in.Grow(s.tune.Read(now, n, s.Conn.RecvRTT()))
		if s.in.WouldGain() >= min(2*s.Conn.SegmentSize(), s.in.Limit()/2) {
			s.Conn.AckNow() // the peer may be waiting for the window
		}
		return n, nil
	}
	switch {
	case s.peerEnded:
		return 0, io.EOF
	case s.Conn.State() == StateClosed:
		return 0, s.endError()
	}
	return 0, ErrWouldBlock
}

// Write takes as many bytes as there is room for.
func (s *Stream) Write(now time.Time, b []byte) (int, error) {
	switch {
	case s.closed:
		return 0, ErrClosed
	case s.Conn.State() == StateClosed:
		return 0, s.endError()
	}
	if n := s.out.Write(b); n > 0 || len(b) == 0 {
		return n, nil
	}
	return 0, ErrWouldBlock
}

func (s *Stream) endError() error {
	if err := s.Conn.Err(); err != nil {
		return err
	}
	return ErrClosed
}

// CloseWrite ends our direction.
func (s *Stream) CloseWrite(now time.Time) {
	s.closed = true
	s.Conn.Shutdown(now)
}

// Close ends both directions. Unread bytes turn it into an Abort (RFC 1122
// section 4.2.2.13).
func (s *Stream) Close(now time.Time) {
	s.closed = true
	if s.in.Readable() > 0 {
		s.Conn.Abort(now)
		return
	}
	s.Conn.Orphan(now)
}

// NextEvent takes the oldest event not yet taken.
func (s *Stream) NextEvent() (Event, bool) {
	if len(s.events) == 0 {
		return 0, false
	}
	e := s.events[0]
	s.events = s.events[1:]
	return e, true
}

// The rest makes Stream an Upper.

func (s *Stream) Next(now time.Time, r Request) (Chunk, bool) {
	n := r.Fit(int(s.out.End() - s.next))
	if n == 0 {
		return Chunk{}, false
	}
	ch := Chunk{Lo: r.Pos, Hi: r.Pos + seq.Pos(n), Data: s.next}
	s.next += seq.Pos(n)
	return ch, true
}

func (s *Stream) Pending() bool                       { return s.next < s.out.End() }
func (s *Stream) Copy(dst []byte, ch *Chunk, off int) { s.out.Copy(dst, ch.Data+seq.Pos(off)) }
func (s *Stream) Pieces(dst []stream.Piece, ch *Chunk, off, n int) []stream.Piece {
	return s.out.Pieces(dst, ch.Data+seq.Pos(off), n)
}
func (s *Stream) Acked(now time.Time, ch *Chunk) { s.out.Release(ch.Data + seq.Pos(ch.Len())) }
func (s *Stream) Overhead() int                  { return 0 }

func (s *Stream) Options(time.Time, *wire.Segment, *Chunk, int) {}
func (s *Stream) Received(time.Time, *wire.Segment) bool        { return true }

func (s *Stream) Deliver(now time.Time, pos seq.Pos, b stream.Piece) { s.in.InsertPiece(pos, b) }
func (s *Stream) InOrder(time.Time, seq.Pos)                         {}

func (s *Stream) Window() int {
	step := 1
	if s.Conn != nil {
		step = s.Conn.SegmentSize()
	}
	return int(s.in.Edge(step) - s.in.Next())
}

func (s *Stream) Notify(now time.Time, e Event) {
	switch e {
	case PeerClosed:
		s.peerEnded = true
	case Stalled, Progress:
		return
	case Closed, Waiting:
		s.out.Clear()
		s.next = s.out.End()
	}
	s.events = append(s.events, e)
}
