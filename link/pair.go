package link

import "sync"

// PairConfig sets up a Pair.
type PairConfig struct {
	Features Features // of both ends; MTU 0 means 65,535
	// Queue is how many bytes of packets may wait in each direction; 0 means
	// 8 MiB. What does not fit is dropped, as by the queue of an interface.
	Queue int
}

const (
	defaultPairMTU   = 65535
	defaultPairQueue = 8 << 20
)

// End is one of two in-memory devices connected back to back.
type End struct {
	features Features
	in, out  *queue
}

// NewPair connects two Devices: what is written to one is read from the other,
// in order. Large packets pass whole with their SegSize, and a checksum that
// was left to the device is not computed, as on a loopback interface, but
// vouched for: the memory between the ends does not damage packets.
//
// Neither Read nor Write allocates once the queues have grown to what the
// traffic needs.
func NewPair(cfg PairConfig) (a, b *End) {
	if cfg.Features.MTU == 0 {
		cfg.Features.MTU = defaultPairMTU
	}
	if cfg.Queue == 0 {
		cfg.Queue = defaultPairQueue
	}
	ab, ba := newQueue(cfg.Queue), newQueue(cfg.Queue)
	return &End{cfg.Features, ba, ab}, &End{cfg.Features, ab, ba}
}

// Features implements Device.
func (e *End) Features() Features { return e.features }

// Read implements Device.
func (e *End) Read(pkts []Packet) (int, error) {
	if len(pkts) > 0 {
		if err := e.in.wait(); err != nil {
			return 0, err
		}
	}
	return e.in.get(pkts)
}

// Wait implements Poller.
func (e *End) Wait() error { return e.in.wait() }

// Poll implements Poller.
func (e *End) Poll(pkts []Packet) (int, error) { return e.in.get(pkts) }

// Write implements Device. It never waits: two hosts that write to each other
// while holding their locks would wait for ever. Packets larger than the
// features allow are dropped.
func (e *End) Write(pkts []Packet) (int, error) { return e.out.put(pkts, e.features) }

// Dropped is how many packets written to this end were lost, because the queue
// was full, the packet too large, or the other end closed.
func (e *End) Dropped() uint64 {
	e.out.mu.Lock()
	defer e.out.mu.Unlock()
	return e.out.dropped
}

// Close implements Device. The other end stays open; what is written to it
// from now on is lost, and what it has not read yet it can still read.
func (e *End) Close() error {
	e.in.closeReader()
	e.out.closeWriter()
	return nil
}

// queue is one direction of a Pair: packets in a ring of bytes, each in one
// piece, described by a ring of records.
type queue struct {
	limit int // bytes the ring may grow to

	mu           sync.Mutex
	arrived      sync.Cond
	ring         []byte
	head, tail   int // tail: where the next packet goes; head: the oldest packet's first byte
	records      []record
	first, count int // records in use: count from first on, around the end
	readerGone   bool
	writerGone   bool
	dropped      uint64
}

type record struct {
	start, length   int
	segSize         int
	partialChecksum bool
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit}
	q.arrived.L = &q.mu
	return q
}

// put copies packets into the queue.
func (q *queue) put(pkts []Packet, f Features) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.writerGone {
		return 0, ErrClosed
	}
	for i := range pkts {
		p := &pkts[i]
		if q.readerGone || !f.fits(p) || !q.reserve(len(p.Data)) {
			q.dropped++
			continue
		}
		copy(q.ring[q.tail:], p.Data)
		q.pushRecord(record{q.tail, len(p.Data), p.SegSize, p.PartialChecksum})
		q.tail += len(p.Data)
	}
	q.arrived.Signal()
	return len(pkts), nil
}

// fits reports whether a device of these features takes the packet. Nothing is
// no packet, and would make a full ring look empty.
func (f Features) fits(p *Packet) bool {
	if len(p.Data) == 0 {
		return false
	}
	if p.SegSize > 0 && f.MaxPacket > 0 {
		return len(p.Data) <= f.MaxPacket
	}
	return len(p.Data) <= f.MTU
}

// wait waits for packets.
func (q *queue) wait() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.count == 0 && !q.readerGone {
		q.arrived.Wait()
	}
	if q.readerGone {
		return ErrClosed
	}
	return nil
}

// get copies packets out.
func (q *queue) get(pkts []Packet) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.readerGone {
		return 0, ErrClosed
	}
	n := 0
	for n < len(pkts) && q.count > 0 {
		r := q.popRecord()
		p := &pkts[n]
		// A buffer too small for the packet truncates it, as recv(2) does;
		// the Device contract asks the caller for enough.
		p.Data = p.Data[:min(cap(p.Data), r.length)]
		copy(p.Data, q.ring[r.start:r.start+r.length])
		p.SegSize, p.PartialChecksum = r.segSize, r.partialChecksum
		n++
	}
	return n, nil
}

func (q *queue) closeReader() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.readerGone = true
	q.ring, q.records, q.head, q.tail, q.first, q.count = nil, nil, 0, 0, 0, 0
	q.arrived.Broadcast()
}

func (q *queue) closeWriter() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writerGone = true
}

// reserve makes sure that n bytes in one piece are free at tail.
func (q *queue) reserve(n int) bool {
	for !q.makeRoom(n) {
		if len(q.ring) >= q.limit {
			return false
		}
		q.grow(n)
	}
	return true
}

// makeRoom moves tail to the start of the ring when there is no room behind it
// and enough there. The packets occupy [head, tail), or [head, ...) and
// [0, tail) after such a move.
func (q *queue) makeRoom(n int) bool {
	if q.count == 0 {
		q.head, q.tail = 0, 0
		return n <= len(q.ring)
	}
	if q.tail <= q.head { // moved already
		return q.tail+n <= q.head
	}
	if q.tail+n <= len(q.ring) {
		return true
	}
	if n > q.head {
		return false
	}
	q.tail = 0
	return true
}

// grow enlarges the ring, which puts the packets in order at its start.
func (q *queue) grow(n int) {
	size := max(2*len(q.ring), 64<<10, len(q.ring)+n)
	bigger := make([]byte, min(size, q.limit))
	at := 0
	for i := range q.count {
		r := &q.records[(q.first+i)%len(q.records)]
		copy(bigger[at:], q.ring[r.start:r.start+r.length])
		r.start = at
		at += r.length
	}
	q.ring, q.head, q.tail = bigger, 0, at
}

func (q *queue) pushRecord(r record) {
	if q.count == len(q.records) {
		bigger := make([]record, max(64, 2*len(q.records)))
		for i := range q.count {
			bigger[i] = q.records[(q.first+i)%len(q.records)]
		}
		q.records, q.first = bigger, 0
	}
	q.records[(q.first+q.count)%len(q.records)] = r
	q.count++
}

func (q *queue) popRecord() record {
	r := q.records[q.first]
	q.first = (q.first + 1) % len(q.records)
	q.count--
	if q.count > 0 {
		q.head = q.records[q.first].start
	}
	return r
}
