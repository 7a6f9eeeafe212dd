package tcp

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/cc"
	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/wire"
)

// Conn is one TCP connection. Make it with Connect or Accept, feed it with
// Input, Advance and the Upper's bytes, and after each call take segments out
// with Output until there are none.
type Conn struct {
	cfg   Config
	upper Upper
	state State
	err   error

	snd   sender
	rcv   receiver
	ack   acker
	ts    timestamps
	rtt   rttEstimator
	back  recvRTT
	sent  sentQueue
	loss  recovery
	cc    cc.Controller
	mtu   pathMTU
	timer timers
	rst   resetOut
	alive keepAlive
	stats Stats

	strange, nearby ackLimit

	synPending bool // a SYN or SYN/ACK is to be sent (again)
	orphan     bool // closed both ways by the owner: data can go nowhere
	left       bool // and need not go anywhere
}

// sender is the send sequence space (RFC 9293 section 3.3.1).
type sender struct {
	iss       uint32
	una, nxt  seq.Pos
	wnd       int // SND.WND, bytes, counted from una
	maxWnd    int // largest ever seen
	wl1       seq.Pos
	scale     uint8
	scaled    bool // the peer sent a window scale option
	fin       finState
	finPos    seq.Pos
	override  bool    // send whatever little the window takes, once
	cwndLimit seq.Pos // nxt when the congestion window last held data back
	lastSend  time.Time
	syns      int // SYNs sent, with retransmissions
	size      int // what the congestion controller knows a full segment to be
}

type finState uint8

const (
	finNone   finState = iota
	finQueued          // to be sent behind the last byte
	finSent
)

// receiver is the receive sequence space.
type receiver struct {
	irs   uint32
	nxt   seq.Pos
	edge  seq.Pos // right edge of the largest window ever advertised
	ahead seq.Set // received beyond nxt
	scale uint8
	fin   seq.Pos // position of the peer's FIN, 0 while unknown
	last  time.Time
}

// Connect starts an active open (RFC 9293 section 3.10.1).
func Connect(now time.Time, cfg Config, upper Upper) *Conn {
	c := newConn(now, cfg, upper)
	c.state = StateSynSent
	return c
}

// Accept starts a passive open with the SYN a listener received. The Upper
// knows that segment already and is not shown it.
func Accept(now time.Time, cfg Config, upper Upper, syn *wire.Segment) *Conn {
	c := newConn(now, cfg, upper)
	c.state = StateSynReceived
	c.takeSYN(now, syn)
	return c
}

// newConn is a connection with a SYN to send.
func newConn(now time.Time, cfg Config, upper Upper) *Conn {
	cfg.setDefaults()
	c := &Conn{cfg: cfg, upper: upper, synPending: true}
	c.mtu.init(&cfg)
	c.rtt.init()
	c.snd.iss, c.snd.nxt, c.snd.size = cfg.ISN, 1, c.SegmentSize()
	c.rcv.scale = c.offeredScale()
	c.loss.progress = now
	c.timer.set(timerRexmit, now, c.rexmitDelay(now))
	var err error
	if c.cc, err = cc.New(cfg.CongestionControl, c.snd.size); err != nil {
		panic("BUG: tcp: " + err.Error()) // names are checked where they come in
	}
	return c
}

// State is the connection's state.
func (c *Conn) State() State { return c.state }

// Err is why the connection is over; nil while it is not or if both sides closed it.
func (c *Conn) Err() error { return c.err }

// LocalAddr and RemoteAddr are the connection's ends.
func (c *Conn) LocalAddr() netip.AddrPort  { return c.cfg.Local }
func (c *Conn) RemoteAddr() netip.AddrPort { return c.cfg.Remote }

// SndNxt is the next position to be sent, RcvNxt the next expected.
func (c *Conn) SndNxt() seq.Pos { return c.snd.nxt }
func (c *Conn) RcvNxt() seq.Pos { return c.rcv.nxt }

// SndUna is the oldest position not acknowledged.
func (c *Conn) SndUna() seq.Pos { return c.snd.una }

