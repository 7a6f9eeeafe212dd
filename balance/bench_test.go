package balance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
)

// silentServer accepts connections and reads whatever comes.
func silentServer(tb testing.TB) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	return ln.Addr().String()
}

// silentPool has n backends.
func silentPool(tb testing.TB, n int, change func(*Config)) *Pool {
	tb.Helper()
	address := silentServer(tb)
	return poolOf(tb, func(cfg *Config) {
		var list Static
		for i := range n {
			list = append(list, Backend{Name: fmt.Sprint("b", i), Address: address})
		}
		cfg.Source = list
		cfg.Reuse = Reuse{Mode: ReuseAlways, MaxReuse: Unlimited}
		change(cfg)
	})
}

var benchCases = []struct {
	name     string
	backends int
	change   func(*Config)
}{
	{"one backend", 1, func(*Config) {}},
	{"round robin of 4", 4, func(*Config) {}},
	{"least connections of 4", 4, func(cfg *Config) { cfg.Policy = LeastConnections }},
	{"power of two of 4", 4, func(cfg *Config) { cfg.Policy = PowerOfTwo }},
	{"maglev of 4", 4, func(cfg *Config) { cfg.Policy = Maglev }},
	{"limits and source mask", 4, func(cfg *Config) {
		cfg.MaxConnections, cfg.MaxPending = 100, 100
		cfg.Reuse.SourceMask = 24
		cfg.Reuse.LimitType = LimitIdle
		cfg.Ejection.Failures = 5
	}},
}

// getPut is what one request costs here.
func getPut(tb testing.TB, p *Pool, r Request) {
	c, err := p.Get(context.Background(), r)
	if err != nil {
		tb.Fatal(err)
	}
	c.Report(true)
	c.Put()
}

func BenchmarkGetPut(b *testing.B) {
	for _, test := range benchCases {
		b.Run(test.name, func(b *testing.B) {
			p := silentPool(b, test.backends, test.change)
			r := Request{Client: clientAt(b, "10.0.0.1"), Idempotent: true}
			b.ReportAllocs()
			for b.Loop() {
				getPut(b, p, r)
			}
		})
	}
}

func BenchmarkGetPutParallel(b *testing.B) {
	p := silentPool(b, 4, func(*Config) {})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := Request{Client: NewClient(netip.MustParseAddr("10.0.0.1")), Idempotent: true}
		for pb.Next() {
			getPut(b, p, r)
		}
	})
}

// BenchmarkGetPutCareful looks at the connection each time.
func BenchmarkGetPutCareful(b *testing.B) {
	p := silentPool(b, 1, func(*Config) {})
	r := Request{Client: clientAt(b, "10.0.0.1")}
	b.ReportAllocs()
	for b.Loop() {
		getPut(b, p, r)
	}
}

// BenchmarkGetPutOther has a connection that is not the kernel's, which a
// goroutine watches while it is idle.
func BenchmarkGetPutOther(b *testing.B) {
	p := silentPool(b, 1, func(cfg *Config) { cfg.Dial = dialOpaque })
	r := Request{Client: clientAt(b, "10.0.0.1"), Idempotent: true}
	b.ReportAllocs()
	for b.Loop() {
		getPut(b, p, r)
	}
}

// TestAllocations is the gate for the path that every request takes.
func TestAllocations(t *testing.T) {
	for _, test := range benchCases {
		p := silentPool(t, test.backends, test.change)
		for _, idempotent := range []bool{true, false} {
			r := Request{Client: clientAt(t, "10.0.0.1"), Idempotent: idempotent, Hash: 7}
			for range 10 {
				getPut(t, p, r)
			}
			if got := testing.AllocsPerRun(200, func() { getPut(t, p, r) }); got != 0 {
				t.Errorf("%s, idempotent %v: %v allocations per request, want 0", test.name, idempotent, got)
			}
		}
	}
}
