package tun

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/internal/vnet"
)

// Device is one queue of a TUN interface. It implements link.Poller.
//
// Waiting is left to the runtime's poller. A thread of our own that blocks in
// poll(2) wakes up no quicker, and it costs up to 20 times as much whenever the
// scheduler has no processor to spare for it.
type Device struct {
	name  string
	index int
	mtu   int

	file   *os.File // locks out Close while a call is under way
	raw    syscall.RawConn
	closed atomic.Bool
	rx     reader
	tx     writer
	wait   waiter
}

// transfer is one direction's call under way.
type transfer struct {
	header vnet.Header
	vec    *vnet.Vec // whose head is header
	pkts   []link.Packet
	n      int        // how many of them are done
	errno  unix.Errno // what ended the call early
}

// newDevice takes fd over. It must be attached to an interface, or the poller
// does not take it.
func newDevice(fd int, name string) (*Device, error) {
	d := &Device{name: name, file: os.NewFile(uintptr(fd), driver)}
	raw, err := d.file.SyscallConn()
	if err != nil {
		d.file.Close()
		return nil, fmt.Errorf("tun: %w", err)
	}
	d.raw = raw
	d.rx.vec = vnet.NewVec(d.rx.header[:])
	d.rx.step = d.rx.readAll
	d.rx.once = func(fd uintptr) { d.rx.readAll(fd) }
	d.wait.step = d.wait.look
	d.tx.vec = vnet.NewVec(d.tx.header[:])
	d.tx.mtu = &d.mtu
	d.tx.step = d.tx.writeAll
	return d, nil
}

// Name is the interface's name at the time of Open.
func (d *Device) Name() string { return d.name }

// Index is the interface's index, which a change of name leaves alone.
func (d *Device) Index() int { return d.index }

// Features implements link.Device.
func (d *Device) Features() link.Features {
	return link.Features{MTU: d.mtu, MaxPacket: MaxPacket, Checksum: true, Gather: true}
}

// Close implements link.Device. Closing the last queue of an interface made by
// Open deletes the interface.
func (d *Device) Close() error {
	d.closed.Store(true)
	d.file.Close() // fails only when it was closed before
	return nil
}

// rawError says why the poller gave a call up. It does so for a device that was
// closed, and for one whose interface was deleted while the call waited: such a
// file cannot be polled any more.
func (d *Device) rawError() error {
	if d.closed.Load() {
		return link.ErrClosed
	}
	return ErrGone
}

// Read implements link.Device. It returns ErrGone when the interface was
// deleted.
func (d *Device) Read(pkts []link.Packet) (n int, err error) {
	if len(pkts) == 0 {
		return 0, nil
	}
	d.rx.pkts, d.rx.n, d.rx.errno = pkts, 0, 0
	return d.wasRead(d.raw.Read(d.rx.step))
}

// Poll implements link.Poller, with the errors of Read. It goes past the runtime's
// poller, which has but one place for a goroutine that reads or waits to.
func (d *Device) Poll(pkts []link.Packet) (n int, err error) {
	d.rx.pkts, d.rx.n, d.rx.errno = pkts, 0, 0
	return d.wasRead(d.raw.Control(d.rx.once))
}

// wasRead is the result of Read and Poll, given the poller's.
func (d *Device) wasRead(err error) (n int, _ error) {
	n, d.rx.pkts = d.rx.n, nil
	switch {
	case err != nil:
		return 0, d.rawError()
	case n > 0 || d.rx.errno == 0:
		return n, nil // an error comes again at the next call
	case d.rx.errno == unix.EBADFD, d.rx.errno == unix.EFAULT: // EFAULT: deleted during the call
		return 0, ErrGone
	}
	return 0, fmt.Errorf("tun: read %s: %w", d.name, d.rx.errno)
}

// Wait implements link.Poller, with the errors of Read.
func (d *Device) Wait() error {
	d.wait.looked = false
	if err := d.raw.Read(d.wait.step); err != nil {
		return d.rawError()
	}
	return nil
}

// waiter is a Wait under way.
type waiter struct {
	looked bool
	step   func(uintptr) bool // look, bound once so that Wait allocates nothing
}

// look lets the caller wait, once, if there is nothing to read. What came before
// the runtime's poller was asked it does not tell of, so that is seen here.
func (w *waiter) look(fd uintptr) bool {
	if w.looked {
		return true
	}
	w.looked = true
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], 0)
	return n != 0 || err != nil // an error is for Poll to meet
}

type reader struct {
	transfer
	step func(uintptr) bool // readAll, bound once so that Read allocates nothing
	once func(uintptr)      // likewise
}

// readAll reads what is there. It returns false when there is nothing, which
// lets the caller wait and come back.
func (r *reader) readAll(fd uintptr) bool {
	for r.n < len(r.pkts) {
		p := &r.pkts[r.n]
		buf := p.Data[:cap(p.Data)]
		n, errno := r.vec.Read(fd, buf)
		if errno == unix.EAGAIN {
			return r.n > 0
		}
		if errno != 0 {
			r.errno = errno
			return true
		}
		p.Data = buf[:n]
		r.header.Decode(p)
		r.n++
	}
	return true
}

// Write implements link.Device. It returns ErrPacket, wrapped, at a packet that
// cannot be sent as it is, with n packets ahead of it sent; and ErrGone when
// the interface was deleted. Packets written while the interface is down, or
// while the kernel has no memory, are lost.
func (d *Device) Write(pkts []link.Packet) (n int, err error) {
	d.tx.pkts, d.tx.n, d.tx.errno, d.tx.bad = pkts, 0, 0, nil
	err = d.raw.Write(d.tx.step)
	n, d.tx.pkts = d.tx.n, nil
	switch {
	case err != nil:
		return n, d.rawError()
	case d.tx.bad != nil:
		return n, fmt.Errorf("%w: %w", ErrPacket, d.tx.bad)
	case d.tx.errno == 0:
		return n, nil
	case d.tx.errno == unix.EBADFD:
		return n, ErrGone
	case d.tx.errno == unix.EINVAL:
		return n, fmt.Errorf("%w: %w", ErrPacket, d.tx.errno)
	}
	return n, fmt.Errorf("tun: write %s: %w", d.name, d.tx.errno)
}

type writer struct {
	transfer
	mtu  *int
	bad  error              // why the packet at n has no header
	step func(uintptr) bool // writeAll, bound once so that Write allocates nothing
}

// writeAll writes all packets. It never waits: the kernel's queue towards
// itself has no limit that a sender meets.
func (w *writer) writeAll(fd uintptr) bool {
	for w.n < len(w.pkts) {
		p := &w.pkts[w.n]
		if w.bad = w.header.Encode(p, 0, *w.mtu); w.bad != nil {
			return true
		}
		switch errno := w.vec.Write(fd, p.Data, p.Payload); errno {
		case 0, unix.EIO, unix.ENOMEM, unix.ENOBUFS, unix.EAGAIN: // EIO: the interface is down
			w.n++
		default:
			w.errno = errno
			return true
		}
	}
	return true
}

var _ link.Poller = (*Device)(nil)
