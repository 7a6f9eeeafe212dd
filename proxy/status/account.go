package status

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/braid-mptcp/braid"
)

// Account is what one client connection does on each of its paths, as far as
// has been looked at. Its methods may be called from any goroutine.
type Account struct {
	ledger  *Ledger
	conn    net.Conn
	offered bool // its listener speaks Multipath TCP

	mu          sync.Mutex
	looked      time.Time // by the clock of those who look
	told        time.Time // when the connection told what is known of it
	closed      bool
	everMulti   bool // it spoke Multipath TCP when looked at
	fallback    string
	token       uint32
	joinsDone   uint64
	joinsFailed uint64
	reinjected  uint64
	paths       []Path // replaced as a whole: others may have it
}

// Open begins the account of a connection that was accepted. offered says that
// its listener speaks Multipath TCP. It costs no system call.
func (l *Ledger) Open(c net.Conn, offered bool) *Account {
	l.connections.Add(1)
	return &Account{ledger: l, conn: c, offered: offered}
}

// Look asks the connection how its paths do, unless that is known from less
// than maxAge before now. It costs some system calls for connections of the
// kernel's.
func (a *Account) Look(now time.Time, maxAge time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || !a.looked.IsZero() && now.Sub(a.looked) < maxAge {
		return
	}
	a.look(now)
}

// Close looks a last time and ends the account. The connection should still be
// open: of one that was closed the kernel tells nothing. What is known of it
// can be asked for afterwards too.
func (a *Account) Close(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.look(now)
	a.closed = true
	a.conn = nil
	a.paths = down(a.paths)
	if a.everMulti {
		a.ledger.multipath.closed.Add(1)
	}
	a.ledger.closed.Add(1)
}

// Describe fills in what the account knows of the connection: Multipath,
// Fallback, Token, Joins and Paths, which others may have too and nobody may
// change. It is cheap.
func (a *Account) Describe(c *Connection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.Multipath, c.Fallback, c.Token = a.everMulti && a.fallback == "", a.fallback, a.token
	c.Joins = int(a.joinsDone)
	c.Paths, c.Looked = a.paths, a.told
}

// down gives a copy of paths that are no part of their connection any more.
func down(paths []Path) []Path {
	paths = slices.Clone(paths)
	for i := range paths {
		paths[i].Up = false
	}
	return paths
}

// look is Look with the lock held.
func (a *Account) look(now time.Time) {
	a.looked = now
	info, ok := braid.InfoOf(a.conn)
	if !ok {
		return
	}
	a.told = a.ledger.now()
	a.note(&info)
}

// note enters what info tells.
func (a *Account) note(info *braid.Info) {
	if len(info.Subflows) == 0 || info.Err != nil && !anyBytes(info) {
		// The connection is over and tells nothing more of what it was.
		a.paths = down(a.paths)
		return
	}
	a.settle(info)
	protocol := plain
	if a.everMulti {
		protocol = multipath
	}
	a.paths = down(a.paths)
	for i := range info.Subflows {
		sf := &info.Subflows[i]
		p := a.path(sf)
		if p == nil {
			continue
		}
		before := *p
		p.update(sf)
		a.ledger.path(p.Name()).add(protocol, &before, p)
	}
	a.countMultipath(info)
}

func anyBytes(info *braid.Info) bool {
	for i := range info.Subflows {
		if info.Subflows[i].BytesReceived+info.Subflows[i].BytesSent > 0 {
			return true
		}
	}
	return false
}

// settle finds out which protocol it is, and why.
func (a *Account) settle(info *braid.Info) {
	if info.Multipath {
		if !a.everMulti {
			a.everMulti = true
			a.ledger.multipath.opened.Add(1)
		}
		a.token = info.LocalToken
		return
	}
	if !a.offered || a.fallback != "" {
		return
	}
	a.fallback = FallbackWord(info.Fallback)
	if info.Fallback == 0 {
		switch {
		case a.everMulti:
			// The kernel does not say why it gave up.
			a.fallback = FallbackUnknown
		case acceptedPlain(a.conn):
			a.fallback = FallbackNotOffered
		case established(info):
			a.fallback = FallbackUnknown
		default:
			return // not settled yet
		}
	}
	a.ledger.count(&a.ledger.fallbacks, a.fallback)
}

