package stack_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// direct is two stacks with nothing between them: what one says the other hears
// at once. Time passes by a step in each round.
type direct struct {
	t      testing.TB
	client *stack.Stack
	server *stack.Stack
	at     netip.AddrPort // where the server listens
	now    time.Time
	in     map[*stack.Stack]*stream.Buffer // what it reads its next packet into
	pieces []stream.Piece
	tap    func(toServer bool, pkt []byte)
	// Of the last connection.
	dialled, accepted *mptcp.Conn
}

const directStep = 10 * time.Microsecond

// newDirect makes both stacks with addresses on a number of paths.
func newDirect(t testing.TB, paths int, cfg stack.Config) *direct {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	cfg.Rand = r.Uint64
	d := &direct{
		t: t, client: stack.New(cfg), server: stack.New(cfg), now: sim.Epoch,
		at: netip.AddrPortFrom(simtest.ServerAddr(0), simtest.ServerPort),
	}
	const packet = 1<<16 + 64
	d.in = map[*stack.Stack]*stream.Buffer{d.client: d.client.Buffer(packet), d.server: d.server.Buffer(packet)}
	for i := range paths {
		d.check(d.client.AddAddress(d.now, stack.Address{Addr: simtest.ClientAddr(i), Bits: 24, Flags: mptcp.EndpointSubflow}))
		d.check(d.server.AddAddress(d.now, stack.Address{Addr: simtest.ServerAddr(i), Bits: 24, Flags: mptcp.EndpointSignal}))
	}
	_, err := d.server.Listen(d.at, 1<<20)
	d.check(err)
	return d
}

func (d *direct) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// round lets each side say what it has to say, once, and passes events on. It
// reports whether there was anything.
func (d *direct) round() bool {
	d.now = d.now.Add(directStep)
	said := d.pass(d.client, d.server)
	return d.pass(d.server, d.client) || said
}

func (d *direct) pass(from, to *stack.Stack) bool {
	said := false
	for {
		in := d.in[to]
		n, off, ok := d.output(from, in.Mem)
		if !ok {
			break
		}
		said = true
		if d.tap != nil {
			d.tap(to == d.server, in.Mem[:n])
		}
		to.InputBuffer(d.now, in.Mem[:n], off, in)
		d.in[to] = in.Renew()
	}
	for _, s := range [...]*stack.Stack{from, to} {
		if at := s.NextTimeout(); !at.IsZero() && !at.After(d.now) {
			s.Advance(d.now)
		}
		d.events(s)
	}
	return said
}

// output builds a packet as for a device that takes it in pieces.
func (d *direct) output(s *stack.Stack, buf []byte) (n int, off wire.Offload, ok bool) {
	n, d.pieces, off, ok = s.OutputPieces(d.now, buf, d.pieces[:0])
	for _, p := range d.pieces {
		n += copy(buf[n:], p.Data)
	}
	stream.Release(d.pieces)
	return n, off, ok
}

func (d *direct) events(s *stack.Stack) {
	for {
		ev, ok := s.NextEvent()
		if !ok {
			return
		}
		if ev.Kind == stack.Acceptable {
			d.accepted, _ = ev.Listener.Accept()
		}
	}
}

// settle goes on until neither side has anything to say at once.
func (d *direct) settle() {
	for range 1000 {
		if !d.round() {
			return
		}
	}
	d.t.Fatal("the stacks do not come to rest")
}

// connect makes a connection and gives both its ends.
func (d *direct) connect(local netip.AddrPort) (client, server *mptcp.Conn) {
	d.t.Helper()
	d.dialled, d.accepted = nil, nil
	c, err := d.client.Dial(d.now, local, d.at, nil)
	d.check(err)
	d.settle()
	if d.accepted == nil {
		d.t.Fatal("no connection was accepted")
	}
	d.dialled = c
	return c, d.accepted
}

// open is connect with as many subflows as there are paths.
func (d *direct) open(paths int) (client, server *mptcp.Conn) {
	d.t.Helper()
	client, server = d.connect(netip.AddrPort{})
	d.move(client, server, make([]byte, 1000), make([]byte, 1<<16)) // the first data settles it
	for range 1000 {
		up := 0
		for _, sf := range client.Info(d.now).Subflows {
			if sf.Established {
				up++
			}
		}
		if up == paths {
			return client, server
		}
		d.now = d.now.Add(time.Millisecond)
		d.round()
	}
	d.t.Fatalf("got %d subflows, want %d", len(client.Info(d.now).Subflows), paths)
	return nil, nil
}

// move writes all of data at one end and reads it at the other.
func (d *direct) move(from, to *mptcp.Conn, data, into []byte) {
	d.t.Helper()
	want := len(data)
	for idle := 0; want > 0 && idle < 1000; idle++ {
		if len(data) > 0 {
			n, err := from.Write(d.now, data)
			if err != nil && err != mptcp.ErrWouldBlock {
				d.t.Fatal(err)
			}
			data = data[n:]
		}
		d.round()
		for {
			n, err := to.Read(d.now, into)
			if err == mptcp.ErrWouldBlock {
				break
			}
			d.check(err)
			want -= n
			idle = 0
		}
	}
	if want > 0 {
		d.t.Fatalf("%d bytes did not arrive", want)
	}
}
