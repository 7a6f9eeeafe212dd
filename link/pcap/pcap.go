// Package pcap records what passes a device or a simulated link as pcapng, for
// tshark, Wireshark and `braid check`.
//
// A Writer is one file. Each path, device or direction of a simulation gets an
// Interface of it under its own name, so that a reader can tell the paths
// apart. Packets are raw IP. Large packets are cut into the pieces that travel
// and checksums left to the device are completed, so that a capture shows what
// a wire would.
//
// # Limitations
//
// Pieces of one large packet carry one timestamp. How a device really cuts
// what is written to it cannot be seen from here; what is shown is what
// segmentation offload does by its specification.
package pcap

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/braid-mptcp/braid/wire"
)

// ErrClosed is returned for packets written after Close.
var ErrClosed = errors.New("pcap: writer closed")

// Writer writes one capture file. All methods of a Writer and its Interfaces
// may be called from any goroutine.
type Writer struct {
	mu         sync.Mutex
	out        io.Writer
	ng         *pcapgo.NgWriter // nil until the first Interface
	interfaces int
	scratch    []byte // where pieces of large packets are built
	err        error  // the first error, which all later calls return
}

// NewWriter begins a capture on w. It does not close w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{out: w, scratch: make([]byte, 0, 16<<10)}
}

// Interface is one named source of packets in a capture.
type Interface struct {
	w     *Writer
	index int
}

// Interface adds an interface to the capture. Its name is what a reader shows
// beside each packet.
func (w *Writer) Interface(name string) (*Interface, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	desc := pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeRaw, TimestampResolution: 9}
	if w.ng == nil {
		// The library writes the first interface together with the header.
		w.ng, w.err = pcapgo.NewNgWriterInterface(w.out, desc, pcapgo.NgWriterOptions{
			SectionInfo: pcapgo.NgSectionInfo{Application: "braid"},
		})
	} else {
		_, w.err = w.ng.AddInterface(desc)
	}
	if w.err != nil {
		return nil, fmt.Errorf("pcap: %w", w.err)
	}
	w.interfaces++
	return &Interface{w, w.interfaces - 1}, nil
}

// WritePacket records an IP packet that was seen at now, which may be virtual
// time. off says what the device has still to do, or has done, to it. pkt is
// not kept.
func (i *Interface) WritePacket(now time.Time, pkt []byte, off wire.Offload) error {
	w := i.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if off == (wire.Offload{}) {
		w.write(now, i.index, pkt)
		return w.err
	}
	wire.Split(pkt, off.SegSize, w.scratch, func(piece []byte) { w.write(now, i.index, piece) })
	return w.err
}

func (w *Writer) write(now time.Time, index int, pkt []byte) {
	if w.err != nil {
		return
	}
	w.err = w.ng.WritePacket(gopacket.CaptureInfo{
		Timestamp:      now,
		CaptureLength:  len(pkt),
		Length:         len(pkt),
		InterfaceIndex: index,
	}, pkt)
}

// Flush hands everything recorded so far to the underlying writer. It returns
// the first error of the capture, if there was one.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

func (w *Writer) flush() error {
	if w.err == nil && w.ng != nil {
		w.err = w.ng.Flush()
	}
	return w.err
}

// Close flushes the capture and refuses further packets. It returns the first
// error of the capture, if there was one. A capture to which no interface was
// added is empty.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.flush()
	if errors.Is(err, ErrClosed) {
		return nil
	}
	w.err = ErrClosed
	return err
}
