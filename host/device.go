package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// maxReadBatch is how many packets one Read asks for at most, and readArena how
// many bytes: Input handles them under one lock and answers all of them
// together, while they are still in the second-level cache.
const (
	maxReadBatch = 64
	readArena    = 512 << 10
)

// device is a link.Device in service.
type device struct {
	dev      link.Device
	features link.Features
	addrs    []netip.Addr  // guarded by the shard's lock
	done     chan struct{} // closed when the reader has ended

	writing sync.Mutex // held while writing; guards what is below
	cutter  cutter
}

func (s *shard) addDevice(dev link.Device, addrs []stack.Address) error {
	d := &device{dev: dev, features: dev.Features(), done: make(chan struct{})}
	now := s.enter()
	if s.closed {
		s.mu.Unlock()
		return ErrHostClosed
	}
	for _, a := range addrs {
		if err := s.putAddress(now, d, a); err != nil {
			s.takeAddresses(now, d)
			s.leave(now)
			return err
		}
	}
	s.devices = append(s.devices, d)
	s.goroutines.Go(func() { s.read(d) })
	s.leave(now)
	return nil
}

func (s *shard) addAddress(dev link.Device, a stack.Address) error {
	now := s.enter()
	defer func() { s.leave(now) }()
	if s.closed {
		return ErrHostClosed
	}
	d := s.findDevice(dev)
	if d == nil {
		return ErrNoDevice
	}
	return s.putAddress(now, d, a)
}

func (s *shard) removeAddress(addr netip.Addr) error {
	now := s.enter()
	defer func() { s.leave(now) }()
	d := s.routes[addr]
	if d == nil {
		return fmt.Errorf("host: no address %v", addr)
	}
	return s.takeAddress(now, d, addr)
}

func (s *shard) setBackup(addr netip.Addr, backup bool) error {
	now := s.enter()
	defer func() { s.leave(now) }()
	if err := s.stack.SetBackup(now, addr, backup); err != nil {
		return fmt.Errorf("host: %w", err)
	}
	return nil
}

func (s *shard) removeDevice(dev link.Device) error {
	now := s.enter()
	d := s.findDevice(dev)
	if d == nil {
		s.mu.Unlock()
		return ErrNoDevice
	}
	s.detach(now, d)
	s.leave(now)
	err := d.dev.Close()
	<-d.done
	return err
}

// detach takes a device and its addresses out of service.
func (s *shard) detach(now time.Time, d *device) {
	s.devices = slices.DeleteFunc(s.devices, func(o *device) bool { return o == d })
	s.takeAddresses(now, d)
}

func (s *shard) findDevice(dev link.Device) *device {
	i := slices.IndexFunc(s.devices, func(d *device) bool { return d.dev == dev })
	if i < 0 {
		return nil
	}
	return s.devices[i]
}

func (s *shard) putAddress(now time.Time, d *device, a stack.Address) error {
	if a.MTU == 0 {
		a.MTU = d.features.MTU
	}
	if err := s.stack.AddAddress(now, a); err != nil {
		return fmt.Errorf("host: address %v: %w", a.Addr, err)
	}
	s.routes[a.Addr] = d
	d.addrs = append(d.addrs, a.Addr)
	return nil
}

// takeAddress removes the route too: whatever the stack still wants to say
// from this address has no way out any more.
func (s *shard) takeAddress(now time.Time, d *device, addr netip.Addr) error {
	delete(s.routes, addr)
	d.addrs = slices.DeleteFunc(d.addrs, func(a netip.Addr) bool { return a == addr })
	return s.stack.RemoveAddress(now, addr)
}

func (s *shard) takeAddresses(now time.Time, d *device) {
	for len(d.addrs) > 0 {
		if err := s.takeAddress(now, d, d.addrs[0]); err != nil {
			panic(fmt.Sprintf("BUG: the stack lost an address: %v", err))
		}
	}
}

// inbox is what a device reads into. A connection may keep the memory that a
// packet came in; the next one then goes into other memory.
type inbox struct {
	pkts    []link.Packet
	buffers []*stream.Buffer
}

// newInbox makes an inbox for d.
func (s *shard) newInbox(d *device) *inbox {
	size := d.features.MTU
	if d.features.MaxPacket > 0 {
		size = MaxPacket
	}
	n := min(readArena/size, maxReadBatch)
	in := &inbox{make([]link.Packet, n), make([]*stream.Buffer, n)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range in.buffers {
		in.buffers[i] = s.stack.Buffer(size)
		in.empty(i)
	}
	return in
}

// empty makes place i ready for a packet.
func (in *inbox) empty(i int) { in.pkts[i] = link.Packet{Data: in.buffers[i].Mem} }

// read gives what arrives on d to the stack until d is closed or fails.
func (s *shard) read(d *device) {
	defer close(d.done)
	in := s.newInbox(d)
	for {
		n, err := d.dev.Read(in.pkts)
		s.input(in, n)
		if err != nil {
			s.readFailed(d, err)
			return
		}
	}
}

// input handles the first n packets.
func (s *shard) input(in *inbox, n int) {
	if n == 0 {
		return
	}
	now := s.enter()
	for i := range n {
		p := &in.pkts[i]
		off := wire.Offload{SegSize: p.SegSize, PartialChecksum: p.PartialChecksum}
		s.stack.InputBuffer(now, p.Data, off, in.buffers[i])
		in.buffers[i] = in.buffers[i].Renew()
		in.empty(i)
	}
	s.leave(now)
}

// readFailed ends the service of a device that gives no packets any more. One
// that was closed by us has ended already.
func (s *shard) readFailed(d *device, err error) {
	now := s.enter()
	ours := s.closed || s.findDevice(d.dev) == nil
	if !ours {
		s.detach(now, d)
	}
	s.leave(now)
	if ours {
		return
	}
	if closeErr := d.dev.Close(); closeErr != nil {
		err = errors.Join(err, closeErr)
	}
	if s.cfg.DeviceFailed != nil {
		s.cfg.DeviceFailed(d.dev, err)
	}
}

// write passes packets to the device, after doing for it what it cannot do
// itself. An error is the loss of the packets, which the connections notice as
// any other; that the device has failed for good its reader finds out.
func (d *device) write(pkts []link.Packet) {
	for len(pkts) > 0 {
		var ready []link.Packet
		ready, pkts = d.cutter.prepare(pkts, d.features)
		for len(ready) > 0 {
			n, err := d.dev.Write(ready)
			if err != nil {
				return
			}
			ready = ready[n:]
		}
	}
}
