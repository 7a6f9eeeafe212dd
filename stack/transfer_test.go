package stack_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/tcp"
)

const ms = time.Millisecond

// transfer sends there and back over a bed and checks that everything arrived
// and nothing is left.
func transfer(t *testing.T, b *simtest.Bed, there, back []byte) (client, server *simtest.App) {
	t.Helper()
	b.Server.Serve = func(*mptcp.Conn) *simtest.App {
		server = &simtest.App{Send: back, Shut: true, Close: true}
		return server
	}
	client = b.Dial(nil, &simtest.App{Send: there, Shut: true, Close: true})
	b.Run("both ends read to the end", 10*time.Minute, func() bool { return server != nil && client.Err != nil && server.Err != nil })
	if client.Err != io.EOF || server.Err != io.EOF {
		t.Fatalf("client ended with %v, server with %v", client.Err, server.Err)
	}
	if !bytes.Equal(server.Received.Bytes(), there) || !bytes.Equal(client.Received.Bytes(), back) {
		t.Fatal("the streams differ")
	}
	return client, server
}

func TestOnePath(t *testing.T) {
	b := simtest.NewBed(t, 1, stack.Config{}, simtest.Line(10, 10*ms))
	client, _ := transfer(t, b, simtest.Pattern(1<<20, 1), simtest.Pattern(100, 2))
	if info := client.Conn.Info(b.Net.Now()); !info.Multipath || info.Fallback != mptcp.None {
		t.Errorf("got %+v, want Multipath TCP", info)
	}
	b.Run("nothing is left", 5*time.Minute, b.Gone)
}

func TestTwoPathsAddUp(t *testing.T) {
	b := simtest.NewBed(t, 1, stack.Config{}, simtest.Line(40, 10*ms), simtest.Line(20, 30*ms))
	const size = 16 << 20
	_, server := transfer(t, b, nil, simtest.Pattern(size, 2))
	took := b.Net.Elapsed().Seconds()
	rate := size * 8 / took / 1e6
	t.Logf("%.1f Mbit/s", rate)
	if rate < 0.9*60*0.95 {
		t.Errorf("got %.1f Mbit/s, want nearly 60: %+v", rate, server.Conn.Info(b.Net.Now()))
	}
	b.Run("nothing is left", 5*time.Minute, b.Gone)
}

func TestCut(t *testing.T) {
	b := simtest.NewBed(t, 1, stack.Config{}, simtest.Line(40, 10*ms), simtest.Line(20, 30*ms))
	b.Net.After(2*time.Second, func() { b.Links[0].Down(b.Net.Now()) })
	b.Net.After(4*time.Second, b.Links[0].Up)
	client, _ := transfer(t, b, nil, simtest.Pattern(32<<20, 2))
	t.Logf("longest stall %v, total %v", client.Longest, b.Net.Elapsed())
	if client.Longest > 500*ms {
		t.Errorf("got a stall of %v", client.Longest)
	}
	b.Run("nothing is left", 5*time.Minute, b.Gone)
}

func TestLossy(t *testing.T) {
	lossy := func(mbits float64, d time.Duration) sim.LinkConfig {
		c := simtest.Line(mbits, d)
		c.Loss = 0.03
		return c
	}
	for seed := range uint64(20) {
		b := simtest.NewBed(t, seed, stack.Config{}, lossy(10, 10*ms), lossy(5, 30*ms))
		transfer(t, b, simtest.Pattern(1<<20, 2), simtest.Pattern(1<<20, 3))
		b.Run("nothing is left", 5*time.Minute, b.Gone)
	}
}

// TestTail ends a transfer while the longer of two paths repairs many losses,
// without SACK and so one for each of its round trips. The other path is idle
// by then and has to help.
func TestTail(t *testing.T) {
	long := sim.LinkConfig{Rate: 17e6, Delay: 150 * ms, QueueBytes: 24 << 10, MTU: 1500}
	b := simtest.NewBed(t, 1, stack.Config{Conn: mptcp.Config{TCP: tcp.Config{NoSACK: true}}}, simtest.Line(4, 6*ms), long)
	_, server := transfer(t, b, simtest.Pattern(1336555, 1), nil)
	t.Logf("took %v", b.Net.Elapsed())
	if took := b.Net.Elapsed(); took > 4*time.Second { // 8 without help
		t.Errorf("took %v: %+v", took, server.Conn.Info(b.Net.Now()))
	}
	b.Run("nothing is left", 5*time.Minute, b.Gone)
}
