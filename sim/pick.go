package sim

import "github.com/braid-mptcp/braid/wire"

// Kind is what a TCP segment is for. Every segment is of exactly one kind.
type Kind uint8

const (
	SYN    Kind = 1 << iota // SYN without ACK
	SYNACK                  // SYN with ACK
	// ThirdACK is an empty ACK from who sent the SYN, with the sequence
	// numbers that end the handshake: the third packet, its repetitions, and
	// whatever looks like it.
	ThirdACK
	Data    // payload, with or without FIN
	PureACK // no payload, and none of the others
	FIN     // FIN without payload
	RST
)

// Way limits a box to one direction of its link.
type Way uint8

const (
	BothWays Way = iota
	OnlyAB
	OnlyBA
)

func (w Way) allows(d Dir) bool { return w == BothWays || w == OnlyAB+Way(d) }

// Pick chooses the packets a middlebox acts on. The zero Pick chooses every
// TCP segment. What is not a TCP segment, or was damaged on the way, is never
// chosen. A Pick counts, and belongs to one box.
type Pick struct {
	Way   Way
	Kinds Kind                       // any of these; 0 for all
	When  func(s *wire.Segment) bool // a condition of the caller's, who must not change s
	Skip  int                        // leave the first so many alone
	Every int                        // of the rest, choose each so-manieth; 0 and 1 for all
	Count int                        // choose no more than this; 0 for no limit

	// Picked is how many packets were chosen so far.
	Picked int

	seen  int
	seg   wire.Segment // the packet at hand
	flows flows[struct{}]
}

// pick decides about a packet, and leaves its content in p.seg.
func (p *Pick) pick(dir Dir, pkt []byte) bool {
	return p.read(dir, pkt) && p.choose()
}

// read takes a packet in and reports whether it is of the sort wanted.
func (p *Pick) read(dir Dir, pkt []byte) bool {
	if wire.ParseSegment(pkt, &p.seg, false) != nil {
		return false
	}
	kind := p.kind(dir, &p.seg)
	return p.Way.allows(dir) && (p.Kinds == 0 || p.Kinds&kind != 0) && (p.When == nil || p.When(&p.seg))
}

// choose counts a packet of the sort wanted and decides whether it is one of
// those to act on.
func (p *Pick) choose() bool {
	n := p.seen - p.Skip
	p.seen++
	if n < 0 || p.Every > 1 && (n+1)%p.Every != 0 || p.Count > 0 && p.Picked >= p.Count {
		return false
	}
	p.Picked++
	return true
}

// kind tells what a segment is for.
func (p *Pick) kind(dir Dir, s *wire.Segment) Kind {
	f := p.flows.of(dir, s)
	switch {
	case s.Flags.Has(wire.RST):
		return RST
	case s.Flags.Has(wire.SYN | wire.ACK):
		return SYNACK
	case s.Flags.Has(wire.SYN):
		return SYN
	case len(s.Payload) > 0:
		return Data
	case s.Flags.Has(wire.FIN):
		return FIN
	case f.opened && f.opener == dir && s.Seq == f.isn[dir]+1 && s.Ack == f.isn[dir.Reverse()]+1:
		return ThirdACK
	}
	return PureACK
}
