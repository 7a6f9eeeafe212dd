package stack_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// TestAllocs holds sending and receiving on an established connection to no
// allocation at all, in small and in large segments.
func TestAllocs(t *testing.T) {
	if testing.Short() {
		t.Skip("megabytes of data, for which the race detector takes long")
	}
	for _, tc := range []struct {
		paths    int
		size     int // of a write
		large    bool
		checksum bool
		disabled bool
		schedule mptcp.Scheduler
	}{
		{paths: 1, size: 100},
		{paths: 2, size: 100},
		{paths: 1, size: 64 << 10},
		{paths: 1, size: 64 << 10, large: true},
		{paths: 2, size: 256 << 10},
		{paths: 2, size: 256 << 10, large: true},
		{paths: 1, size: 100, checksum: true},
		{paths: 1, size: 64 << 10, large: true, checksum: true},
		{paths: 2, size: 256 << 10, large: true, checksum: true},
		{paths: 2, size: 256 << 10, schedule: mptcp.SchedulerRoundRobin},
		{paths: 2, size: 256 << 10, large: true, schedule: mptcp.SchedulerRoundRobin},
		{paths: 2, size: 256 << 10, schedule: mptcp.SchedulerRedundant},
		{paths: 2, size: 256 << 10, large: true, schedule: mptcp.SchedulerRedundant},
		{paths: 1, size: 256 << 10, disabled: true},
		{paths: 1, size: 256 << 10, large: true, disabled: true},
	} {
		t.Run(fmt.Sprintf("%+v", tc), func(t *testing.T) {
			cfg := stack.Config{Conn: mptcp.Config{Checksum: tc.checksum, Disabled: tc.disabled, Scheduler: tc.schedule}}
			if tc.large {
				cfg.MaxPacket, cfg.ChecksumOffload = 65535, true
			}
			d := newDirect(t, tc.paths, cfg)
			client, server := d.open(tc.paths)
			data, into := make([]byte, tc.size), make([]byte, 64<<10)
			step := func() {
				d.move(client, server, data, into)
				d.move(server, client, data, into)
			}
			for range 200 { // buffers, windows and queues find their sizes
				step()
				d.now = d.now.Add(time.Millisecond)
			}
			if n := testing.AllocsPerRun(100, step); n > 0 {
				t.Errorf("got %v allocations, want none", n)
			}
			for _, sf := range client.Info(d.now).Subflows {
				if tc.size > 100 && sf.BytesSent == 0 {
					t.Errorf("subflow %d carried nothing", sf.ID)
				}
			}
		})
	}
}
