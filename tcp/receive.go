package tcp

import (
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/wire"
)

const (
	// delackTime is how long an acknowledgement may wait for company (RFC
	// 9293 section 3.8.6.3 allows up to 500 ms).
	delackTime = 40 * time.Millisecond
	// quickAcks is how many acknowledgements at the start are sent at once:
	// the peer is in slow start and grows by the acknowledgement.
	quickAcks = 16
)

// acker decides when to acknowledge.
type acker struct {
	now      bool    // at once
	alone    bool    // at once, and without data
	unacked  int     // bytes received in order since the last acknowledgement
	full     int     // payload of the peer's full segments, as far as seen
	count    int     // acknowledgements sent for data
	lastSent seq.Pos // RCV.NXT in the last acknowledgement (Last.ACK.sent of RFC 7323)
	recent   [3]seq.Pos
	dup      seq.Range // what came twice, for a DSACK (RFC 2883)
}

// outOfOrder notes that data came at position at, which lies in a block of
// ahead: that block is to be named first, then the most recent others (RFC
// 2018 section 4).
func (a *acker) outOfOrder(at seq.Pos, ahead *seq.Set) {
	first, kept := at, 0
	for _, p := range a.recent {
		if kept < len(a.recent)-1 && !ahead.Contains(seq.Range{Lo: min(p, at), Hi: max(p, at) + 1}) {
			a.recent[kept], first = first, p
			kept++
		}
	}
	a.recent[kept] = first
	clear(a.recent[kept+1:])
}

// duplicate notes bytes that came twice, for the first block of the next
// acknowledgement (RFC 2883 section 4).
func (a *acker) duplicate(r seq.Range) { a.dup = r }

// handleData is the seventh and eighth step of section 3.10.7.4: the
// segment's bytes and its FIN.
func (c *Conn) handleData(now time.Time, seg *wire.Segment, pos seq.Pos, buf *stream.Buffer) {
	if seg.Flags.Has(wire.SYN) {
		return // data with a SYN is for the peer to send again
	}
	whole := seq.Range{Lo: pos, Hi: pos + seq.Pos(len(seg.Payload))}
	if whole.Empty() && !seg.Flags.Has(wire.FIN) {
		return
	}
	if !c.state.canReceive() {
		return
	}
	if c.orphan && !c.left && whole.Hi > c.rcv.nxt && !whole.Empty() {
		c.Abort(now) // RFC 1122 section 4.2.2.13: nobody will read this
		return
	}
	if seg.Flags.Has(wire.FIN) {
		c.rcv.noteFIN(whole.Hi)
	}
	in := seq.Range{Lo: max(whole.Lo, c.rcv.nxt), Hi: min(whole.Hi, c.rcv.end())}
	if whole.Lo < c.rcv.nxt && !whole.Empty() {
		c.ack.duplicate(seq.Range{Lo: whole.Lo, Hi: min(whole.Hi, c.rcv.nxt)})
	}
	if !in.Empty() {
		c.measureRecvRTT(now, seg)
		c.takeBytes(now, in, stream.Piece{Data: seg.Payload[in.Lo-pos : in.Hi-pos], In: buf})
	} else {
		c.ack.now = true // a probe of our closed window
	}
	if c.state != StateClosed && c.rcv.fin != 0 && c.rcv.nxt == c.rcv.fin {
		c.takeFin(now)
	}
}

// maxAhead is how many separate blocks are kept beyond RCV.NXT. A peer that
// sends every other byte makes us work for each; more than this it sends again.
const maxAhead = 4096

// takeBytes delivers the new ones among b, which lies at rg, and decides when
// to acknowledge (RFC 5681 section 4.2).
func (c *Conn) takeBytes(now time.Time, rg seq.Range, b stream.Piece) {
	if rg.Lo == c.rcv.nxt && c.rcv.ahead.Empty() {
		c.stats.BytesReceived += uint64(b.Len())
		c.upper.Deliver(now, rg.Lo, b)
		c.rcv.nxt = rg.Hi
		c.scheduleAck(now, b.Len())
		c.upper.InOrder(now, c.rcv.nxt)
		return
	}
	c.ack.now = true
	if rg.Lo > c.rcv.nxt && len(c.rcv.ahead.Ranges()) >= maxAhead {
		return
	}
	c.takeGaps(now, rg, b)
	if first := c.rcv.ahead.Ranges()[0]; first.Lo <= c.rcv.nxt {
		c.rcv.nxt = first.Hi
		c.rcv.ahead.Remove(first)
		c.upper.InOrder(now, c.rcv.nxt)
	} else {
		c.ack.outOfOrder(rg.Lo, &c.rcv.ahead)
	}
	// On data it would not be a duplicate acknowledgement, nor have room for SACK.
	c.ack.alone = c.ack.alone || !c.rcv.ahead.Empty()
}

