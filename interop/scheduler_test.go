//go:build linux

package interop_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
)

// TestSchedulers sends messages to the kernel by each scheduler, none of which
// fills a path, and looks at which of two paths carried how much. The kernel
// takes what comes twice for what it is.
func TestSchedulers(t *testing.T) {
	const messages, size = 300, 1000
	for _, tc := range []struct {
		s      mptcp.Scheduler
		lo, hi float64 // part of all bytes that each path carries
		twice  int64   // of the peer's counters
	}{
		{mptcp.SchedulerRoundRobin, 0.35, 0.65, whatever},
		{mptcp.SchedulerRedundant, 0.8, 1.2, some},
	} {
		t.Run(tc.s.String(), func(t *testing.T) {
			r := newRig(t, setup{paths: 2, addrs: ipv4.ours(2, mptcp.EndpointSubflow), conn: mptcp.Config{Scheduler: tc.s}})
			old := r.peer.Counters()
			ours, theirs := r.connect(ipv4, false)
			ping(t, ours, theirs)
			r.wantSubflows(ours, theirs, 2)
			before := [2]uint64{sentFrom(ours, ours4(1)), sentFrom(ours, ours4(2))}
			theirs.SetReadDeadline(time.Now().Add(wait))
			got := make([]byte, size)
			for i := range messages {
				sent := bytes.Repeat([]byte{byte(i)}, size)
				if _, err := ours.Write(sent); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, sent) {
					t.Fatalf("message %d: %v", i, err)
				}
			}
			for i := range before {
				part := float64(sentFrom(ours, ours4(i+1))-before[i]) / (messages * size)
				if part < tc.lo || part > tc.hi {
					t.Errorf("path %d carried %.2f of all bytes, want %.2f to %.2f", i+1, part, tc.lo, tc.hi)
				}
			}
			theirs.SetReadDeadline(time.Time{})
			r.exchange(ours, theirs, 4<<20)
			r.judge(old, want{"DuplicateData": tc.twice})
		})
	}
}
