package sim

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

// Dir is a direction of a link.
type Dir uint8

const (
	AB Dir = iota // from end A to end B
	BA
)

// Reverse is the other direction.
func (d Dir) Reverse() Dir { return d ^ 1 }

// String gives "ab" or "ba".
func (d Dir) String() string {
	if d == AB {
		return "ab"
	}
	return "ba"
}

// Tap sees packets pass. where is the link's name and the direction, as in
// "wired ab". pkt is good only during the call and must not be changed.
type Tap func(now time.Time, where string, pkt []byte)

// Taps are where a link can be listened to; any of them may be nil.
type Taps struct {
	Sent    Tap                                                     // at the sender, before any middlebox, as cut for the wire
	Arrived Tap                                                     // at the receiver, behind every middlebox
	Lost    func(now time.Time, where string, why Fate, pkt []byte) // by the line
}

// Link is a line between an end A and an end B, and the middleboxes at
// either. Like its Pipes it knows no clock and belongs to one goroutine.
type Link struct {
	name    string
	where   [2]string
	pipes   [2]*Pipe
	nearA   []Middlebox // from A outwards
	nearB   []Middlebox // from the line to B
	deliver func(now time.Time, dir Dir, pkt []byte, off wire.Offload)
	taps    *Taps

	cutting struct { // a large packet, see Send
		emit    func(piece []byte)
		now     time.Time
		dir     Dir
		scratch []byte
	}
}

// NewLink makes a link that is up. deliver is called for each packet that
// comes out at an end (dir AB: at B); the packet is good during the call.
func NewLink(name string, ab, ba LinkConfig, seed uint64, deliver func(now time.Time, dir Dir, pkt []byte, off wire.Offload)) *Link {
	l := &Link{name: name, deliver: deliver, taps: &Taps{}}
	for dir, cfg := range []LinkConfig{ab, ba} {
		l.where[dir] = name + " " + Dir(dir).String()
		p := NewPipe(cfg, seed, uint64(dir))
		p.dropped = func(now time.Time, why Fate, pkt []byte) {
			if l.taps.Lost != nil {
				l.taps.Lost(now, l.where[dir], why, pkt)
			}
		}
		l.pipes[dir] = p
	}
	l.cutting.emit = func(piece []byte) {
		l.enter(l.cutting.now, l.cutting.dir, piece, wire.Offload{})
	}
	return l
}

// Name gives the link's name.
func (l *Link) Name() string { return l.name }

// Pipe gives one direction of the line, for its configuration and counters.
func (l *Link) Pipe(dir Dir) *Pipe { return l.pipes[dir] }

// Listen sets the link's taps.
func (l *Link) Listen(t Taps) { l.taps = &t }

// NearA puts middleboxes at end A, the first of them nearest to A: packets to
// B pass them before the line, packets to A behind it.
func (l *Link) NearA(boxes ...Middlebox) { l.nearA = append(l.nearA, boxes...) }

// NearB puts middleboxes at end B, the last of them nearest to B.
func (l *Link) NearB(boxes ...Middlebox) { l.nearB = append(l.nearB, boxes...) }

// Down cuts both directions (see Pipe.Down), Up restores them.
func (l *Link) Down(now time.Time) {
	l.pipes[AB].Down(now)
	l.pipes[BA].Down(now)
}

// Up ends Down.
func (l *Link) Up() {
	l.pipes[AB].Up()
	l.pipes[BA].Up()
}

// Send puts a packet in at the end direction dir begins at. Its checksum may
// be completed in place; it is copied where it has to be kept.
func (l *Link) Send(now time.Time, dir Dir, pkt []byte, off wire.Offload) {
	keep := l.pipes[dir].cfg.KeepLarge && len(l.nearA)+len(l.nearB) == 0
	switch {
	case keep:
		l.enter(now, dir, pkt, off)
	case off.SegSize > 0:
		if l.cutting.scratch == nil {
			l.cutting.scratch = make([]byte, bufferSizes[len(bufferSizes)-1])
		}
		l.cutting.now, l.cutting.dir = now, dir
		wire.Split(pkt, off.SegSize, l.cutting.scratch, l.cutting.emit)
	default:
		if off.PartialChecksum {
			wire.Finish(pkt, wire.Offload{})
		}
		l.enter(now, dir, pkt, wire.Offload{})
	}
}

