package host

import (
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// maxReadBatch is how many packets are read at most before the stack gets them,
// and readArena how many bytes: Input handles them under one lock and answers all
// of them together, while they are still in the second-level cache.
const (
	maxReadBatch = 64
	readArena    = 512 << 10
)

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
	for {
		if err := s.readBatch(d); err != nil {
			s.readFailed(d, err)
			return
		}
	}
}

// readBatch waits for packets and gives them to the stack. Where others poll the
// device it may come back without.
func (s *shard) readBatch(d *device) error {
	d.reading.Lock()
	n, err := d.take()
	if n > 0 {
		s.leave(s.input(d, n))
		return err
	}
	d.reading.Unlock()
	if err != nil || d.poller == nil {
		return err
	}
	return d.poller.Wait()
}

// take reads packets into d's inbox. It waits for them where that cannot be done
// otherwise.
func (d *device) take() (n int, err error) {
	if d.poller != nil {
		return d.poller.Poll(d.in.pkts)
	}
	return d.dev.Read(d.in.pkts)
}

// poll gives to the stack what waits in a device that nobody reads from just now,
// and reports whether there was anything. It is for goroutines that would have to
// wait for packets: while the device's reader sends what the last ones led to,
// they fetch the next, and find the bytes they want in their own processor's
// cache.
//
// The lock is held before and after, but not all the time.
func (s *shard) poll() (found bool) {
	for i := 0; i < len(s.devices) && !found; i++ {
		d := s.devices[i]
		if d.poller == nil || !d.reading.TryLock() {
			continue
		}
		s.mu.Unlock()
		if n, _ := d.take(); n > 0 { // an error is for the reader to meet
			s.leave(s.input(d, n))
			found = true
		} else {
			d.reading.Unlock()
		}
		s.mu.Lock()
	}
	return found
}

// input gives the first n packets of d's inbox to the stack, and lets others
// read. The caller, who holds d.reading, is to leave the shard.
func (s *shard) input(d *device, n int) (now time.Time) {
	now = s.enter()
	in := d.in
	for i := range n {
		p := &in.pkts[i]
		off := wire.Offload{SegSize: p.SegSize, PartialChecksum: p.PartialChecksum}
		s.stack.InputBuffer(now, p.Data, off, in.buffers[i])
		in.buffers[i] = in.buffers[i].Renew()
		in.empty(i)
	}
	d.reading.Unlock()
	return now
}
