//go:build linux

package interop_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/braid-mptcp/braid/mptcp"
)

// bulk is how many bytes an iteration moves.
const bulk = 512 << 20

// BenchmarkBulk moves bytes between Braid and the kernel's stack over unshaped
// cables, in either direction, and for comparison between two kernels over the
// same cables. What it reports, beside the rate, is the processor time of both
// ends and of soft interrupts for each 10^9 bytes. The kernel's ends run in
// processes of their own.
func BenchmarkBulk(b *testing.B) {
	for paths := 1; paths <= 2; paths++ {
		b.Run(fmt.Sprintf("%d paths/kernel to kernel", paths), func(b *testing.B) { bulkOfKernels(b, paths, false) })
		b.Run(fmt.Sprintf("%d paths/braid to kernel", paths), func(b *testing.B) { bulkOfBraid(b, paths, true) })
		b.Run(fmt.Sprintf("%d paths/kernel to braid", paths), func(b *testing.B) { bulkOfBraid(b, paths, false) })
	}
	b.Run("tcp/kernel to kernel", func(b *testing.B) { bulkOfKernels(b, 1, true) })
}

func bulkOfBraid(b *testing.B, paths int, send bool) {
	r := newRig(b, setup{paths: paths, addrs: ipv4.ours(paths, mptcp.EndpointSubflow)})
	n := int64(b.N) * bulk
	far := startFar(b, r.peer, transfer{Send: !send, Bytes: n})
	to := netip.AddrPortFrom(peer4(1), port)
	ctx, cancel := context.WithTimeout(b.Context(), wait)
	defer cancel()
	c, err := r.host.DialAddrPort(ctx, netip.AddrPort{}, to, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	near := transfer{Dial: to, Send: send, Bytes: n}
	b.ResetTimer()
	ours, err := near.run(c, func() error {
		r.eventually("all subflows are up", func() bool { return established(c) == paths })
		return nil
	})
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	report(b, ours, far.cost(b))
}

func bulkOfKernels(b *testing.B, paths int, plain bool) {
	r := newRig(b, setup{paths: paths})
	r.joinFromUser(paths)
	n := int64(b.N) * bulk
	server := startFar(b, r.peer, transfer{Plain: plain, Bytes: n})
	b.ResetTimer()
	client := startFar(b, r.user, transfer{
		Dial: netip.AddrPortFrom(peer4(1), port), Plain: plain, Send: true, Bytes: n, Subflows: paths,
	})
	far := server.cost(b)
	near := client.cost(b)
	b.StopTimer()
	report(b, near, far)
}

// report gives the figures of a transfer, whose ends measured them. The time
// that counts is the receiver's or, for it takes in the last byte's way, the
// sender's.
func report(b *testing.B, near, far cost) {
	seconds := near.Seconds
	gb := float64(near.Bytes) / 1e9
	b.ReportMetric(8*gb/seconds, "Gbit/s")
	b.ReportMetric((near.CPU+far.CPU+near.SoftIRQ)/gb, "cpu-s/GB")
	b.ReportMetric(near.CPU/gb, "near-s/GB")
	b.ReportMetric(far.CPU/gb, "far-s/GB")
	b.ReportMetric(near.SoftIRQ/gb, "softirq-s/GB")
	b.ReportMetric(0, "ns/op")
}
