package stack_test

import (
	"net/netip"
	"runtime"
	"testing"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// BenchmarkBulk moves data from one stack to another in memory, in segments of
// up to 64 KiB whose TCP checksums are left out, as for a TUN device.
func BenchmarkBulk(b *testing.B) {
	for _, bc := range []struct {
		name     string
		paths    int
		packet   int
		disabled bool
		checksum bool
	}{
		{name: "tcp", paths: 1, packet: 65535, disabled: true},
		{name: "subflows=1", paths: 1, packet: 65535},
		{name: "subflows=2", paths: 2, packet: 65535},
		{name: "subflows=4", paths: 4, packet: 65535},
		{name: "subflows=2/dss-checksum", paths: 2, packet: 65535, checksum: true},
		{name: "subflows=2/mtu-1500", paths: 2},
	} {
		b.Run(bc.name, func(b *testing.B) {
			cfg := stack.Config{
				MaxPacket: bc.packet, ChecksumOffload: true,
				Conn: mptcp.Config{Disabled: bc.disabled, Checksum: bc.checksum},
			}
			d := newDirect(b, bc.paths, cfg)
			client, server := d.open(bc.paths)
			const size = 1 << 20
			data, into := make([]byte, size), make([]byte, 256<<10)
			for range 50 {
				d.move(client, server, data, into)
			}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				d.move(client, server, data, into)
			}
			b.ReportMetric(8*float64(b.N)*size/b.Elapsed().Seconds()/1e9, "Gbit/s")
		})
	}
}

// BenchmarkConnect opens a connection, asks with one byte, gets one in answer
// and closes.
func BenchmarkConnect(b *testing.B) {
	for _, bc := range []struct {
		name     string
		disabled bool
	}{{"tcp", true}, {"mptcp", false}} {
		b.Run(bc.name, func(b *testing.B) {
			d := newDirect(b, 1, stack.Config{Conn: mptcp.Config{Disabled: bc.disabled}})
			into := make([]byte, 16)
			b.ReportAllocs()
			for b.Loop() {
				client, server := d.connect(netip.AddrPort{})
				d.move(client, server, into[:1], into)
				d.move(server, client, into[:1], into)
				server.Close(d.now)
				client.Close(d.now)
				d.settle()
				d.now = d.now.Add(timeWait / 20_000) // the ports run out otherwise
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conn/s")
		})
	}
}

// timeWait is how long a 4-tuple rests, in the virtual time of these tests.
const timeWait = 60_000 * ms

// BenchmarkIdle reports the memory of connections that have carried a little
// and now wait.
func BenchmarkIdle(b *testing.B) {
	for _, bc := range []struct {
		name     string
		paths    int
		disabled bool
	}{{"tcp", 1, true}, {"subflows=1", 1, false}, {"subflows=2", 2, false}} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(idleBytes(b, bc.paths, bc.disabled), "B/conn")
			}
		})
	}
}

// idleConns is few enough for one client address, whose ports end at 28,000.
const idleConns = 10_000

// idleBytes is the memory of one end of an idle connection.
func idleBytes(t testing.TB, paths int, disabled bool) float64 {
	d := newDirect(t, paths, stack.Config{Conn: mptcp.Config{Disabled: disabled}})
	data, into := make([]byte, 100), make([]byte, 1000)
	d.connect(netip.AddrPort{}) // the pool has its blocks
	before := heap()
	conns := make([]*mptcp.Conn, 0, 2*idleConns)
	for range idleConns {
		client, server := d.connect(netip.AddrPort{})
		d.move(client, server, data, into)
		d.move(server, client, data, into)
		conns = append(conns, client, server)
	}
	d.settle()
	for range paths - 1 { // joins
		d.now = d.now.Add(ms)
		d.settle()
	}
	used := heap() - before
	if info := conns[0].Info(d.now); len(info.Subflows) != paths {
		t.Fatalf("got %d subflows, want %d", len(info.Subflows), paths)
	}
	runtime.KeepAlive(conns)
	return float64(used) / (2 * idleConns)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestIdleMemory holds what an idle connection costs at each end.
func TestIdleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 connections")
	}
	const most = 4 << 10
	if got := idleBytes(t, 1, false); got > most {
		t.Errorf("got %.0f bytes for an idle connection, want at most %d", got, most)
	} else {
		t.Logf("%.0f bytes", got)
	}
}
