//go:build linux

package interop_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/kernel"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// pump sends from one end to the other until it is told to stop.
type pump struct {
	got     atomic.Int64 // bytes that arrived
	stopped atomic.Bool
	done    chan error

	last    time.Time     // when bytes arrived
	longest time.Duration // without any
}

func startPump(from, to halfCloser) *pump {
	p := &pump{done: make(chan error, 1), last: time.Now()}
	sent := make(chan error, 1)
	sum := sha256.New()
	go func() {
		s := newStream(1, 1<<62)
		buf := make([]byte, 64<<10)
		for !p.stopped.Load() {
			n, _ := s.Read(buf)
			if _, err := from.Write(buf[:n]); err != nil {
				sent <- fmt.Errorf("sender: %w", err)
				return
			}
		}
		sum = s.sum
		sent <- from.CloseWrite()
	}()
	go func() {
		got := sha256.New()
		n, err := io.CopyBuffer(got, struct{ io.Reader }{&noting{p, to}}, make([]byte, 256<<10))
		if err != nil {
			p.done <- fmt.Errorf("receiver, after %d bytes: %w", n, err)
			return
		}
		if err := <-sent; err != nil {
			p.done <- err
			return
		}
		if !bytes.Equal(got.Sum(nil), sum.Sum(nil)) {
			err = errors.New("bytes received are not those sent")
		}
		p.done <- err
	}()
	return p
}

// noting tells the pump when bytes arrive.
type noting struct {
	p *pump
	r io.Reader
}

func (n *noting) Read(b []byte) (int, error) {
	k, err := n.r.Read(b)
	if k > 0 {
		now := time.Now()
		n.p.longest, n.p.last = max(n.p.longest, now.Sub(n.p.last)), now
		n.p.got.Add(int64(k))
	}
	return k, err
}

// stop ends the stream and wants it to have arrived whole. It gives the longest
// time in which nothing arrived.
func (p *pump) stop(t *testing.T) time.Duration {
	t.Helper()
	p.stopped.Store(true)
	select {
	case err := <-p.done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(wait):
		t.Fatalf("the stream does not end; %d bytes arrived", p.got.Load())
	}
	return p.longest
}

// shape limits every path to rate bit/s, each way.
func (r *rig) shape(rate int64) {
	r.t.Helper()
	for _, p := range r.paths {
		p.user.SetShape(netns.Shape{Rate: rate})
		p.peer.SetShape(netns.Shape{Rate: rate})
	}
}

// direction is which end sends.
type direction struct {
	name string
	ends func(c *host.Conn, k *kernel.Conn) (from, to halfCloser)
	// gap is how long nothing may arrive when a path dies, share how much of
	// two paths' rate is to be used, of which headers take 0.06. Linux as a
	// sender takes its time.
	gap   time.Duration
	share float64
}

var directions = []direction{
	{"braid sends", func(c *host.Conn, k *kernel.Conn) (from, to halfCloser) { return c, k }, time.Second, 0.92},
	{"kernel sends", func(c *host.Conn, k *kernel.Conn) (from, to halfCloser) { return k, c }, 4 * time.Second, 0.8},
}

// TestCut: one of two paths is cut without a word in the middle of a transfer
// and later mended. The transfer goes on, and the path is used again. A machine
// that is busy elsewhere makes pauses of its own: the shortest of three counts.
func TestCut(t *testing.T) {
	for _, d := range directions {
		for n := 1; n <= 2; n++ {
			t.Run(fmt.Sprintf("%s/path %d", d.name, n), func(t *testing.T) {
				shortest := time.Hour
				for range 3 {
					shortest = min(shortest, cut(t, d, n))
					if shortest <= d.gap {
						break
					}
				}
				t.Logf("longest gap %v", shortest)
				if shortest > d.gap {
					t.Errorf("more than %v", d.gap)
				}
			})
		}
	}
}

// cut makes a transfer during which path n is away for a while, and gives the
// longest time in which nothing arrived.
func cut(t *testing.T, d direction, n int) time.Duration {
	t.Helper()
	r := newRig(t, setup{paths: 2, addrs: ipv4.ours(2, mptcp.EndpointSubflow)})
	r.shape(100e6)
	ours, theirs := r.connect(ipv4, false)
	ping(t, ours, theirs)
	r.wantSubflows(ours, theirs, 2)
	from, to := d.ends(ours, theirs)
	p := startPump(from, to)
	r.bothCarry("at first")
	r.paths[n-1].user.Sever()
	r.arrives(p, "on the other path")
	r.paths[n-1].user.Restore()
	r.bothCarry("after it was mended")
	return p.stop(t)
}

