package sim

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/wire"
)

var (
	hostA = netip.MustParseAddr("10.0.0.1")
	hostB = netip.MustParseAddr("10.0.0.2")
	six1  = netip.MustParseAddr("2001:db8::1")
	six2  = netip.MustParseAddr("2001:db8::2")
)

// datagram gives a TCP packet of size bytes in all whose payload begins with
// id.
func datagram(id uint32, size int) []byte {
	payload := make([]byte, max(size-40, 4))
	binary.BigEndian.PutUint32(payload, id)
	return wire.AppendSegment(nil, &wire.Segment{
		Src: netip.AddrPortFrom(hostA, 1000), Dst: netip.AddrPortFrom(hostB, 2000),
		TTL: 64, Seq: id * 1460, Ack: 1, Flags: wire.ACK, Window: 1000, Payload: payload,
	})
}

func idOf(pkt []byte) uint32 { return binary.BigEndian.Uint32(pkt[40:]) }

// arrival is a packet that came out of a pipe.
type arrival struct {
	id uint32
	at time.Duration // since Epoch
}

// drain runs a pipe in virtual time until it is empty.
func drain(p *Pipe) []arrival {
	var got []arrival
	for t := p.Next(); !t.IsZero(); t = p.Next() {
		for {
			pkt, _, ok := p.Recv(t)
			if !ok {
				break
			}
			got = append(got, arrival{idOf(pkt), t.Sub(Epoch)})
		}
	}
	return got
}

func checkBalance(t *testing.T, p *Pipe) {
	t.Helper()
	c := p.Counters()
	if in, out := c.Offered+c.Duplicated, c.Arrived+c.Dropped()+int64(p.Inside()); in != out {
		t.Errorf("%d packets went in and %d are accounted for: %+v", in, out, c)
	}
}

func TestPipeRateAndDelayAreExact(t *testing.T) {
	// 1,000 packets of 1,500 bytes at 3 Mbit/s: a packet takes 4037 1/3 us,
	// and the thirds must not get lost.
	p := NewPipe(LinkConfig{Rate: 3e6, Delay: 25 * time.Millisecond}, 1, 0)
	const packets = 1000
	for i := range uint32(packets) {
		if fate := p.Send(Epoch, datagram(i, 1500), wire.Offload{}); fate != Taken {
			t.Fatalf("packet %d: %v", i, fate)
		}
	}
	got := drain(p)
	if len(got) != packets {
		t.Fatalf("got %d packets, want %d", len(got), packets)
	}
	for i, a := range got {
		want := 25*time.Millisecond + time.Duration(int64(i+1)*1514*8*1e9/3e6)
		if a.id != uint32(i) || a.at != want {
			t.Fatalf("packet %d: got packet %d at %v, want it at %v", i, a.id, a.at, want)
		}
	}
	checkBalance(t, p)
}

func TestPipeUnlimitedRate(t *testing.T) {
	p := NewPipe(LinkConfig{Delay: time.Millisecond, QueuePackets: 1}, 1, 0)
	for i := range uint32(100) {
		p.Send(Epoch, datagram(i, 1500), wire.Offload{})
	}
	for i, a := range drain(p) {
		if a.id != uint32(i) || a.at != time.Millisecond {
			t.Fatalf("packet %d: got packet %d at %v, want it at 1ms", i, a.id, a.at)
		}
	}
	if got := p.Counters().Arrived; got != 100 {
		t.Errorf("%d packets arrived, want 100", got)
	}
}

func TestPipeIsIdleBetweenPackets(t *testing.T) {
	p := NewPipe(LinkConfig{Rate: 3e6, Delay: time.Millisecond}, 1, 0)
	var got []arrival
	for i := range uint32(5) {
		p.Send(Epoch.Add(time.Duration(i)*time.Second), datagram(i, 986), wire.Offload{})
		got = append(got, drain(p)...)
	}
	for i, a := range got {
		if want := time.Duration(i)*time.Second + time.Millisecond + 2666666; a.at != want { // 8000 bits
			t.Errorf("packet %d arrived at %v, want %v", i, a.at, want)
		}
	}
}

