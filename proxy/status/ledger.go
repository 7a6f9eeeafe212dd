package status

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxPaths bounds the names of paths: those of local addresses are few, but
// nobody should rely on it. What comes later is of the path OtherPath.
const maxPaths = 64

// OtherPath collects the paths that came after too many others.
const OtherPath = "other"

// interfacesFor is for how long the names of interfaces hold.
const interfacesFor = 10 * time.Second

// Ledger keeps the books of a proxy. Its methods may be called from any
// goroutine.
type Ledger struct {
	lookup func(netip.Addr) string
	now    func() time.Time

	connections, closed    atomic.Uint64
	multipath              struct{ opened, closed atomic.Uint64 }
	joinsDone, joinsFailed atomic.Uint64
	reinjected             atomic.Uint64

	series atomic.Pointer[map[seriesKey]*Series] // replaced as a whole

	mu         sync.Mutex
	paths      map[string]*pathTotals
	names      map[netip.Addr]string // of interfaces
	namesSince time.Time
	fallbacks  map[string]uint64
	refused    map[string]uint64
	reloads    map[string]uint64
}

// NewLedger makes an empty Ledger. interfaceOf gives the name of the host's
// interface that has an address, as braid.InterfaceOf does; it may be nil.
func NewLedger(interfaceOf func(netip.Addr) string) *Ledger {
	l := &Ledger{lookup: interfaceOf, now: time.Now}
	l.paths = make(map[string]*pathTotals)
	l.names = make(map[netip.Addr]string)
	l.fallbacks = make(map[string]uint64)
	l.refused = make(map[string]uint64)
	l.reloads = map[string]uint64{"ok": 0, "failed": 0}
	l.series.Store(&map[seriesKey]*Series{})
	return l
}

// Refuse counts a connection that ended before it was served, by the reason:
// "limit", "tls", "proxy_header", say. Reasons are few and the program's own
// words.
func (l *Ledger) Refuse(reason string) { l.count(&l.refused, reason) }

// Reloaded counts an attempt to load another configuration.
func (l *Ledger) Reloaded(ok bool) {
	if ok {
		l.count(&l.reloads, "ok")
	} else {
		l.count(&l.reloads, "failed")
	}
}

func (l *Ledger) count(m *map[string]uint64, word string) {
	l.mu.Lock()
	(*m)[word]++
	l.mu.Unlock()
}

// Totals gives the counts. Malformed, Retries, Tunnels and AccessLog are for
// the caller to fill in.
func (l *Ledger) Totals() Totals {
	t := Totals{
		Connections:     l.connections.Load(),
		Multipath:       l.multipath.opened.Load(),
		Closed:          l.closed.Load(),
		Reinjected:      l.reinjected.Load(),
		MultipathClosed: l.multipath.closed.Load(),
		Joins:           map[string]uint64{"done": l.joinsDone.Load(), "failed": l.joinsFailed.Load()},
	}
	l.mu.Lock()
	t.Fallbacks, t.Refused, t.Reloads = maps.Clone(l.fallbacks), maps.Clone(l.refused), maps.Clone(l.reloads)
	for _, name := range slices.Sorted(maps.Keys(l.paths)) {
		t.Paths = append(t.Paths, l.paths[name].totals(name))
	}
	l.mu.Unlock()
	for _, s := range *l.series.Load() {
		t.Requests = append(t.Requests, s.totals())
	}
	slices.SortFunc(t.Requests, func(a, b RequestTotals) int {
		if c := strings.Compare(a.Listener, b.Listener); c != 0 {
			return c
		}
		return strings.Compare(a.Pool, b.Pool)
	})
	return t
}

// Protocols, as indexes.
const (
	plain = iota
	multipath
	protocols
)

// pathTotals adds up what happened on a path.
type pathTotals struct{ protocols [protocols]protocolTotals }

type protocolTotals struct {
	subflows, in, out, retransmitted, reinjected, retransmissions atomic.Uint64
}

// path gives the totals of a path, new ones if need be.
func (l *Ledger) path(name string) *pathTotals {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.paths[name]
	if t == nil && len(l.paths) >= maxPaths {
		name = OtherPath
		t = l.paths[name]
	}
	if t == nil {
		t = new(pathTotals)
		l.paths[name] = t
	}
	return t
}

// add counts what came to a path between two looks at it.
func (t *pathTotals) add(protocol int, before, after *Path) {
	p := &t.protocols[protocol]
	p.in.Add(after.BytesIn - before.BytesIn)
	p.out.Add(after.BytesOut - before.BytesOut)
	p.retransmitted.Add(after.Retransmitted - before.Retransmitted)
	p.reinjected.Add(after.Reinjected - before.Reinjected)
	p.retransmissions.Add(after.Retransmissions - before.Retransmissions)
}

func (t *pathTotals) totals(name string) PathTotals {
	return PathTotals{Name: name, Plain: t.protocols[plain].totals(), Multipath: t.protocols[multipath].totals()}
}

func (p *protocolTotals) totals() ProtocolTotals {
	return ProtocolTotals{
		Subflows: p.subflows.Load(), BytesIn: p.in.Load(), BytesOut: p.out.Load(),
		Retransmitted: p.retransmitted.Load(), Reinjected: p.reinjected.Load(),
		Retransmissions: p.retransmissions.Load(),
	}
}