// TestOnlyPathCut: the only path is away for a while.
func TestOnlyPathCut(t *testing.T) {
	for _, d := range directions {
		t.Run(d.name, func(t *testing.T) {
			r := newRig(t, setup{})
			r.shape(100e6)
			ours, theirs := r.connect(ipv4, false)
			ping(t, ours, theirs)
			from, to := d.ends(ours, theirs)
			p := startPump(from, to)
			r.arrives(p, "before")
			r.paths[0].user.Sever()
			time.Sleep(300 * time.Millisecond)
			r.paths[0].user.Restore()
			r.arrives(p, "after")
			t.Logf("longest gap %v", p.stop(t))
		})
	}
}

// arrives waits until 4 MiB more have arrived.
func (r *rig) arrives(p *pump, when string) {
	r.t.Helper()
	before := p.got.Load()
	r.eventually("data arrives "+when, func() bool { return p.got.Load() > before+4<<20 })
}

// bothCarry waits until both paths carry data.
func (r *rig) bothCarry(when string) {
	r.t.Helper()
	was := [2]int64{r.pathBytes(1), r.pathBytes(2)}
	r.eventually("both paths carry data "+when, func() bool {
		return r.pathBytes(1) > was[0]+2<<20 && r.pathBytes(2) > was[1]+2<<20
	})
}

// TestSumOfPaths: two paths carry what both can, for 0.3 s of several.
func TestSumOfPaths(t *testing.T) {
	const rate = 50e6 // bit/s of a path
	for _, d := range directions {
		t.Run(d.name, func(t *testing.T) {
			r := newRig(t, setup{paths: 2, addrs: ipv4.ours(2, mptcp.EndpointSubflow)})
			r.shape(rate)
			ours, theirs := r.connect(ipv4, false)
			ping(t, ours, theirs)
			r.wantSubflows(ours, theirs, 2)
			from, to := d.ends(ours, theirs)
			p := startPump(from, to)
			r.bothCarry("at first")
			want := d.share * 2 * rate
			best := 0.0
			for range 20 {
				before, start := p.got.Load(), time.Now()
				time.Sleep(300 * time.Millisecond)
				best = max(best, float64(p.got.Load()-before)*8/time.Since(start).Seconds())
				if best >= want {
					break
				}
			}
			p.stop(t)
			t.Logf("%.1f Mbit/s over two paths of %.0f", best/1e6, rate/1e6)
			if best < want {
				t.Errorf("never %.1f", want/1e6)
			}
		})
	}
}

// TestAddressMoves: Braid's only address goes and another comes up on another
// path a while later. The connection is kept and goes on.
func TestAddressMoves(t *testing.T) {
	for _, d := range directions {
		t.Run(d.name, func(t *testing.T) {
			addrs := ipv4.ours(2, mptcp.EndpointSubflow)
			r := newRig(t, setup{paths: 2, addrs: addrs[:1]})
			r.shape(100e6)
			ours, theirs := r.connect(ipv4, false)
			ping(t, ours, theirs)
			from, to := d.ends(ours, theirs)
			p := startPump(from, to)
			r.arrives(p, "before")
			if err := r.host.RemoveAddress(addrs[0].Addr); err != nil {
				t.Fatal(err)
			}
			r.paths[0].user.SetUp(false)
			time.Sleep(300 * time.Millisecond)
			moved := time.Now()
			if err := r.host.AddAddress(r.dev, addrs[1]); err != nil {
				t.Fatal(err)
			}
			r.arrives(p, "after the move")
			t.Logf("4 MiB had arrived %v after the new address", time.Since(moved))
			p.stop(t)
		})
	}
}

// TestPeerMoves: the same of the peer: its path dies, and another comes up.
func TestPeerMoves(t *testing.T) {
	for _, d := range directions {
		t.Run(d.name, func(t *testing.T) {
			r := newRig(t, setup{paths: 2, addrs: []stack.Address{{Addr: ours4(1)}}})
			r.shape(100e6)
			ours, theirs := r.dialKernel(netip.Addr{}, ours4(1))
			ping(t, ours, theirs)
			from, to := d.ends(ours, theirs)
			p := startPump(from, to)
			r.arrives(p, "before")
			r.paths[0].peer.DelAddr("10.1.1.2/24")
			time.Sleep(300 * time.Millisecond)
			moved := time.Now()
			r.addEndpoint(peer4(2).String() + " dev path2 subflow")
			r.arrives(p, "after the move")
			t.Logf("4 MiB had arrived %v after the new address", time.Since(moved))
			p.stop(t)
		})
	}
}
