//go:build linux

package interop_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/mptcp"
)

// TestManyConnections: connections in both directions at once, each with two
// paths and data both ways.
func TestManyConnections(t *testing.T) {
	const each, size = 40, 100_000 // connections begun by either end, bytes each way
	r := newRig(t, setup{paths: 2, addrs: ipv4.ours(2, mptcp.EndpointSubflow|mptcp.EndpointSignal)})
	old := r.peer.Counters()
	theirLn := r.listenKernel()
	ourLn, err := r.host.ListenAddrPort(netip.AddrPortFrom(netip.Addr{}, port))
	if err != nil {
		t.Fatal(err)
	}
	defer ourLn.Close()
	done := make(chan error, 4*each)
	deadline := time.Now().Add(2 * wait)
	theirLn.SetDeadline(deadline)
	ourLn.SetDeadline(deadline)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	dialled := func(c halfCloser, err error) {
		if err == nil {
			c.SetDeadline(deadline)
			err = echoed(c, size)
		}
		done <- err
	}
	accepted := func(c halfCloser, err error) {
		if err == nil {
			c.SetDeadline(deadline)
			err = echo(c)
		}
		done <- err
	}
	for range each {
		go func() {
			dialled(r.host.DialAddrPort(ctx, netip.AddrPort{}, netip.AddrPortFrom(peer4(1), port), nil))
		}()
		go func() {
			c, err := theirLn.Accept()
			if err != nil {
				done <- err
				return
			}
			accepted(c.(*kernel.Conn), nil)
		}()
		go func() {
			c, err := ourLn.AcceptConn()
			accepted(c, err)
		}()
		r.peer.Go(func() {
			var d kernel.Dialer
			dialled(d.DialContext(ctx, "tcp", netip.AddrPortFrom(ours4(1), port).String()))
		})
	}
	for range 4 * each {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	r.eventually("all ends are gone", func() bool { return r.peer.Counters()["TcpCurrEstab"] == 0 })
	r.judge(old, want{
		"MPCapableSYNRX": each, "MPCapableSYNTX": each,
		// A connection may be over before all of its joins are.
		"MPJoinSynTxCreatSkErr": whatever, "MPJoinNoTokenFound": whatever, "MPRstTx": whatever, "MPRstRx": whatever,
	})
}
