package pcap

import (
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/wire"
)

// Tap gives a Device that passes everything to dev and records it on i with
// the time of day. That the capture fails, for a full disk say, does not
// disturb the traffic: Writer.Close reports it.
func Tap(dev link.Device, i *Interface) link.Device { return &tap{dev: dev, out: i} }

type tap struct {
	dev   link.Device
	out   *Interface
	whole []byte // a packet to be written, put together; used by Write alone
}

func (t *tap) Features() link.Features { return t.dev.Features() }
func (t *tap) Close() error            { return t.dev.Close() }

func (t *tap) Read(pkts []link.Packet) (int, error) {
	n, err := t.dev.Read(pkts)
	now := time.Now()
	for i := range pkts[:n] {
		t.record(now, &pkts[i], pkts[i].Data)
	}
	return n, err
}

// Write records before it passes on, so that a packet stands before its answer.
func (t *tap) Write(pkts []link.Packet) (int, error) {
	now := time.Now()
	for i := range pkts {
		whole := pkts[i].Data
		if len(pkts[i].Payload) > 0 {
			t.whole = pkts[i].Append(t.whole[:0])
			whole = t.whole
		}
		t.record(now, &pkts[i], whole)
	}
	return t.dev.Write(pkts)
}

func (t *tap) record(now time.Time, p *link.Packet, whole []byte) {
	_ = t.out.WritePacket(now, whole, wire.Offload{SegSize: p.SegSize, PartialChecksum: p.PartialChecksum})
}
