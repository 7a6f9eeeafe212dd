package host

import (
	"net/netip"
	"sync"
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// MaxPacket is the largest packet a stack builds, and so the room it needs:
// 65,535 bytes of IPv6 payload and the header before them.
const MaxPacket = 65575

// A batch has room for seven packets of full size, or some hundreds that fit
// an Ethernet frame: enough to make one lock and one wake-up of the device's
// writer cheap, little enough to stay in the second-level cache.
const arenaSize = 512 << 10

// batch is what one turn of shard.leave takes out of the stack: packets for
// the devices and goroutines to be woken. It belongs to the goroutine that got
// it from the pool.
type batch struct {
	arena   []byte         // what is written here of packets
	pieces  []stream.Piece // what is not: payload of large ones
	payload [][]byte       // the same as devices want it
	out     []outgoing
	waking  []*waiter
}

// outgoing are the packets of a batch for one device.
type outgoing struct {
	dev  *device
	pkts []link.Packet
}

var batches = sync.Pool{New: func() any { return &batch{arena: make([]byte, arenaSize)} }}

// fill takes packets from the stack until it has no more, in which case dry is
// true, or the batch is full.
func (b *batch) fill(s *shard, now time.Time) (dry bool) {
	free := b.arena
	for total := 0; total+MaxPacket <= len(b.arena); {
		from := len(b.pieces)
		var n int
		var off wire.Offload
		var ok bool
		n, b.pieces, off, ok = s.stack.OutputPieces(now, free, b.pieces)
		if !ok {
			return true
		}
		// The next packet must not be able to grow into this one, nor
		// this one into the next when a device appends to it.
		pkt := link.Packet{
			Data: free[:n:n], Payload: b.refer(from), SegSize: off.SegSize, PartialChecksum: off.PartialChecksum,
		}
		free = free[n:]
		total += pkt.Len()
		if dev := s.routes[sourceOf(pkt.Data)]; dev != nil {
			b.add(dev, pkt)
		}
		// Else the address was removed after the packet was due, which the
		// network could have done to it as well.
	}
	return false
}

// refer gives the pieces from the given one on in a device's terms.
func (b *batch) refer(from int) [][]byte {
	had := len(b.payload)
	for _, p := range b.pieces[from:] {
		b.payload = append(b.payload, p.Data)
	}
	return b.payload[had:len(b.payload):len(b.payload)]
}

// release lets go of the pieces. The shard's lock is held.
func (b *batch) release() {
	stream.Release(b.pieces)
	clear(b.payload)
	b.pieces, b.payload = b.pieces[:0], b.payload[:0]
}

// add queues a packet for a device.
func (b *batch) add(dev *device, pkt link.Packet) {
	for i := range b.out {
		if b.out[i].dev == dev {
			b.out[i].pkts = append(b.out[i].pkts, pkt)
			return
		}
	}
	// Take back the slice that an earlier use left behind the end, if any.
	if n := len(b.out); n < cap(b.out) {
		b.out = b.out[:n+1]
	} else {
		b.out = append(b.out, outgoing{})
	}
	last := &b.out[len(b.out)-1]
	last.dev, last.pkts = dev, append(last.pkts[:0], pkt)
}

// sourceOf gives the source address of an IP packet from our own stack.
func sourceOf(pkt []byte) netip.Addr {
	if pkt[0]>>4 == 4 {
		return netip.AddrFrom4([4]byte(pkt[12:16]))
	}
	return netip.AddrFrom16([16]byte(pkt[8:24]))
}

// lockDevices is called with the shard's lock held, so that two batches cannot
// wait for each other.
func (b *batch) lockDevices() {
	for i := range b.out {
		b.out[i].dev.writing.Lock()
	}
}

// send writes the packets and unlocks the devices.
func (b *batch) send() {
	for i := range b.out {
		o := &b.out[i]
		o.dev.write(o.pkts)
		o.dev.writing.Unlock()
		clear(o.pkts)
		o.dev, o.pkts = nil, o.pkts[:0]
	}
	b.out = b.out[:0]
}

// wake wakes whom the events concern. It is done after the shard's lock is
// released, or they would wake only to wait for it.
func (b *batch) wake() {
	for i, w := range b.waking {
		w.cond.Broadcast()
		b.waking[i] = nil
	}
	b.waking = b.waking[:0]
}
