package stack

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Config is what a Stack is made from. Only Rand is required.
type Config struct {
	// Rand gives unpredictable numbers, for keys, nonces and initial
	// sequence numbers. With a seeded one, a run can be replayed.
	Rand func() uint64
	// MaxPacket is the largest packet Output may build for devices that cut
	// it up (TSO), in bytes; 0: never more than the address's MTU.
	MaxPacket int
	// ChecksumOffload lets Output leave TCP checksums to the device.
	ChecksumOffload bool
	// Conn is the default for connections.
	Conn mptcp.Config
}

// Stack is one TCP/IP host, or one shard of it.
type Stack struct {
	cfg       Config
	addrs     []Address
	endpoints []mptcp.Endpoint

	entries   entryList // every connection, in the order they began
	bySegment map[fourTuple]subflow
	byToken   map[uint32]*entry
	listeners map[netip.AddrPort]*Listener
	waits     timeWaits
	isn       tcp.ISNSource
	nextPort  uint16
	lastID    uint8 // the address ID chosen last

	active  queue // entries that may have packets to send
	telling queue // entries that may have events to tell
	acceptq []*Listener
	timers  timerHeap
	replies []wire.Segment // segments that belong to no connection
	stats   Stats

	pool   stream.Pool
	packet tcp.Packet
	in     wire.Segment
}

// fourTuple identifies a subflow (RFC 9293 section 3.3.1).
type fourTuple struct{ local, remote netip.AddrPort }

// subflow is where the segments of a 4-tuple go.
type subflow struct {
	e  *entry
	sf *mptcp.Subflow
}

// Stats counts what a Stack did.
type Stats struct {
	PacketsIn, PacketsOut uint64
	BadPackets            uint64 // not IP or TCP, wrong checksum, not for us
	ResetsSent            uint64 // to segments that belong to nobody
	SYNsDropped           uint64 // a listener's backlog was full
	JoinsUnknown          uint64 // MP_JOIN with a token nobody has
	JoinsRefused          uint64
	ICMPIgnored           uint64 // quotes no segment in flight
	ConnectionsEver       uint64

	// What there is now.
	Connections, TimeWaits int
	Subflows               int // 4-tuples that are directed to a connection
	Tokens                 int // that a join could name
	Timers                 int // connections that wait for a time to come
	BufferBytes            int // memory of stream buffers
}

// New makes a stack without addresses.
func New(cfg Config) *Stack {
	s := &Stack{
		cfg:       cfg,
		bySegment: map[fourTuple]subflow{},
		byToken:   map[uint32]*entry{},
		listeners: map[netip.AddrPort]*Listener{},
	}
	s.waits.init()
	var secret [32]byte
	for i := range secret {
		secret[i] = byte(cfg.Rand() >> 32)
	}
	s.isn = tcp.NewISNSource(secret)
	s.nextPort = uint16(cfg.Rand())
	return s
}

// Stats is a snapshot of the counters.
func (s *Stack) Stats() Stats {
	st := s.stats
	st.Connections, st.TimeWaits = s.entries.n, s.waits.len()
	st.Subflows, st.Tokens, st.Timers = len(s.bySegment), len(s.byToken), len(s.timers.list)
	st.BufferBytes = s.pool.InUse()
	return st
}

// Conns calls f for every connection, in the order they began.
func (s *Stack) Conns(f func(*mptcp.Conn)) {
	for e := range s.entries.all {
		f(e.conn)
	}
}

// Output builds the next packet to send in buf, which must hold the largest
// packet (65,575 bytes where MaxPacket is used, else the MTU). off says what
// the device has to do with it. The packet's source address tells which device
// that is.
func (s *Stack) Output(now time.Time, buf []byte) (n int, off wire.Offload, ok bool) {
	s.packet.Gather = false
	return s.output(now, buf)
}

// OutputPieces is Output for devices that write a packet from several places:
// the payload of a large segment stays where it lies, and is appended to
// payload. The packet is the n bytes of buf and then the new pieces, which
// whoever asks releases.
func (s *Stack) OutputPieces(now time.Time, buf []byte, payload []stream.Piece) (n int, _ []stream.Piece, off wire.Offload, ok bool) {
	s.packet.Gather, s.packet.Payload = true, payload
	n, off, ok = s.output(now, buf)
	payload, s.packet.Payload = s.packet.Payload, nil
	return n, payload, off, ok
}

func (s *Stack) output(now time.Time, buf []byte) (n int, off wire.Offload, ok bool) {
	if len(s.replies) > 0 {
		n = s.outputReply(buf)
		return n, wire.Offload{}, true
	}
	s.packet.Buf = buf
	if s.waits.output(now, &s.packet) || s.outputActive(now) {
		s.stats.PacketsOut++
		return s.packet.N, s.packet.Offload, true
	}
	return 0, wire.Offload{}, false
}

// outputActive asks the connections that may have something to send. One that
// has nothing more leaves the line, and its timer is set.
func (s *Stack) outputActive(now time.Time) bool {
	for {
		e := s.active.first()
		if e == nil {
			return false
		}
		if e.conn.Output(now, &s.packet) {
			return true
		}
		s.active.pop()
		e.isActive = false
		if e.conn.Done() {
			s.drop(e)
			continue
		}
		s.timers.set(e, e.conn.NextTimeout())
	}
}

// NextTimeout is when Advance must be called; the zero time: never.
func (s *Stack) NextTimeout() time.Time {
	next := s.waits.nextTimeout()
	if at := s.timers.first(); !at.IsZero() && (next.IsZero() || at.Before(next)) {
		next = at
	}
	return next
}

// Advance runs the timers that are due.
func (s *Stack) Advance(now time.Time) {
	s.waits.expire(now)
	for {
		at := s.timers.first()
		if at.IsZero() || at.After(now) {
			return
		}
		e := s.timers.list[0]
		s.timers.set(e, time.Time{})
		e.conn.Advance(now)
		e.Wake(e.conn)
	}
}
