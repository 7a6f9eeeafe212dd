package sim

import (
	"net/netip"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// flowKey names a TCP connection by its ends, as they look where the box is.
type flowKey struct{ a, b netip.AddrPort }

func keyOf(dir Dir, s *wire.Segment) flowKey {
	if dir == AB {
		return flowKey{s.Src, s.Dst}
	}
	return flowKey{s.Dst, s.Src}
}

// flow is what a box remembers of one connection; own is what the box adds.
type flow[T any] struct {
	opened bool // the SYN was seen
	opener Dir  // who sent it
	// isn is the initial sequence number of the stream sent in each
	// direction. For a box that came too late for the SYN it makes the first
	// byte seen the first of the stream.
	isn   [2]uint32
	known [2]bool
	end   [2]seq.Pos // behind the last position seen
	own   T
}

// flows are the connections a box has seen. The zero value is ready for use.
type flows[T any] struct{ table map[flowKey]*flow[T] }

// of gives the connection of a segment, and takes note of the segment's
// sequence numbers.
func (t *flows[T]) of(dir Dir, s *wire.Segment) *flow[T] {
	key := keyOf(dir, s)
	f := t.table[key]
	syn := s.Flags.Has(wire.SYN)
	if first := syn && !s.Flags.Has(wire.ACK); f == nil || first && f.known[dir] && f.isn[dir] != s.Seq {
		if t.table == nil {
			t.table = make(map[flowKey]*flow[T])
		}
		f = &flow[T]{opened: first, opener: dir}
		t.table[key] = f
	}
	if syn {
		f.start(dir, s.Seq)
	} else if !f.known[dir] {
		f.start(dir, s.Seq-1)
	}
	if rev := dir.Reverse(); s.Flags.Has(wire.ACK) && !f.known[rev] {
		f.start(rev, s.Ack-1)
	}
	f.end[dir] = max(f.end[dir], f.pos(dir, s.Seq)+seq.Pos(s.Len()))
	return f
}

func (f *flow[T]) start(dir Dir, isn uint32) {
	if f.known[dir] && f.isn[dir] == isn {
		return
	}
	f.known[dir], f.isn[dir], f.end[dir] = true, isn, 0
}

// pos gives the position in the stream sent in direction dir that a sequence
// number of that stream means.
func (f *flow[T]) pos(dir Dir, number uint32) seq.Pos {
	return seq.Unwrap32(f.end[dir], f.isn[dir], number)
}

// number is the inverse of pos.
func (f *flow[T]) number(dir Dir, p seq.Pos) uint32 { return seq.Wrap32(p, f.isn[dir]) }
