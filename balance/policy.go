package balance

import (
	"sort"
	"sync"
	"sync/atomic"
)

// Policy is how a Pool chooses among the members in service that have room.
type Policy uint8

// Policies.
const (
	// RoundRobin gives each its turn, by weight and evenly spread.
	RoundRobin Policy = iota
	// LeastConnections takes the one with the fewest requests in flight for
	// its weight.
	LeastConnections
	// PowerOfTwo draws two by weight and takes the less busy one, which is
	// nearly as good as LeastConnections and costs the same for any number
	// of backends.
	PowerOfTwo
	// Maglev hashes Request.Hash to a member by a table that changes little
	// when members come and go (Eisenbud et al., NSDI 2016). Equal keys meet
	// the same backend, also across proxies with the same backends.
	Maglev
)

var policyNames = [...]string{"round_robin", "least_connections", "power_of_two", "maglev"}

// String is the policy's word in configurations.
func (p Policy) String() string { return nameOf(policyNames[:], "policy", uint8(p)) }

// chooser is a Policy at work.
type chooser interface {
	// choose gives a member of v that has admitted r, or nil. It gives r.Avoid
	// only when no other has room.
	choose(v *view, r Request) *Member
}

func newChooser(cfg *Config) chooser {
	switch cfg.Policy {
	case LeastConnections:
		return new(leastConnections)
	case PowerOfTwo:
		return &powerOfTwo{seed: cfg.Seed}
	case Maglev:
		return maglev{}
	default:
		return new(roundRobin)
	}
}

// roundRobin spreads each member's turns evenly over a round. In each step
// every member gains its weight and the one that has most pays the sum of all,
// so weights 5, 1, 1 give a a b a c a a and not a a a a a b c.
type roundRobin struct{ mu sync.Mutex }

func (p *roundRobin) choose(v *view, r Request) *Member {
	if m := p.next(v); m != nil && m != r.Avoid && m.admit(r) {
		return m
	}
	return v.leastBusy(r, 0)
}

func (p *roundRobin) next(v *view) *Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *Member
	for i, m := range v.members {
		m.current += v.weights[i]
		if best == nil || m.current > best.current {
			best = m
		}
	}
	if best != nil {
		best.current -= v.total
	}
	return best
}

// leastConnections starts looking at another member each time, so that equal
// ones take turns.
type leastConnections struct{ start atomic.Uint32 }

func (p *leastConnections) choose(v *view, r Request) *Member {
	return v.leastBusy(r, int(p.start.Add(1)))
}

// leastBusy looks at all members, beginning with one of them.
func (v *view) leastBusy(r Request, start int) *Member {
	if i := v.leastBusyWithRoom(r.Avoid, start); i >= 0 && v.members[i].admit(r) {
		return v.members[i]
	}
	// The room went to somebody else, or idle connections take it.
	return v.anyRoom(r)
}

// leastBusyWithRoom gives the index of the least busy member, or -1.
func (v *view) leastBusyWithRoom(avoid *Member, start int) int {
	best := -1
	var bestLoad, bestWeight int64
	for i := range v.members {
		i = (i + start) % len(v.members)
		m := v.members[i]
		active := m.load.active.Load()
		if limit := m.limit(); m == avoid || limit > 0 && active >= limit {
			continue
		}
		// One more than there are, as it will be; but idle members are
		// alike whatever their weights, or light ones would starve.
		if active > 0 {
			active++
		}
		if best < 0 || active*bestWeight < bestLoad*v.weights[i] {
			best, bestLoad, bestWeight = i, active, v.weights[i]
		}
	}
	return best
}

// anyRoom gives any member that admits r, the one to avoid last.
func (v *view) anyRoom(r Request) *Member {
	for _, m := range v.members {
		if m != r.Avoid && m.admit(r) {
			return m
		}
	}
	if r.Avoid != nil && v.contains(r.Avoid) && r.Avoid.admit(r) {
		return r.Avoid
	}
	return nil
}

// powerOfTwo draws from a sequence of its own, so a seed repeats a run.
type powerOfTwo struct {
	seed  uint64
	drawn atomic.Uint64
}

func (p *powerOfTwo) choose(v *view, r Request) *Member {
	if len(v.members) == 0 {
		return nil
	}
	random := mix(p.seed + p.drawn.Add(1)*0x9e3779b97f4a7c15)
	a, b := v.draw(random>>32), v.draw(random&0xffffffff)
	if v.load(b)*v.weights[a] < v.load(a)*v.weights[b] {
		a, b = b, a
	}
	for _, i := range [2]int{a, b} {
		if m := v.members[i]; m != r.Avoid && m.admit(r) {
			return m
		}
	}
	return v.leastBusy(r, 0)
}

// draw picks a member by weight from 32 random bits.
func (v *view) draw(random uint64) int {
	at := int64(random * uint64(v.total) >> 32)
	return sort.Search(len(v.sums)-1, func(i int) bool { return v.sums[i] > at })
}

func (v *view) load(i int) int64 { return v.members[i].load.active.Load() }

// mix turns a counter into bits without pattern (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
