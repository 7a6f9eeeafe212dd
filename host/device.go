package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// device is a link.Device in service.
type device struct {
	dev      link.Device
	features link.Features
	addrs    []netip.Addr  // guarded by the shard's lock
	done     chan struct{} // closed when the reader has ended

	reading sync.Mutex  // held from reading packets until the stack has them; guards in
	poller  link.Poller // nil: only the reader can read
	in      *inbox

	writing sync.Mutex // held while writing; guards what is below
	cutter  cutter
}

func (s *shard) addDevice(dev link.Device, addrs []stack.Address) error {
	d := &device{dev: dev, features: dev.Features(), done: make(chan struct{})}
	d.poller, _ = dev.(link.Poller)
	d.in = s.newInbox(d)
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

func (s *shard) setFlags(addr netip.Addr, flags mptcp.EndpointFlags) error {
	now := s.enter()
	defer func() { s.leave(now) }()
	if err := s.stack.SetFlags(now, addr, flags); err != nil {
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
