package lab

import (
	"sync"
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/wire"
)

// The MTU of a device whose line does not set one: Ethernet's.
const defaultMTU = 1500

// Line is an emulated line between two devices, A and B. Its methods may be
// called from any goroutine.
type Line struct {
	name        string
	a, b        *end
	there, back *direction
}

func newLine(name string, there, back *sim.Pipe) *Line {
	l := &Line{name: name, there: newDirection(there), back: newDirection(back)}
	l.a = newEnd(l.there, l.back)
	l.b = newEnd(l.back, l.there)
	return l
}

// Name is the name the line was made with.
func (l *Line) Name() string { return l.name }

// A gives the device at the near end of the line.
func (l *Line) A() link.Device { return l.a }

// B gives the device at the far end of the line.
func (l *Line) B() link.Device { return l.b }

// Down cuts the line: what is on it is lost, and so is everything sent until
// Up. The devices do not notice, as with a cable pulled behind the next
// switch.
func (l *Line) Down() { l.each(func(now time.Time, p *sim.Pipe) { p.Down(now) }) }

// Up ends Down.
func (l *Line) Up() { l.each(func(_ time.Time, p *sim.Pipe) { p.Up() }) }

// Set changes both directions from now on.
func (l *Line) Set(there, back sim.LinkConfig) {
	l.there.change(func(now time.Time, p *sim.Pipe) { p.Set(now, there) })
	l.back.change(func(now time.Time, p *sim.Pipe) { p.Set(now, back) })
}

// Counters gives what the line did to packets from A to B, and from B to A.
func (l *Line) Counters() (there, back sim.Counters) {
	l.there.change(func(_ time.Time, p *sim.Pipe) { there = p.Counters() })
	l.back.change(func(_ time.Time, p *sim.Pipe) { back = p.Counters() })
	return there, back
}

func (l *Line) each(f func(time.Time, *sim.Pipe)) {
	l.there.change(f)
	l.back.change(f)
}

// direction is a pipe in real time. It has no goroutine: whoever reads waits
// until the next packet is due.
type direction struct {
	wake chan struct{} // tells the reader to look again

	mu         sync.Mutex
	pipe       *sim.Pipe
	sleepUntil time.Time // the reader's; zero: until woken
	closed     bool
	scratch    []byte // for cutting large packets
}

func newDirection(p *sim.Pipe) *direction {
	return &direction{wake: make(chan struct{}, 1), pipe: p}
}

// change does something to the pipe and lets the reader know.
func (d *direction) change(f func(time.Time, *sim.Pipe)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(time.Now(), d.pipe)
	d.wakeReader()
}

// wakeReader wakes the reader if a packet is due before it would wake.
func (d *direction) wakeReader() {
	next := d.pipe.Next()
	if !d.closed && (next.IsZero() || !d.sleepUntil.IsZero() && !next.Before(d.sleepUntil)) {
		return
	}
	select {
	case d.wake <- struct{}{}:
	default: // it has been told already
	}
}

// send puts packets on the line. Those that are too large for it are handed to
// tooBig.
func (d *direction) send(pkts []link.Packet, tooBig func(pkt []byte, mtu int)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for _, p := range pkts {
		if p.SegSize > 0 || p.PartialChecksum {
			if d.scratch == nil {
				d.scratch = make([]byte, 0, 1<<16)
			}
			wire.Split(p.Data, p.SegSize, d.scratch, func(piece []byte) { d.sendOne(now, piece, tooBig) })
			continue
		}
		d.sendOne(now, p.Data, tooBig)
	}
	d.wakeReader()
}

func (d *direction) sendOne(now time.Time, pkt []byte, tooBig func([]byte, int)) {
	if d.pipe.Send(now, pkt, wire.Offload{}) != sim.LostMTU {
		return
	}
	if cfg := d.pipe.Config(); !cfg.NoICMP {
		tooBig(pkt, cfg.MTU)
	}
}

// recv waits for packets that have arrived.
func (d *direction) recv(pkts []link.Packet, timer *time.Timer) (int, error) {
	for {
		n, next, closed := d.take(pkts)
		if closed {
			return 0, link.ErrClosed
		}
		if n > 0 {
			return n, nil
		}
		if next.IsZero() {
			<-d.wake
			continue
		}
		timer.Reset(time.Until(next))
		select {
		case <-d.wake:
		case <-timer.C:
		}
	}
}

// take fills pkts with what has arrived, and says when to look again if that
// is nothing.
func (d *direction) take(pkts []link.Packet) (n int, next time.Time, closed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, time.Time{}, true
	}
	now := time.Now()
	for n < len(pkts) {
		data, _, ok := d.pipe.Recv(now)
		if !ok {
			break
		}
		pkts[n] = link.Packet{Data: append(pkts[n].Data[:0], data...)}
		n++
	}
	if n == 0 {
		d.sleepUntil = d.pipe.Next()
	}
	return n, d.sleepUntil, false
}

func (d *direction) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.wakeReader()
}

func (d *direction) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// end is the device at one end of a line.
type end struct {
	out, in  *direction
	features link.Features
	timer    *time.Timer // the reader's
}

func newEnd(out, in *direction) *end {
	mtu := out.pipe.Config().MTU
	if mtu == 0 {
		mtu = defaultMTU
	}
	return &end{out: out, in: in, features: link.Features{MTU: mtu}}
}

// Features implements link.Device. The device takes no large packets, so that
// each takes its turn on the line. The MTU is the one the line began with: a
// line that Set makes narrower is a router's behind the device.
func (e *end) Features() link.Features { return e.features }

// Read implements link.Device.
func (e *end) Read(pkts []link.Packet) (int, error) {
	if len(pkts) == 0 {
		return 0, nil
	}
	if e.timer == nil {
		e.timer = time.NewTimer(time.Hour)
	}
	return e.in.recv(pkts, e.timer)
}

// Write implements link.Device.
func (e *end) Write(pkts []link.Packet) (int, error) {
	if e.in.isClosed() {
		return 0, link.ErrClosed
	}
	var answers []link.Packet
	e.out.send(pkts, func(pkt []byte, mtu int) {
		ip, err := wire.ParseIP(pkt)
		if err != nil {
			return
		}
		answers = append(answers, link.Packet{Data: wire.AppendICMPTooBig(nil, ip.Dst, mtu, pkt)})
	})
	if len(answers) > 0 {
		e.in.send(answers, func([]byte, int) {})
	}
	return len(pkts), nil
}

// Close implements link.Device: nothing can be read from or written to this
// end any more. The other end goes on talking to itself.
func (e *end) Close() error {
	e.in.close()
	return nil
}
