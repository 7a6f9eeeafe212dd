package http1

import (
	"fmt"
	"io"
	"net"
	"testing"
)

// tinyServer answers every read with a small response, without allocating.
func tinyServer(c net.Conn) {
	b := make([]byte, 4096)
	answer := []byte("HTTP/1.1 200 OK\r\nServer: tiny\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: keep-alive\r\n\r\nhello, world\n")
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// roundTrip sends a request and reads the response of tinyServer, without
// allocating.
func roundTrip(t testing.TB, c net.Conn, request, b []byte) {
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; {
		k, err := c.Read(b[n:])
		if err != nil {
			t.Fatal(err)
		}
		if n += k; string(b[n-6:n]) == "world\n" {
			return
		}
	}
}

// TestRequestAllocatesNothing shows that once a connection runs, a request
// allocates nothing, whether it is looked after by X-Forwarded-For and Via and
// logged or not.
func TestRequestAllocatesNothing(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		logs := 0
		p := start(t, startServer(t, tinyServer), func(s *Settings) {
			s.Trace = TraceConfig{For: Append, Proto: Append, Host: Append, Forwarded: Append, Via: "b"}
			s.Via = "b"
			s.Response.Set("X-Frame-Options", "DENY")
			s.Log = func(x *Exchange) { logs += x.Stats.Status }
		})
		c := dialTest(t, p.addr)
		request, b := []byte(browser), make([]byte, 4096)
		for range 100 {
			roundTrip(t, c, request, b)
		}
		got := testing.AllocsPerRun(500, func() { roundTrip(t, c, request, b) })
		// The race detector has sync.Pool forget what it is given.
		if got >= 1 && !raceEnabled {
			t.Errorf("got %v allocations, want none", got)
		}
	})
}

// BenchmarkProxy is the whole way with client, proxy and server in one process.
func BenchmarkProxy(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			p := startProxy(b, startServer(b, tinyServer), nil)
			b.ReportAllocs()
			b.SetParallelism(clients)
			b.RunParallel(func(pb *testing.PB) {
				c, err := net.Dial("tcp", p.addr)
				if err != nil {
					b.Error(err)
					return
				}
				defer c.Close()
				buf := make([]byte, 4096)
				for pb.Next() {
					roundTrip(b, c, []byte(testGet), buf)
				}
			})
		})
	}
}

// BenchmarkDownload is a response of 16 MB.
func BenchmarkDownload(b *testing.B) {
	const size = 16 << 20
	server := startServer(b, func(c net.Conn) {
		piece := make([]byte, 256<<10)
		for {
			if _, err := readHead(c); err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: %d\r\n\r\n", size)
			for n := 0; n < size; n += len(piece) {
				c.Write(piece)
			}
		}
	})
	p := startProxy(b, server, nil)
	c := dialTest(b, p.addr)
	buf := make([]byte, 256<<10)
	b.SetBytes(size)
	for b.Loop() {
		sendString(b, c, testGet)
		if _, err := readHead(c); err != nil {
			b.Fatal(err)
		}
		for n := 0; n < size; {
			k, err := c.Read(buf[:min(len(buf), size-n)])
			if err != nil && err != io.EOF {
				b.Fatal(err)
			}
			n += k
		}
	}
}
