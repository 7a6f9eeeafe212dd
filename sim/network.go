package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// Endpoint is what the network drives: a stack, or anything else that takes
// and makes IP packets and is told the time. It must be comparable, as a
// pointer is. None of its methods is called while another is running.
type Endpoint interface {
	// Input takes a packet that arrived. The endpoint may change pkt, and
	// must not keep it.
	Input(now time.Time, pkt []byte, off wire.Offload)
	// Output writes the next packet to send into buf, if there is one.
	Output(now time.Time, buf []byte) (n int, off wire.Offload, ok bool)
	// NextTimeout gives when Advance must be called, the zero time if never.
	NextTimeout() time.Time
	// Advance lets the endpoint do what became due.
	Advance(now time.Time)
}

// Epoch is the time at which every Network starts.
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Why Run gave up.
var (
	ErrIdle  = errors.New("sim: nothing left to happen")
	ErrLimit = errors.New("sim: time limit reached")
	ErrStuck = errors.New("sim: time stands still")
)

const (
	// maxBurst is how many packets an endpoint may send before the others
	// have their turn.
	maxBurst = 1 << 16
	// maxInstant is how many events and packets there may be at one time
	// before Run takes it for an endless loop. A link without rate and delay
	// can carry gigabytes in no time.
	maxInstant = 1 << 24
)

// Network joins endpoints by links in virtual time. It is owned by one
// goroutine, which also runs the endpoints.
type Network struct {
	now    time.Time
	seed   uint64
	rng    *rand.Rand
	agenda agenda
	hosts  []*host
	links  []*entry
	owners map[netip.Addr]*host
	routes map[addrPair]route
	taps   Taps
	buf    []byte // for Endpoint.Output

	touched    []*host // received something and may have an answer
	instant    int     // events and packets since time last moved
	maxInstant int
	unrouted   int64
}

// host is an endpoint as the network sees it.
type host struct {
	entry
	ep      Endpoint
	touched bool
}

type addrPair struct{ src, dst netip.Addr }

type route struct {
	link *entry
	dir  Dir
}

// New makes an empty network at Epoch.
func New(seed uint64) *Network {
	const stream = 1 << 32 // not that of any link
	return &Network{
		now:        Epoch,
		seed:       seed,
		rng:        newRand(seed, stream),
		owners:     make(map[netip.Addr]*host),
		routes:     make(map[addrPair]route),
		buf:        make([]byte, bufferSizes[len(bufferSizes)-1]),
		maxInstant: maxInstant,
	}
}

// Now gives the virtual time.
func (n *Network) Now() time.Time { return n.now }

// Elapsed gives the virtual time since the start.
func (n *Network) Elapsed() time.Duration { return n.now.Sub(Epoch) }

// Rand gives a source of randomness for what belongs to the run, such as the
// keys of its hosts. The links have their own.
func (n *Network) Rand() *rand.Rand { return n.rng }

// Unrouted gives how many packets had no route, nobody to receive them, or no
// sound IP header.
func (n *Network) Unrouted() int64 { return n.unrouted }

// Listen sets the taps of all links, present and future.
func (n *Network) Listen(t Taps) { n.taps = t }

// Attach makes an endpoint reachable at addresses. It may be called again for
// the same endpoint to give it more.
func (n *Network) Attach(ep Endpoint, addrs ...netip.Addr) {
	i := slices.IndexFunc(n.hosts, func(h *host) bool { return h.ep == ep })
	if i < 0 {
		h := &host{ep: ep}
		h.entry.host, h.entry.index = h, -1
		i = len(n.hosts)
		n.hosts = append(n.hosts, h)
	}
	for _, a := range addrs {
		n.owners[a] = n.hosts[i]
	}
}

// Detach takes an address away from whoever has it: what is sent to it from
// now on gets lost.
func (n *Network) Detach(addr netip.Addr) { delete(n.owners, addr) }

// Connect makes a link and lets it carry what is sent between two addresses;
// a is at end A.
func (n *Network) Connect(name string, a, b netip.Addr, ab, ba LinkConfig) *Link {
	l := NewLink(name, ab, ba, newRand(n.seed, uint64(len(n.links))).Uint64(), n.deliver)
	l.taps = &n.taps
	n.links = append(n.links, &entry{link: l, index: -1})
	n.Route(l, a, b)
	return l
}

// Route lets a link of this network carry what is sent between two addresses,
// also if another link did so far.
func (n *Network) Route(l *Link, a, b netip.Addr) {
	i := slices.IndexFunc(n.links, func(e *entry) bool { return e.link == l })
	if i < 0 {
		panic("BUG: sim: link of another network")
	}
	n.routes[addrPair{a, b}] = route{n.links[i], AB}
	n.routes[addrPair{b, a}] = route{n.links[i], BA}
}

