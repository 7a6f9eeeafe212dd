package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/wire"
)

// packet makes a TCP packet of size bytes in all with number n in its payload.
func packet(size int, n uint32) []byte {
	s := wire.Segment{
		Src: netip.MustParseAddrPort("10.0.1.1:1000"), Dst: netip.MustParseAddrPort("10.0.1.2:80"),
		TTL: 64, Flags: wire.ACK, Payload: make([]byte, size-40),
	}
	binary.BigEndian.PutUint32(s.Payload, n)
	return wire.AppendSegment(nil, &s)
}

func number(t *testing.T, pkt []byte) uint32 {
	t.Helper()
	var s wire.Segment
	if err := wire.ParseSegment(pkt, &s, false); err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint32(s.Payload)
}

func buffers(n int) []link.Packet {
	pkts := make([]link.Packet, n)
	for i := range pkts {
		pkts[i].Data = make([]byte, 0, 2000)
	}
	return pkts
}

func write(t *testing.T, dev link.Device, pkts ...[]byte) {
	t.Helper()
	for _, p := range pkts {
		if n, err := dev.Write([]link.Packet{{Data: p}}); n != 1 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
}

// arrivals reads count packets and gives the time since start and the number
// of each.
func arrivals(t *testing.T, dev link.Device, start time.Time, count int) (times []time.Duration, numbers []uint32) {
	t.Helper()
	buf := buffers(8)
	for len(times) < count {
		n, err := dev.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range buf[:n] {
			times = append(times, time.Since(start))
			numbers = append(numbers, number(t, p.Data))
		}
	}
	return times, numbers
}

// TestLineKeepsRateAndDelay: 1,486 bytes and an Ethernet header are 12,000
// bits, one millisecond at 12 Mbit/s.
func TestLineKeepsRateAndDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewEmulator(1).AddLine("x",
			sim.LinkConfig{Rate: 12e6, Delay: 10 * time.Millisecond},
			sim.LinkConfig{Rate: 6e6, Delay: 30 * time.Millisecond})
		const count = 50
		start := time.Now()
		for n := range uint32(count) {
			write(t, l.A(), packet(1486, n))
			write(t, l.B(), packet(1486, n))
		}
		for _, tt := range []struct {
			dev         link.Device
			each, delay time.Duration
		}{{l.B(), time.Millisecond, 10 * time.Millisecond}, {l.A(), 2 * time.Millisecond, 30 * time.Millisecond}} {
			start := start
			times, numbers := arrivals(t, tt.dev, start, count)
			for i := range times {
				// The slower direction is read after the faster one: it is
				// exact as soon as reading has caught up.
				want := max(tt.delay+time.Duration(i+1)*tt.each, times[0])
				if times[i] != want || numbers[i] != uint32(i) {
					t.Errorf("packet %d arrived at %v as number %d, want %v", i, times[i], numbers[i], want)
				}
			}
		}
	})
}

func TestLineCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := sim.LinkConfig{Delay: 10 * time.Millisecond}
		l := NewEmulator(1).AddLine("x", cfg, cfg)
		start := time.Now()
		write(t, l.A(), packet(100, 1))
		time.Sleep(5 * time.Millisecond)
		l.Down() // number 1 is half-way
		write(t, l.A(), packet(100, 2))
		time.Sleep(time.Second)
		l.Up()
		write(t, l.A(), packet(100, 3))
		times, numbers := arrivals(t, l.B(), start, 1)
		if want := time.Second + 15*time.Millisecond; numbers[0] != 3 || times[0] != want {
			t.Errorf("number %d arrived at %v, want number 3 at %v", numbers[0], times[0], want)
		}
		there, _ := l.Counters()
		if there.Lost[sim.LostCut] != 1 || there.Lost[sim.LostDown] != 1 {
			t.Errorf("lost %v, want one cut and one down", there.Lost)
		}
	})
}

func TestLineSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, fast := sim.LinkConfig{Delay: time.Second}, sim.LinkConfig{Delay: time.Millisecond}
		l := NewEmulator(1).AddLine("x", slow, slow)
		l.Set(fast, slow)
		start := time.Now()
		write(t, l.A(), packet(100, 1))
		write(t, l.B(), packet(100, 2))
		if times, _ := arrivals(t, l.B(), start, 1); times[0] != time.Millisecond {
			t.Errorf("arrived after %v, want 1 ms", times[0])
		}
		if times, _ := arrivals(t, l.A(), start, 1); times[0] != time.Second {
			t.Errorf("arrived after %v, want 1 s", times[0])
		}
	})
}

