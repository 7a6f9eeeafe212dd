package host

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/stack"
)

// BenchmarkBulk moves bytes from one host to another in memory, with segments
// of 64 KiB and with packets that fit an Ethernet frame.
func BenchmarkBulk(b *testing.B) {
	for _, kind := range []struct {
		name     string
		cfg      Config
		features link.Features
	}{
		{"large", Config{Stack: stack.Config{MaxPacket: 65535, ChecksumOffload: true}}, link.Features{MTU: 1500, MaxPacket: 65535, Checksum: true}},
		{"ethernet", Config{}, link.Features{MTU: 1500}},
	} {
		for _, paths := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%s/paths=%d", kind.name, paths), func(b *testing.B) {
				h := &twoHosts{clientCfg: kind.cfg, serverCfg: kind.cfg, features: kind.features}
				h.connect(b, paths)
				defer h.close(b)
				client, server := h.pipe(b)
				go io.Copy(io.Discard, server)
				chunk := make([]byte, 1<<20)
				b.SetBytes(int64(len(chunk)))
				for b.Loop() {
					if _, err := client.Write(chunk); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkConnections opens, uses and closes connections one after the other.
func BenchmarkConnections(b *testing.B) {
	h := new(twoHosts)
	h.connect(b, 1)
	defer h.close(b)
	l := h.listen(b)
	go echo(l)
	msg := []byte("hello")
	for b.Loop() {
		c, err := h.client.DialContext(context.Background(), "tcp", "10.0.1.2:80")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Write(msg); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len(msg))); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conns/s")
}

// BenchmarkIdleConnection measures what an idle connection costs, both ends
// together. One operation is a thousand of them.
func BenchmarkIdleConnection(b *testing.B) {
	const many = 1000
	h := new(twoHosts)
	h.connect(b, 1)
	defer h.close(b)
	l := h.listen(b)
	conns := make([]*Conn, 0, 2*many)
	var bytes uint64
	for b.Loop() {
		before := heap()
		for range many {
			c, err := h.client.DialContext(context.Background(), "tcp", "10.0.1.2:80")
			if err != nil {
				b.Fatal(err)
			}
			s, err := l.AcceptConn()
			if err != nil {
				b.Fatal(err)
			}
			conns = append(conns, c.(*Conn), s)
		}
		bytes += heap() - before
		for i, c := range conns {
			c.SetLinger(0) // leaves no TIME-WAIT, so that ports do not run out
			c.Close()
			conns[i] = nil
		}
		conns = conns[:0]
	}
	b.ReportMetric(float64(bytes)/float64(many*b.N), "heap-bytes/conn")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
