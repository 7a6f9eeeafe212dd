package host

import (
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/wire"
)

// cutter does what a device cannot: it cuts large packets and completes
// checksums. It belongs to whoever holds the device's writing lock.
type cutter struct {
	pieces  []link.Packet
	arena   []byte
	scratch []byte
}

// prepare gives a beginning of pkts in a form that a device of the given
// features takes, and the rest. What ready refers to is good until the next
// call.
func (c *cutter) prepare(pkts []link.Packet, f link.Features) (ready, rest []link.Packet) {
	for i := range pkts {
		p := &pkts[i]
		if p.SegSize > 0 && len(p.Data) > f.MaxPacket {
			if i > 0 {
				return pkts[:i], pkts[i:]
			}
			return c.cut(p), pkts[1:]
		}
		if p.PartialChecksum && !f.Checksum {
			wire.Finish(p.Data, wire.Offload{})
			p.PartialChecksum = false
		}
	}
	return pkts, nil
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
