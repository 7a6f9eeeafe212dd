// Package simtest puts stacks on a simulated network and gives them
// applications: everything a test of whole connections needs, in virtual time.
package simtest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// Host is a stack with its applications; it is the sim.Endpoint of a Network.
type Host struct {
	Name  string
	Stack *stack.Stack
	// Serve, if set, gives every accepted connection its application.
	Serve func(*mptcp.Conn) *App
	// Events are all that came, but for Readable and Writable.
	Events []stack.Event
	// Apps are the applications in the order they began.
	Apps []*App

	in     *stream.Buffer // for the next packet
	pieces []stream.Piece
}

// NewHost makes a host with a stack of its own, random as seed says.
func NewHost(name string, seed uint64, cfg stack.Config) *Host {
	r := rand.New(rand.NewPCG(seed, uint64(name[0])))
	cfg.Rand = r.Uint64
	s := stack.New(cfg)
	return &Host{Name: name, Stack: s, in: s.Buffer(1 << 16)}
}

// Dial begins a connection with an application.
func (h *Host) Dial(now time.Time, local, remote netip.AddrPort, cfg *mptcp.Config, app *App) (*App, error) {
	c, err := h.Stack.Dial(now, local, remote, cfg)
	if err != nil {
		return nil, err
	}
	return h.run(c, app), nil
}

func (h *Host) run(c *mptcp.Conn, app *App) *App {
	app.Conn = c
	c.User = app
	h.Apps = append(h.Apps, app)
	return app
}

// Input, Output, NextTimeout and Advance make Host a sim.Endpoint.
func (h *Host) Input(now time.Time, pkt []byte, off wire.Offload) {
	h.Stack.InputBuffer(now, h.in.Mem[:copy(h.in.Mem, pkt)], off, h.in)
	h.in = h.in.Renew()
}

func (h *Host) NextTimeout() time.Time {
	next := h.Stack.NextTimeout()
	for _, a := range h.Apps {
		if at := a.due; !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

func (h *Host) Advance(now time.Time) {
	h.Stack.Advance(now)
	for _, a := range h.Apps {
		if !a.due.IsZero() && !a.due.After(now) {
			a.step(now)
		}
	}
}

func (h *Host) Output(now time.Time, buf []byte) (int, wire.Offload, bool) {
	h.drive(now)
	n, off, ok := h.output(now, buf)
	if !ok { // what was said may have set something free
		h.drive(now)
		n, off, ok = h.output(now, buf)
	}
	return n, off, ok
}

// output builds a packet as for a device that takes it in pieces.
func (h *Host) output(now time.Time, buf []byte) (n int, off wire.Offload, ok bool) {
	n, h.pieces, off, ok = h.Stack.OutputPieces(now, buf, h.pieces[:0])
	for _, p := range h.pieces {
		n += copy(buf[n:], p.Data)
	}
	stream.Release(h.pieces)
	return n, off, ok
}

// drive takes events and lets the applications they concern run.
func (h *Host) drive(now time.Time) {
	for {
		ev, ok := h.Stack.NextEvent()
		if !ok {
			return
		}
		switch ev.Kind {
		case stack.Acceptable:
			for {
				c, ok := ev.Listener.Accept()
				if !ok {
					break
				}
				app := &App{}
				if h.Serve != nil {
					app = h.Serve(c)
				}
				h.run(c, app).step(now)
			}
			continue
		case stack.Readable, stack.Writable:
		default:
			h.Events = append(h.Events, ev)
		}
		if app, ok := ev.Conn.User.(*App); ok {
			app.step(now)
		}
	}
}

// Bed is a network with a client and a server on it.
type Bed struct {
	T      testing.TB
	Net    *sim.Network
	Client *Host
	Server *Host
	Links  []*sim.Link
	// Watch, if set, sees every TCP segment that is sent.
	Watch func(now time.Time, where string, s *wire.Segment)
	trace []traced // the last packets, a ring
	noted int
}

// traced is a packet that was sent, or lost for a reason.
type traced struct {
	at         time.Time
	where, why string
	pkt        []byte
}

// Line is the configuration of one path of a Bed, the same in both directions.
func Line(mbits float64, delay time.Duration) sim.LinkConfig {
	rate := int64(mbits * 1e6)
	// One bandwidth-delay product and some more.
	queue := int(float64(rate)/8*2*delay.Seconds()) + 32<<10
	return sim.LinkConfig{Rate: rate, Delay: delay, QueueBytes: queue, MTU: 1500}
}

// ClientAddr and ServerAddr are the ends of path i.
func ClientAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i + 1), 1}) }
func ServerAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i + 1), 2}) }

