package stream

import "github.com/braid-mptcp/braid/seq"

// Send holds the bytes written to a stream until they need never be sent
// again. The first byte written has position 1.
type Send struct {
	blocks blocks
	una    seq.Pos // first byte kept
	end    seq.Pos // one past the last byte written
	limit  int
}

// NewSend makes a buffer that takes up to limit bytes.
func NewSend(pool *Pool, limit int) Send {
	return Send{blocks: blocks{pool: pool}, una: 1, end: 1, limit: limit}
}

// End is one past the last byte written.
func (s *Send) End() seq.Pos { return s.end }

// Una is the first byte still kept.
func (s *Send) Una() seq.Pos { return s.una }

// Len is how many bytes are kept.
func (s *Send) Len() int { return int(s.end - s.una) }

// Free is how many bytes Write would take now.
func (s *Send) Free() int { return max(0, s.limit-s.Len()) }

// Limit is the capacity in bytes.
func (s *Send) Limit() int { return s.limit }

// SetLimit changes the capacity. Bytes already in stay.
func (s *Send) SetLimit(n int) { s.limit = n }

// Write takes as much of b as fits.
func (s *Send) Write(b []byte) int {
	n := min(len(b), s.Free())
	s.blocks.write(s.end, b[:n])
	s.end += seq.Pos(n)
	return n
}

// Copy fills dst with the bytes from position p on. They must be kept still.
func (s *Send) Copy(dst []byte, p seq.Pos) {
	if p < s.una || p+seq.Pos(len(dst)) > s.end {
		panic("BUG: stream: bytes wanted that are not in the send buffer")
	}
	s.blocks.read(p, dst)
}

// Release says that no byte below p will be wanted again.
func (s *Send) Release(p seq.Pos) {
	if p = min(p, s.end); p <= s.una {
		return
	}
	s.una = p
	if s.una == s.end {
		s.blocks.release() // an idle connection holds no memory
		return
	}
	s.blocks.free(p)
}

// Clear drops everything.
func (s *Send) Clear() { s.una = s.end; s.blocks.release() }