// takeGaps delivers what of b, which lies at rg, was not there yet. The first
// part that was is for a DSACK.
func (c *Conn) takeGaps(now time.Time, rg seq.Range, b stream.Piece) {
	var dup seq.Range
	for rest := rg; !rest.Empty(); {
		gap, next := c.rcv.ahead.NextGap(rest)
		if dup.Empty() {
			dup = seq.Range{Lo: rest.Lo, Hi: gap.Lo}
		}
		if !gap.Empty() {
			c.stats.BytesReceived += uint64(gap.Len())
			c.upper.Deliver(now, gap.Lo, b.Cut(int(gap.Lo-rg.Lo), int(gap.Hi-rg.Lo)))
		}
		rest.Lo = next
	}
	if !dup.Empty() {
		c.ack.duplicate(dup)
	}
	c.rcv.ahead.Add(rg)
}

// scheduleAck takes n bytes in order and acknowledges every second full
// segment at once, and the rest after a while. How large the peer's segments
// are only they can tell: its path may be narrower than ours.
func (c *Conn) scheduleAck(now time.Time, n int) {
	c.ack.unacked += n
	c.ack.full = min(max(c.ack.full, n, minMSS), c.SegmentSize())
	if c.ack.unacked >= 2*c.ack.full || c.ack.count < quickAcks {
		c.ack.now = true
	} else if !c.timer.running(timerDelack) {
		c.timer.set(timerDelack, now, delackTime)
	}
}

// noteFIN remembers where the stream ends. The first FIN that does not
// contradict what came before is believed.
func (r *receiver) noteFIN(at seq.Pos) {
	if r.fin == 0 && r.ahead.Last(r.nxt) <= at && at <= r.edge {
		r.fin = at
	}
}

// end is where bytes are taken up to.
func (r *receiver) end() seq.Pos {
	if r.fin != 0 {
		return r.fin
	}
	return r.edge
}

// takeFin is reached when everything before the peer's FIN is there.
func (c *Conn) takeFin(now time.Time) {
	c.rcv.nxt++
	c.rcv.edge = max(c.rcv.edge, c.rcv.nxt)
	c.ack.now = true
	switch c.state {
	case StateEstablished:
		c.state = StateCloseWait
	case StateFinWait1:
		c.state = StateClosing // our FIN is not acknowledged yet: finAcked saw to that
	}
	c.upper.Notify(now, PeerClosed)
	if c.state == StateFinWait2 { // unless the Upper has aborted
		c.enterTimeWait(now)
	}
}

// heard notes a sign of life.
func (c *Conn) heard(now time.Time) {
	c.rcv.last = now
	c.alive.heard(c, now)
}

// appendSACK adds the SACK blocks that fit into room bytes (RFC 2018).
func (c *Conn) appendSACK(o *wire.Options, room int) {
	n := min((room-4)/8, 4) // two bytes of header, two of padding
	if !c.sackOn() || n <= 0 || c.rcv.ahead.Empty() && c.ack.dup.Empty() {
		return
	}
	blocks := o.SACK[:0]
	add := func(r seq.Range) {
		if len(blocks) < n {
			blocks = append(blocks, wire.SACKBlock{Left: seq.Wrap32(r.Lo, c.rcv.irs), Right: seq.Wrap32(r.Hi, c.rcv.irs)})
		}
	}
	if !c.ack.dup.Empty() {
		add(c.ack.dup)
		c.ack.dup = seq.Range{}
	}
	ranges := c.rcv.ahead.Ranges()
	for _, p := range c.ack.recent {
		if r, ok := c.rcv.ahead.Find(p); ok {
			add(r)
		}
	}
	for _, r := range ranges {
		if len(blocks) == n {
			break
		}
		if !c.ack.named(r) {
			add(r)
		}
	}
	if o.SACKLen = len(blocks); o.SACKLen > 0 {
		o.Set |= wire.HasSACK
	}
}

// named tells whether r was named by way of a recent position.
func (a *acker) named(r seq.Range) bool {
	for _, p := range a.recent {
		if r.Contains(p) {
			return true
		}
	}
	return false
}
