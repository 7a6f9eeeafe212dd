package mptcp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Conn is one connection: a byte stream over one or more subflows.
type Conn struct {
	// User is for the owner of the connection.
	User any

	cfg       Config
	host      Host
	initiator bool
	mode      mode
	fallback  FallbackReason
	err       error

	local, peer party
	tokenFree   bool // nobody can join any more
	checksum    bool // DSS checksums, both ways
	confirmed   bool // the peer's options have been seen to arrive with data or its acknowledgement
	infinite    infiniteMapping
	mpFail      failSignal
	fastClose   bool // resets carry MP_FASTCLOSE
	closed      bool // the application closed both directions
	wasPlain    bool // at the end
	thirdNext   bool // the next bare ACK before confirmation repeats the keys

	laddr, raddr netip.AddrPort // of the first subflow, for ever
	subflows     []*Subflow     // in the order they are asked to send; gone ones are taken out
	began        int            // subflows ever

	out stream.Send
	in  stream.Recv
	snd dataSender
	rcv dataReceiver

	swept seq.Pos // where the send buffer was last swept
	again seq.Set // data to be sent once more, on another subflow
	pm    pathManager
	timer timers
	tune  stream.Tuner
	news  news
	stats Stats
}

// mode is what the connection is, so far.
type mode uint8

const (
	modeOpening   mode = iota // the first handshake is going on
	modeMultipath             // RFC 8684
	modePlain                 // TCP: refused, disabled or fallen back
	modeClosed                // over, at data level
)

// party is what is known of one end.
type party struct {
	known bool
	key   wire.Key
	token uint32
	idsn  uint64
}

func newParty(k wire.Key) party {
	return party{known: true, key: k, token: wire.Token(k, wire.V1), idsn: wire.IDSN(k, wire.V1)}
}

// dataSender is the send sequence space at data level (RFC 8684 appendix C.1.2).
type dataSender struct {
	una      seq.Pos // first byte without a Data ACK
	next     seq.Pos // first byte never given to a subflow
	edge     seq.Pos // right edge of the peer's window; moves forward only
	maxWnd   int
	wide     bool // data sequence numbers are sent with all 64 bits
	fin      finState
	finPos   seq.Pos // the DATA_FIN's place
	timeouts int     // of the data level, in a row
	asked    int     // times a Data ACK was asked for since one came
	bare     int     // Subflow.bare at the first of these timeouts
	repeated bool    // bytes were sent more than once on the first subflow, at different places of it
	helped   seq.Pos // the head last sent again because it blocked the window
	repair   repair
}

type finState uint8

const (
	finNone   finState = iota
	finQueued          // the application wrote its last byte
	finSent            // every byte was given to a subflow: the DATA_FIN has its place
	finAcked
)

// dataReceiver is the receive sequence space at data level, beside Conn.in.
type dataReceiver struct {
	fin   seq.Pos // place of the peer's DATA_FIN, 0 while unknown
	ended bool    // everything before it has arrived
	// endedFirst: the peer's stream ended while ours went on.
	endedFirst bool
	wide       bool // the peer sends 64 bits, and is to get 64 (section 3.3.2)
}

func newConn(host Host, cfg Config, local, remote netip.AddrPort) *Conn {
	cfg.setDefaults()
	cfg.TCP.MaxWindow = cfg.RecvBuffer
	c := &Conn{
		cfg: cfg, host: host, laddr: local, raddr: remote,
		out: stream.NewSend(host.Pool(), min(initialBuffer, cfg.SendBuffer)),
		in:  stream.NewRecv(host.Pool(), min(initialBuffer, cfg.RecvBuffer)),
	}
	// Deviation: data beyond the window would not have to be taken (RFC 8684
	// section 3.8). But Linux overruns the data level's window when it fills
	// several subflows at once, and what its TCP knows to have arrived it sends
	// again only after a second or so.
	c.in.Lenient = true
	c.snd = dataSender{una: 1, next: 1, edge: 1}
	c.tune.Max = cfg.RecvBuffer
	return c
}

