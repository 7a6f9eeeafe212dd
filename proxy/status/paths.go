package status

import (
	"slices"
	"strings"
	"time"
)

// PathNow is what the subflows on one path of the host do together, as far as a
// Snapshot tells of their connections in detail.
type PathNow struct {
	Name string
	// Subflows counts them by Path.Status.
	Subflows map[string]int
	// Round-trip times of those that are up; 0 without any.
	RTTMin, RTTMedian, RTTMax time.Duration
	InRate, OutRate           float64 // bytes per second; see Connection
}

// Statuses are the words of Path.Status.
var Statuses = [...]string{"active", "backup", "stale", "closed"}

// SumPaths fills in Paths, in order of their names, which are those of
// Totals.Paths.
func (s *Snapshot) SumPaths() {
	s.Paths = make([]PathNow, len(s.Totals.Paths))
	rtts := make([][]time.Duration, len(s.Paths))
	index := make(map[string]int, len(s.Paths))
	other := -1
	for i := range s.Paths {
		name := s.Totals.Paths[i].Name
		s.Paths[i] = PathNow{Name: name, Subflows: make(map[string]int, len(Statuses))}
		for _, word := range Statuses {
			s.Paths[i].Subflows[word] = 0
		}
		index[name] = i
		if name == OtherPath {
			other = i
		}
	}
	for i := range s.Connections {
		for j := range s.Connections[i].Paths {
			p := &s.Connections[i].Paths[j]
			k, ok := index[p.Name()]
			if !ok {
				if k = other; k < 0 {
					continue // it came after the totals were read
				}
			}
			s.Paths[k].add(p)
			if p.Up && p.RTT > 0 {
				rtts[k] = append(rtts[k], p.RTT)
			}
		}
	}
	for i, all := range rtts {
		if len(all) > 0 {
			slices.Sort(all)
			s.Paths[i].RTTMin, s.Paths[i].RTTMedian, s.Paths[i].RTTMax = all[0], all[len(all)/2], all[len(all)-1]
		}
	}
	slices.SortFunc(s.Paths, func(a, b PathNow) int { return strings.Compare(a.Name, b.Name) })
}

func (n *PathNow) add(p *Path) {
	n.Subflows[p.Status()]++
	n.InRate += p.InRate
	n.OutRate += p.OutRate
}