func established(info *braid.Info) bool { return info.Subflows[0].BytesReceived > 0 }

// Words for reasons the kernel does not give.
const (
	FallbackNotOffered = "not_offered"
	FallbackUnknown    = "unknown"
)

// FallbackWord gives the reason why a connection is plain TCP as a word for
// metrics and logs, such as "not_offered"; "" if there is none.
func FallbackWord[R interface {
	~uint8
	String() string
}](reason R) string {
	if reason == 0 {
		return ""
	}
	return strings.ReplaceAll(strings.ToLower(reason.String()), " ", "_")
}

// path finds the account of a subflow, or begins it; nil: it may never come
// about.
func (a *Account) path(sf *braid.SubflowInfo) *Path {
	for i := range a.paths {
		p := &a.paths[i]
		if p.ID == sf.ID && p.Local == sf.Local && p.Remote == sf.Remote {
			return p
		}
	}
	if !sf.Established && sf.BytesReceived+sf.BytesSent == 0 {
		return nil
	}
	a.paths = append(a.paths, Path{
		ID: sf.ID, Local: sf.Local, Remote: sf.Remote, Interface: a.ledger.interfaceOf(sf.Local.Addr()),
	})
	p := &a.paths[len(a.paths)-1]
	totals := a.ledger.path(p.Name())
	if a.everMulti {
		totals.protocols[multipath].subflows.Add(1)
	} else {
		totals.protocols[plain].subflows.Add(1)
	}
	return p
}

// update takes over what sf says. Counts never go back, whatever sf says.
func (p *Path) update(sf *braid.SubflowInfo) {
	p.State, p.Up = stateWord(sf), sf.Established
	p.Backup, p.Stale = sf.Backup || sf.PeerBackup, sf.Stale
	if sf.RTT > 0 {
		p.RTT, p.MinRTT = sf.RTT, sf.MinRTT
	}
	p.Congestion, p.Window, p.InFlight = sf.CongestionControl, sf.CongestionWindow, sf.InFlight
	p.DeliveryRate = sf.DeliveryRate
	p.BytesIn, p.BytesOut = max(p.BytesIn, sf.BytesReceived), max(p.BytesOut, sf.BytesSent)
	p.Retransmitted, p.Reinjected = max(p.Retransmitted, sf.BytesRetransmitted), max(p.Reinjected, sf.BytesReinjected)
	p.Retransmissions = max(p.Retransmissions, sf.SegmentsRetransmitted)
	if sf.Reset {
		p.Reset = sf.ResetReason.String()
	}
}

func stateWord(sf *braid.SubflowInfo) string { return sf.State.String() }

// countMultipath counts the subflows that were added since the last time, which
// the kernel does not, but shows them, and what was sent again on another one.
func (a *Account) countMultipath(info *braid.Info) {
	if !a.everMulti {
		return
	}
	done := max(a.joinsDone, info.Stats.JoinsDone, uint64(max(len(a.paths)-1, 0)))
	a.ledger.joinsDone.Add(done - a.joinsDone)
	a.joinsDone = done
	failed := max(a.joinsFailed, info.Stats.JoinsFailed)
	a.ledger.joinsFailed.Add(failed - a.joinsFailed)
	a.joinsFailed = failed
	again := max(a.reinjected, info.Stats.BytesReinjected)
	a.ledger.reinjected.Add(again - a.reinjected)
	a.reinjected = again
}

// interfaceOf remembers the names of interfaces for a while.
func (l *Ledger) interfaceOf(addr netip.Addr) string {
	if l.lookup == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.namesSince) > interfacesFor || len(l.names) >= maxPaths {
		clear(l.names)
		l.namesSince = now
	}
	name, ok := l.names[addr]
	if !ok {
		name = l.lookup(addr)
		l.names[addr] = name
	}
	return name
}
