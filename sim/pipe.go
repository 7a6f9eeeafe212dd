package sim

import (
	"math/rand/v2"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// Pipe is one direction of a line. It is told the time by its caller, which
// must never go backwards, and is owned by one goroutine at a time.
type Pipe struct {
	cfg  LinkConfig
	rng  *rand.Rand
	pool pool
	down bool
	bad  bool // the state of cfg.Burst

	queue     fifo
	busyUntil time.Time // when the packet being sent will have been sent
	carry     int64     // see LinkConfig.sendTime
	flight    flight
	order     uint64
	last      time.Time // the latest arrival among packets that keep their order
	handed    *packet   // what Recv returned last
	counters  Counters

	// dropped is told of every packet that was lost, if set.
	dropped func(at time.Time, why Fate, pkt []byte)
}

// NewPipe makes a line that is up. Two pipes of one seed and stream that are
// given the same packets at the same times treat them alike.
func NewPipe(cfg LinkConfig, seed, stream uint64) *Pipe {
	return &Pipe{cfg: cfg, rng: newRand(seed, stream)}
}

// newRand gives a source of its own for each seed and stream, unlike all
// others however close the numbers are (the mixer is SplitMix64's).
func newRand(seed, stream uint64) *rand.Rand {
	mix := func(x uint64) uint64 {
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	hi := mix(seed + 0x9e3779b97f4a7c15)
	return rand.New(rand.NewPCG(hi, mix(hi+stream*0x9e3779b97f4a7c15)))
}

// Config gives the configuration in force.
func (p *Pipe) Config() LinkConfig { return p.cfg }

// Counters gives what the pipe has done so far.
func (p *Pipe) Counters() Counters { return p.counters }

// Waiting gives the packets in the queue, without the one being sent.
func (p *Pipe) Waiting(now time.Time) int {
	p.advance(now)
	return p.queue.packets
}

// Inside gives the packets that are queued or in flight.
func (p *Pipe) Inside() int { return p.queue.packets + len(p.flight) }

// Set changes the configuration from now on. What was sent already, and the
// packet being sent, arrive as they would have; what waits in the queue is
// sent the new way. Where packets keep their order, those sent later do not
// arrive before them, however short the new delay.
func (p *Pipe) Set(now time.Time, cfg LinkConfig) {
	p.advance(now)
	p.cfg = cfg
	p.bad = p.bad && cfg.Burst.Enter > 0
}

// Down cuts the line: what is inside is lost, and so is everything sent
// before Up.
func (p *Pipe) Down(now time.Time) {
	p.advance(now)
	p.down = true
	for p.queue.head != nil {
		p.lose(now, LostCut, p.queue.pop())
	}
	// What has arrived and was not yet fetched is not on the line any more,
	// but nobody will see the difference.
	for len(p.flight) > 0 {
		p.lose(now, LostCut, p.flight.pop())
	}
	p.busyUntil, p.last, p.carry = now, now, 0
}

// Up ends Down.
func (p *Pipe) Up() { p.down = false }

// IsUp reports whether the line is up.
func (p *Pipe) IsUp() bool { return !p.down }

// Send offers a packet to the line, which copies what it takes. The caller
// cuts large packets first, or none will (see LinkConfig.KeepLarge).
func (p *Pipe) Send(now time.Time, pkt []byte, off wire.Offload) Fate {
	p.advance(now)
	p.counters.Offered++
	p.counters.OfferedBytes += int64(len(pkt))
	if why := p.admit(now, pkt, off); why != Taken {
		p.counters.Lost[why]++
		if p.dropped != nil {
			p.dropped(now, why, pkt)
		}
		return why
	}
	pk := p.pool.get(pkt, off)
	if !p.busyUntil.After(now) {
		p.carry = 0
		p.transmit(now, pk)
		return Taken
	}
	p.queue.push(pk)
	p.counters.MaxQueuePackets = max(p.counters.MaxQueuePackets, p.queue.packets)
	p.counters.MaxQueueBytes = max(p.counters.MaxQueueBytes, p.queue.bytes)
	return Taken
}

// admit says whether a packet gets as far as the queue.
func (p *Pipe) admit(now time.Time, pkt []byte, off wire.Offload) Fate {
	switch {
	case p.down:
		return LostDown
	case p.cfg.MTU > 0 && pieceLen(pkt, off) > p.cfg.MTU:
		return LostMTU
	case !p.busyUntil.After(now):
		return Taken // the line is idle
	case p.cfg.QueuePackets > 0 && p.queue.packets+1 > p.cfg.QueuePackets,
		p.cfg.QueueBytes > 0 && p.queue.bytes+len(pkt)+EthernetHeader > p.cfg.QueueBytes,
		p.cfg.QueueTime > 0 && p.busyUntil.Sub(now)+p.drainTime() > p.cfg.QueueTime:
		return LostQueue
	}
	return Taken
}

// pieceLen is the length of the largest packet that pkt is on the wire.
func pieceLen(pkt []byte, off wire.Offload) int {
	if off.SegSize <= 0 {
		return len(pkt)
	}
	v := viewOf(pkt)
	return min(len(pkt), len(pkt)-len(v.payload)+off.SegSize)
}

// drainTime is how long the queue takes to be sent.
func (p *Pipe) drainTime() time.Duration {
	if p.cfg.Rate <= 0 {
		return 0
	}
	return time.Duration(int64(p.queue.bytes) * 8 * int64(time.Second) / p.cfg.Rate)
}

// advance sends what waits and had its turn by now.
func (p *Pipe) advance(now time.Time) {
	for p.queue.head != nil && !p.busyUntil.After(now) {
		p.transmit(p.busyUntil, p.queue.pop())
	}
}

// transmit sends one packet from start on and decides when it arrives.
func (p *Pipe) transmit(start time.Time, pk *packet) {
	var busy time.Duration
	busy, p.carry = p.cfg.sendTime(len(pk.data), p.carry)
	p.busyUntil = start.Add(busy)
	if why := p.drawLoss(); why != Taken {
		p.lose(p.busyUntil, why, pk)
		return
	}
	if p.draw(p.cfg.Duplicate) {
		p.counters.Duplicated++
		p.fly(p.pool.get(pk.data, pk.off))
	}
	if p.draw(p.cfg.Corrupt) {
		p.corrupt(pk.data)
	}
	p.fly(pk)
}

// fly puts a packet whose last bit is sent at busyUntilinto flight.
func (p *Pipe) fly(pk *packet) {
	pk.at = p.busyUntil.Add(max(p.cfg.Delay, 0))
	if p.cfg.Jitter > 0 {
		pk.at = pk.at.Add(time.Duration(p.rng.Int64N(int64(p.cfg.Jitter) + 1)))
	}
	switch {
	case p.draw(p.cfg.Reorder):
		p.counters.Reordered++
		pk.at = pk.at.Add(max(p.cfg.ReorderDelay, 0))
	case p.cfg.JitterReorders:
	case pk.at.Before(p.last):
		pk.at = p.last
	default:
		p.last = pk.at
	}
	p.order++
	pk.order = p.order
	p.flight.push(pk)
}

// drawLoss decides whether the line loses a packet.
func (p *Pipe) drawLoss() Fate {
	if b := &p.cfg.Burst; b.Enter > 0 {
		if p.bad {
			p.bad = !p.draw(b.Leave)
		} else {
			p.bad = p.draw(b.Enter)
		}
		if p.bad && p.draw(b.Loss) {
			return LostBurst
		}
	}
	if p.draw(p.cfg.Loss) {
		return LostRandom
	}
	return Taken
}

// draw is true with the given probability.
func (p *Pipe) draw(probability float64) bool {
	return probability > 0 && p.rng.Float64() < probability
}

// corrupt changes one byte behind the IP header. Header bytes are spared
// because IPv6 has no checksum over them.
func (p *Pipe) corrupt(data []byte) {
	from := len(data) - len(viewOf(data).segment)
	if from >= len(data) {
		return
	}
	data[from+p.rng.IntN(len(data)-from)] ^= byte(1 + p.rng.IntN(255))
	p.counters.Corrupted++
}

func (p *Pipe) lose(at time.Time, why Fate, pk *packet) {
	p.counters.Lost[why]++
	if p.dropped != nil {
		p.dropped(at, why, pk.data)
	}
	p.pool.put(pk)
}

// Next gives the earliest time at which Recv may have a packet, or the zero
// time if the line is empty. Send, Recv, Set and Down change it.
func (p *Pipe) Next() time.Time {
	var next time.Time
	if len(p.flight) > 0 {
		next = p.flight[0].at
	}
	if pk := p.queue.head; pk != nil {
		// When the packet at the head would arrive if luck is with it. The
		// packets behind it cannot be earlier.
		busy, _ := p.cfg.sendTime(len(pk.data), p.carry)
		next = earlier(next, p.busyUntil.Add(busy+max(p.cfg.Delay, 0)))
	}
	return next
}

// Recv gives the next packet that has arrived by now, if any. The packet
// belongs to the pipe and is good until the next call of Recv; until then the
// caller may change it.
func (p *Pipe) Recv(now time.Time) (pkt []byte, off wire.Offload, ok bool) {
	p.advance(now)
	if p.handed != nil {
		p.pool.put(p.handed)
		p.handed = nil
	}
	if len(p.flight) == 0 || p.flight[0].at.After(now) {
		return nil, wire.Offload{}, false
	}
	pk := p.flight.pop()
	p.handed = pk
	p.counters.Arrived++
	p.counters.ArrivedBytes += int64(len(pk.data))
	return pk.data, pk.off, true
}

// earlier gives the earlier of two times, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
