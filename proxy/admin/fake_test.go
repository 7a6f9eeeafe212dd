package admin

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/proxy/status"
)

// fakeProxy is a proxy that does believable things: it is what the page is
// tested and looked at with.
type fakeProxy struct {
	mu      sync.Mutex
	rng     *rand.Rand
	now     time.Time // of the last step
	ledger  *status.Ledger
	snap    status.Snapshot
	wanted  int // connections
	nextID  uint64
	uplinks []fakeUplink
	drained map[string]bool
	// change, if set, has the last word on each Snapshot.
	change func(*status.Snapshot)
}

type fakeUplink struct {
	name string
	addr netip.Addr
	rtt  time.Duration
}

func newFake(seed uint64, connections int, start time.Time) *fakeProxy {
	f := &fakeProxy{
		rng: rand.New(rand.NewPCG(seed, 1)), now: start, wanted: connections, nextID: 1, drained: make(map[string]bool),
		ledger: status.NewLedger(nil),
		uplinks: []fakeUplink{
			{"eth0", netip.MustParseAddr("198.51.100.10"), 18 * time.Millisecond},
			{"eth1", netip.MustParseAddr("203.0.113.10"), 42 * time.Millisecond},
			{"wwan0", netip.MustParseAddr("2001:db8:7::10"), 65 * time.Millisecond},
		},
	}
	f.snap = status.Snapshot{
		Time: start, Started: start.Add(-51 * time.Hour), Version: "v0.4.0", Stack: "kernel", Ready: true,
		ConfigLoaded: start.Add(-3 * time.Hour),
		Listeners: []status.Listener{
			{Name: "web", Mode: "http", TLS: true, Addresses: []string{"mptcp@[::]:443"}, Accepted: 181032},
			{Name: "plain", Mode: "http", Addresses: []string{"mptcp@[::]:80"}, Accepted: 9210},
			{Name: "ssh", Mode: "tcp", Addresses: []string{"mptcp@[::]:2222"}, Accepted: 77},
		},
		Pools: []balance.PoolStats{
			{Name: "app", Members: []balance.MemberStats{
				member("app-1", "10.0.3.11:8080", 2), member("app-2", "10.0.3.12:8080", 2), member("app-3", "10.0.3.13:8080", 1),
			}},
			{Name: "media", Members: []balance.MemberStats{member("10.0.4.21:80", "10.0.4.21:80", 1), member("10.0.4.22:80", "10.0.4.22:80", 1)}},
			{Name: "shell", Members: []balance.MemberStats{member("10.0.5.5:22", "10.0.5.5:22", 1)}},
		},
		Totals: status.Totals{
			Connections: 190319, Closed: 190319, Multipath: 118200, MultipathClosed: 118200,
			Fallbacks: map[string]uint64{"not_offered": 71411, "unknown": 612, "checksum_failed": 4},
			Joins:     map[string]uint64{"done": 131874, "failed": 219},
			Refused:   map[string]uint64{"tls": 132, "limit": 7}, Malformed: 41, Retries: 17, Tunnels: 12,
			Reloads: map[string]uint64{"ok": 3, "failed": 0}, AccessLog: status.AccessLogTotals{Lines: 2213094},
			Paths: []status.PathTotals{{Name: "eth0"}, {Name: "eth1"}, {Name: "wwan0"}},
		},
	}
	media := &f.snap.Pools[1].Members[1]
	media.State, media.Why = balance.Down, "check failed: dial tcp 10.0.4.22:80: connect: connection refused"
	media.LastError, media.LastFailure = "dial tcp 10.0.4.22:80: connect: connection refused", start.Add(-95*time.Second)
	media.Failures = 14
	for range connections {
		f.open(start.Add(-time.Duration(f.rng.IntN(2400)) * time.Second))
	}
	return f
}

func member(name, address string, weight int) balance.MemberStats {
	return balance.MemberStats{
		Name: name, Address: address, Weight: weight, State: balance.Up, Requests: 410000 * uint64(weight),
		Conns: balance.ConnCounts{Opened: 2210, Reused: 409000 * uint64(weight), Idle: 8},
	}
}

var (
	fakeHosts = []string{"www.example.org", "api.example.org", "media.example.org", "shop.example.org"}
	fakeUsers = []string{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15", "curl/8.11.0",
		"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/133.0", "okhttp/4.12.0"}
)

