package mptcp

import (
	"slices"
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Next gives the subflow its next bytes: first what has to be sent again
// because another subflow may have lost it, then, if all is sent on all, what
// others got before, then new data, then what blocks the peer's window.
func (sf *Subflow) Next(now time.Time, r tcp.Request) (tcp.Chunk, bool) {
	c := sf.conn
	if c.mode != modePlain && (c.mode != modeMultipath || !sf.usable() || c.heldBack(sf)) {
		return tcp.Chunk{}, false
	}
	ch, ok := c.chunkAgain(sf, r)
	if !ok {
		ch, ok = c.chunkCopy(sf, r)
	}
	if !ok && sf.copies().Empty() {
		ch, ok = c.chunkNew(r)
		sf.copied = c.snd.next
	}
	if !ok {
		ch, ok = c.chunkBlocking(now, sf, r)
	}
	if !ok {
		return tcp.Chunk{}, false
	}
	if c.cfg.Scheduler == SchedulerRoundRobin {
		c.tookTurn(sf, ch.Len())
	}
	if c.checksum && c.mode == modeMultipath {
		ch.Checksum = c.chunkChecksum(&ch)
	}
	sf.oldest.push(ch.Lo, ch.Data)
	if !c.timer.running(timerData) {
		c.armDataTimer(now)
	}
	return ch, true
}

// chunkNew takes bytes never sent before, as far as the data level's window
// goes.
func (c *Conn) chunkNew(r tcp.Request) (tcp.Chunk, bool) {
	waiting := int(c.out.End() - c.snd.next)
	n := r.Fit(waiting)
	if c.mode == modeMultipath {
		window := max(0, int(c.snd.edge-c.snd.next))
		if n > window {
			// Silly window avoidance at data level: a crumb of window is
			// left to grow unless it is all there will be.
			if n = window; n < r.Least || n < min(waiting, c.snd.maxWnd/2) && n < crumb && c.snd.una < c.snd.next {
				n = 0
			}
		}
	}
	if n == 0 {
		return tcp.Chunk{}, false
	}
	ch := tcp.Chunk{Lo: r.Pos, Hi: r.Pos + seq.Pos(n), Data: c.snd.next}
	c.snd.next += seq.Pos(n)
	if c.mode == modeMultipath {
		if c.snd.fin == finQueued && c.snd.next == c.out.End() && c.confirmed {
			ch.Fin = true
			c.finPlaced()
		}
	}
	return ch, true
}

// crumb is a window too small to be worth a segment.
const crumb = 536

// chunkAgain takes bytes that another subflow carries or carried.
func (c *Conn) chunkAgain(sf *Subflow, r tcp.Request) (tcp.Chunk, bool) {
	if c.again.Empty() || c.mode != modeMultipath {
		return tcp.Chunk{}, false
	}
	for _, rg := range c.again.Ranges() {
		if rg.Lo = max(rg.Lo, c.snd.una); rg.Empty() || sf.tc.Carries(rg.Lo) {
			continue
		}
		n := min(rg.Len(), r.Max)
		c.again.Remove(seq.Range{Lo: rg.Lo, Hi: rg.Lo + seq.Pos(n)})
		return c.repeat(sf, r, rg.Lo, n), true
	}
	return tcp.Chunk{}, false
}

// chunkBlocking sends the head of the stream again on a subflow that has room
// while the window is full because a slower one has not delivered the head
// yet, and slows that one down: opportunistic retransmission and penalisation
// (Raiciu et al., "How Hard Can It Be?", NSDI 2012, sections 4.2 and 4.3). It
// does so too when all has been sent and the slower one is still repairing
// losses, which may take it a round trip for each.
func (c *Conn) chunkBlocking(now time.Time, sf *Subflow, r tcp.Request) (tcp.Chunk, bool) {
	full, tail := c.snd.next >= c.snd.edge, c.snd.next == c.out.End()
	if c.mode != modeMultipath || c.cfg.Scheduler == SchedulerRedundant || !full && !tail || c.snd.next == c.snd.una ||
		c.snd.helped > c.snd.una || sf.tc.Carries(c.snd.una) {
		return tcp.Chunk{}, false
	}
	for _, slow := range c.subflows {
		if slow == sf || !slow.established() || !slow.tc.Carries(c.snd.una) {
			continue
		}
		n := min(r.Max, int(c.snd.next-c.snd.una))
		switch {
		case slow.tc.SRTT() <= sf.tc.SRTT():
			return tcp.Chunk{}, false
		case !full && !slow.tc.Recovering():
			return tcp.Chunk{}, false // it is on its way
		case !full:
			n = min(n, sf.tc.SegmentSize()) // what follows may have arrived
		case now.Sub(slow.penalised) > slow.tc.SRTT():
			slow.penalised = now
			slow.tc.Penalise(now)
		}
		c.snd.helped = c.snd.una + seq.Pos(n)
		return c.repeat(sf, r, c.snd.una, n), true
	}
	return tcp.Chunk{}, false
}

func (c *Conn) repeat(sf *Subflow, r tcp.Request, from seq.Pos, n int) tcp.Chunk {
	c.stats.BytesReinjected += uint64(n)
	sf.stats.BytesReinjected += uint64(n)
	c.snd.repeated = true
	return tcp.Chunk{Lo: r.Pos, Hi: r.Pos + seq.Pos(n), Data: from, Again: true}
}

func (c *Conn) chunkChecksum(ch *tcp.Chunk) uint16 {
	length := uint16(ch.Len())
	if ch.Fin {
		length++
	}
	sum := sumOf(&c.out, seq.Range{Lo: ch.Data, Hi: ch.Data + seq.Pos(ch.Len())})
	return wire.DSSChecksum(seq.Wrap64(ch.Data, c.local.idsn), uint32(ch.Lo), length, sum)
}

// sumOf adds up bytes where they lie, in either buffer.
func sumOf(buf interface {
	Slice(p seq.Pos, n int) []byte
}, rg seq.Range) uint16 {
	sum := uint16(0)
	for p := rg.Lo; p < rg.Hi; {
		b := buf.Slice(p, int(rg.Hi-p))
		sum = wire.CombineSums(sum, int(p-rg.Lo), wire.Sum(b, 0))
		p += seq.Pos(len(b))
	}
	return sum
}

// Copy fills dst with bytes of ch.
func (sf *Subflow) Copy(dst []byte, ch *tcp.Chunk, off int) {
	sf.conn.out.Copy(dst, ch.Data+seq.Pos(off))
}

// Pieces appends the memory in which bytes of ch lie.
func (sf *Subflow) Pieces(dst []stream.Piece, ch *tcp.Chunk, off, n int) []stream.Piece {
	return sf.conn.out.Pieces(dst, ch.Data+seq.Pos(off), n)
}

// Pending reports whether only the peer's closed window holds back data: that
// is what needs probing. Bytes that the scheduler keeps for other subflows, or
// that wait for nothing but a Next, do not.
func (sf *Subflow) Pending() bool {
	c := sf.conn
	waits := c.snd.next < c.out.End()
	if c.mode != modeMultipath {
		return c.mode == modePlain && waits
	}
	waits = waits && c.snd.una == c.snd.next || !c.again.Empty() || !sf.copies().Empty()
	return waits && sf.usable() && !c.heldBack(sf)
}

// Acked: the peer's TCP has ch. The bytes are still kept until the Data ACK
// says that its application will get them (RFC 8684 section 3.3.2).
func (sf *Subflow) Acked(now time.Time, ch *tcp.Chunk) {
	c := sf.conn
	sf.oldest.pop(ch.Lo)
	if c.mode == modePlain {
		c.snd.una = max(c.snd.una, ch.Data+seq.Pos(ch.Len()))
		c.armOrphan(now)
		c.growSend()
		c.news.writable = true
	}
	c.release()
}

// release frees what is acknowledged at data level and in flight on no subflow:
// a subflow has to be able to send again what it sent (section 3.3.6). Only
// what is not acknowledged at data level counts against the send buffer, or a
// dead path would block the others.
func (c *Conn) release() {
	p := c.snd.una
	for _, sf := range c.subflows {
		p = sf.oldest.min(p)
	}
	if c.out.Ack(c.snd.una) {
		c.news.writable = true
	}
	c.out.Release(p)
	if c.snd.una-p > sweepAfter && c.snd.una > c.swept+sweepAfter {
		c.sweep(p)
	}
}

// sweepAfter is how many bytes acknowledged at data level may be kept for the
// sake of a few that a dead subflow still has to send.
const sweepAfter = 1 << 20

// sweep gives back the memory between the bytes that subflows have in flight.
func (c *Conn) sweep(from seq.Pos) {
	c.swept = c.snd.una
	var held seq.Set
	for _, sf := range c.subflows {
		sf.tc.Unacked(func(ch *tcp.Chunk, _ seq.Range) { held.Add(seq.Range{Lo: ch.Data, Hi: ch.Data + seq.Pos(ch.Len())}) })
	}
	held.Missing(seq.Range{Lo: from, Hi: c.snd.una}, c.out.Punch)
}

// receivedDataAck moves the data level's left and right edge (RFC 8684
// sections 3.3.2 to 3.3.5). The right edge only moves forward, so that the
// largest window any subflow shows counts.
func (c *Conn) receivedDataAck(now time.Time, sf *Subflow, seg *wire.Segment) {
	d := &seg.Options.DSS
	ack := seq.Unwrap32(c.snd.una, uint32(c.local.idsn), uint32(d.Ack))
	if d.Ack64 {
		ack = seq.Unwrap64(c.local.idsn, d.Ack)
	}
	limit := c.snd.next
	if c.snd.fin >= finSent {
		limit = c.snd.finPos + 1
	}
	if ack > limit || ack < 1 {
		return // acknowledges what was never sent
	}
	window := sf.tc.ScaledWindow(seg)
	c.snd.maxWnd = max(c.snd.maxWnd, window)
	c.snd.edge = max(c.snd.edge, ack+seq.Pos(window))
	if ack <= c.snd.una {
		return
	}
	c.snd.una = ack
	c.snd.timeouts, c.snd.asked = 0, 0
	c.again.Remove(seq.Range{Lo: 0, Hi: ack})
	if c.snd.fin == finSent && ack > c.snd.finPos {
		c.snd.fin = finAcked
	}
	c.repairOn()
	c.armDataTimer(now)
	c.armOrphan(now)
	c.growSend()
	c.release()
}

// growSend chooses the width of data sequence numbers, and makes room for what all paths together carry in the time the
// slowest takes to repair a loss: a few of its round trips. Less would stop the
// others meanwhile (RFC 8684 section 3.3.4 says it of the receiver).
func (c *Conn) growSend() {
	var rate float64 // bytes per second
	var slowest time.Duration
	for _, sf := range c.subflows {
		if srtt := sf.tc.SRTT(); srtt > 0 {
			rate += float64(sf.tc.Window()) / srtt.Seconds()
			slowest = max(slowest, srtt)
		}
	}
	c.snd.wide = c.snd.wide || rate > shortDSNRate
	want := min(int(repairRTTs*rate*slowest.Seconds()), c.cfg.SendBuffer)
	if want > c.out.Limit() {
		c.out.SetLimit(want)
		c.news.writable = true
	}
}

const repairRTTs = 4

// shortDSNRate is the rate, in bytes per second, up to which data sequence
// numbers are sent with 32 bits: a quarter of what would let them wrap within a
// maximum segment lifetime of two minutes (RFC 8684 section 3.3.1). Once wide,
// a connection stays so. The eight bytes saved in each segment are half a
// percent of a slow line.
const shortDSNRate = (1 << 32) / 120 / 4

// insert puts received bytes in their place in the stream.
func (c *Conn) insert(now time.Time, pos seq.Pos, b stream.Piece) {
	before := c.in.Next()
	n := c.in.InsertPiece(pos, b)
	c.stats.BytesReceived += uint64(n)
	if n < b.Len() {
		c.stats.BytesDuplicate += uint64(b.Len() - n)
	}
	if c.in.Next() == before {
		return
	}
	c.news.readable = true
	if c.closed {
		c.Abort(now) // RFC 1122 section 4.2.2.13: nobody will read this
		return
	}
	c.maybeEnd(now)
}

// dataAck is the next data position expected (RFC 8684 section 3.3.2).
func (c *Conn) dataAck() seq.Pos {
	if c.rcv.ended && c.mode != modePlain {
		return c.rcv.fin + 1
	}
	return c.in.Next()
}

// window is the receive window, the same on every subflow (RFC 8684 section
// 3.3.4).
func (c *Conn) window() int {
	step := crumb
	if len(c.subflows) > 0 && c.subflows[0].tc != nil {
		step = c.subflows[0].tc.SegmentSize()
	}
	return max(0, int(c.in.Edge(step)-c.in.Next()))
}

// dataQueue knows the lowest data position among a subflow's chunks in flight.
// Chunks come and go in order; their data positions nearly do, but for what is
// sent again. It is the usual queue of candidates for a sliding minimum.
type dataQueue struct{ q []dataInFlight }

type dataInFlight struct{ lo, data seq.Pos }

func (d *dataQueue) push(lo, data seq.Pos) {
	for len(d.q) > 0 && d.q[len(d.q)-1].data >= data {
		d.q = d.q[:len(d.q)-1]
	}
	d.q = append(d.q, dataInFlight{lo, data})
}

// pop: everything up to the chunk that began at lo is acknowledged.
func (d *dataQueue) pop(lo seq.Pos) {
	n := 0
	for n < len(d.q) && d.q[n].lo <= lo {
		n++
	}
	if n > 0 {
		d.q = slices.Delete(d.q, 0, n)
	}
}

func (d *dataQueue) min(p seq.Pos) seq.Pos {
	if len(d.q) > 0 {
		p = min(p, d.q[0].data)
	}
	return p
}

func (d *dataQueue) empty() bool { return len(d.q) == 0 }

func (d *dataQueue) clear() { d.q = d.q[:0] }
