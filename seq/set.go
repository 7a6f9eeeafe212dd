package seq

import "slices"

// Set is a set of positions kept as sorted ranges that neither touch nor
// overlap. The zero Set is empty and ready for use.
type Set struct{ ranges []Range }

// Ranges gives the ranges in order. The slice is the set's own: read it only,
// and not beyond the next change.
func (s *Set) Ranges() []Range { return s.ranges }

// Empty reports whether the set holds nothing.
func (s *Set) Empty() bool { return len(s.ranges) == 0 }

// Len is the number of positions in the set.
func (s *Set) Len() int {
	n := 0
	for _, r := range s.ranges {
		n += r.Len()
	}
	return n
}

// find gives the index of the first range whose end is at or after p.
func (s *Set) find(p Pos) int {
	// Streams grow at their end: look there before searching.
	if n := len(s.ranges); n == 0 || s.ranges[n-1].Hi < p {
		return n
	}
	lo, hi := 0, len(s.ranges)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); s.ranges[m].Hi < p {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// Add puts r into the set, joining ranges that touch.
func (s *Set) Add(r Range) {
	if r.Empty() {
		return
	}
	i := s.find(r.Lo)
	j := i
	for j < len(s.ranges) && s.ranges[j].Lo <= r.Hi {
		r.Lo, r.Hi = min(r.Lo, s.ranges[j].Lo), max(r.Hi, s.ranges[j].Hi)
		j++
	}
	if j == i+1 {
		s.ranges[i] = r
		return
	}
	s.ranges = slices.Replace(s.ranges, i, j, r)
}

// Remove takes r out of the set.
func (s *Set) Remove(r Range) {
	if r.Empty() {
		return
	}
	i := s.find(r.Lo + 1)
	for i < len(s.ranges) && s.ranges[i].Lo < r.Hi {
		cur := s.ranges[i]
		left, right := Range{cur.Lo, min(cur.Hi, r.Lo)}, Range{max(cur.Lo, r.Hi), cur.Hi}
		switch {
		case left.Empty() && right.Empty():
			s.ranges = slices.Delete(s.ranges, i, i+1)
		case left.Empty():
			s.ranges[i] = right
			i++
		case right.Empty():
			s.ranges[i] = left
			i++
		default:
			s.ranges[i] = left
			s.ranges = slices.Insert(s.ranges, i+1, right)
			i += 2
		}
	}
}

// Contains reports whether all of r is in the set.
func (s *Set) Contains(r Range) bool {
	if r.Empty() {
		return true
	}
	i := s.find(r.Lo + 1)
	return i < len(s.ranges) && s.ranges[i].Lo <= r.Lo && r.Hi <= s.ranges[i].Hi
}

// Find gives the range that p lies in, if it is in the set.
func (s *Set) Find(p Pos) (r Range, ok bool) {
	if i := s.find(p + 1); i < len(s.ranges) && s.ranges[i].Contains(p) {
		return s.ranges[i], true
	}
	return Range{}, false
}

// Missing calls f for each part of r that is not in the set, in order.
func (s *Set) Missing(r Range, f func(Range)) {
	for r.Lo < r.Hi {
		gap, next := s.NextGap(r)
		if !gap.Empty() {
			f(gap)
		}
		r.Lo = next
	}
}

// NextGap gives the first part of r that is not in the set (if all of r is,
// empty and at the end of r), and where to go on looking.
func (s *Set) NextGap(r Range) (gap Range, next Pos) {
	end := r.Hi
	i := s.find(r.Lo + 1)
	if i < len(s.ranges) && s.ranges[i].Lo <= r.Lo {
		r.Lo = s.ranges[i].Hi
		i++
	}
	if i < len(s.ranges) {
		r.Hi = min(r.Hi, s.ranges[i].Lo)
	}
	if r.Empty() {
		return Range{end, end}, end
	}
	return r, r.Hi
}

// First is the lowest position in the set, or none if it is empty.
func (s *Set) First(none Pos) Pos {
	if len(s.ranges) == 0 {
		return none
	}
	return s.ranges[0].Lo
}

// Last is one past the highest position in the set, or none if it is empty.
func (s *Set) Last(none Pos) Pos {
	if n := len(s.ranges); n > 0 {
		return s.ranges[n-1].Hi
	}
	return none
}
