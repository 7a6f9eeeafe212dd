package stream

import "github.com/braid-mptcp/braid/seq"

// Send holds the bytes written to a stream until they need never be sent
// again. The first byte written has position 1.
type Send struct {
	blocks blocks
	kept   seq.Pos // first byte kept
	una    seq.Pos // first byte that counts against the limit
	end    seq.Pos // one past the last byte written
	limit  int

	reserved bool // memory behind end is being written to
}

// NewSend makes a buffer that takes up to limit bytes.
func NewSend(pool *Pool, limit int) Send {
	return Send{blocks: blocks{pool: pool}, kept: 1, una: 1, end: 1, limit: limit}
}

// End is one past the last byte written.
func (s *Send) End() seq.Pos { return s.end }

// Len is how many bytes count against the limit.
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
	if p < s.kept || p+seq.Pos(len(dst)) > s.end {
		panic("BUG: stream: bytes wanted that are not in the send buffer")
	}
	s.blocks.read(p, dst)
}

// Pieces appends to dst the memory in which n bytes from position p on lie. They
// must be kept still. Whoever asks releases the pieces.
func (s *Send) Pieces(dst []Piece, p seq.Pos, n int) []Piece {
	if p < s.kept || p+seq.Pos(n) > s.end {
		panic("BUG: stream: bytes wanted that are not in the send buffer")
	}
	for n > 0 {
		m := s.blocks.at(p)
		m = m.Cut(0, min(n, m.Len()))
		m.In.Hold()
		dst = append(dst, m)
		n, p = n-m.Len(), p+seq.Pos(m.Len())
	}
	return dst
}

// Slice gives the longest run of kept bytes at p that lie together in memory,
// at most n.
func (s *Send) Slice(p seq.Pos, n int) []byte {
	if p < s.kept || p >= s.end {
		panic("BUG: stream: bytes wanted that are not in the send buffer")
	}
	b := s.blocks.at(p).Data
	return b[:min(n, len(b))]
}

// Reserve is Write for who wants to copy later: it appends to dst the memory for
// up to n bytes behind the last. Commit makes bytes of it, in which time nothing
// else may be written. Whoever reserves releases the pieces.
func (s *Send) Reserve(dst []Piece, n int) []Piece {
	n = min(n, s.Free())
	for p := s.end; n > 0; {
		m := s.blocks.at(p)
		m = m.Cut(0, min(n, m.Len()))
		m.In.Hold()
		dst = append(dst, m)
		n, p = n-m.Len(), p+seq.Pos(m.Len())
		s.reserved = true
	}
	return dst
}

// Commit says that n bytes have been put into the memory reserved. It reports
// whether the buffer was not cleared meanwhile.
func (s *Send) Commit(n int) bool {
	if !s.reserved {
		return false
	}
	s.reserved = false
	s.end += seq.Pos(n)
	return true
}

// Ack says that bytes below p count no longer against the limit. They are kept
// until released. It reports whether that made room.
func (s *Send) Ack(p seq.Pos) bool {
	if p = min(p, s.end); p <= s.una {
		return false
	}
	s.una = p
	return true
}

// Release says that no byte below p will be wanted again. It reports whether
// that made room.
func (s *Send) Release(p seq.Pos) bool {
	if p = min(p, s.end); p <= s.kept {
		return false
	}
	s.kept = p
	if p == s.end && !s.reserved {
		s.blocks.release() // an idle connection holds no memory
	} else {
		s.blocks.free(p)
	}
	return s.Ack(p)
}

// Kept is the first byte still kept.
func (s *Send) Kept() seq.Pos { return s.kept }

// Punch gives back the memory of rg, of which no byte will be wanted again,
// though bytes before it will.
func (s *Send) Punch(rg seq.Range) { s.blocks.punch(rg) }

// Clear drops everything.
func (s *Send) Clear() {
	s.una, s.kept, s.reserved = s.end, s.end, false
	s.blocks.release()
}