// open adds a connection.
func (f *fakeProxy) open(at time.Time) {
	n := f.nextID
	f.nextID++
	c := status.Connection{
		ID: n, Listener: "web", Opened: at, TLS: "TLS 1.3", Protocol: "h2",
		Client:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(f.rng.IntN(250) + 1)}), uint16(f.rng.IntN(28000)+32768)),
		ServerName: fakeHosts[f.rng.IntN(len(fakeHosts))], UserAgent: fakeUsers[f.rng.IntN(len(fakeUsers))],
		Multipath: f.rng.IntN(100) < 62,
	}
	c.Host = c.ServerName
	switch {
	case n%23 == 0:
		c.Listener, c.Protocol, c.TLS, c.ServerName, c.Host, c.UserAgent = "ssh", "tcp", "", "", "", ""
		c.Pool, c.Backend = "shell", "10.0.5.5:22"
	case n%7 == 0:
		c.Listener, c.Protocol, c.TLS, c.ServerName = "plain", "http/1.1", "", ""
	case n%3 == 0:
		c.Protocol = "http/1.1"
	}
	c.Local = netip.AddrPortFrom(f.uplinks[0].addr, 443)
	paths := 1
	if c.Multipath {
		paths = 2 + int(n%11/10)
		c.Token = f.rng.Uint32()
		c.Joins = paths - 1
	} else {
		c.Fallback = "not_offered"
	}
	for i := range paths {
		u := f.uplinks[i]
		remote := c.Client
		if i > 0 {
			remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, 64, byte(f.rng.IntN(200)), byte(f.rng.IntN(250))}), uint16(f.rng.IntN(28000)+32768))
		}
		if i == 2 {
			remote = netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8:99::%x", f.rng.IntN(60000))), remote.Port())
		}
		rtt := u.rtt + time.Duration(f.rng.IntN(20000))*time.Microsecond
		c.Paths = append(c.Paths, status.Path{
			ID: i, Local: netip.AddrPortFrom(u.addr, 443), Remote: remote, Interface: u.name, State: "ESTABLISHED", Up: true,
			Backup: i == 2, RTT: rtt, MinRTT: rtt - rtt/5, Congestion: "cubic", Window: 14480 + f.rng.IntN(400000),
		})
	}
	if c.Multipath && n%13 == 0 {
		p := &c.Paths[1]
		p.Up, p.State, p.Reset = false, "CLOSED", "lack of resources"
	}
	f.snap.Connections = append(f.snap.Connections, c)
	f.snap.Totals.Connections++
	if c.Multipath {
		f.snap.Totals.Multipath++
		f.snap.Totals.Joins["done"] += uint64(c.Joins)
	} else {
		f.snap.Totals.Fallbacks[c.Fallback]++
	}
	f.listener(c.Listener).Accepted++
}

func (f *fakeProxy) listener(name string) *status.Listener {
	i := slices.IndexFunc(f.snap.Listeners, func(l status.Listener) bool { return l.Name == name })
	return &f.snap.Listeners[i]
}

// step lets a time pass.
func (f *fakeProxy) step(now time.Time) {
	span := now.Sub(f.now).Seconds()
	if span <= 0 {
		return
	}
	f.now = now
	f.snap.Time = now
	// Some go, some come.
	for range 1 + f.wanted/200 {
		if n := len(f.snap.Connections); n > 0 && f.rng.Float64() < min(span, 1) {
			c := f.snap.Connections[n/2+f.rng.IntN((n+1)/2)]
			f.snap.Connections = slices.DeleteFunc(f.snap.Connections, func(o status.Connection) bool { return o.ID == c.ID })
			f.snap.Totals.Closed++
			if c.Multipath {
				f.snap.Totals.MultipathClosed++
			}
		}
	}
	for len(f.snap.Connections) < f.wanted {
		f.open(now)
	}
	wave := 1 + 0.35*math.Sin(float64(now.Unix())/37) + 0.1*f.rng.Float64()
	for i := range f.snap.Listeners {
		f.snap.Listeners[i].Open = 0
	}
	for i := range f.snap.Connections {
		f.carry(&f.snap.Connections[i], span*wave)
	}
	f.snap.Open = len(f.snap.Connections)
	f.request(span*wave, now)
}

