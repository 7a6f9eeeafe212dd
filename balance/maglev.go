package balance

// DefaultTableSize is how many entries the table of Maglev has: a prime, and
// enough that 100 backends get shares equal within a hundredth.
const DefaultTableSize = 65537

// HashKey makes a Request.Hash of a key, such as a client's address, a URL or
// the value of a cookie. It is the same in every process (FNV-1a with its bits
// mixed).
func HashKey[T ~string | ~[]byte](key T) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 0x100000001b3
	}
	return mix(h)
}

// maglev looks up the table of the view.
type maglev struct{}

func (maglev) choose(v *view, r Request) *Member {
	if len(v.table) == 0 {
		return nil
	}
	start := int(r.Hash % uint64(len(v.table)))
	first := v.members[v.table[start]]
	if first != r.Avoid && first.admit(r) {
		return first
	}
	// Neighbours in the table are as good as random, and the same for equal
	// keys. A few dozen meet most members; then any with room will do.
	tried := first
	for i := 1; i < 64; i++ {
		m := v.members[v.table[(start+i)%len(v.table)]]
		if m == tried || m == r.Avoid {
			continue
		}
		if m.admit(r) {
			return m
		}
		tried = m
	}
	return v.anyRoom(r)
}

// maglevTable gives for each entry the index of a member. Each member has a
// permutation of the entries, made of two hashes of its name; in turn each takes
// the first entry of its permutation that is free, by weight more or less often.
// Members come in order of their names, so every process builds the same table.
func maglevTable(members []*Member, size int) []uint16 {
	if len(members) == 0 {
		return nil
	}
	type candidate struct {
		index      uint16
		next, skip uint64
		weight     float64 // of the heaviest
		taken      float64
	}
	candidates := make([]candidate, len(members))
	heaviest := 0
	for i, m := range members {
		spec := m.spec.Load()
		heaviest = max(heaviest, spec.Weight)
		h := HashKey(spec.Name)
		candidates[i] = candidate{
			index: uint16(i), weight: float64(spec.Weight),
			next: h % uint64(size), skip: mix(h+1)%uint64(size-1) + 1,
		}
	}
	table := make([]uint16, size)
	free := make([]bool, size)
	for i := range free {
		free[i] = true
	}
	for round, filled := 1.0, 0; ; round++ {
		for i := range candidates {
			c := &candidates[i]
			if c.taken >= round*c.weight/float64(heaviest) {
				continue
			}
			c.taken++
			for !free[c.next] {
				c.next = (c.next + c.skip) % uint64(size)
			}
			table[c.next], free[c.next] = c.index, false
			if filled++; filled == size {
				return table
			}
		}
	}
}
