package http2

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// flood repeats something until the connection ends, and gives how it ended.
func flood(r *raw, most int, do func(i int) error) result {
	r.t.Helper()
	got := make(chan result, 1)
	go func() { got <- r.response(0) }()
	for i := range most {
		if do(i) != nil {
			break
		}
		select {
		case g := <-got:
			return g
		default:
		}
	}
	select {
	case g := <-got:
		return g
	case <-time.After(patience):
		r.t.Fatal("the connection goes on")
	}
	panic("BUG: not reached")
}

// wantCalm expects ENHANCE_YOUR_CALM.
func wantCalm(t *testing.T, got result) {
	t.Helper()
	if got.goAway == nil || *got.goAway != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("got %v, want ENHANCE_YOUR_CALM", got)
	}
}

func TestFloods(t *testing.T) {
	var requests atomic.Int64
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		hello(w, r)
	}), nil)
	block := func(r *raw, fields ...string) []byte { return r.encode(fields...) }
	for _, tt := range []struct {
		name  string
		setUp func(r *raw)
		do    func(r *raw, i int) error
	}{
		{"rapid reset", nil, func(r *raw, i int) error {
			id := uint32(2*i + 1)
			r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: true, EndHeaders: true, BlockFragment: block(r, get()...)})
			return r.framer.WriteRSTStream(id, http2.ErrCodeCancel)
		}},
		{"having us reset, by malformed requests", nil, func(r *raw, i int) error {
			return r.framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: uint32(2*i + 1), EndStream: true, EndHeaders: true, BlockFragment: block(r, get("connection", "x")...)})
		}},
		{"having us reset, by WINDOW_UPDATE of nothing", nil, func(r *raw, i int) error {
			id := uint32(2*i + 1)
			r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: block(r, post()...)})
			return r.framer.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4))
		}},
		{"CONTINUATION without anything", func(r *raw) { part(r) }, func(r *raw, i int) error {
			return r.framer.WriteContinuation(1, false, nil)
		}},
		{"CONTINUATION with fields", func(r *raw) { part(r) }, func(r *raw, i int) error {
			return r.framer.WriteContinuation(1, false, bytes.Repeat([]byte("\x00\x01a\x01b"), 3000))
		}},
		{"CONTINUATION of a string that does not end", func(r *raw) {
			r.frame(http2.FrameHeaders, 0, 1, []byte("\x00\x01a\x7f\xff\xff\xff\x07"))
		}, func(r *raw, i int) error {
			return r.framer.WriteContinuation(1, false, make([]byte, 16000))
		}},
		{"SETTINGS", nil, func(r *raw, i int) error { return r.framer.WriteSettings() }},
		{"SETTINGS of all sorts", nil, func(r *raw, i int) error {
			return r.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)},
				http2.Setting{ID: http2.SettingHeaderTableSize, Val: uint32(i)})
		}},
		{"PING", nil, func(r *raw, i int) error { return r.framer.WritePing(false, [8]byte{}) }},
		{"PRIORITY", nil, func(r *raw, i int) error {
			return r.framer.WriteRawFrame(http2.FramePriority, 0, uint32(2*i+1), []byte("\x00\x00\x00\x00\x00"))
		}},
		{"unknown frames", nil, func(r *raw, i int) error { return r.framer.WriteRawFrame(0x42, 0, 0, []byte("x")) }},
		{"empty DATA", open, func(r *raw, i int) error { return r.framer.WriteData(1, false, nil) }},
		{"WINDOW_UPDATE of a byte", open, func(r *raw, i int) error { return r.framer.WriteWindowUpdate(1, 1) }},
		{"RST_STREAM of a closed stream", func(r *raw) {
			r.headers(1, true, get()...)
			r.wantOK(1)
		}, func(r *raw, i int) error { return r.framer.WriteRSTStream(1, http2.ErrCodeCancel) }},
		{"GOAWAY", nil, func(r *raw, i int) error { return r.framer.WriteGoAway(0, http2.ErrCodeNo, nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := greet(t, p.addr)
			if tt.setUp != nil {
				tt.setUp(r)
			}
			wantCalm(t, flood(r, 50_000, func(i int) error { return tt.do(r, i) }))
		})
	}
	p.quiet(t)
	// Fewer than the resets allowed got through to the server.
	if n := requests.Load(); n > 500 {
		t.Errorf("the server had %d requests", n)
	}
	r := greet(t, p.addr)
	r.headers(1, true, get()...)
	r.wantOK(1)
}

