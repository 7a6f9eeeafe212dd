// Package link moves IP packets between a stack and the world below it.
//
// A Device is whatever can take and give packets in batches: an in-memory
// pair, a TUN interface (link/tun), a packet socket (link/afpacket), or a tap
// around another device that writes what passes to a capture file.
package link

import "errors"

// ErrClosed is returned by a Device's methods after Close.
var ErrClosed = errors.New("link: device closed")

// Packet is one IP packet on its way through a Device. A TCP packet may be
// larger than the path's MTU: SegSize then says into which pieces the device
// must cut it (TSO), or from which pieces it was joined (GRO).
type Packet struct {
	Data []byte
	// Payload is what follows Data, of a packet to be written to a device with
	// Gather.
	Payload [][]byte
	// SegSize is the TCP payload in bytes of each piece; 0 for a packet that
	// is to travel as it is.
	SegSize int
	// PartialChecksum says, of a packet to be written, that its TCP checksum
	// field holds the sum of the pseudo header only and the device has to
	// complete it; of a packet read, that the device vouches for it.
	PartialChecksum bool
}

// Len is the packet's length in bytes.
func (p *Packet) Len() int {
	n := len(p.Data)
	for _, b := range p.Payload {
		n += len(b)
	}
	return n
}

// Append appends the packet's bytes to b.
func (p *Packet) Append(b []byte) []byte {
	b = append(b, p.Data...)
	for _, more := range p.Payload {
		b = append(b, more...)
	}
	return b
}

// Features are what a Device does beyond moving packets of its MTU.
type Features struct {
	MTU int // bytes of the largest IP packet that goes out uncut
	// MaxPacket is the largest packet the device takes with SegSize set
	// (TSO), 0 when it takes none.
	MaxPacket int
	// Checksum says that the device completes PartialChecksum.
	Checksum bool
	// Gather says that the device takes packets with a Payload.
	Gather bool
}

// Poller is a Device from which more than one goroutine may take packets: one
// waits, and whoever needs them takes them.
type Poller interface {
	Device
	// Wait waits until Poll has something to give, packets or an error. It is
	// called by one goroutine, while others may call Poll. It may return early.
	Wait() error
	// Poll is Read without the wait: n is 0 while there are no packets. It is
	// called by one goroutine at a time, and not beside Read.
	Poll(pkts []Packet) (n int, err error)
}

// Device moves packets. Read and Write may be called at the same time, each by
// one goroutine; Close by any.
type Device interface {
	// Read waits for at least one packet and fills as many of pkts as are
	// there. Each pkts[i].Data must come with its full capacity for use as
	// a buffer (at least 65,575 bytes for a device with MaxPacket) and is
	// resliced to what was read.
	Read(pkts []Packet) (n int, err error)
	// Write sends pkts in order; n is how many were taken. It does not keep
	// their Data and Payload. A packet that the medium drops counts as taken.
	Write(pkts []Packet) (n int, err error)
	// Features says what the device does. It does not change while open.
	Features() Features
	// Close wakes a pending Read, which returns ErrClosed.
	Close() error
}
