package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
)

func buffers(n, size int) []Packet {
	pkts := make([]Packet, n)
	for i := range pkts {
		pkts[i].Data = make([]byte, size)
	}
	return pkts
}

func TestPairCarriesPacketsWhole(t *testing.T) {
	a, b := NewPair(PairConfig{Features: Features{MTU: 1500, MaxPacket: 65535, Checksum: true}})
	want := []Packet{
		{Data: bytes.Repeat([]byte{1}, 1500)},
		{Data: bytes.Repeat([]byte{2}, 65535), SegSize: 1400, PartialChecksum: true},
		{Data: []byte{3}},
	}
	for _, ends := range [][2]*End{{a, b}, {b, a}} {
		if n, err := ends[0].Write(want); n != len(want) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		got := buffers(8, 65575)
		n, err := ends[1].Read(got)
		if n != len(want) || err != nil {
			t.Fatalf("Read = %d, %v, want %d packets", n, err, len(want))
		}
		for i, w := range want {
			g := got[i]
			if !bytes.Equal(g.Data, w.Data) || g.SegSize != w.SegSize || g.PartialChecksum != w.PartialChecksum {
				t.Errorf("packet %d: got %d bytes, %d, %v; want %d bytes, %d, %v",
					i, len(g.Data), g.SegSize, g.PartialChecksum, len(w.Data), w.SegSize, w.PartialChecksum)
			}
		}
	}
}

func TestPairDropsWhatIsTooLarge(t *testing.T) {
	plain := Features{MTU: 1500}
	offload := Features{MTU: 1500, MaxPacket: 20000}
	tests := []struct {
		name     string
		features Features
		size     int
		segSize  int
		passes   bool
	}{
		{"of the MTU", plain, 1500, 0, true},
		{"over the MTU", plain, 1501, 0, false},
		{"empty", plain, 0, 0, false},
		{"large without offload", plain, 3000, 1000, false},
		{"large with offload", offload, 20000, 1000, true},
		{"over the limit of offload", offload, 20001, 1000, false},
		{"over the MTU, not to be cut", offload, 1501, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := NewPair(PairConfig{Features: tt.features})
			if n, err := a.Write([]Packet{{Data: make([]byte, tt.size), SegSize: tt.segSize}, {Data: []byte("last")}}); n != 2 || err != nil {
				t.Fatalf("Write = %d, %v: what is dropped counts as taken", n, err)
			}
			want, wantDropped := 2, uint64(0)
			if !tt.passes {
				want, wantDropped = 1, 1
			}
			if n, err := b.Read(buffers(4, 65575)); n != want || err != nil {
				t.Errorf("Read = %d, %v, want %d", n, err, want)
			}
			if got := a.Dropped(); got != wantDropped {
				t.Errorf("Dropped() = %d, want %d", got, wantDropped)
			}
		})
	}
}

