package sim_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/wire"
)

// A Link by itself: its driver tells it the time, here by jumping from one
// arrival to the next. A driver in real time would sleep instead.
func ExampleLink() {
	start := time.Unix(0, 0)
	line := sim.LinkConfig{Rate: 8e6, Delay: 10 * time.Millisecond, QueuePackets: 2}
	l := sim.NewLink("wired", line, line, 1, func(now time.Time, dir sim.Dir, pkt []byte, _ wire.Offload) {
		fmt.Println(dir, len(pkt), "bytes after", now.Sub(start))
	})
	pkt := wire.AppendSegment(nil, &wire.Segment{
		Src: netip.MustParseAddrPort("10.0.0.1:1000"),
		Dst: netip.MustParseAddrPort("10.0.0.2:80"),
		TTL: 64, Flags: wire.ACK, Payload: make([]byte, 946),
	})
	for range 5 {
		l.Send(start, sim.AB, pkt, wire.Offload{})
	}
	for next := l.Next(); !next.IsZero(); next = l.Next() {
		l.Advance(next)
	}
	fmt.Println(l.Pipe(sim.AB).Counters().Lost[sim.LostQueue], "lost in the queue")
	// Output:
	// ab 986 bytes after 11ms
	// ab 986 bytes after 12ms
	// ab 986 bytes after 13ms
	// 2 lost in the queue
}
