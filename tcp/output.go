package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

// Packet is where Output builds. Its owner makes one and uses it for all
// connections; Buf must hold the largest packet the device takes.
type Packet struct {
	Buf     []byte
	N       int // bytes of Buf in use
	Offload wire.Offload
	seg     wire.Segment

	// Gather leaves the payload of a large segment where it lies, if the
	// device completes its checksum. It is appended to Payload, and Buf has
	// the headers alone. The owner of the Packet releases the pieces.
	Gather  bool
	Payload []stream.Piece
}

// gatherLeast is the fewest bytes that are cheaper to refer to than to copy.
const gatherLeast = 4 << 10

// Bytes is the packet last built, up to where Payload goes on.
func (p *Packet) Bytes() []byte { return p.Buf[:p.N] }

// Output builds the next packet to send, or returns false: building is tried
// in order of urgency, and what has nothing to say builds nothing.
func (c *Conn) Output(now time.Time, p *Packet) bool {
	if c.rst.pending {
		c.outputReset(now, p)
		return true
	}
	switch c.state {
	case StateClosed:
		return false
	case StateSynSent:
		return c.outputSYN(now, p)
	case StateSynReceived:
		return c.outputSYN(now, p) || c.outputAck(now, p)
	}
	if c.ack.alone {
		c.ack.alone, c.ack.now = false, true
		return c.outputAck(now, p)
	}
	if c.outputLost(now, p) || c.outputNew(now, p) || c.outputFIN(now, p) || c.outputProbe(now, p) || c.outputAck(now, p) {
		return true
	}
	c.maybePersist(now)
	return false
}

func (c *Conn) outputAck(now time.Time, p *Packet) bool {
	if !c.ack.now {
		return false
	}
	c.begin(now, p, wire.ACK, c.ackPosition())
	c.emit(now, p, nil, 0, 0)
	return true
}

// ackPosition is the sequence number of a segment without data: SND.NXT,
// unless the peer took back the window that reached so far. A peer does not
// take an acknowledgement from outside its window (RFC 9293 section 3.10.7.4).
// What the scale of the window rounds off is not taken back.
func (c *Conn) ackPosition() seq.Pos {
	edge := c.snd.una + seq.Pos(c.snd.wnd)
	if c.snd.nxt-edge < 1<<c.snd.scale {
		return c.snd.nxt
	}
	return edge
}

func (c *Conn) outputReset(now time.Time, p *Packet) {
	r := c.rst
	c.rst = resetOut{}
	s := c.segment(p)
	s.Flags, s.Seq, s.Ack, s.Window = wire.RST, r.seq, 0, 0
	if r.hasAck {
		s.Flags |= wire.ACK
		s.Ack = r.ack
	}
	if r.options {
		c.upper.Options(now, s, nil, maxOptions)
	}
	c.finishPacket(p, 0, false)
}

func (c *Conn) outputSYN(now time.Time, p *Packet) bool {
	if !c.synPending {
		return false
	}
	c.synPending = false
	s := c.segment(p)
	s.Flags, s.Seq, s.Ack = wire.SYN, c.snd.iss, 0
	s.Window = uint16(min(c.upper.Window(), 0xffff)) // never scaled: RFC 7323 section 2.2
	if c.state == StateSynReceived {
		s.Flags |= wire.ACK
		s.Ack = seq.Wrap32(c.rcv.nxt, c.rcv.irs)
		c.ack.lastSent = c.rcv.nxt
	}
	c.putSYNOptions(now, &s.Options)
	c.upper.Options(now, s, nil, maxOptions-s.Options.Len())
	c.snd.lastSend = now
	c.snd.syns++
	c.finishPacket(p, 0, false)
	return true
}

// outputLost sends again the first bytes believed lost, as far as the
// congestion window allows (RFC 6675 section 5 step C). The first of them goes
// out whatever the window (RFC 5681 section 3.2 step 2).
func (c *Conn) outputLost(now time.Time, p *Packet) bool {
	i, ok := c.sent.firstLost()
	if !ok {
		return false
	}
	r, size := &c.sent.live()[i], c.SegmentSize()
	room := c.cc.Window() - c.InFlight()
	if room < min(r.len(), size) && (i > 0 || c.sent.pipe() > 0 && r.again) {
		c.snd.cwndLimit = c.snd.nxt
		return false
	}
	n := min(r.len(), c.MaxPayload(), max(room-room%size, size))
	c.sent.split(i, r.lo+seq.Pos(n))
	r = &c.sent.live()[i]
	c.sent.markSent(r, now)
	c.stats.SegmentsRetransmitted++
	c.stats.BytesRetransmitted += uint64(r.len())
	c.sendRecord(now, p, r)
	return true
}