func TestPipeQueueLimits(t *testing.T) {
	const packet, frame = 1000, 1014
	tests := []struct {
		name string
		cfg  LinkConfig
		want int // packets taken of 100 offered at once, one of them on the line
	}{
		{"packets", LinkConfig{QueuePackets: 10}, 11},
		{"bytes", LinkConfig{QueueBytes: 10 * frame}, 11},
		{"bytes, not quite", LinkConfig{QueueBytes: 10*frame - 1}, 10},
		{"time", LinkConfig{QueueTime: 10 * frame * time.Microsecond}, 11},
		{"time, not quite", LinkConfig{QueueTime: 10*frame*time.Microsecond - 1}, 10},
		{"the first limit counts", LinkConfig{QueuePackets: 5, QueueBytes: 10 * frame, QueueTime: time.Second}, 6},
		{"none", LinkConfig{}, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Rate = 8e6 // a byte takes a microsecond
			p := NewPipe(tt.cfg, 1, 0)
			taken := 0
			for i := range uint32(100) {
				if p.Send(Epoch, datagram(i, packet), wire.Offload{}) == Taken {
					taken++
				}
			}
			if taken != tt.want {
				t.Errorf("took %d packets, want %d", taken, tt.want)
			}
			c := p.Counters()
			if got, want := c.Lost[LostQueue], int64(100-tt.want); got != want {
				t.Errorf("queue losses: got %d, want %d", got, want)
			}
			if c.MaxQueuePackets != tt.want-1 || c.MaxQueueBytes != (tt.want-1)*frame {
				t.Errorf("high water: got %d packets, %d bytes, want %d packets", c.MaxQueuePackets, c.MaxQueueBytes, tt.want-1)
			}
			checkBalance(t, p)
			if got := len(drain(p)); got != tt.want {
				t.Errorf("%d packets arrived, want %d", got, tt.want)
			}
			checkBalance(t, p)
		})
	}
}

// feed sends packets a millisecond apart and gives what arrives.
func feed(p *Pipe, packets int) []arrival {
	var got []arrival
	for i := range packets {
		now := Epoch.Add(time.Duration(i) * time.Millisecond)
		p.Send(now, datagram(uint32(i), 100), wire.Offload{})
		for t := p.Next(); !t.IsZero() && t.Before(now.Add(time.Millisecond)); t = p.Next() {
			for {
				pkt, _, ok := p.Recv(t)
				if !ok {
					break
				}
				got = append(got, arrival{idOf(pkt), t.Sub(Epoch)})
			}
		}
	}
	return append(got, drain(p)...)
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s: got %.4f, want %.4f +- %.4f", what, got, want, tolerance)
	}
}

func TestPipeProbabilities(t *testing.T) {
	const packets = 50000
	share := func(n int64) float64 { return float64(n) / packets }
	t.Run("loss", func(t *testing.T) {
		p := NewPipe(LinkConfig{Loss: 0.1}, 2, 0)
		got := feed(p, packets)
		near(t, "loss", share(p.Counters().Lost[LostRandom]), 0.1, 0.005)
		near(t, "arrived", share(int64(len(got))), 0.9, 0.005)
		checkBalance(t, p)
	})
	t.Run("duplicate", func(t *testing.T) {
		p := NewPipe(LinkConfig{Duplicate: 0.05}, 3, 0)
		got := feed(p, packets)
		near(t, "doubled", share(p.Counters().Duplicated), 0.05, 0.005)
		near(t, "arrived", share(int64(len(got))), 1.05, 0.005)
		checkBalance(t, p)
	})
	t.Run("reorder", func(t *testing.T) {
		p := NewPipe(LinkConfig{Delay: 10 * time.Millisecond, Reorder: 0.02, ReorderDelay: 5500 * time.Microsecond}, 4, 0)
		got := feed(p, packets)
		if len(got) != packets {
			t.Fatalf("%d packets arrived, want %d", len(got), packets)
		}
		late := 0
		for _, a := range got {
			switch delay := a.at - time.Duration(a.id)*time.Millisecond; delay {
			case 10 * time.Millisecond:
			case 15500 * time.Microsecond:
				late++
			default:
				t.Fatalf("packet %d took %v", a.id, delay)
			}
		}
		near(t, "reordered", share(int64(late)), 0.02, 0.003)
		if c := p.Counters(); c.Reordered != int64(late) {
			t.Errorf("counted %d reordered packets, saw %d", c.Reordered, late)
		}
	})
	t.Run("corrupt", func(t *testing.T) {
		p := NewPipe(LinkConfig{Corrupt: 0.1}, 5, 0)
		bad := 0
		for i := range uint32(20000) {
			sent := datagram(i, 100)
			p.Send(Epoch, sent, wire.Offload{})
			pkt, _, ok := p.Recv(Epoch)
			if !ok {
				t.Fatalf("packet %d is gone", i)
			}
			var s wire.Segment
			if bytes.Equal(pkt, sent) {
				continue
			}
			bad++
			if err := wire.ParseSegment(pkt, &s, false); err == nil {
				t.Fatalf("packet %d was damaged and the checksum did not tell:\n%x\n%x", i, sent, pkt)
			}
		}
		near(t, "corrupted", float64(bad)/20000, 0.1, 0.01)
		if c := p.Counters(); c.Corrupted != int64(bad) {
			t.Errorf("counted %d corrupted packets, saw %d", c.Corrupted, bad)
		}
	})
}

