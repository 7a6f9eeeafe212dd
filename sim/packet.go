package sim

import (
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// packet is one packet on its way through a Pipe, in a buffer that will be
// used again.
type packet struct {
	at    time.Time // when it arrives
	order uint64    // decides between packets that arrive at once
	data  []byte
	off   wire.Offload
	class int
	next  *packet // behind it in the queue, or in the pool
}

// bufferSizes are what packets come in: an Ethernet frame, a jumbo frame, and
// the largest segment a stack builds.
var bufferSizes = [...]int{2048, 10240, 65536 + 64}

// pool keeps the packets that are not in use.
type pool struct{ free [len(bufferSizes)]*packet }

// get gives a packet that holds a copy of data.
func (p *pool) get(data []byte, off wire.Offload) *packet {
	class := 0
	for class < len(bufferSizes)-1 && bufferSizes[class] < len(data) {
		class++
	}
	pk := p.free[class]
	if pk == nil {
		pk = &packet{data: make([]byte, 0, max(bufferSizes[class], len(data))), class: class}
	} else {
		p.free[class] = pk.next
	}
	pk.next = nil
	pk.data = append(pk.data[:0], data...)
	pk.off = off
	return pk
}

func (p *pool) put(pk *packet) {
	pk.next = p.free[pk.class]
	p.free[pk.class] = pk
}

// fifo is the queue in front of a line.
type fifo struct {
	head, tail *packet
	packets    int
	bytes      int // of Ethernet frames
}

func (q *fifo) push(pk *packet) {
	if q.tail == nil {
		q.head = pk
	} else {
		q.tail.next = pk
	}
	q.tail = pk
	q.packets++
	q.bytes += len(pk.data) + EthernetHeader
}

func (q *fifo) pop() *packet {
	pk := q.head
	if q.head = pk.next; q.head == nil {
		q.tail = nil
	}
	pk.next = nil
	q.packets--
	q.bytes -= len(pk.data) + EthernetHeader
	return pk
}

// flight holds the packets that have been sent and not arrived yet: a binary
// heap by arrival, then by order.
type flight []*packet

func (f flight) before(i, j int) bool {
	if c := f[i].at.Compare(f[j].at); c != 0 {
		return c < 0
	}
	return f[i].order < f[j].order
}

func (f *flight) push(pk *packet) {
	*f = append(*f, pk)
	h := *f
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.before(i, up) {
			return
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (f *flight) pop() *packet {
	h := *f
	top, n := h[0], len(h)-1
	h[0], h[n] = h[n], nil
	h = h[:n]
	*f = h
	for i := 0; ; {
		down := 2*i + 1
		if down >= n {
			return top
		}
		if down+1 < n && h.before(down+1, down) {
			down++
		}
		if !h.before(down, i) {
			return top
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
}