// TestResetsBelowTheLimit lets clients change their minds, now and then.
func TestResetsBelowTheLimit(t *testing.T) {
	p := start(t, serveHTTP(t, hello), func(_ *http1.Settings, c *Config) { c.MaxResets = 1000 })
	r := greet(t, p.addr)
	for i := range 400 {
		id := uint32(2*i + 1)
		r.headers(id, true, get()...)
		r.check(r.framer.WriteRSTStream(id, http2.ErrCodeCancel))
		if i%50 == 49 {
			r.check(r.framer.WritePing(false, [8]byte{}))
			for r.read().Header().Type != http2.FramePing {
			}
			p.quiet(t) // or else streams are refused
		}
	}
	r.headers(1001, true, get()...)
	r.wantOK(1001)
}

// TestResetStorm resets streams at all moments. The others must not notice,
// which they would if a server connection were spoiled after it was given back.
func TestResetStorm(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		n := 0
		fmt.Sscan(r.URL.Path[1:], &n)
		io.Copy(io.Discard, r.Body)
		w.Write(bytes.Repeat([]byte{'a' + byte(n%26)}, n))
	}), func(_ *http1.Settings, c *Config) { c.MaxResets = 1 << 20 })
	var all sync.WaitGroup
	for k := range 8 {
		all.Go(func() {
			rnd := rand.New(rand.NewSource(int64(k)))
			r := greet(t, p.addr)
			r.c.SetDeadline(time.Now().Add(60 * time.Second))
			r.check(r.framer.WriteWindowUpdate(0, 1<<30))
			for i := range 150 {
				victim, id := uint32(4*i+1), uint32(4*i+3)
				n := rnd.Intn(20000)
				path := fmt.Sprintf("/%d", n)
				if rnd.Intn(2) == 0 {
					r.headers(victim, true, with(":path", path)...)
				} else {
					r.headers(victim, false, append([]string{":method", "POST"}, with(":path", path)[2:]...)...)
					r.data(victim, rnd.Intn(2) == 0, strings.Repeat("x", rnd.Intn(16000)))
				}
				r.headers(id, true, with(":path", path)...)
				time.Sleep(time.Duration(rnd.Intn(600)) * time.Microsecond)
				r.check(r.framer.WriteRSTStream(victim, http2.ErrCodeCancel))
				got := r.response(id)
				if got.status != "200" || len(got.body) != n {
					t.Errorf("stream %d: got status %s with %d bytes, want %d; %v %v", id, got.status, len(got.body), n, got.reset, got.goAway)
					return
				}
			}
		})
	}
	all.Wait()
	p.quiet(t)
}

// TestHeaderBomb refers again and again to a large field in the table, which
// costs the client one byte each time (RFC 7541 section 7.3).
func TestHeaderBomb(t *testing.T) {
	p := start(t, serveHTTP(t, hello), nil)
	r := greet(t, p.addr)
	r.headers(1, true, get("a", strings.Repeat("x", 4000))...)
	r.wantOK(1)
	before := allocated()
	for id := uint32(3); id < 23; id += 2 {
		b := r.encode(get()...)
		b = append(b, bytes.Repeat([]byte{0x80 | 62}, 16000)...) // 64 MB in words
		r.check(r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: true, EndHeaders: true, BlockFragment: b}))
		if got := r.response(id); got.status != "431" {
			t.Fatalf("got %v, want 431", got)
		}
	}
	if grown := allocated() - before; grown > 20<<20 {
		t.Errorf("allocated %d bytes", grown)
	}
	r.headers(101, true, get()...)
	r.wantOK(101)
}

// allocated gives the bytes allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// heap gives the bytes in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// TestNoWindow has a client that asks for much and takes nothing: its streams
// end, and its connection goes on.
func TestNoWindow(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			w.Write(make([]byte, 1<<20))
		}
	}), func(s *http1.Settings, _ *Config) { s.Timeouts.Write = 200 * time.Millisecond })
	r := greet(t, p.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for id := uint32(1); id < 20; id += 2 {
		r.headers(id, true, with(":path", "/big")...)
	}
	for id := uint32(1); id < 20; {
		if f, ok := r.read().(*http2.RSTStreamFrame); ok {
			if f.ErrCode != http2.ErrCodeInternal {
				t.Errorf("got %v", f)
			}
			id += 2
		}
	}
	r.headers(101, true, get()...)
	if got := r.response(101); got.status != "200" || got.reset != nil {
		t.Errorf("then got %v", got)
	}
	if s := p.log(t, 1); s.Err != http1.ErrResponseTimeout {
		t.Errorf("logged %v", s.Err)
	}
	p.quiet(t)
}

