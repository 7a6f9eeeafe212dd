package host

import (
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/wire"
)

// cutter does what a device cannot: it cuts large packets, joins those that lie
// in pieces, and completes checksums. It belongs to whoever holds the device's
// writing lock.
type cutter struct {
	pieces  []link.Packet
	arena   []byte
	scratch []byte
	whole   []byte
}

// prepare gives a beginning of pkts in a form that a device of the given
// features takes, and the rest. What ready refers to is good until the next
// call.
func (c *cutter) prepare(pkts []link.Packet, f link.Features) (ready, rest []link.Packet) {
	for i := range pkts {
		p := &pkts[i]
		cut := p.SegSize > 0 && p.Len() > f.MaxPacket
		if cut || len(p.Payload) > 0 && !(f.Gather && f.Checksum) {
			if i > 0 {
				return pkts[:i], pkts[i:]
			}
			c.join(p)
		}
		if cut {
			return c.cut(p), pkts[1:]
		}
		if p.PartialChecksum && !f.Checksum {
			wire.Finish(p.Data, wire.Offload{})
			p.PartialChecksum = false
		}
	}
	return pkts, nil
}

// join puts a packet together that lies in pieces.
func (c *cutter) join(p *link.Packet) {
	if len(p.Payload) > 0 {
		c.whole = p.Append(c.whole[:0])
		p.Data, p.Payload = c.whole, nil
	}
}

// cut makes the pieces of one large packet.
func (c *cutter) cut(p *link.Packet) []link.Packet {
	c.pieces, c.arena = c.pieces[:0], c.arena[:0]
	if c.scratch == nil {
		c.scratch = make([]byte, 0, MaxPacket)
		// The pieces together are larger than the whole by their headers. Were
		// the arena to grow half-way, pieces cut before would keep the old one
		// alive, no more.
		c.arena = make([]byte, 0, 2*MaxPacket)
	}
	wire.Split(p.Data, p.SegSize, c.scratch, func(piece []byte) {
		from := len(c.arena)
		c.arena = append(c.arena, piece...)
		c.pieces = append(c.pieces, link.Packet{Data: c.arena[from:len(c.arena):len(c.arena)]})
	})
	return c.pieces
}
