package mptcp

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Subflow is one TCP connection in a Conn: the tcp.Upper that speaks for it.
type Subflow struct {
	conn  *Conn
	tc    *tcp.Conn
	id    int  // ordinal in the connection
	first bool // it began the connection with MP_CAPABLE; others with MP_JOIN
	ours  bool // we opened it

	join                  joinState
	localID, remoteID     uint8
	localNonce, peerNonce uint32
	backup, peerBackup    bool // B as we said it, as the peer did
	joinAcks              int  // times the third ACK was sent
	closing               bool // it takes no new data
	over                  bool // its TCP is done but for its last words, or in TIME-WAIT
	stale                 bool // it made no progress while it had to: no new data
	resetSent, resetGot   resetInfo
	maps                  mapList
	staged                *stream.Recv // bytes that wait for a mapping, or for the rest of a checksummed one
	shift                 seq.Pos      // data position less subflow position, receive direction, of the latest mapping
	oldest                dataQueue    // what is in flight, for the release of the send buffer
	turn                  seq.Pos      // bytes got, of those that subflows take in turns
	copied                seq.Pos      // where it goes on sending what all others send too
	everMapped, everAcked bool         // a mapping came; data of ours got a Data ACK
	stats                 SubflowStats
	upAt                  time.Time // when it could carry data first
	penalised             time.Time // when its window was last cut for blocking others
	removed               bool      // the peer says that its address is gone
	suspectAt             time.Time // when it was first asked for a sign of life, until it gives one
	sayFin                bool      // the next acknowledgement carries the DATA_FIN
	again                 bool      // one more acknowledgement is to follow the one being built
	fail                  failSignal
	bare                  int // segments in a row that came without any option of ours
}

// joinState is where the handshake of an additional subflow stands (RFC 8684
// section 3.2, figure 8).
type joinState uint8

const (
	joinNone           joinState = iota // the first subflow
	joinSYNSent                         // A: waiting for the SYN/ACK
	joinSYNReceived                     // B: waiting for the third ACK
	joinPreEstablished                  // A: waiting for the fourth
	joinDone
)

// resetInfo is an MP_TCPRST.
type resetInfo struct {
	is        bool
	reason    wire.ResetReason
	transient bool
}

func (c *Conn) newSubflow(first bool) *Subflow {
	sf := &Subflow{conn: c, id: c.began, first: first}
	c.began++
	return sf
}

// Conn is the connection the subflow belongs to.
func (sf *Subflow) Conn() *Conn { return sf.conn }

// LocalAddr and RemoteAddr are the subflow's ends.
func (sf *Subflow) LocalAddr() netip.AddrPort  { return sf.tc.LocalAddr() }
func (sf *Subflow) RemoteAddr() netip.AddrPort { return sf.tc.RemoteAddr() }

// TCP is the subflow's own connection, for ICMP and the like.
func (sf *Subflow) TCP() *tcp.Conn { return sf.tc }

// openedByUs reports whether the subflow's SYN was ours.
func (sf *Subflow) openedByUs() bool { return sf.ours || sf.first && sf.conn.initiator }

// established reports whether both ends agree that the subflow is part of the
// connection.
func (sf *Subflow) established() bool {
	return sf.tc != nil && sf.tc.State().Open() && (sf.first || sf.join == joinDone)
}

// usable reports whether new data may be sent on it.
func (sf *Subflow) usable() bool {
	return sf.established() && !sf.closing && !sf.stale
}

// isBackup reports whether either end wants it used last.
func (sf *Subflow) isBackup() bool { return sf.backup || sf.peerBackup }

// reset ends the subflow, and only it, with a reason for the peer (RFC 8684
// section 3.6).
func (sf *Subflow) reset(now time.Time, reason wire.ResetReason, transient bool) {
	sf.resetSent = resetInfo{true, reason, transient}
	sf.tc.Abort(now)
}

// Notify takes the subflow's changes of state.
func (sf *Subflow) Notify(now time.Time, e tcp.Event) {
	c := sf.conn
	switch e {
	case tcp.Established:
		sf.onEstablished(now)
	case tcp.Progress:
		if sf.stale {
			sf.stale = false
			sf.tc.CapBackoff(0)
			c.sortSubflows()
		}
	case tcp.Stalled:
		sf.onTimeout(now)
	case tcp.PeerClosed:
		sf.onPeerClosed(now)
	case tcp.Waiting, tcp.Closed: // all that comes after TIME-WAIT is its end
		if !sf.over {
			sf.over = true
			sf.onClosed(now)
		}
	}
}