// Links gives the links in the order they were made.
func (n *Network) Links() []*Link {
	links := make([]*Link, len(n.links))
	for i, e := range n.links {
		links[i] = e.link
	}
	return links
}

// At has f called at a time, or as soon as possible if it is past. Whatever f
// does to endpoints and links takes effect at once.
func (n *Network) At(t time.Time, f func()) {
	if t.Before(n.now) {
		t = n.now
	}
	n.agenda.set(&entry{action: f, index: -1}, t)
}

// After has f called when d has passed.
func (n *Network) After(d time.Duration, f func()) { n.At(n.now.Add(d), f) }

// Wake lets every endpoint send what it has to send. It is for callers that
// did something to endpoints or links between two Steps.
func (n *Network) Wake() {
	for _, h := range n.hosts {
		n.pump(h)
	}
	n.settle()
	for _, e := range n.links {
		n.agenda.set(e, e.link.Next())
	}
}

// Step lets the next thing happen: packets of one link arrive, an endpoint's
// timer runs out, or an action is due. It is false if there is none.
func (n *Network) Step() bool {
	e := n.agenda.first()
	if e == nil {
		return false
	}
	if e.at.After(n.now) {
		n.now = e.at
		n.instant = 0
	}
	n.instant++
	switch {
	case e.link != nil:
		e.link.Advance(n.now)
		n.agenda.set(e, e.link.Next())
		n.settle()
	case e.host != nil:
		e.host.ep.Advance(n.now)
		n.pump(e.host)
		n.settle()
	default:
		n.agenda.remove(e)
		e.action()
		n.Wake()
	}
	return true
}

// Run lets things happen until the condition holds, which is asked first and
// after every step and may itself read from, write to or close what it
// watches. It gives up when limit has passed (ErrLimit), when nothing is left
// to happen (ErrIdle), or when no time passes any more (ErrStuck).
func (n *Network) Run(until func() bool, limit time.Duration) error {
	deadline := n.now.Add(limit)
	for !until() {
		n.Wake()
		if err := n.stepBefore(deadline); err != nil {
			return err
		}
	}
	return nil
}

// RunFor lets happen what happens in the next d, and ends at its end.
func (n *Network) RunFor(d time.Duration) error {
	n.Wake()
	end := n.now.Add(d)
	for {
		switch err := n.stepBefore(end); {
		case errors.Is(err, ErrIdle), errors.Is(err, ErrLimit):
			n.now, n.instant = end, 0
			return nil
		case err != nil:
			return err
		}
	}
}

// stepBefore is Step unless that would go beyond the deadline.
func (n *Network) stepBefore(deadline time.Time) error {
	e := n.agenda.first()
	switch {
	case e == nil:
		return fmt.Errorf("%w after %v", ErrIdle, n.Elapsed())
	case e.at.After(deadline):
		n.now, n.instant = deadline, 0
		return fmt.Errorf("%w after %v", ErrLimit, n.Elapsed())
	case n.instant > n.maxInstant:
		return fmt.Errorf("%w after %v", ErrStuck, n.Elapsed())
	}
	n.Step()
	return nil
}

// pump lets an endpoint send, and notes when it wants to be called next.
func (n *Network) pump(h *host) {
	h.touched = false
	for range maxBurst {
		size, off, ok := h.ep.Output(n.now, n.buf)
		if !ok {
			next := h.ep.NextTimeout()
			if !next.IsZero() && next.Before(n.now) {
				next = n.now
			}
			n.agenda.set(&h.entry, next)
			return
		}
		n.instant++
		n.send(n.buf[:size], off)
	}
	n.agenda.set(&h.entry, n.now)
}

// settle pumps the endpoints that received something.
func (n *Network) settle() {
	for len(n.touched) > 0 {
		h := n.touched[len(n.touched)-1]
		n.touched = n.touched[:len(n.touched)-1]
		n.pump(h)
	}
}

// send puts a packet on the link its addresses lead to.
func (n *Network) send(pkt []byte, off wire.Offload) {
	ip, err := wire.ParseIP(pkt)
	if err != nil {
		n.unrouted++
		return
	}
	r, ok := n.routes[addrPair{ip.Src, ip.Dst}]
	if !ok {
		n.unrouted++
		return
	}
	r.link.link.Send(n.now, r.dir, pkt, off)
	n.agenda.set(r.link, r.link.link.Next())
}

// deliver hands a packet that came out of a link to its receiver.
func (n *Network) deliver(now time.Time, _ Dir, pkt []byte, off wire.Offload) {
	ip, err := wire.ParseIP(pkt)
	if err != nil {
		n.unrouted++
		return
	}
	h, ok := n.owners[ip.Dst]
	if !ok {
		n.unrouted++
		return
	}
	h.ep.Input(now, pkt, off)
	if !h.touched {
		h.touched = true
		n.touched = append(n.touched, h)
	}
}