func TestPipeBurstLoss(t *testing.T) {
	// Bad for 1/0.25 = 4 packets on average, and bad 0.01/0.26 of the time.
	cfg := LinkConfig{Burst: Burst{Enter: 0.01, Leave: 0.25, Loss: 1}}
	p := NewPipe(cfg, 6, 0)
	const packets = 200000
	got := feed(p, packets)
	lost := packets - len(got)
	near(t, "loss", float64(lost)/packets, cfg.Burst.Mean(), 0.004)
	if n := p.Counters().Lost[LostBurst]; n != int64(lost) {
		t.Errorf("counted %d burst losses, saw %d", n, lost)
	}
	gaps, last := 0, -1
	for _, a := range got {
		if int(a.id) != last+1 {
			gaps++
		}
		last = int(a.id)
	}
	near(t, "mean burst", float64(lost)/float64(gaps), 4, 0.3)
}

func TestPipeJitter(t *testing.T) {
	base := LinkConfig{Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond}
	inversions := func(got []arrival) (n int) {
		for i := 1; i < len(got); i++ {
			if got[i].id < got[i-1].id {
				n++
			}
		}
		return n
	}
	t.Run("keeps order", func(t *testing.T) {
		got := feed(NewPipe(base, 7, 0), 5000)
		if n := inversions(got); n != 0 || len(got) != 5000 {
			t.Errorf("%d of %d packets came out of order", n, len(got))
		}
		for _, a := range got {
			delay := a.at - time.Duration(a.id)*time.Millisecond
			if delay < 10*time.Millisecond || delay > 30*time.Millisecond {
				t.Fatalf("packet %d took %v", a.id, delay)
			}
		}
	})
	t.Run("may reorder", func(t *testing.T) {
		cfg := base
		cfg.JitterReorders = true
		got := feed(NewPipe(cfg, 7, 0), 5000)
		if n := inversions(got); n < 1000 {
			t.Errorf("only %d of %d packets came out of order", n, len(got))
		}
		var sum float64
		for i, a := range got {
			sum += float64(a.at - time.Duration(a.id)*time.Millisecond)
			if i > 0 && a.at < got[i-1].at {
				t.Fatalf("arrivals go back in time at %d", i)
			}
		}
		near(t, "mean delay in ms", sum/float64(len(got))/1e6, 20, 0.5)
	})
}

func TestPipeMTU(t *testing.T) {
	p := NewPipe(LinkConfig{MTU: 1400}, 1, 0)
	if got := p.Send(Epoch, datagram(1, 1400), wire.Offload{}); got != Taken {
		t.Errorf("1400 bytes: %v, want them taken", got)
	}
	if got := p.Send(Epoch, datagram(2, 1401), wire.Offload{}); got != LostMTU {
		t.Errorf("1401 bytes: %v, want %v", got, LostMTU)
	}
	if got := p.Send(Epoch, datagram(3, 9000), wire.Offload{SegSize: 1360}); got != Taken {
		t.Errorf("pieces of 1400 bytes: %v, want them taken", got)
	}
	if got := p.Send(Epoch, datagram(3, 9000), wire.Offload{SegSize: 1361}); got != LostMTU {
		t.Errorf("pieces of 1401 bytes: %v, want %v", got, LostMTU)
	}
}

func TestPipeDown(t *testing.T) {
	p := NewPipe(LinkConfig{Rate: 8e6, Delay: 10 * time.Millisecond}, 1, 0)
	for i := range uint32(20) { // a millisecond each
		p.Send(Epoch, datagram(i, 986), wire.Offload{})
	}
	cut := Epoch.Add(15500 * time.Microsecond)
	arrived := 0
	for next := p.Next(); next.Before(cut); next = p.Next() {
		for {
			if _, _, ok := p.Recv(next); !ok {
				break
			}
			arrived++
		}
	}
	if arrived != 5 {
		t.Fatalf("%d packets arrived before the cut, want 5", arrived)
	}
	p.Down(cut)
	if n := p.Next(); !n.IsZero() || p.Inside() != 0 || p.IsUp() {
		t.Errorf("after the cut something is still inside")
	}
	if got := p.Send(cut, datagram(1, 986), wire.Offload{}); got != LostDown {
		t.Errorf("sent while down: %v, want %v", got, LostDown)
	}
	p.Up()
	back := cut.Add(100 * time.Microsecond)
	p.Send(back, datagram(99, 986), wire.Offload{})
	if got := drain(p); len(got) != 1 || got[0].at != back.Sub(Epoch)+11*time.Millisecond {
		t.Errorf("after the cut got %v, want one packet 11ms later", got)
	}
	c := p.Counters()
	if c.Lost[LostCut] != 15 || c.Lost[LostDown] != 1 {
		t.Errorf("lost %d by the cut and %d while down, want 15 and 1", c.Lost[LostCut], c.Lost[LostDown])
	}
	checkBalance(t, p)
}

