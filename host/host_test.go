package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/stack"
)

// TestHTTP runs the standard library's server and client, unchanged, many
// requests at once.
func TestHTTP(t *testing.T) {
	h := newHosts(t, 2)
	body := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{2}).Read(body)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sum := sha256.Sum256(got)

		w.Write(append(sum[:], body...))
	}))
	server.Listener.Close()
	server.Listener = h.listen(t)
	server.Start()
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: h.client.DialContext, MaxIdleConnsPerHost: 4}}
	defer client.CloseIdleConnections()

	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				request := bytes.Repeat([]byte{byte(i), byte(j)}, 20_000)
				resp, err := client.Post("http://10.0.1.2/", "application/octet-stream", bytes.NewReader(request))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				sum := sha256.Sum256(request)
				if err != nil || !bytes.Equal(got, append(sum[:], body...)) {
					t.Errorf("request %d of %d: %d bytes, %v", j, i, len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

// TestCloseLeavesNothing runs in a bubble of synctest, which fails when a
// goroutine is left; runtime.NumGoroutine shows the same outside of one.
func TestCloseLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(twoHosts)
		h.connect(t, 2)
		client, server := h.pipe(t)
		l := h.listen(t)
		errs := make(chan error, 3)
		go func() {
			for {
				if _, err := server.Write(make([]byte, 1<<20)); err != nil {
					errs <- err
					return
				}
			}
		}()
		go func() { _, err := l.Accept(); errs <- err }()
		go func() {
			_, err := h.server.DialContext(context.Background(), "tcp", "10.0.2.9:80")
			errs <- err
		}()
		synctest.Wait()
		if err := h.server.Close(); err != nil {
			t.Error(err)
		}
		for range 3 {
			if err := <-errs; err == nil {
				t.Error("a call of the closed host succeeded")
			}
		}
		if err := h.server.Close(); !errors.Is(err, ErrHostClosed) {
			t.Errorf("second Close: %v, want ErrHostClosed", err)
		}
		if _, err := h.server.Listen("tcp", ":90"); !errors.Is(err, ErrHostClosed) {
			t.Errorf("Listen: %v, want ErrHostClosed", err)
		}
		if _, err := h.server.DialContext(context.Background(), "tcp", "10.0.1.1:80"); err == nil {
			t.Error("dialling with a closed host succeeded")
		}
		if err := h.server.AddDevice(h.near[0]); !errors.Is(err, ErrHostClosed) {
			t.Errorf("AddDevice: %v, want ErrHostClosed", err)
		}
		// The peer learns of it.
		client.SetReadDeadline(time.Now().Add(time.Second))
		for err := error(nil); err == nil; {
			if _, err = client.Read(make([]byte, 1<<20)); isTimeout(err) {
				t.Error("the peer was not told")
			}
		}
		if err := h.client.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	h := new(twoHosts)
	h.connect(t, 3)
	client, server := h.pipe(t)
	client.Write([]byte("x"))
	server.Read(make([]byte, 1))
	wantGoroutines(t, 6) // one for each device, none for the connection
	h.close(t)
	wantGoroutines(t, 0)
}

// wantGoroutines waits until so many goroutines are in a shard; a timer that
// is just firing has one for a moment.
func wantGoroutines(t *testing.T, want int) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for i := 0; ; i++ {
		all := buf[:runtime.Stack(buf, true)]
		got := 0
		for _, one := range bytes.Split(all, []byte("\n\n")) {
			if bytes.Contains(one, []byte("host.(*shard).")) {
				got++
			}
		}
		if got == want {
			return
		}
		if i == 1000 {
			t.Fatalf("%d goroutines, want %d:\n%s", got, want, all)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestShutdown: what was written is delivered before the host goes.
func TestShutdown(t *testing.T) {
	h := new(twoHosts)
	h.connect(t, 2)
	client, server := h.pipe(t)
	data := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{3}).Read(data)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := server.Write(data); err != nil {
			t.Error(err)
		}
		server.Close()
		if err := h.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v, want %d", len(got), err, len(data))
	}
	client.Close()
	wg.Wait()
	h.client.Close()
}

// TestShutdownParts: subflows end in good order, so that the peer's have no FIN
// left to send again.
func TestShutdownParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(twoHosts)
		h.connect(t, 2)
		client, server := h.pipe(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			io.Copy(io.Discard, server)
			server.Close()
		})
		client.Close()
		for _, host := range []*Host{h.client, h.server} {
			if err := host.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			wg.Wait()
			if st := host.shard.stack.Stats(); st.Subflows != 0 {
				t.Errorf("%d subflows have not ended", st.Subflows)
			}
		}
	})
}

func TestShutdownEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(twoHosts)
		h.connect(t, 1)
		client, _ := h.pipe(t)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		if err := h.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Shutdown = %v after %v, want DeadlineExceeded after 1 s", err, time.Since(start))
		}
		client.Close()
		h.client.Close()
	})
}

// transfer sends data to the client while during runs, and checks that it
// arrives. during is called when a quarter has been read.
func transfer(t *testing.T, h *twoHosts, size int, during func()) {
	t.Helper()
	client, server := h.pipe(t)
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{4}).Read(data)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := server.Write(data); err != nil {
			t.Error(err)
		}
		server.CloseWrite()
	})
	got := make([]byte, size)
	if _, err := io.ReadFull(client, got[:size/4]); err != nil {
		t.Fatal(err)
	}
	during()
	if _, err := io.ReadFull(client, got[size/4:]); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if !bytes.Equal(got, data) {
		t.Error("the data differ")
	}
	closeBoth(t, client, server)
}

func TestRemoveDevice(t *testing.T) {
	h := newHosts(t, 2)
	transfer(t, h, 16<<20, func() {
		if err := h.client.RemoveDevice(h.near[0]); err != nil {
			t.Error(err)
		}
	})
	if err := h.client.RemoveDevice(h.near[0]); !errors.Is(err, ErrNoDevice) {
		t.Errorf("removing it again: %v, want ErrNoDevice", err)
	}
	if _, err := h.near[0].Write(nil); !errors.Is(err, link.ErrClosed) {
		t.Errorf("the device is still open: %v", err)
	}
}

func TestRemoveAddress(t *testing.T) {
	h := newHosts(t, 2)
	transfer(t, h, 16<<20, func() {
		if err := h.client.RemoveAddress(clientIP(1)); err != nil {
			t.Error(err)
		}
		if err := h.client.RemoveAddress(clientIP(1)); err == nil {
			t.Error("removing an address twice succeeds")
		}
		if err := h.client.AddAddress(h.near[1], stack.Address{Addr: clientIP(1), Bits: 24}); err != nil {
			t.Error(err)
		}
	})
}

var errUnplugged = errors.New("unplugged")

// unpluggable is a device that can fail.
type unpluggable struct {
	link.Device
	mu   sync.Mutex
	dead bool
}

func (u *unpluggable) unplug() {
	u.mu.Lock()
	u.dead = true
	u.mu.Unlock()
	u.Device.Close()
}

func (u *unpluggable) Read(pkts []link.Packet) (int, error) {
	n, err := u.Device.Read(pkts)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.dead && err != nil {
		err = errUnplugged
	}
	return n, err
}

// TestPublicAddress: behind a port forward, an accepted connection has the
// address that its client connected to.
func TestPublicAddress(t *testing.T) {
	h := newHosts(t, 1)
	behind, public := netip.MustParseAddr("10.0.1.9"), netip.MustParseAddr("192.0.2.9")
	if err := h.server.AddAddress(h.far[0], stack.Address{Addr: behind, Public: public, Bits: 24}); err != nil {
		t.Fatal(err)
	}
	l := h.listen(t)
	for _, tt := range []struct{ dial, want string }{{"10.0.1.9:80", "192.0.2.9:80"}, {"10.0.1.2:80", "10.0.1.2:80"}} {
		c, err := h.client.DialContext(t.Context(), "tcp", tt.dial)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.AcceptConn()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.LocalAddr().String(); got != tt.want {
			t.Errorf("dialled %s: got %s, want %s", tt.dial, got, tt.want)
		}
		closeBoth(t, c, s)
	}
}