// Inject puts a forged packet into the line itself, past the middleboxes of
// the end it seems to come from and past the Sent tap.
func (l *Link) Inject(now time.Time, dir Dir, pkt []byte) {
	l.at(now, dir, len(l.nearA), pkt, wire.Offload{})
}

// enter starts a packet on its way.
func (l *Link) enter(now time.Time, dir Dir, pkt []byte, off wire.Offload) {
	if l.taps.Sent != nil {
		l.taps.Sent(now, l.where[dir], pkt)
	}
	first := 0
	if dir == BA {
		first = len(l.nearA) + len(l.nearB)
	}
	l.at(now, dir, first, pkt, off)
}

// at brings a packet to a stage of the link. The stages are counted from A:
// the boxes near A, the line, the boxes near B; what is beyond is the ends.
func (l *Link) at(now time.Time, dir Dir, stage int, pkt []byte, off wire.Offload) {
	line := len(l.nearA)
	switch {
	case stage < 0 || stage > line+len(l.nearB):
		if l.taps.Arrived != nil {
			l.taps.Arrived(now, l.where[dir], pkt)
		}
		l.deliver(now, dir, pkt, off)
	case stage == line:
		if l.pipes[dir].Send(now, pkt, off) == LostMTU {
			l.tooBig(now, dir, pkt)
		}
	default:
		l.box(stage).Handle(now, dir, pkt, Outlet{l, now, stage})
	}
}

func (l *Link) box(stage int) Middlebox {
	if stage < len(l.nearA) {
		return l.nearA[stage]
	}
	return l.nearB[stage-len(l.nearA)-1]
}

// The routers at the ends of the line, as ICMP messages name them: addresses
// for documentation (RFC 5737, RFC 3849).
var (
	router4 = netip.MustParseAddr("192.0.2.254")
	router6 = netip.MustParseAddr("2001:db8:ffff::fe")
)

// tooBig tells the sender of a packet that the line does not take its size
// (RFC 1191 section 4, RFC 8201). Only TCP packets are answered, so that no
// message is sent about a message, and of IPv4 only those that forbid
// fragmentation; the others are lost, since the line does not fragment.
func (l *Link) tooBig(now time.Time, dir Dir, pkt []byte) {
	cfg := &l.pipes[dir].cfg
	ip, err := wire.ParseIP(pkt)
	if err != nil || cfg.NoICMP || ip.Protocol != wire.ProtocolTCP || !ip.DontFragment {
		return
	}
	from := router4
	if ip.Version == 6 {
		from = router6
	}
	Outlet{l, now, len(l.nearA)}.Send(dir.Reverse(), wire.AppendICMPTooBig(nil, from, cfg.MTU, pkt))
}

// Next gives the earliest time at which Advance has something to do, or the
// zero time.
func (l *Link) Next() time.Time {
	next := earlier(l.pipes[AB].Next(), l.pipes[BA].Next())
	for i := range len(l.nearA) + len(l.nearB) + 1 {
		if i == len(l.nearA) {
			continue
		}
		if timed, ok := l.box(i).(TimedMiddlebox); ok {
			next = earlier(next, timed.Next())
		}
	}
	return next
}

// Advance delivers what has arrived by now.
func (l *Link) Advance(now time.Time) {
	for dir, p := range l.pipes {
		for {
			pkt, off, ok := p.Recv(now)
			if !ok {
				break
			}
			stage := len(l.nearA) + 1
			if Dir(dir) == BA {
				stage = len(l.nearA) - 1
			}
			l.at(now, Dir(dir), stage, pkt, off)
		}
	}
	for i := range len(l.nearA) + len(l.nearB) + 1 {
		if i == len(l.nearA) {
			continue
		}
		if timed, ok := l.box(i).(TimedMiddlebox); ok {
			if due := timed.Next(); !due.IsZero() && !due.After(now) {
				timed.Advance(now, Outlet{l, now, i})
			}
		}
	}
}