func TestPipeSetWhileRunning(t *testing.T) {
	p := NewPipe(LinkConfig{Rate: 8e6}, 1, 0)
	for i := range uint32(20) {
		p.Send(Epoch, datagram(i, 986), wire.Offload{})
	}
	// The packet on the line takes its millisecond; the others a tenth.
	p.Set(Epoch.Add(500*time.Microsecond), LinkConfig{Rate: 80e6, Delay: time.Second})
	for i, a := range drain(p) {
		want := time.Millisecond
		if i > 0 {
			want += time.Second + time.Duration(i)*100*time.Microsecond
		}
		if a.at != want {
			t.Errorf("packet %d arrived at %v, want %v", i, a.at, want)
		}
	}
}

// TestPipeNextIsExact checks that a driver that sleeps until Next sees each
// packet at the very time a driver that looks all the time does.
func TestPipeNextIsExact(t *testing.T) {
	for _, cfg := range []LinkConfig{
		{Rate: 10e6, Delay: 3 * time.Millisecond, Jitter: 2 * time.Millisecond, JitterReorders: true,
			Loss: 0.1, Reorder: 0.1, ReorderDelay: 7 * time.Millisecond, Duplicate: 0.1, QueuePackets: 30},
		{Rate: 10e6, Delay: 3 * time.Millisecond, Reorder: 0.2, ReorderDelay: 50 * time.Millisecond, QueuePackets: 30},
		{Rate: 10e6, Delay: 100 * time.Microsecond, Loss: 0.3, QueuePackets: 30},
	} {
		checkNext(t, cfg)
	}
}

func checkNext(t *testing.T, cfg LinkConfig) {
	const tick = 10 * time.Microsecond
	sleeper, watcher := NewPipe(cfg, 9, 0), NewPipe(cfg, 9, 0)
	var slept, watched []arrival
	for i := range 20000 {
		now := Epoch.Add(time.Duration(i) * tick)
		for next := sleeper.Next(); !next.IsZero() && !next.After(now); next = sleeper.Next() {
			for pkt, _, ok := sleeper.Recv(next); ok; pkt, _, ok = sleeper.Recv(next) {
				slept = append(slept, arrival{idOf(pkt), next.Sub(Epoch).Truncate(tick)})
			}
		}
		for pkt, _, ok := watcher.Recv(now); ok; pkt, _, ok = watcher.Recv(now) {
			watched = append(watched, arrival{idOf(pkt), now.Sub(Epoch)})
		}
		if i%50 < 2 && i < 15000 {
			pkt := datagram(uint32(i), 200+i%1300)
			sleeper.Send(now, pkt, wire.Offload{})
			watcher.Send(now, pkt, wire.Offload{})
		}
	}
	if len(slept) != len(watched) || len(slept) < 150 {
		t.Fatalf("the sleeper saw %d packets, the watcher %d", len(slept), len(watched))
	}
	for i := range slept {
		if late := watched[i].at - slept[i].at; slept[i].id != watched[i].id || late < 0 || late > tick {
			t.Fatalf("packet %d: sleeper %v, watcher %v", i, slept[i], watched[i])
		}
	}
}

func TestPipeAllocatesNothing(t *testing.T) {
	p := NewPipe(LinkConfig{Rate: 100e6, Delay: time.Millisecond, Jitter: time.Millisecond, Loss: 0.01,
		Duplicate: 0.01, Corrupt: 0.01, Reorder: 0.01, ReorderDelay: time.Millisecond}, 1, 0)
	pkt, now := datagram(1, 1500), Epoch
	one := func() {
		for range 100 {
			p.Send(now, pkt, wire.Offload{})
			for _, _, ok := p.Recv(now); ok; _, _, ok = p.Recv(now) {
			}
			now = now.Add(121 * time.Microsecond)
		}
	}
	for range 20 {
		one()
	}
	if n := testing.AllocsPerRun(100, one); n > 0 {
		t.Errorf("100 packets cost %v allocations, want none", n)
	}
}

func BenchmarkPipe(b *testing.B) {
	p := NewPipe(LinkConfig{Rate: 100e6, Delay: 50 * time.Millisecond, Loss: 0.01}, 1, 0)
	pkt, now := datagram(1, 1500), Epoch
	b.ReportAllocs()
	for b.Loop() {
		p.Send(now, pkt, wire.Offload{})
		for _, _, ok := p.Recv(now); ok; _, _, ok = p.Recv(now) {
		}
		now = now.Add(122 * time.Microsecond)
	}
}
