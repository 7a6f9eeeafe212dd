//go:build linux

package tun

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/internal/minitcp"
)

// BenchmarkReceive is bulk TCP from a kernel socket through the interface.
func BenchmarkReceive(b *testing.B) {
	n := netns.New(b, "host")
	dev := open(b, n, 1)[0]
	local := netip.AddrPortFrom(ours4, 80)
	const chunk = 1 << 20
	go func() {
		c, err := minitcp.Accept(dev, local)
		if err == nil {
			c.Receive(1<<40, io.Discard)
		}
	}()
	c := dial(b, n, local.String())
	data := make([]byte, chunk)
	b.SetBytes(chunk)
	for b.Loop() {
		if _, err := c.Write(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSend is bulk TCP into a kernel socket.
func BenchmarkSend(b *testing.B) {
	n := netns.New(b, "host")
	dev := open(b, n, 1)[0]
	ln := listen(b, n, netip.AddrPortFrom(kernel4, 80).String())
	go func() {
		c, err := ln.Accept()
		if err == nil {
			buf := make([]byte, 1<<20)
			for err == nil {
				_, err = c.Read(buf)
			}
		}
	}()
	c, err := minitcp.Connect(dev, netip.AddrPortFrom(ours4, 5000), netip.AddrPortFrom(kernel4, 80))
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 16<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := c.Send(data, 64000, 1400); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPingPong is one small packet there and back: what waking up costs.
func BenchmarkPingPong(b *testing.B) {
	n := netns.New(b, "host")
	dev := open(b, n, 1)[0]
	go func() {
		pkts := []link.Packet{{Data: make([]byte, MaxPacket)}}
		for {
			if _, err := dev.Read(pkts); err != nil {
				return
			}
			p := pkts[0].Data
			if p[0]>>4 != 4 || p[9] != 17 {
				continue
			}
			swap(p[12:16], p[16:20])
			swap(p[20:22], p[22:24])
			p[26], p[27] = 0, 0 // no UDP checksum
			dev.Write([]link.Packet{{Data: p}})
		}
	}()
	var c net.Conn
	var err error
	n.Do(func() { c, err = net.Dial("udp", netip.AddrPortFrom(ours4, 9).String()) })
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 100)
	for b.Loop() {
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}