// TestSlowReader opens its window by little and little. That takes longer than
// the timeout, but never stops.
func TestSlowReader(t *testing.T) {
	const size = 40_000
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, size))
	}), func(s *http1.Settings, _ *Config) { s.Timeouts.Write = time.Second })
	r := greet(t, p.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 2000})
	r.headers(1, true, get()...)
	done := make(chan result, 1)
	go func() { done <- r.response(1) }()
	for {
		select {
		case got := <-done:
			if len(got.body) != size || got.reset != nil {
				t.Errorf("got %d bytes, %v", len(got.body), got.reset)
			}
			return
		case <-time.After(100 * time.Millisecond):
			r.check(r.framer.WriteWindowUpdate(1, 2000))
		}
	}
}

// TestNotReading has a client that opens its windows and then does not read from
// the connection at all.
func TestNotReading(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		for range 1000 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}), func(s *http1.Settings, c *Config) { s.Timeouts.Write = 300 * time.Millisecond })
	before := heap()
	r := greet(t, p.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	r.check(r.framer.WriteWindowUpdate(0, 1<<30))
	for id := uint32(1); id < 60; id += 2 {
		r.headers(id, true, get()...)
	}
	time.Sleep(200 * time.Millisecond)
	if now := heap(); now > before+60<<20 {
		t.Errorf("%d bytes are held for a client that does not read", now-before)
	}
	p.quiet(t)
	eventually(t, "end of the connection", func() bool { return len(p.all()) == 0 })
}

// TestAnswersNotRead has a client that makes us answer and does not read that.
func TestAnswersNotRead(t *testing.T) {
	p := start(t, serveHTTP(t, hello), func(s *http1.Settings, c *Config) { s.Timeouts.Write = 500 * time.Millisecond })
	r := greet(t, p.addr)
	for i := 0; ; i++ {
		if i%500 == 0 {
			time.Sleep(50 * time.Millisecond) // below what is useless by the second, at first
		}
		if r.framer.WritePing(false, [8]byte{}) != nil {
			break
		}
		if i > 1_000_000 {
			t.Fatal("the connection goes on")
		}
	}
	eventually(t, "end of the connection", func() bool { return len(p.all()) == 0 })
}

func TestIdle(t *testing.T) {
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(600 * time.Millisecond)
		hello(w, r)
	}), func(s *http1.Settings, _ *Config) { s.Timeouts.Idle = 200 * time.Millisecond })
	r := greet(t, p.addr)
	r.headers(1, true, get()...)
	r.wantOK(1) // which was not idle
	// Half a frame is nothing.
	r.write([]byte{0, 0, 8, 6})
	if got := r.response(3); got.goAway == nil || *got.goAway != http2.ErrCodeNo || !got.closed {
		t.Errorf("got %v, want GOAWAY and the end", got)
	}
}

// TestDeadlines has clients stop in the middle.
func TestDeadlines(t *testing.T) {
	p := start(t, serveHTTP(t, hello), func(s *http1.Settings, _ *Config) {
		s.Timeouts.Head, s.Timeouts.Body = 600*time.Millisecond, 600*time.Millisecond
	})
	for _, tt := range []struct {
		name string
		do   func(t *testing.T) *raw
	}{
		{"nothing at all", func(t *testing.T) *raw { return dial(t, p.addr) }},
		{"half a preface", func(t *testing.T) *raw {
			r := dial(t, p.addr)
			r.write([]byte(http2.ClientPreface[:10]))
			return r
		}},
		{"a preface without SETTINGS", func(t *testing.T) *raw {
			r := dial(t, p.addr)
			r.write([]byte(http2.ClientPreface))
			return r
		}},
		{"half a header block", func(t *testing.T) *raw {
			r := greet(t, p.addr)
			part(r)
			return r
		}},
		{"a header block by and by", func(t *testing.T) *raw {
			r := greet(t, p.addr)
			part(r)
			go func() {
				for r.framer.WriteContinuation(1, false, []byte("\x00\x01a\x01b")) == nil {
					time.Sleep(50 * time.Millisecond)
				}
			}()
			return r
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.do(t)
			began := time.Now()
			if got := r.response(1); !got.closed {
				t.Errorf("got %v", got)
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("took %v", took)
			}
		})
	}
	t.Run("half a body", func(t *testing.T) {
		r := greet(t, p.addr)
		r.headers(1, false, post("content-length", "100")...)
		r.data(1, false, "x")
		if got := r.response(1); got.status != "408" {
			t.Errorf("got %v, want 408", got)
		}
		r.headers(3, true, get()...)
		r.wantOK(3)
	})
}

