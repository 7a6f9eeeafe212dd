// Package minitcp is the other end of a kernel TCP connection in the tests of
// packet devices: it opens a connection, sends and receives bulk data in
// segments of up to 64 KiB, and closes. It knows no congestion control and
// repairs loss by starting over from the last acknowledged byte.
package minitcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/link"
)

const (
	batch      = 64
	wscale     = 10
	bufSize    = 40 + 65535
	resendTime = 200 * time.Millisecond
)

// Conn is one connection over a device it has for itself. One goroutine uses
// it; Read and Write do not run at the same time.
type Conn struct {
	dev           link.Device
	local, remote netip.AddrPort
	start         time.Time

	sndUna, sndNxt uint32
	sndWnd, sndScl uint32
	rcvNxt         uint32
	tsRecent       uint32

	in      []link.Packet // packets of the last batch
	inDone  int           // how many of them were looked at
	inCount int
	out     []link.Packet
	packets chan []link.Packet // not nil: a reader goroutine feeds, see feed

	// What was seen, for tests to look at.
	LargestRead    int  // payload bytes of the largest segment
	LargestSegSize int  // largest SegSize
	AllVouched     bool // every packet read had PartialChecksum set
	Resent         int  // how often Write had to start over
}

func newConn(dev link.Device, local, remote netip.AddrPort) *Conn {
	c := &Conn{dev: dev, local: local, remote: remote, start: time.Now(), sndNxt: 1000, sndUna: 1000, AllVouched: true}
	for range batch {
		c.in = append(c.in, link.Packet{Data: make([]byte, bufSize)})
		c.out = append(c.out, link.Packet{Data: make([]byte, bufSize)})
	}
	return c
}

// Accept waits for a connection to local.
func Accept(dev link.Device, local netip.AddrPort) (*Conn, error) {
	c := newConn(dev, local, netip.AddrPort{})
	for {
		s, err := c.next()
		if err != nil {
			return nil, err
		}
		if s.dst != local || s.flags&syn == 0 {
			continue
		}
		c.remote = s.src
		c.handleSYN(s)
		return c, c.sendSYN(syn | ack)
	}
}

// Connect opens a connection from local to remote.
func Connect(dev link.Device, local, remote netip.AddrPort) (*Conn, error) {
	c := newConn(dev, local, remote)
	if err := c.sendSYN(syn); err != nil {
		return nil, err
	}
	for {
		s, err := c.next()
		if err != nil {
			return nil, err
		}
		if s.dst != local || s.src != remote {
			continue
		}
		if s.flags&rst != 0 {
			return nil, errors.New("minitcp: connection refused")
		}
		if s.flags&syn == 0 {
			continue
		}
		c.handleSYN(s)
		c.sndUna = s.ack
		return c, c.sendACK()
	}
}

func (c *Conn) handleSYN(s segment) {
	c.rcvNxt = s.seq + 1
	c.tsRecent = s.tsVal
	c.sndWnd = uint32(s.window)
	c.sndScl = uint32(max(s.wscale, 0))
}

// next gives the next TCP segment from the device.
func (c *Conn) next() (segment, error) {
	for {
		for c.inDone < c.inCount {
			p := &c.in[c.inDone]
			c.inDone++
			if s, ok := parse(p.Data); ok {
				c.LargestRead = max(c.LargestRead, len(s.payload))
				c.LargestSegSize = max(c.LargestSegSize, p.SegSize)
				c.AllVouched = c.AllVouched && p.PartialChecksum
				return s, nil
			}
		}
		n, err := c.dev.Read(c.in)
		if err != nil {
			return segment{}, err
		}
		c.inDone, c.inCount = 0, n
	}
}

// handle takes the acknowledgment and window of a segment, and hands its
// payload to w if it is the next in order.
func (c *Conn) handle(s segment, w io.Writer) error {
	if s.dst != c.local || s.src != c.remote {
		return nil
	}
	if s.flags&rst != 0 {
		return errors.New("minitcp: connection reset")
	}
	if int32(s.ack-c.sndUna) >= 0 && int32(s.ack-c.sndNxt) <= 0 {
		c.sndUna = s.ack
		c.sndWnd = uint32(s.window) << c.sndScl
	}
	if s.seq != c.rcvNxt || s.flags&syn != 0 {
		return nil
	}
	if s.hasTS {
		c.tsRecent = s.tsVal
	}
	c.rcvNxt += uint32(len(s.payload))
	if s.flags&fin != 0 {
		c.rcvNxt++
	}
	if w == nil {
		return nil
	}
	_, err := w.Write(s.payload)
	return err
}