// sendRecord sends the bytes, or the FIN, of one record, which lies in the queue
// (and not on the stack, from where the Upper would have it moved to the heap).
func (c *Conn) sendRecord(now time.Time, p *Packet, r *record) {
	if r.fin {
		c.begin(now, p, wire.ACK|wire.FIN, r.lo)
		c.emit(now, p, nil, 0, 0)
	} else {
		flags := wire.ACK
		if r.push && r.hi == r.chunk.Hi {
			flags |= wire.PSH
		}
		c.begin(now, p, flags, r.lo)
		c.emit(now, p, &r.chunk, int(r.lo-r.chunk.Lo), r.len())
	}
	c.snd.lastSend = now
	if !c.timer.running(timerRexmit) {
		c.armRexmit(now)
	}
}

// outputNew sends bytes for the first time.
func (c *Conn) outputNew(now time.Time, p *Packet) bool {
	if !c.state.canSend() {
		return false
	}
	req, ok := c.request(now)
	if !ok {
		return false
	}
	ch, ok := c.upper.Next(now, req)
	if !ok {
		return false
	}
	if ch.Lo != req.Pos || ch.Hi <= ch.Lo || ch.Len() > req.Max {
		panic("BUG: tcp: the upper layer gave a chunk that was not asked for")
	}
	if c.sent.empty() {
		c.loss.progress, c.loss.arrived = now, now
		c.timer.stop(timerPersist)
	}
	c.snd.override = false
	c.snd.nxt = ch.Hi
	c.stats.BytesSent += uint64(ch.Len())
	r := c.sent.push(record{lo: ch.Lo, hi: ch.Hi, chunk: ch, sentAt: now, push: !c.upper.Pending()})
	c.sendRecord(now, p, r)
	return true
}

// request is how many new bytes congestion window and peer allow. A
// retransmission timeout first repairs what was lost.
func (c *Conn) request(now time.Time) (Request, bool) {
	size := c.fitSegments()
	if c.sent.empty() && !c.snd.lastSend.IsZero() {
		if idle := now.Sub(c.snd.lastSend); idle > c.rtt.rto {
			c.cc.Idle(now, c.rtt.rto, idle)
			c.snd.lastSend = now
		}
	}
	room := c.cc.Window() - c.InFlight()
	if room < size && !c.sent.empty() {
		c.snd.cwndLimit = c.snd.nxt
		return Request{}, false
	}
	window := int(c.snd.una-c.snd.nxt) + c.snd.wnd
	if window <= 0 {
		return Request{}, false
	}
	n := min(max(room, size), c.burst(size), window)
	if n > size {
		n -= n % size
	}
	r := Request{Pos: c.snd.nxt, Max: n, Least: 1}
	r.Whole = window < size && window < c.snd.maxWnd/2 && !c.snd.override
	if c.cfg.Nagle && c.snd.fin == finNone && !c.sent.empty() {
		r.Least = size
	}
	return r, true
}

// burst is the largest segment worth building: about a millisecond of the
// current rate, so that acknowledgements, and the choice among paths, come
// often enough, and as much as the device takes.
func (c *Conn) burst(size int) int {
	n := c.MaxPayload()
	if n <= 2*size || c.rtt.srtt <= time.Millisecond {
		return max(n, size)
	}
	perMs := int(int64(c.cc.Window()) * int64(time.Millisecond) / int64(c.rtt.srtt))
	return min(n, max(perMs-perMs%size, 2*size))
}

// MaxPayload is the most bytes a packet can carry, in whole segments.
func (c *Conn) MaxPayload() int {
	size := c.SegmentSize()
	if c.cfg.MaxPacket <= c.cfg.MTU {
		return size
	}
	n := min(c.cfg.MaxPacket, 0xffff) - c.mtu.headers - maxOptions
	return max(n-n%size, size)
}

