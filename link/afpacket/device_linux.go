package afpacket

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/internal/vnet"
)

// Device is a packet socket on one interface. It implements link.Device.
type Device struct {
	mtu      int
	addrs    []netip.Addr
	reserved []int // listening sockets
	hops     *hops

	file *os.File // locks out Close while a call is under way
	raw  syscall.RawConn
	gone atomic.Bool // the interface was deleted
	rx   reader
	tx   writer
}

// headLen is what goes ahead of an IP packet: the offload header, then that of
// Ethernet.
const headLen = vnet.Size + etherLen

// start binds the functions that Read and Write pass to the poller, once, so
// that they allocate nothing.
func (d *Device) start(s *sender) {
	d.rx.vec = vnet.NewVec(d.rx.head[:])
	d.rx.step = d.rx.readAll
	d.tx.sender = s
	d.tx.hops = d.hops
	d.tx.step = d.tx.writeAll
}

// Addrs are the addresses whose packets the device takes.
func (d *Device) Addrs() []netip.Addr { return d.addrs }

// Features implements link.Device.
func (d *Device) Features() link.Features {
	return link.Features{MTU: d.mtu, MaxPacket: MaxPacket, Checksum: true, Gather: true}
}

// Close implements link.Device and gives the ports back.
func (d *Device) Close() error {
	if d.file.Close() != nil {
		return nil // closed before
	}
	d.hops.close()
	d.release()
	return nil
}

// setGone ends calls under way and those to come. The socket itself says only
// that the interface is down.
func (d *Device) setGone() {
	d.gone.Store(true)
	d.file.SetDeadline(time.Unix(1, 0))
}

// rawError says why the poller gave a call up.
func (d *Device) rawError() error {
	if d.gone.Load() {
		return ErrGone
	}
	return link.ErrClosed
}

// Read implements link.Device. It returns ErrGone when the interface was
// deleted.
func (d *Device) Read(pkts []link.Packet) (n int, err error) {
	if len(pkts) == 0 {
		return 0, nil
	}
	d.rx.pkts, d.rx.n, d.rx.errno = pkts, 0, 0
	err = d.raw.Read(d.rx.step)
	n, d.rx.pkts = d.rx.n, nil
	switch {
	case err != nil:
		return 0, d.rawError()
	case n > 0:
		return n, nil // an error comes again at the next call
	}
	return 0, callError("read", d.rx.errno)
}

type reader struct {
	head  [headLen]byte
	vec   *vnet.Vec // whose head is head
	pkts  []link.Packet
	n     int        // how many of them are done
	errno unix.Errno // what ended the call early
	step  func(uintptr) bool
}

// readAll reads what is there. It returns false when there is nothing, which
// lets the caller wait and come back.
func (r *reader) readAll(fd uintptr) bool {
	for r.n < len(r.pkts) {
		p := &r.pkts[r.n]
		buf := p.Data[:cap(p.Data)]
		n, errno := r.vec.Read(fd, buf)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return r.n > 0
		case unix.ENETDOWN:
			continue // told once when the interface goes down; it may come up again
		default:
			r.errno = errno
			return true
		}
		p.Data = trim(buf[:n])
		(*vnet.Header)(r.head[:vnet.Size]).Decode(p)
		r.n++
	}
	return true
}

// trim cuts off what Ethernet adds to short frames.
func trim(b []byte) []byte {
	if len(b) < 20 || len(b) > 64 {
		return b
	}
	total := len(b)
	switch b[0] >> 4 {
	case 4:
		total = int(binary.BigEndian.Uint16(b[2:]))
	case 6:
		total = 40 + int(binary.BigEndian.Uint16(b[4:]))
	}
	return b[:min(total, len(b))]
}

// Write implements link.Device. It waits while the socket's buffer is full. It
// returns ErrPacket, wrapped, at a packet that cannot be sent as it is, with n
// packets ahead of it sent; and ErrGone when the interface was deleted. Packets
// to a host whose link-layer address is being asked for wait, a few of them;
// those to a host that does not answer, or written while the interface is down,
// are lost.
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
	case d.tx.errno == unix.EINVAL, d.tx.errno == unix.EMSGSIZE:
		return n, fmt.Errorf("%w: %w", ErrPacket, d.tx.errno)
	}
	return n, callError("write", d.tx.errno)
}

type writer struct {
	*sender
	hops  *hops
	pkts  []link.Packet
	n     int
	errno unix.Errno
	bad   error // why the packet at n cannot be sent
	step  func(uintptr) bool
}

// writeAll writes all packets. It returns false when the socket's buffer is
// full, which lets the caller wait and come back.
func (w *writer) writeAll(fd uintptr) bool {
	for w.n < len(w.pkts) {
		p := &w.pkts[w.n]
		dst, ok := destination(p.Data)
		if !ok {
			w.bad = errNotIP
			return true
		}
		mac, ok := w.hops.lookup(dst, p)
		if !ok {
			w.n++ // held back or lost
			continue
		}
		var errno unix.Errno
		if errno, w.bad = w.send(fd, mac, p); w.bad != nil {
			return true
		}
		switch errno {
		case 0, unix.ENOBUFS, unix.ENOMEM, unix.ENETDOWN:
			w.n++
		case unix.EAGAIN:
			return false
		default:
			w.errno = errno
			return true
		}
	}
	return true
}

func callError(what string, errno unix.Errno) error {
	if errno == unix.ENXIO || errno == unix.ENODEV {
		return ErrGone
	}
	return fmt.Errorf("afpacket: %s: %w", what, errno)
}

var _ link.Device = (*Device)(nil)