// Receive writes n bytes of the peer's stream to w.
func (c *Conn) Receive(n int, w io.Writer) error {
	got := counter{w: w}
	for got.n < n {
		s, err := c.next()
		if err != nil {
			return err
		}
		if err := c.handle(s, &got); err != nil {
			return err
		}
		if c.inDone == c.inCount { // one acknowledgment for a batch
			if err := c.sendACK(); err != nil {
				return err
			}
		}
	}
	return c.sendACK()
}

// Send sends data in segments of at most largest bytes which the device is to
// cut into pieces of segSize (0: not at all), and returns when all of it was
// acknowledged.
func (c *Conn) Send(data []byte, largest, segSize int) error {
	c.feed()
	first := c.sndNxt
	for c.sndUna != first+uint32(len(data)) {
		if err := c.fill(data, first, largest, segSize); err != nil {
			return err
		}
		select {
		case pkts, ok := <-c.packets:
			if !ok {
				return link.ErrClosed
			}
			for _, p := range pkts {
				if s, ok := parse(p.Data); ok {
					if err := c.handle(s, nil); err != nil {
						return err
					}
				}
			}
		case <-time.After(resendTime):
			c.sndNxt = c.sndUna
			if c.Resent++; c.Resent > 20 {
				return fmt.Errorf("minitcp: no progress after %d of %d bytes", c.sndUna-first, len(data))
			}
		}
	}
	return nil
}

// feed starts the goroutine that reads while Send waits. After it, the
// connection can no longer Receive.
func (c *Conn) feed() {
	if c.packets != nil {
		return
	}
	c.packets = make(chan []link.Packet, 256)
	go func() {
		defer close(c.packets)
		for {
			n, err := c.dev.Read(c.in)
			if err != nil {
				return
			}
			var pkts []link.Packet
			for _, p := range c.in[:n] {
				p.Data = append([]byte(nil), p.Data...)
				pkts = append(pkts, p)
			}
			c.packets <- pkts
		}
	}()
}

// fill sends what the peer's window allows.
func (c *Conn) fill(data []byte, first uint32, largest, segSize int) error {
	for {
		n := 0
		for ; n < batch; n++ {
			off := int(c.sndNxt - first)
			size := min(largest, len(data)-off, int(c.sndUna+c.sndWnd-c.sndNxt))
			if size <= 0 {
				break
			}
			p := &c.out[n]
			p.Data = appendHeaders(p.Data[:0], c.segment(ack|psh), c.timestamp(), size)
			p.Data = append(p.Data, data[off:off+size]...)
			p.SegSize, p.PartialChecksum = segSize, true
			if size <= segSize {
				p.SegSize = 0
			}
			c.sndNxt += uint32(size)
		}
		if n == 0 {
			return nil
		}
		if err := c.write(c.out[:n]); err != nil {
			return err
		}
	}
}

// SendFIN ends our direction.
func (c *Conn) SendFIN() error {
	err := c.sendOne(fin|ack, c.timestamp())
	c.sndNxt++
	return err
}

func (c *Conn) sendACK() error { return c.sendOne(ack, c.timestamp()) }

func (c *Conn) sendSYN(flags byte) error {
	options := append([]byte{
		2, 4, 0x05, 0x8c, // MSS 1420
		1, 3, 3, wscale,
	}, c.timestamp()...)
	err := c.sendOne(flags, options)
	c.sndNxt++
	return err
}

func (c *Conn) sendOne(flags byte, options []byte) error {
	p := link.Packet{Data: appendHeaders(nil, c.segment(flags), options, 0), PartialChecksum: true}
	return c.write([]link.Packet{p})
}

func (c *Conn) segment(flags byte) *segment {
	return &segment{src: c.local, dst: c.remote, seq: c.sndNxt, ack: c.rcvNxt, flags: flags, window: 0xffff}
}

func (c *Conn) timestamp() []byte {
	o := append(make([]byte, 0, tsOption), 1, 1, 8, 10)
	o = binary.BigEndian.AppendUint32(o, uint32(time.Since(c.start).Milliseconds()))
	return binary.BigEndian.AppendUint32(o, c.tsRecent)
}

func (c *Conn) write(pkts []link.Packet) error {
	_, err := c.dev.Write(pkts)
	return err
}

type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += len(b)
	return c.w.Write(b)
}