// SRTT is the smoothed round-trip time, 0 before the first sample.
func (c *Conn) SRTT() time.Duration { return c.rtt.srtt }

// RTO is the current retransmission timeout without backoff.
func (c *Conn) RTO() time.Duration { return c.rtt.rto }

// Recovering reports whether losses are being repaired.
func (c *Conn) Recovering() bool { return c.loss.phase != phaseOpen }

// Timeouts is how many retransmission timeouts came in a row.
func (c *Conn) Timeouts() int { return c.loss.timeouts }

// InFlight is the number of bytes believed to be on the path.
func (c *Conn) InFlight() int { return max(0, c.sent.pipe()-c.loss.gone) }

// LastProgress is when the peer last showed that something arrived, or when
// the first byte now in flight was sent; the zero time if none is.
func (c *Conn) LastProgress() time.Time {
	if c.sent.empty() {
		return time.Time{}
	}
	return c.loss.arrived
}

// Position gives seg's place in the receive stream.
func (c *Conn) Position(seg *wire.Segment) seq.Pos {
	return seq.Unwrap32(c.rcv.nxt, c.rcv.irs, seg.Seq)
}

// Done reports whether the connection is over and has said its last word.
func (c *Conn) Done() bool { return c.state == StateClosed && !c.rst.pending }

// Window is the congestion window in bytes.
func (c *Conn) Window() int { return c.cc.Window() }

// RTTVar is the smoothed variation of the round-trip time.
func (c *Conn) RTTVar() time.Duration { return c.rtt.rttvar }

// SegmentSize is the payload of a full segment in bytes, after options.
func (c *Conn) SegmentSize() int {
	n := c.mtu.mss - c.upper.Overhead()
	if c.ts.on || c.state < StateEstablished && !c.cfg.NoTimestamps {
		n -= timestampsLen
	}
	return max(n, minSegment)
}

// fitSegments is SegmentSize, with the congestion controller told of changes:
// by the handshake, by the path's MTU, by options the Upper no longer sends.
func (c *Conn) fitSegments() int {
	if size := c.SegmentSize(); size != c.snd.size {
		c.snd.size = size
		c.cc.SetMSS(size)
	}
	return c.snd.size
}

// ScaledWindow is the window a segment of the peer advertises, in bytes.
func (c *Conn) ScaledWindow(seg *wire.Segment) int {
	if seg.Flags.Has(wire.SYN) {
		return int(seg.Window)
	}
	return int(seg.Window) << c.snd.scale
}

// AckNow asks for an acknowledgement to be sent at once, with data if there is
// some.
func (c *Conn) AckNow() { c.ack.now = true }

// AckAlone asks for one without data, ahead of everything else: it carries
// options that do not go with data.
func (c *Conn) AckAlone() { c.ack.alone = true }

// Unacked calls f for each chunk, or piece of one, that the peer has not
// acknowledged: what may have to be sent again. Bytes it has acknowledged
// selectively are among them, for it may give them up, and cannot use them
// before those ahead of them.
func (c *Conn) Unacked(f func(ch *Chunk, rest seq.Range)) {
	for i := range c.sent.live() {
		if r := &c.sent.live()[i]; !r.fin {
			f(&r.chunk, seq.Range{Lo: r.lo, Hi: r.hi})
		}
	}
}

// Carries reports whether p, a position of the Upper's stream, is in flight
// here unacknowledged.
func (c *Conn) Carries(p seq.Pos) bool {
	for i := range c.sent.live() {
		r := &c.sent.live()[i]
		if lo := r.chunk.Data + r.lo - r.chunk.Lo; !r.fin && lo <= p && p < lo+r.hi-r.lo {
			return true
		}
	}
	return false
}

// finish ends the connection and tells the Upper, once.
func (c *Conn) finish(now time.Time, err error) {
	if c.state == StateClosed {
		return
	}
	c.state, c.err = StateClosed, err
	c.closed(now)
}

// closed is what the change to CLOSED brings about.
func (c *Conn) closed(now time.Time) {
	c.timer = timers{}
	c.synPending = false
	c.upper.Notify(now, Closed)
	c.sent.clear()
}