func TestPairQueueIsBounded(t *testing.T) {
	const queueBytes, size = 100_000, 1000
	a, b := NewPair(PairConfig{Features: Features{MTU: size}, Queue: queueBytes})
	for range 150 {
		if _, err := a.Write([]Packet{{Data: make([]byte, size)}}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := a.Dropped(), uint64(50); got != want {
		t.Errorf("Dropped() = %d, want %d", got, want)
	}
	if n, err := b.Read(buffers(200, size)); n != 100 || err != nil {
		t.Errorf("Read = %d, %v, want 100", n, err)
	}
	if _, err := a.Write(buffers(100, size)); err != nil {
		t.Fatal(err)
	}
	if got, want := a.Dropped(), uint64(50); got != want {
		t.Errorf("after a read Dropped() = %d, want %d: there was room again", got, want)
	}
}

// TestPairKeepsOrder sends packets of random sizes, whose content follows from
// their number, through a queue that wraps around many times.
func TestPairKeepsOrder(t *testing.T) {
	const seed, packets = 7, 20_000
	a, b := NewPair(PairConfig{Features: Features{MTU: 9000}, Queue: 200_000})
	sizes := rand.New(rand.NewPCG(seed, 0))
	reads := rand.New(rand.NewPCG(seed, 1))
	sent, received, queued := uint32(0), uint32(0), 0
	got := buffers(32, 9000)
	for received < packets {
		for range 1 + reads.IntN(8) {
			data := make([]byte, 4+sizes.IntN(8996))
			if sent == packets || queued+len(data) > 150_000 {
				break
			}
			fill(data, sent)
			if _, err := a.Write([]Packet{{Data: data}}); err != nil {
				t.Fatal(err)
			}
			sent++
			queued += len(data)
		}
		n, err := b.Read(got[:1+reads.IntN(len(got))])
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range got[:n] {
			want := make([]byte, len(p.Data))
			fill(want, received)
			if !bytes.Equal(p.Data, want) {
				t.Fatalf("seed %d: packet %d differs, begins %x, want %x", seed, received, p.Data[:4], want[:4])
			}
			received++
			queued -= len(p.Data)
		}
	}
	if got := a.Dropped(); got != 0 {
		t.Errorf("Dropped() = %d", got)
	}
}

func fill(b []byte, n uint32) {
	binary.BigEndian.PutUint32(b, n)
	for i := 4; i < len(b); i++ {
		b[i] = byte(int(n)*31 + i)
	}
}

func TestPairReadWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := NewPair(PairConfig{})
		var n int
		var err error
		done := make(chan struct{})
		go func() {
			n, err = b.Read(buffers(4, 100))
			close(done)
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatalf("Read = %d, %v with nothing to read", n, err)
		default:
		}
		if _, err := a.Write([]Packet{{Data: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		<-done
		if n != 1 || err != nil {
			t.Errorf("Read = %d, %v, want 1", n, err)
		}
	})
}

func TestPairPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := NewPair(PairConfig{})
		if n, err := b.Poll(buffers(4, 100)); n != 0 || err != nil {
			t.Errorf("Poll = %d, %v with nothing to read, want 0", n, err)
		}
		waited := make(chan error)
		go func() { waited <- b.Wait() }()
		synctest.Wait()
		if n, err := b.Poll(buffers(4, 100)); n != 0 || err != nil {
			t.Errorf("Poll = %d, %v beside Wait, want 0", n, err)
		}
		if _, err := a.Write([]Packet{{Data: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		if err := <-waited; err != nil {
			t.Errorf("Wait: %v", err)
		}
		if n, err := b.Poll(buffers(4, 100)); n != 1 || err != nil {
			t.Errorf("Poll = %d, %v, want 1", n, err)
		}
		go func() { waited <- b.Wait() }()
		synctest.Wait()
		b.Close()
		if err := <-waited; err != ErrClosed {
			t.Errorf("Wait that Close ended: %v, want %v", err, ErrClosed)
		}
		if _, err := b.Poll(buffers(4, 100)); err != ErrClosed {
			t.Errorf("Poll after Close: %v, want %v", err, ErrClosed)
		}
	})
}

func TestPairClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := NewPair(PairConfig{})
		errs := make(chan error)
		go func() {
			_, err := a.Read(buffers(1, 100))
			errs <- err
		}()
		synctest.Wait()
		if _, err := a.Write([]Packet{{Data: []byte("before")}}); err != nil {
			t.Fatal(err)
		}
		a.Close()
		a.Close() // again does no harm
		if err := <-errs; !errors.Is(err, ErrClosed) {
			t.Errorf("pending Read: %v, want ErrClosed", err)
		}
		if _, err := a.Write([]Packet{{Data: []byte("x")}}); !errors.Is(err, ErrClosed) {
			t.Errorf("Write after Close: %v, want ErrClosed", err)
		}
		if n, err := b.Write([]Packet{{Data: []byte("into nothing")}}); n != 1 || err != nil {
			t.Errorf("Write to a closed end = %d, %v, want it lost in silence", n, err)
		}
		got := buffers(2, 100)
		if n, err := b.Read(got); n != 1 || err != nil || string(got[0].Data) != "before" {
			t.Errorf("Read = %d, %v, %q: want what was sent before Close", n, err, got[0].Data)
		}
	})
}

// TestPairConcurrent lets the race detector see both ends at work at once.
func TestPairConcurrent(t *testing.T) {
	const packets = 5000
	a, b := NewPair(PairConfig{Features: Features{MTU: 1500}, Queue: 64 << 20})
	var wg sync.WaitGroup
	for _, ends := range [][2]*End{{a, b}, {b, a}} {
		wg.Go(func() {
			batch := buffers(7, 500)
			for sent := 0; sent < packets; sent += len(batch) {
				for i := range batch {
					fill(batch[i].Data, uint32(sent+i))
				}
				if _, err := ends[0].Write(batch); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			batch, want := buffers(16, 1500), make([]byte, 500)
			for got := uint32(0); got < packets; {
				n, err := ends[1].Read(batch)
				if err != nil {
					t.Error(err)
					return
				}
				for _, p := range batch[:n] {
					fill(want, got)
					if !bytes.Equal(p.Data, want) {
						t.Errorf("packet %d differs", got)
						return
					}
					got++
				}
			}
		})
	}
	wg.Wait()
}

func TestPairDoesNotAllocate(t *testing.T) {
	a, b := NewPair(PairConfig{Features: Features{MTU: 1500, MaxPacket: 65535}})
	out, in := buffers(16, 1500), buffers(16, 65575)
	got := testing.AllocsPerRun(1000, func() {
		a.Write(out)
		b.Read(in)
	})
	if got != 0 {
		t.Errorf("%v allocations per batch, want 0", got)
	}
}

func BenchmarkPair(b *testing.B) {
	x, y := NewPair(PairConfig{Features: Features{MTU: 1500, MaxPacket: 65535}})
	out, in := buffers(16, 65000), buffers(16, 65575)
	for i := range out {
		out[i].SegSize = 1400
	}
	b.SetBytes(16 * 65000)
	for b.Loop() {
		x.Write(out)
		if n, _ := y.Read(in); n != 16 {
			b.Fatalf("%d packets", n)
		}
	}
}
