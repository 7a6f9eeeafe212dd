package get

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/internal/tally"
)

// Event is something that happened.
type Event struct {
	At   time.Duration // since the download began
	Path string        // name of the path, or "" for the download
	What string
}

// Snapshot is how the download stands.
type Snapshot struct {
	At    time.Duration // since it began
	Bytes int64         // of the file that are there
	Size  int64         // of the file, or -1 when the server did not tell
	Rate  float64       // bits of the file per second, since the last snapshot
	Paths []PathSnapshot
}

// PathSnapshot is how one path stands: an interface of this host.
type PathSnapshot struct {
	Name   string // of the interface, or its address where that is not known
	Up     bool   // a subflow is established
	Backup bool
	Bytes  uint64 // received
	Rate   float64
	RTT    time.Duration
}

// arrivals is when bytes reached us.
type arrivals struct {
	bytes     int64 // of the file that are there
	received  int64 // by this download
	first     time.Duration
	last      time.Duration
	stall     time.Duration // the longest time between two arrivals
	restarted bool
}

func (a *arrivals) add(at time.Duration, n int) {
	if a.received == 0 {
		a.first = at
	} else {
		a.stall = max(a.stall, at-a.last)
	}
	a.last = at
	a.bytes += int64(n)
	a.received += int64(n)
}

func (a *arrivals) nothing() bool { return a.received == 0 }

// meter asks the connections what passes on each path.
type meter struct {
	network braid.Network
	tell    func(path, what string)

	mu    sync.Mutex
	conns []*metered
	names map[netip.Addr]string // of local addresses, also of those that are gone
	up    map[string]bool
	order []string // of paths, as they appeared
}

type metered struct {
	c     net.Conn
	tally tally.Tally
	plain bool // it was reported that it is plain TCP
}

func newMeter(n braid.Network, tell func(path, what string)) *meter {
	return &meter{network: n, tell: tell, names: make(map[netip.Addr]string), up: make(map[string]bool)}
}

// dial connects, and keeps an eye on the connection.
func (m *meter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := m.network.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.conns = append(m.conns, &metered{c: c})
	m.mu.Unlock()
	return c, nil
}

// look asks all connections.
func (m *meter) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	up := make(map[string]bool)
	for _, c := range m.conns {
		if info, ok := braid.InfoOf(c.c); ok {
			c.tally.Note(info)
			if !c.plain && m.isPlain(info) {
				c.plain = true
				what := "plain TCP, one path"
				if info.Fallback != 0 {
					what += ": " + info.Fallback.String()
				}
				m.tell("", what)
			}
		}
		for _, p := range c.tally.Paths() {
			name := m.name(p.Local.Addr())
			up[name] = up[name] || p.Up
		}
	}
	for _, name := range m.order {
		switch {
		case up[name] && !m.up[name]:
			m.tell(name, "up")
		case !up[name] && m.up[name]:
			m.tell(name, "down")
		}
		m.up[name] = up[name]
	}
}

// isPlain tells of a connection that could be Multipath TCP, and stands, that
// it is not.
func (m *meter) isPlain(info braid.Info) bool {
	return !info.Multipath && braid.KindOf(m.network) != braid.Plain &&
		slices.ContainsFunc(info.Subflows, func(sf braid.SubflowInfo) bool { return sf.Established })
}

// name is the name of the path that an address of ours is on. Names are kept:
// an address that is gone is on no interface any more.
func (m *meter) name(a netip.Addr) string {
	if name := m.names[a]; name != "" {
		return name
	}
	name := braid.InterfaceOf(m.network, a)
	if name == "" {
		name = a.String()
	}
	m.names[a] = name
	if !slices.Contains(m.order, name) {
		m.order = append(m.order, name)
	}
	return name
}

// pathTotal is what a path has carried.
type pathTotal struct {
	name      string
	received  uint64
	up        bool
	backup    bool
	rtt       time.Duration
	addresses []netip.AddrPort // local, remote, of its subflows in turn
}

// totals adds up the subflows of each path.
func (m *meter) totals() []pathTotal {
	m.mu.Lock()
	defer m.mu.Unlock()
	sums := make(map[string]*pathTotal)
	for _, c := range m.conns {
		for _, p := range c.tally.Paths() {
			name := m.name(p.Local.Addr())
			t := sums[name]
			if t == nil {
				t = &pathTotal{name: name}
				sums[name] = t
			}
			t.received += p.Received
			t.up = t.up || p.Up
			t.addresses = append(t.addresses, p.Local, p.Remote)
			t.backup, t.rtt = p.Backup, p.RTT
		}
	}
	var all []pathTotal
	for _, name := range m.order {
		if t := sums[name]; t != nil {
			all = append(all, *t)
		}
	}
	return all
}

// info is that of the connection that did most.
func (m *meter) info() (info braid.Info, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	most := uint64(0)
	for _, c := range m.conns {
		if n := c.tally.Bytes(); !ok || n > most {
			info, most, ok = c.tally.Info(), n, true
		}
	}
	return info, ok
}

// tell notes an event; Happened hears of it from the ticker.
func (g *download) tell(path, what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events = append(g.events, Event{At: time.Since(g.began), Path: path, What: what})
}

// lookInterval is how often the connections are looked at.
const lookInterval = 100 * time.Millisecond

// startTicker looks at the connections now and then, and tells who asked for
// it.
func (g *download) startTicker() (stop func()) {
	t := &teller{g: g, every: max(1, int(g.cfg.Interval/lookInterval))}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(lookInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				t.tick(false)
			case <-done:
				t.tick(true)
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// teller belongs to the ticker's goroutine.
type teller struct {
	g        *download
	every    int // how many looks for one Progress
	ticks    int
	told     int // events
	received int64
	last     Snapshot
}

func (t *teller) tick(last bool) {
	t.g.meter.look()
	if t.ticks++; !last && t.ticks%t.every != 0 {
		return
	}
	t.g.mu.Lock()
	events := t.g.events[t.told:len(t.g.events):len(t.g.events)]
	t.told = len(t.g.events)
	t.g.mu.Unlock()
	if t.g.cfg.Happened != nil {
		for _, e := range events {
			t.g.cfg.Happened(e)
		}
	}
	shot := t.snapshot()
	if t.g.cfg.Progress != nil {
		t.g.cfg.Progress(shot)
	}
}

func (t *teller) snapshot() Snapshot {
	g := t.g
	totals := g.meter.totals()
	g.mu.Lock()
	shot := Snapshot{At: time.Since(g.began), Bytes: g.arrival.bytes, Size: g.size}
	received := g.arrival.received
	g.mu.Unlock()
	seconds := (shot.At - t.last.At).Seconds()
	rate := func(now, before uint64) float64 {
		if seconds <= 0 || now < before {
			return 0
		}
		return float64(now-before) * 8 / seconds
	}
	before := make(map[string]uint64)
	for _, p := range t.last.Paths {
		before[p.Name] = p.Bytes
	}
	shot.Rate = rate(uint64(received), uint64(t.received))
	t.received = received
	for _, p := range totals {
		shot.Paths = append(shot.Paths, PathSnapshot{Name: p.name, Up: p.up, Backup: p.backup,
			Bytes: p.received, Rate: rate(p.received, before[p.name]), RTT: p.rtt})
	}
	t.last = shot
	return shot
}