// Connect begins an active open from local to remote. Zero parts of local are
// chosen by the host.
func Connect(now time.Time, host Host, cfg Config, local, remote netip.AddrPort) (*Conn, error) {
	c := newConn(host, cfg, local, remote)
	c.initiator = true
	sf := c.newSubflow(true)
	tcpCfg := c.cfg.TCP
	if err := host.Open(now, sf, local, remote, &tcpCfg); err != nil {
		return nil, err
	}
	c.laddr = tcpCfg.Local
	if cfg.Disabled {
		c.mode, c.fallback = modePlain, Disabled
	} else {
		c.local = newParty(host.NewKey(c))
	}
	c.pm.firstSubflow(c)
	sf.tc = tcp.Connect(now, tcpCfg, sf)
	c.add(sf)
	return c, nil
}

// Accept begins a passive open with a SYN that a listener got. tcpCfg has
// what Host.Open fills in.
func Accept(now time.Time, host Host, cfg Config, tcpCfg tcp.Config, syn *wire.Segment) (*Conn, *Subflow) {
	c := newConn(host, cfg, syn.Dst, syn.Src)
	tcpCfg.MaxWindow = c.cfg.RecvBuffer
	sf := c.newSubflow(true)
	c.offered(&syn.Options)
	c.pm.firstSubflow(c)
	sf.tc = tcp.Accept(now, tcpCfg, sf, syn)
	c.add(sf)
	return c, sf
}

func (c *Conn) add(sf *Subflow) { c.subflows = append(c.subflows, sf) }

// LocalAddr and RemoteAddr are those of the first subflow, even when it is
// long gone (RFC 8684 section 4).
func (c *Conn) LocalAddr() netip.AddrPort  { return c.laddr }
func (c *Conn) RemoteAddr() netip.AddrPort { return c.raddr }

// Token names the connection on this host; ok is false in plain TCP.
func (c *Conn) Token() (token uint32, ok bool) { return c.local.token, c.local.known }

// Done reports whether nothing of the connection is left: it is over, and so
// are all its subflows.
func (c *Conn) Done() bool { return c.mode == modeClosed && len(c.subflows) == 0 }

// Err is why the connection ended; nil if it has not, or as it should.
func (c *Conn) Err() error { return c.err }

// Output builds the next packet of any subflow. Subflows are asked in the
// scheduler's order: whichever is preferred takes what it can, and the next
// gets what is left.
func (c *Conn) Output(now time.Time, p *tcp.Packet) bool {
	for i := 0; i < len(c.subflows); i++ {
		sf := c.subflows[i]
		if sf.tc.Output(now, p) {
			sf.stats.SegmentsSent++
			if sf.again {
				sf.again = false
				sf.tc.AckAlone()
			}
			return true
		}
	}
	c.reap(now)
	return false
}

// reap takes out subflows that are over. Output had nothing more of theirs: what
// is in TIME-WAIT is the host's from now on.
func (c *Conn) reap(now time.Time) {
	c.subflows = slices.DeleteFunc(c.subflows, func(sf *Subflow) bool {
		if !sf.tc.Done() && sf.tc.State() != tcp.StateTimeWait {
			return false
		}
		c.host.Close(now, sf)
		return true
	})
	if c.Done() {
		c.out.Clear()
		if c.closed || c.in.Readable() == 0 { // what waits for earlier bytes waits for ever
			c.in.Clear()
		}
	}
}

// Input takes a segment for one of the subflows. The memory it refers to is the
// caller's again afterwards, unless it is in's.
func (c *Conn) Input(now time.Time, sf *Subflow, seg *wire.Segment, in *stream.Buffer) {
	sf.tc.Input(now, seg, in)
	c.afterwards(now)
}

// NextTimeout is when Advance must be called; zero: never.
func (c *Conn) NextTimeout() time.Time {
	next := c.timer.next()
	for _, sf := range c.subflows {
		next = earlier(next, sf.tc.NextTimeout())
		next = earlier(next, sf.stallAt())
	}
	return next
}

// Advance runs whatever is due.
func (c *Conn) Advance(now time.Time) {
	for _, sf := range c.subflows {
		if at := sf.tc.NextTimeout(); !at.IsZero() && !at.After(now) {
			sf.tc.Advance(now)
		}
		if at := sf.stallAt(); !at.IsZero() && !at.After(now) {
			sf.becomeStale(now)
		}
	}
	c.runTimers(now)
	c.afterwards(now)
}

// afterwards settles what any change may have brought about.
func (c *Conn) afterwards(now time.Time) {
	c.sortSubflows()
	c.watchDataAck(now)
	c.maybeSendFin(now)
	c.maybeFinish(now)
	c.host.Wake(c)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