// ServerPort is where the server of a Bed listens.
const ServerPort = 80

// NewBed makes a network with one path for each line. Both hosts have an
// address on each; the client opens subflows from all of its, the server
// announces all of its, and listens.
func NewBed(t testing.TB, seed uint64, cfg stack.Config, lines ...sim.LinkConfig) *Bed {
	return NewBedWith(t, seed, cfg, cfg, lines...)
}

// NewBedWith is NewBed with a configuration for each host.
func NewBedWith(t testing.TB, seed uint64, client, server stack.Config, lines ...sim.LinkConfig) *Bed {
	b := &Bed{
		T: t, Net: sim.New(seed),
		Client: NewHost("client", seed, client), Server: NewHost("server", seed, server),
	}
	for i, line := range lines {
		c, s := ClientAddr(i), ServerAddr(i)
		b.Net.Attach(b.Client, c)
		b.Net.Attach(b.Server, s)
		b.Links = append(b.Links, b.Net.Connect(fmt.Sprintf("path%d", i), c, s, line, line))
		b.AddClientAddress(i)
		must(t, b.Server.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: s, Bits: 24, Flags: mptcp.EndpointSignal}))
	}
	_, err := b.Server.Stack.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), ServerPort), 0)
	must(t, err)
	b.Net.Listen(sim.Taps{
		Sent: func(now time.Time, where string, pkt []byte) {
			b.note(now, where, "", pkt)
			b.watch(now, where, pkt)
		},
		Lost: func(now time.Time, where string, why sim.Fate, pkt []byte) { b.note(now, where, why.String(), pkt) },
	})
	t.Cleanup(func() {
		if t.Failed() {
			for i := range b.trace {
				t.Log(b.trace[(b.noted+i)%len(b.trace)].String())
			}
		}
	})
	return b
}

// AddClientAddress gives the client its address on path i.
func (b *Bed) AddClientAddress(i int) {
	must(b.T, b.Client.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: ClientAddr(i), Bits: 24, Flags: mptcp.EndpointSubflow}))
}

// maxTrace is how many packets are shown when a test fails.
const maxTrace = 400

func (b *Bed) note(now time.Time, where, why string, pkt []byte) {
	if len(b.trace) < maxTrace {
		b.trace = append(b.trace, traced{now, where, why, slices.Clone(pkt)})
		return
	}
	t := &b.trace[b.noted%maxTrace]
	*t = traced{now, where, why, append(t.pkt[:0], pkt...)}
	b.noted++
}

func (t *traced) String() string {
	var seg wire.Segment
	what := "not TCP"
	if wire.ParseSegment(t.pkt, &seg, true) == nil {
		what = seg.String()
	}
	return fmt.Sprintf("%9.4f %s %s %s", t.at.Sub(sim.Epoch).Seconds(), t.where, what, t.why)
}

func (b *Bed) watch(now time.Time, where string, pkt []byte) {
	var seg wire.Segment
	if b.Watch != nil && wire.ParseSegment(pkt, &seg, true) == nil {
		b.Watch(now, where, &seg)
	}
}

// Dial connects the client to the server's first address, over the first path.
func (b *Bed) Dial(cfg *mptcp.Config, app *App) *App {
	b.T.Helper()
	local := netip.AddrPortFrom(ClientAddr(0), 0)
	app, err := b.Client.Dial(b.Net.Now(), local, netip.AddrPortFrom(ServerAddr(0), ServerPort), cfg, app)
	must(b.T, err)
	return app
}

// Run lets the network run until the condition holds; otherwise the test
// fails, with what was wanted.
func (b *Bed) Run(want string, limit time.Duration, until func() bool) {
	b.T.Helper()
	if err := b.Net.Run(until, limit); err != nil {
		b.T.Fatalf("%s: %v\nclient %+v\nserver %+v", want, err, b.describe(b.Client), b.describe(b.Server))
	}
}

func (b *Bed) describe(h *Host) string {
	var s string
	for _, a := range h.Apps {
		s += fmt.Sprintf("\n  to send %d, received %d, err %v, %+v", len(a.Send), a.Received.Len(), a.Err, a.Conn.Info(b.Net.Now()))
	}
	return s
}

// Gone reports whether neither host has any connection left.
func (b *Bed) Gone() bool {
	return b.Client.Stack.Stats().Connections == 0 && b.Server.Stack.Stats().Connections == 0
}

// Pattern is n bytes that look random and are the same for the same seed.
func Pattern(n int, seed uint64) []byte {
	b := make([]byte, n)
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
