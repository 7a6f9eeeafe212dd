package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// Chunk is a run of bytes that an Upper gave a Conn to send. It travels in one
// segment when it is new; pieces of it may be sent again. A segment never
// carries bytes of two chunks, so that an Upper can describe the bytes of a
// segment with one option (in MPTCP: one DSS mapping, which once declared is
// never changed, RFC 8684 section 3.3.1).
type Chunk struct {
	Lo, Hi seq.Pos // where it lies in this connection's stream; Lo is the Request's Pos
	// The rest is the Upper's.
	Data     seq.Pos // position of the first byte in the Upper's own stream
	Fin      bool    // the Upper's stream ends behind this chunk
	Checksum uint16  // over the whole chunk, where the Upper uses one
	Again    bool    // the Upper sent these bytes before, elsewhere
}

// Len is the number of bytes in the chunk.
func (c *Chunk) Len() int { return int(c.Hi - c.Lo) }

// Request says which new bytes a Conn can send now.
type Request struct {
	Pos seq.Pos // where they will lie in the Conn's stream
	Max int     // no more than this
	// Least is the fewest worth sending: a full segment where Nagle's
	// algorithm waits for company (RFC 9293 section 3.7.4), else 1.
	Least int
	// Whole asks for nothing unless all that waits fits: the window is too
	// small for a full segment (RFC 9293 section 3.8.6.2.1).
	Whole bool
}

// Fit is how many of the n bytes that wait answer the request; 0 for none.
func (r *Request) Fit(n int) int {
	if n < r.Least || r.Whole && n > r.Max {
		return 0
	}
	n = min(n, r.Max)
	if n > r.Least {
		n -= n % r.Least // what is left of a segment waits too
	}
	return n
}

// Upper is the layer above a Conn. Its methods are called by the Conn's, on
// the same goroutine; they may call AckNow, Shutdown and Abort, nothing else
// that changes the Conn.
type Upper interface {
	// Next gives the next new bytes to send, or false: nothing waiting, or
	// not through this Conn now.
	Next(now time.Time, r Request) (Chunk, bool)
	// Pending reports whether bytes wait that only a closed window or
	// congestion keeps back; the Conn probes a closed window while they do.
	Pending() bool
	// Copy fills dst with bytes of ch from offset off on.
	Copy(dst []byte, ch *Chunk, off int)
	// Pieces appends to dst the memory in which n bytes of ch lie from offset
	// off on, held until it is released.
	Pieces(dst []stream.Piece, ch *Chunk, off, n int) []stream.Piece
	// Acked says that the peer's TCP has acknowledged all of ch.
	Acked(now time.Time, ch *Chunk)

	// Options adds the Upper's options to a segment about to go out. ch is
	// the chunk it carries bytes of, or nil. room is what is left of the 40
	// bytes of option space.
	Options(now time.Time, seg *wire.Segment, ch *Chunk, room int)
	// Received shows the Upper a segment that passed all of TCP's checks,
	// after its acknowledgement and before its payload was taken. False
	// drops the rest of the segment.
	Received(now time.Time, seg *wire.Segment) bool
	// Deliver gives bytes that arrived, each once, in any order.
	Deliver(now time.Time, pos seq.Pos, b stream.Piece)
	// InOrder says that all bytes below pos have been delivered.
	InOrder(now time.Time, pos seq.Pos)
	// Window is the receive window to advertise, in bytes.
	Window() int
	// Overhead is the option space the Upper uses in a segment with data.
	Overhead() int

	// Notify tells of a change of the Conn's state.
	Notify(now time.Time, e Event)
}

// Event is what an Upper is notified of.
type Event uint8

const (
	Established Event = iota + 1 // the handshake is over
	PeerClosed                   // the peer's FIN came and all its bytes before it
	Stalled                      // a retransmission timeout: the path may be dead
	Progress                     // bytes were acknowledged
	Waiting                      // TIME-WAIT: all is done but for old duplicates
	Closed                       // the Conn is over; Err says why
)

func (e Event) String() string {
	return [...]string{"none", "established", "peer closed", "stalled", "progress", "waiting", "closed"}[e]
}