// TestStalledUpload bounds what is held of bodies that nobody reads.
func TestStalledUpload(t *testing.T) {
	p := start(t, serveHTTP(t, hello), func(s *http1.Settings, _ *Config) {
		s.Route = func(x *http1.Exchange) (http1.Pool, error) {
			<-x.Context().Done()
			return nil, http1.ErrClientGone
		}
	})
	before := heap()
	r := greet(t, p.addr)
	for id := uint32(1); id < 100; id += 2 {
		r.headers(id, false, post()...)
	}
	// One byte in each frame: as HTTP/1.1 has it, that is six.
	frames := connWindow - 100_000
	if raceEnabled {
		frames /= 8 // the detector makes that slow, and memory is judged without it
	}
	for i := range frames {
		if r.framer.WriteData(uint32(2*(i%50)+1), false, []byte("x")) != nil {
			break
		}
	}
	if now := heap(); now > before+40<<20 {
		t.Errorf("%d bytes are held", now-before)
	}
	r.c.Close()
	p.quiet(t)
}

// FuzzConn says anything to a connection that has been greeted. It must neither
// panic nor hang, and what comes back must be HTTP/2.
func FuzzConn(f *testing.F) {
	var seed bytes.Buffer
	fr := http2.NewFramer(&seed, nil)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i, v := range get() {
		if i%2 == 0 {
			enc.WriteField(hpack.HeaderField{Name: v, Value: get()[i+1]})
		}
	}
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: block.Bytes()})
	fr.WriteData(1, true, []byte("body"))
	fr.WritePing(false, [8]byte{})
	fr.WriteWindowUpdate(0, 1000)
	fr.WriteRSTStream(1, http2.ErrCodeCancel)
	f.Add(seed.Bytes())
	for _, b := range []string{"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x82", "\x00\x00\x00\x04\x01\x00\x00\x00\x00"} {
		f.Add([]byte(b))
	}
	p := start(f, "127.0.0.1:1", func(s *http1.Settings, c *Config) {
		s.Route = func(x *http1.Exchange) (http1.Pool, error) {
			x.Reply(200, "text/plain", []byte("hello"))
			return nil, nil
		}
		s.Log = nil
		c.MaxResets = 10
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := dial(t, p.addr)
		r.write([]byte(http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
		r.c.Write(b)
		r.c.(interface{ CloseWrite() error }).CloseWrite()
		for {
			_, err := r.framer.ReadFrame()
			if err == nil {
				continue
			}
			if _, ok := err.(http2.ConnectionError); ok || err == http2.ErrFrameTooLarge {
				t.Errorf("got %v", err)
			}
			return
		}
	})
}

// TestManyLargeHeads has a client read late what is much, but what it asked for.
func TestManyLargeHeads(t *testing.T) {
	const streams = 100
	value := strings.Repeat("v", 12_000)
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Large", value+r.URL.Path)
		w.Write(make([]byte, 60_000))
	}), nil)
	r := greet(t, p.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	r.check(r.framer.WriteWindowUpdate(0, 1<<30))
	for i := range streams {
		r.headers(uint32(2*i+1), true, with(":path", fmt.Sprintf("/%d", i))...)
	}
	time.Sleep(300 * time.Millisecond)
	ended, bytes := 0, 0
	for ended < streams {
		switch f := r.read().(type) {
		case *http2.HeadersFrame:
			if got := r.decode(f); !strings.HasPrefix(got.get("large"), value) {
				t.Fatalf("got %v", got)
			}
		case *http2.DataFrame:
			bytes += len(f.Data())
			if f.StreamEnded() {
				ended++
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			t.Fatalf("got %v", f)
		}
	}
	if bytes != streams*60_000 {
		t.Errorf("got %d bytes", bytes)
	}
}

// TestIdleMemory bounds what connections hold that have had much to do, and now
// have nothing.
func TestIdleMemory(t *testing.T) {
	const conns = 100
	p := start(t, serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write(make([]byte, 500_000))
	}), nil)
	var all []*raw
	for range conns {
		r := greet(t, p.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		r.check(r.framer.WriteWindowUpdate(0, 1<<20))
		r.headers(1, false, post()...)
		r.data(1, true, strings.Repeat("x", 10_000))
		if got := r.response(1); len(got.body) != 500_000 {
			t.Fatalf("got %v", got)
		}
		// The client's own memory is not what is measured.
		all = append(all, &raw{c: r.c})
		*r = raw{}
	}
	p.quiet(t)
	runtime.GC() // twice, for what is in a sync.Pool
	before := heap()
	for _, r := range all {
		r.c.Close()
	}
	eventually(t, "end of the connections", func() bool { return len(p.all()) == 0 })
	time.Sleep(10 * time.Millisecond)
	if each := (int64(before) - int64(heap())) / conns; each > 48<<10 {
		t.Errorf("an idle connection held %d bytes", each)
	} else {
		t.Logf("an idle connection held %d bytes", each)
	}
}
