package pcap

import (
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/wire"
)

// Tap gives a Device that passes everything to dev and records it on i with
// the time of day. That the capture fails, for a full disk say, does not
// disturb the traffic: Writer.Close reports it.
func Tap(dev link.Device, i *Interface) link.Device { return &tap{dev, i} }

type tap struct {
	dev link.Device
	out *Interface
}

func (t *tap) Features() link.Features { return t.dev.Features() }
func (t *tap) Close() error            { return t.dev.Close() }

func (t *tap) Read(pkts []link.Packet) (int, error) {
	n, err := t.dev.Read(pkts)
	t.record(pkts[:n])
	return n, err
}

// Write records before it passes on, so that a packet stands before its answer.
func (t *tap) Write(pkts []link.Packet) (int, error) {
	t.record(pkts)
	return t.dev.Write(pkts)
}

func (t *tap) record(pkts []link.Packet) {
	now := time.Now()
	for _, p := range pkts {
		_ = t.out.WritePacket(now, p.Data, wire.Offload{SegSize: p.SegSize, PartialChecksum: p.PartialChecksum})
	}
}