// carry moves bytes over a connection's paths.
func (f *fakeProxy) carry(c *status.Connection, span float64) {
	f.listener(c.Listener).Open++
	heavy := 1.0
	if c.ID%9 == 1 {
		heavy = 60
	}
	for i := range c.Paths {
		p := &c.Paths[i]
		if !p.Up || p.Backup {
			continue
		}
		share := []float64{1, 0.55, 0.2}[i]
		if now := f.now.Unix() % 240; p.Interface == "eth0" && now > 150 && now < 200 {
			share *= 0.25 // a path that suffers, as they do
		}
		out := uint64(span * heavy * share * (12000 + 9000*f.rng.Float64()))
		in := out/18 + uint64(f.rng.IntN(300))
		t := &f.snap.Totals.Paths[i].Plain
		if c.Multipath {
			t = &f.snap.Totals.Paths[i].Multipath
		}
		p.BytesOut += out
		p.BytesIn += in
		t.BytesOut += out
		t.BytesIn += in
		if f.rng.IntN(20) == 0 {
			p.Retransmitted += 1448
			p.Retransmissions++
			t.Retransmitted += 1448
			t.Retransmissions++
		}
		c.BytesOut += int64(out)
		c.BytesIn += int64(in)
		p.RTT = max(p.MinRTT, p.RTT+time.Duration(f.rng.IntN(2001)-1000)*time.Microsecond)
	}
	if c.Protocol != "tcp" {
		c.Requests += int64(1 + f.rng.IntN(3))
	}
}

// request counts requests and what they do at the servers.
func (f *fakeProxy) request(span float64, now time.Time) {
	app := f.ledger.Series("web", "app")
	for range int(span * 640) {
		r := status.Request{Code: 200, BytesIn: 700, BytesOut: 21000, Reused: true}
		r.Duration = time.Duration(float64(3*time.Millisecond) * math.Exp(f.rng.NormFloat64()*0.8))
		if f.rng.IntN(150) == 0 {
			r.Duration *= 15
		}
		if f.rng.IntN(900) == 0 {
			r.Code = 502
		}
		r.Wait = r.Duration / 2
		app.Add(&r)
	}
	for i := range f.snap.Pools {
		p := &f.snap.Pools[i]
		p.Conns = balance.ConnCounts{}
		for j := range p.Members {
			m := &p.Members[j]
			if m.State == balance.Up && i == 0 {
				m.Active, m.Conns.InUse, m.Conns.Idle = f.rng.IntN(9), f.rng.IntN(9), 6+f.rng.IntN(9)
				m.Requests += uint64(span * 200)
				m.Conns.Reused += uint64(span * 200)
			}
			p.Conns.InUse += m.Conns.InUse
			p.Conns.Idle += m.Conns.Idle
			p.Conns.Opened += m.Conns.Opened
			p.Conns.Reused += m.Conns.Reused
		}
	}
	f.snap.Totals.Requests = f.ledger.Totals().Requests
}

// Snapshot implements status.Source.
func (f *fakeProxy) Snapshot() status.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.step(time.Now())
	return f.copy()
}

// copy gives a Snapshot that nobody changes any more.
func (f *fakeProxy) copy() status.Snapshot {
	s := f.snap
	s.Listeners = slices.Clone(s.Listeners)
	s.Connections = slices.Clone(s.Connections)
	for i := range s.Connections {
		s.Connections[i].Paths = slices.Clone(s.Connections[i].Paths)
	}
	s.Pools = slices.Clone(s.Pools)
	for i := range s.Pools {
		s.Pools[i].Members = slices.Clone(s.Pools[i].Members)
		for j := range s.Pools[i].Members {
			if m := &s.Pools[i].Members[j]; f.drained[s.Pools[i].Name+"/"+m.Name] {
				m.State, m.Why = balance.Draining, "by command"
			}
		}
	}
	s.Totals.Paths = slices.Clone(s.Totals.Paths)
	if f.change != nil {
		f.change(&s)
	}
	return s
}

// drain is for Options.Drain.
func (f *fakeProxy) drain(pool, backend string, on bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.snap.Pools {
		for _, m := range p.Members {
			if p.Name == pool && m.Name == backend {
				f.drained[pool+"/"+backend] = on
				return nil
			}
		}
	}
	return fmt.Errorf("no backend %s in pool %s", backend, pool)
}

// rehearse lets the past happen, so that the plots have something to show.
func (f *fakeProxy) rehearse(s *sampler, from, to time.Time) {
	for t := from; t.Before(to); t = t.Add(time.Second) {
		f.mu.Lock()
		f.step(t)
		snap := f.copy()
		f.mu.Unlock()
		s.mu.Lock()
		s.measure(&snap)
		s.last = &snap
		s.mu.Unlock()
	}
}
