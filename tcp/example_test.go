package tcp_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/stream"
	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// Two connections without a network between them: what one puts out the other
// takes in, and time is whatever the caller says.
func Example() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	client, server := netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("10.0.0.2:80")
	buffers := tcp.Buffers{Pool: new(stream.Pool), Send: 64 << 10, Recv: 64 << 10}

	packet := tcp.Packet{Buf: make([]byte, 1<<16)}
	var seg wire.Segment
	next := func(from *tcp.Stream) bool {
		if !from.Conn.Output(now, &packet) {
			return false
		}
		if err := wire.ParseSegment(packet.Bytes(), &seg, false); err != nil {
			panic(err)
		}
		return true
	}

	a := tcp.ConnectStream(now, tcp.Config{Local: client, Remote: server, ISN: 1}, buffers)
	next(a) // the SYN, which a listener takes
	b := tcp.AcceptStream(now, tcp.Config{Local: server, Remote: client, ISN: 2}, buffers, &seg)
	exchange := func() {
		for moved := true; moved; now = now.Add(5 * time.Millisecond) {
			moved = false
			for next(b) {
				a.Conn.Input(now, &seg, nil)
				moved = true
			}
			for next(a) {
				b.Conn.Input(now, &seg, nil)
				moved = true
			}
		}
	}
	exchange()
	fmt.Println(a.Conn.State(), b.Conn.State())

	a.Write(now, []byte("hello"))
	a.CloseWrite(now)
	exchange()
	buf := make([]byte, 100)
	n, _ := b.Read(now, buf)
	_, err := b.Read(now, buf)
	fmt.Printf("%s, then %v\n", buf[:n], err)

	b.Close(now)
	exchange()
	fmt.Println(a.Conn.State(), b.Conn.State())
	// Output:
	// ESTABLISHED ESTABLISHED
	// hello, then EOF
	// TIME-WAIT CLOSED
}