func (sf *Subflow) onEstablished(now time.Time) {
	c := sf.conn
	switch {
	case sf.first:
		c.report(Event{Kind: EventEstablished})
		if c.mode == modeMultipath && !c.initiator {
			c.pm.announceAll(now, c)
		}
		c.news.writable = true
		c.maybeClosePlain(now)
	case sf.ours:
		sf.join = joinPreEstablished
		sf.sendJoinAck(now)
		return
	default:
		sf.join = joinDone
		sf.tc.AckNow() // the fourth packet (RFC 8684 section 3.2)
	}
	sf.up(now)
}

// up is reached when the subflow can carry data.
func (sf *Subflow) up(now time.Time) {
	c := sf.conn
	sf.upAt = now
	c.timer.stop(timerAlone)
	c.report(Event{Kind: EventSubflowUp, Subflow: sf.infoPtr(now)})
	c.pm.subflowUp(now, c, sf)
	for _, other := range c.subflows {
		if other.silent(now) > 0 {
			c.watchSuspects(now) // it is the last one no more
		}
		if other != sf && (other.stale || other.isStuck()) {
			other.becomeStale(now)
		}
	}
	c.snd.timeouts = 0 // they were not this one's
	c.sortSubflows()
	if sf.ours && !c.alternative(sf) {
		sf.tc.AckNow() // while there was no path, the window may have opened unsaid
	}
}

// onPeerClosed: the peer's FIN came. In plain mode that ends the stream; else
// only this subflow, and we close our side of it too.
func (sf *Subflow) onPeerClosed(now time.Time) {
	c := sf.conn
	switch {
	case c.mode == modeClosed:
		sf.tc.Leave(now)
	case c.mode == modeOpening && sf.first:
		// A FIN before any option came back: nothing but TCP can end like this.
		c.enterPlain(now, sf, FirstDataUnmapped)
	case c.mayFallBack() && sf.bare > 0:
		// Nor like this. A peer whose TCP this is has fallen back, and what
		// would say so was lost.
		c.enterPlain(now, sf, OptionsLost)
	}
	if c.mode == modePlain {
		c.rcv.ended = true
		c.news.readable = true
		return
	}
	sf.retire(now)
}

// retire closes the subflow the ordinary way; what it has in flight stays its
// own to deliver, and is offered to others too.
func (sf *Subflow) retire(now time.Time) {
	if sf.closing {
		return
	}
	sf.closing = true
	sf.tc.Shutdown(now)
	sf.reinject(now)
}

// onClosed: the subflow is over. What it carried goes elsewhere.
func (sf *Subflow) onClosed(now time.Time) {
	c := sf.conn
	err := sf.tc.Err()
	if c.mode == modePlain || c.mode == modeOpening && sf.first {
		sf.releaseAll(now)
		if err == nil && c.mode == modeOpening {
			err = ErrReset
		}
		c.finish(now, err)
		return
	}
	sf.closing = true
	if c.mode == modeMultipath {
		sf.reinject(now)
		c.report(Event{Kind: EventSubflowDown, Subflow: sf.infoPtr(now)})
		c.pm.subflowDown(now, c, sf, err)
	}
	sf.releaseAll(now)
}

// releaseAll forgets what the subflow had in flight.
func (sf *Subflow) releaseAll(now time.Time) {
	sf.oldest.clear()
	sf.conn.release()
	if sf.staged != nil {
		sf.staged.Clear()
	}
}

// Window, Overhead and Pending answer tcp.Upper.

func (sf *Subflow) Window() int { return sf.conn.window() }

// Overhead is the option space of a data segment: a DSS, padded (RFC 8684
// section 3.3), or none in plain TCP.
func (sf *Subflow) Overhead() int {
	switch c := sf.conn; {
	case c.isPlain():
		return 0
	case c.snd.wide || c.rcv.wide:
		return dssLenWide
	case sf.first && c.initiator && !c.confirmed:
		return capableLen
	}
	return dssLen
}

const (
	capableLen = 24 // with both keys and a mapping
	dssLen     = 20
	dssLenWide = 28
)