func TestDeviceFails(t *testing.T) {
	failures := make(chan error, 1)
	var dev *unpluggable
	h := &twoHosts{
		clientCfg: Config{DeviceFailed: func(_ link.Device, err error) { failures <- err }},
		clientEnd: func(path int, d link.Device) link.Device {
			if path != 0 {
				return d
			}
			dev = &unpluggable{Device: d}
			return dev
		},
	}
	h.connect(t, 2)
	defer h.close(t)
	transfer(t, h, 8<<20, func() {
		dev.unplug()
		if err := <-failures; !errors.Is(err, errUnplugged) {
			t.Errorf("DeviceFailed was told %v", err)
		}
	})
}

// TestLargeSegments: the stack builds segments of 64 KiB, which one kind of
// device takes whole and for another are cut.
func TestLargeSegments(t *testing.T) {
	for name, features := range map[string]link.Features{
		"device cuts": {MTU: 1500, MaxPacket: 65535, Checksum: true},
		"host cuts":   {MTU: 1500},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Stack: stack.Config{MaxPacket: 65535, ChecksumOffload: true}}
			counting := new(sizes)
			h := &twoHosts{clientCfg: cfg, serverCfg: cfg, features: features,
				clientEnd: func(_ int, d link.Device) link.Device { return &counter{d, counting} }}
			h.connect(t, 2)
			defer h.close(t)
			transfer(t, h, 8<<20, func() {})
			largest := counting.largest()
			if features.MaxPacket > 0 && largest < 32<<10 || features.MaxPacket == 0 && largest > 1500 {
				t.Errorf("largest packet %d", largest)
			}
		})
	}
}

// sizes is what counters have seen.
type sizes struct {
	mu  sync.Mutex
	max int
}

func (s *sizes) largest() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.max
}

// counter notes the sizes of the packets read from a device.
type counter struct {
	link.Device
	seen *sizes
}

func (c *counter) Read(pkts []link.Packet) (int, error) {
	n, err := c.Device.Read(pkts)
	c.seen.mu.Lock()
	defer c.seen.mu.Unlock()
	for _, p := range pkts[:n] {
		c.seen.max = max(c.seen.max, len(p.Data))
	}
	return n, err
}

// TestObserve: the events of a connection over two paths.
func TestObserve(t *testing.T) {
	var mu sync.Mutex
	count := make(map[stack.EventKind]int)
	h := &twoHosts{clientCfg: Config{Observe: func(now time.Time, e stack.Event) {
		mu.Lock()
		defer mu.Unlock()
		count[e.Kind]++
	}}}
	h.connect(t, 2)
	defer h.close(t)
	transfer(t, h, 4<<20, func() {})
	mu.Lock()
	defer mu.Unlock()
	for _, kind := range []stack.EventKind{stack.Established, stack.Readable, stack.SubflowUp} {
		if count[kind] == 0 {
			t.Errorf("no event %v; counted %v", kind, count)
		}
	}
}

// TestManyConnections: each has its own bytes.
func TestManyConnections(t *testing.T) {
	h := newHosts(t, 2)
	l := h.listen(t)
	defer l.Close()
	go echo(l)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			c, err := h.client.DialContext(context.Background(), "tcp", "10.0.1.2:80")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			want := bytes.Repeat([]byte{byte(i), byte(i >> 8), 1}, 5000+i)
			go func() {
				c.Write(want)
				c.(*Conn).CloseWrite()
			}()
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
				t.Errorf("connection %d: %d bytes, %v, want %d", i, len(got), err, len(want))
			}
		})
	}
	wg.Wait()
}

var _ net.Listener = (*Listener)(nil)