// TestLineWakesSleepingReader: a packet sent while the reader sleeps until a
// later one, and one sent while it waits for anything at all.
func TestLineWakesSleepingReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, fast := sim.LinkConfig{Delay: time.Second, JitterReorders: true}, sim.LinkConfig{Delay: time.Millisecond, JitterReorders: true}
		l := NewEmulator(1).AddLine("x", slow, slow)
		start := time.Now()
		var wg sync.WaitGroup
		var times []time.Duration
		var numbers []uint32
		wg.Go(func() { times, numbers = arrivals(t, l.B(), start, 2) })
		synctest.Wait()
		write(t, l.A(), packet(100, 1))
		synctest.Wait()
		l.Set(fast, slow)
		write(t, l.A(), packet(100, 2))
		wg.Wait()
		want := []time.Duration{time.Millisecond, time.Second}
		if numbers[0] != 2 || numbers[1] != 1 || times[0] != want[0] || times[1] != want[1] {
			t.Errorf("numbers %v at %v, want 2 and 1 at %v", numbers, times, want)
		}
	})
}

func TestLineCutsLargePackets(t *testing.T) {
	l := NewEmulator(1).AddLine("x", sim.LinkConfig{}, sim.LinkConfig{})
	large := packet(4040, 7)
	wire.Finish(large, wire.Offload{PartialChecksum: true})
	if _, err := l.A().Write([]link.Packet{{Data: large, SegSize: 1000, PartialChecksum: true}}); err != nil {
		t.Fatal(err)
	}
	buf := buffers(8)
	n, err := l.B().Read(buf)
	if n != 4 || err != nil {
		t.Fatalf("Read = %d, %v, want 4 pieces", n, err)
	}
	for i, p := range buf[:n] {
		var s wire.Segment
		if err := wire.ParseSegment(p.Data, &s, false); err != nil || s.Seq != uint32(1000*i) || len(s.Payload) != 1000 {
			t.Errorf("piece %d: %v, %v", i, &s, err)
		}
	}
}

func TestLineTellsWhatIsTooBig(t *testing.T) {
	for _, noICMP := range []bool{false, true} {
		l := NewEmulator(1).AddLine("x", sim.LinkConfig{MTU: 9000}, sim.LinkConfig{MTU: 9000})
		if got, want := l.A().Features().MTU, 9000; got != want {
			t.Errorf("MTU = %d, want %d", got, want)
		}
		narrow := sim.LinkConfig{MTU: 1280, NoICMP: noICMP}
		l.Set(narrow, narrow)
		pkt := packet(1281, 0)
		write(t, l.A(), pkt, packet(1280, 9))
		if _, numbers := arrivals(t, l.B(), time.Now(), 1); numbers[0] != 9 {
			t.Errorf("number %d arrived, want only 9", numbers[0])
		}
		if noICMP {
			if _, back := l.Counters(); back.Offered != 0 {
				t.Errorf("%d packets came back from a black hole", back.Offered)
			}
			continue
		}
		buf := buffers(1)
		if _, err := l.A().Read(buf); err != nil {
			t.Fatal(err)
		}
		m, err := wire.ParseICMP(buf[0].Data)
		if err != nil || m.Kind != wire.ICMPTooBig || m.MTU != 1280 || m.Src.Port() != 1000 {
			t.Errorf("got %+v, %v, want too big for 1280", m, err)
		}
	}
}

func TestLineClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEmulator(1)
		cfg := sim.LinkConfig{Delay: time.Hour}
		l := e.AddLine("x", cfg, cfg)
		errs := make(chan error, 2)
		for _, dev := range []link.Device{l.A(), l.B()} {
			go func() {
				_, err := dev.Read(buffers(1))
				errs <- err
			}()
		}
		synctest.Wait()
		write(t, l.A(), packet(100, 1)) // one reader sleeps, the other waits
		synctest.Wait()
		e.Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, link.ErrClosed) {
				t.Errorf("pending Read: %v, want ErrClosed", err)
			}
		}
		for _, dev := range []link.Device{l.A(), l.B()} {
			if _, err := dev.Write([]link.Packet{{Data: packet(100, 1)}}); !errors.Is(err, link.ErrClosed) {
				t.Errorf("Write: %v, want ErrClosed", err)
			}
			if _, err := dev.Read(buffers(1)); !errors.Is(err, link.ErrClosed) {
				t.Errorf("Read: %v, want ErrClosed", err)
			}
		}
	})
}

// TestLineRepeats: the same seed loses the same packets.
func TestLineRepeats(t *testing.T) {
	lost := func(seed uint64) []byte {
		l := NewEmulator(seed).AddLine("x", sim.LinkConfig{Loss: 0.3}, sim.LinkConfig{})
		var got []byte
		for n := range uint32(200) {
			write(t, l.A(), packet(100, n))
			there, _ := l.Counters()
			got = append(got, byte(there.Dropped()))
		}
		return got
	}
	first, again, other := lost(5), lost(5), lost(6)
	if !bytes.Equal(first, again) {
		t.Error("two runs of seed 5 differ")
	}
	if bytes.Equal(first, other) {
		t.Error("seeds 5 and 6 do the same")
	}
}
