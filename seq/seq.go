// Package seq holds the arithmetic of sequence numbers.
//
// On the wire TCP numbers its bytes with 32 bits from a random start, and
// Multipath TCP with 64 (often shortened to 32). Inside Braid every stream is
// counted from its own start instead, with 64 signed bits that never wrap:
// position 0 is the SYN (RFC 9293 section 3.4; RFC 8684 section 3.1 gives it
// the first data sequence number too), position 1 the first byte. Wire numbers
// are translated once, at the edge, by the functions here; everywhere else a
// plain < is the right comparison.
package seq

// Pos is a position in a byte stream, counted from the SYN. Positions below
// zero are possible for numbers a peer made up, and are simply "before".
type Pos int64

// Unwrap32 gives the position nearest to near whose low 32 bits, counted from
// the initial sequence number isn, are wire (RFC 9293 section 3.4). It is also
// what promotes a shortened data sequence number (RFC 8684 section 3.3.1): the
// nearest position is the right one as long as less than 2^31 bytes are in
// flight, and reordering around a wrap cannot mislead it.
func Unwrap32(near Pos, isn, wire uint32) Pos {
	return near + Pos(int32(wire-isn-uint32(near)))
}

// Wrap32 is the inverse of Unwrap32.
func Wrap32(p Pos, isn uint32) uint32 { return isn + uint32(p) }

// Unwrap64 gives the position of a full data sequence number, counted from
// the initial one.
func Unwrap64(idsn, wire uint64) Pos { return Pos(wire - idsn) }

// Wrap64 is the inverse of Unwrap64.
func Wrap64(p Pos, idsn uint64) uint64 { return idsn + uint64(p) }

// Range is the half-open interval [Lo, Hi) of positions.
type Range struct{ Lo, Hi Pos }

// Len is the number of positions in r, never negative.
func (r Range) Len() int {
	if r.Hi <= r.Lo {
		return 0
	}
	return int(r.Hi - r.Lo)
}

// Empty reports whether r holds no position.
func (r Range) Empty() bool { return r.Hi <= r.Lo }

// Contains reports whether p lies in r.
func (r Range) Contains(p Pos) bool { return r.Lo <= p && p < r.Hi }

// Intersect gives the positions that lie in both.
func (r Range) Intersect(o Range) Range {
	return Range{max(r.Lo, o.Lo), min(r.Hi, o.Hi)}
}