func (c *Conn) outputFIN(now time.Time, p *Packet) bool {
	if c.snd.fin != finQueued || !c.state.canSend() || c.upper.Pending() {
		return false
	}
	if !c.sent.empty() && c.snd.cwndLimit == c.snd.nxt && c.cc.Window()-c.InFlight() < c.SegmentSize() {
		return false // the upper layer may have more
	}
	c.finSentState()
	if c.sent.empty() {
		c.loss.progress, c.loss.arrived = now, now
	}
	r := c.sent.push(record{lo: c.snd.nxt, hi: c.snd.nxt + 1, fin: true, sentAt: now})
	c.snd.nxt++
	c.sendRecord(now, p, r)
	return true
}

// outputProbe sends a segment just below the window, which has to be answered:
// an empty one, or one with an octet that the peer acknowledged before.
func (c *Conn) outputProbe(now time.Time, p *Packet) bool {
	if !c.alive.send {
		return false
	}
	n := 0
	if c.alive.octet && c.snd.una > 1 && c.snd.una == c.snd.nxt {
		n = 1
	}
	c.alive.send, c.alive.octet = false, false
	c.begin(now, p, wire.ACK, c.snd.una-1)
	c.emit(now, p, nil, 0, n)
	return true
}

const maxOptions = 40

// segment gives p's segment with everything that is the same for all of this
// connection's.
func (c *Conn) segment(p *Packet) *wire.Segment {
	s := &p.seg
	s.Src, s.Dst = c.cfg.Local, c.cfg.Remote
	s.TTL, s.TOS = c.cfg.TTL, c.cfg.TOS
	s.Urgent = 0
	s.Options.Set = 0
	s.Options.SACKLen = 0
	s.Options.AddAddrLen = 0
	return s
}

// begin starts a segment of a synchronized connection at pos.
func (c *Conn) begin(now time.Time, p *Packet, flags wire.Flags, pos seq.Pos) {
	s := c.segment(p)
	s.Flags = flags
	s.Seq = seq.Wrap32(pos, c.snd.iss)
	s.Ack = seq.Wrap32(c.rcv.nxt, c.rcv.irs)
	window := min(c.upper.Window()>>c.rcv.scale, 0xffff)
	s.Window = uint16(window)
	c.rcv.edge = max(c.rcv.edge, c.rcv.nxt+seq.Pos(window)<<c.rcv.scale)
	if c.ts.on {
		c.putTimestamps(now, &s.Options)
	}
}

// emit ends a segment with n bytes of ch from offset off on; without a ch they
// mean nothing.
func (c *Conn) emit(now time.Time, p *Packet, ch *Chunk, off, n int) {
	s := &p.seg
	c.upper.Options(now, s, ch, maxOptions-s.Options.Len())
	if n == 0 { // beside data there is no room, and on it no need
		c.appendSACK(&s.Options, maxOptions-s.Options.Len())
	}
	gather := p.Gather && n >= gatherLeast && c.cfg.PartialChecksum
	switch hdr := wire.HeaderLen(s); {
	case gather:
		p.Payload = c.upper.Pieces(p.Payload, ch, off, n)
	case ch != nil:
		c.upper.Copy(p.Buf[hdr:hdr+n], ch, off)
	default:
		clear(p.Buf[hdr : hdr+n])
	}
	c.ack.now = false
	c.ack.unacked = 0
	c.ack.count++
	c.ack.lastSent = c.rcv.nxt
	c.timer.stop(timerDelack)
	c.finishPacket(p, n, gather)
}

// finishPacket writes the headers before n bytes of payload, which lie behind
// them or, gathered, elsewhere.
func (c *Conn) finishPacket(p *Packet, n int, gather bool) {
	p.N = wire.PutHeaders(p.Buf, &p.seg, n)
	p.Offload = wire.Offload{PartialChecksum: c.cfg.PartialChecksum}
	if size := c.mtu.mss - p.seg.Options.Len(); n > size {
		p.Offload.SegSize = size
	}
	if gather {
		wire.FinishHeaders(p.Bytes(), n)
	} else {
		p.N += n
		wire.Finish(p.Bytes(), p.Offload)
	}
	c.stats.SegmentsSent++
}
