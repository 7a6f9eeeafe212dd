package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"
)

// TestConnIsNetConn has the judge of the Go project look at our connections,
// with one path and with three.
func TestConnIsNetConn(t *testing.T) {
	for _, paths := range []int{1, 3} {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			h := new(twoHosts)
			h.connect(t, paths)
			client, server := h.pipe(t)
			return client, server, func() {
				client.Close()
				server.Close()
				h.close(t)
			}, nil
		})
	}
}

func TestAddresses(t *testing.T) {
	h := newHosts(t, 2)
	client, server := h.pipe(t)
	if got, want := client.RemoteAddr().String(), "10.0.1.2:80"; got != want {
		t.Errorf("client's remote address %s, want %s", got, want)
	}
	if got, want := server.LocalAddr().String(), "10.0.1.2:80"; got != want {
		t.Errorf("server's local address %s, want %s", got, want)
	}
	if got, want := client.LocalAddr().String(), server.RemoteAddr().String(); got != want {
		t.Errorf("the client calls itself %s, the server calls it %s", got, want)
	}
	if _, ok := client.LocalAddr().(*net.TCPAddr); !ok {
		t.Errorf("local address is a %T, want *net.TCPAddr", client.LocalAddr())
	}
}

// echo copies everything back and then closes.
func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

// TestHalfClose: the answer comes after the request has ended.
func TestHalfClose(t *testing.T) {
	h := newHosts(t, 2)
	go echo(h.listen(t))
	c, err := h.client.DialContext(context.Background(), "tcp", "10.0.1.2:80")
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{1}).Read(want)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Write(want); err != nil {
			t.Error(err)
		}
		if err := c.(*Conn).CloseWrite(); err != nil {
			t.Error(err)
		}
		if n, err := c.Write([]byte("more")); n != 0 || err == nil {
			t.Errorf("Write after CloseWrite = %d, %v, want an error", n, err)
		}
	})
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back, want the same %d", len(got), len(want))
	}
	closeBoth(t, c)
}

// TestInfo: a transfer shows in the connection and its subflows.
func TestInfo(t *testing.T) {
	h := newHosts(t, 2)
	client, server := h.pipe(t)
	data := make([]byte, 8<<20)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := server.Write(data); err != nil {
			t.Error(err)
		}
		server.CloseWrite()
	})
	got, err := io.Copy(io.Discard, client)
	if err != nil || got != int64(len(data)) {
		t.Fatalf("read %d, %v, want %d", got, err, len(data))
	}
	wg.Wait()
	info := client.Info()
	if !info.Multipath || info.Version != 1 {
		t.Errorf("multipath %v, version %d (fallback: %v), want version 1", info.Multipath, info.Version, info.Fallback)
	}
	if got, want := info.Stats.BytesReceived, uint64(len(data)); got != want {
		t.Errorf("BytesReceived = %d, want %d", got, want)
	}
	if len(info.Subflows) != 2 {
		t.Fatalf("%d subflows, want 2", len(info.Subflows))
	}
	sum := uint64(0)
	for _, sf := range info.Subflows {
		if sf.Local.Addr() != clientIP(sf.ID) || sf.Remote.Addr() != serverIP(sf.ID) || sf.RTT <= 0 {
			t.Errorf("subflow %d (%v to %v): RTT %v", sf.ID, sf.Local, sf.Remote, sf.RTT)
		}
		sum += sf.BytesReceived
	}
	if sum < uint64(len(data)) {
		t.Errorf("the subflows received %d bytes, less than the connection", sum)
	}
	closeBoth(t, client, server)
	_ = client.Info() // still allowed
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout() && errors.Is(err, os.ErrDeadlineExceeded)
}

// TestDeadlines runs in fake time, so that deadlines are exact.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(twoHosts)
		h.connect(t, 1)
		defer h.close(t)
		client, server := h.pipe(t)
		b := make([]byte, 10)

		start := time.Now()
		client.SetReadDeadline(start.Add(3 * time.Second))
		n, err := client.Read(b)
		if n != 0 || !isTimeout(err) || time.Since(start) != 3*time.Second {
			t.Errorf("Read = %d, %v after %v, want a timeout after 3 s", n, err, time.Since(start))
		}
		if _, err := client.Write([]byte("x")); err != nil {
			t.Errorf("a read deadline stopped Write: %v", err)
		}

		// A deadline that is moved while somebody waits.
		for _, move := range []time.Duration{time.Second, 5 * time.Second} {
			start := time.Now()
			client.SetReadDeadline(start.Add(2 * time.Second))
			time.AfterFunc(500*time.Millisecond, func() { client.SetReadDeadline(start.Add(move)) })
			if _, err := client.Read(b); !isTimeout(err) || time.Since(start) != move {
				t.Errorf("Read: %v after %v, want a timeout after %v", err, time.Since(start), move)
			}
		}

		// One that is taken away.
		start = time.Now()
		client.SetReadDeadline(start.Add(time.Second))
		time.AfterFunc(500*time.Millisecond, func() { client.SetReadDeadline(time.Time{}) })
		time.AfterFunc(4*time.Second, func() { server.Write([]byte("late")) })
		if n, err := client.Read(b); n != 4 || err != nil || time.Since(start) < 4*time.Second {
			t.Errorf("Read = %d, %v after %v, want what was sent after 4 s", n, err, time.Since(start))
		}

		// Writing stops when the peer does not read.
		start = time.Now()
		client.SetWriteDeadline(start.Add(30 * time.Second))
		written := 0
		for err = nil; err == nil; {
			var n int
			n, err = client.Write(make([]byte, 1<<20))
			written += n
		}
		if !isTimeout(err) || time.Since(start) != 30*time.Second || written == 0 {
			t.Errorf("Write: %v after %v and %d bytes, want a timeout after 30 s", err, time.Since(start), written)
		}
	})
}

func TestReadAfterPeersReset(t *testing.T) {
	h := newHosts(t, 1)
	client, server := h.pipe(t)
	if err := server.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	closeBoth(t, server)
	_, err := client.Read(make([]byte, 1))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read = %v, want ECONNRESET", err)
	}
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "read" {
		t.Errorf("Read = %#v, want a *net.OpError of read", err)
	}
}

func TestClosedConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(twoHosts)
		h.connect(t, 1)
		defer h.close(t)
		client, server := h.pipe(t)
		errs := make(chan error, 1)
		go func() {
			_, err := client.Read(make([]byte, 1))
			errs <- err
		}()
		synctest.Wait()
		closeBoth(t, client)
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("pending Read: %v, want net.ErrClosed", err)
		}
		_, readErr := client.Read(make([]byte, 1))
		_, writeErr := client.Write([]byte("x"))
		for name, err := range map[string]error{
			"Read": readErr, "Write": writeErr, "Close": client.Close(), "CloseWrite": client.CloseWrite(),
			"SetDeadline": client.SetDeadline(time.Now()), "SetLinger": client.SetLinger(1),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v, want net.ErrClosed", name, err)
			}
		}
		if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the peer's Read = %d, %v, want EOF", n, err)
		}
		server.Close()
	})
}

// TestLingerGivesUp: what a peer never takes is thrown away after the time
// that SetLinger allows.
func TestLingerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(twoHosts)
		h.connect(t, 1)
		defer h.close(t)
		client, server := h.pipe(t)
		client.SetWriteDeadline(time.Now().Add(time.Second))
		for {
			if _, err := client.Write(make([]byte, 1<<20)); err != nil {
				break
			}
		}
		client.SetLinger(5)
		start := time.Now()
		closeBoth(t, client)
		if since := time.Since(start); since != 0 {
			t.Errorf("Close took %v, want no time", since)
		}
		time.Sleep(4 * time.Second)
		if n := h.client.shard.connCount(); n != 1 {
			t.Errorf("%d connections after 4 s, want the lingering one", n)
		}
		time.Sleep(2 * time.Second)
		if n := h.client.shard.connCount(); n != 0 {
			t.Errorf("%d connections after 6 s, want none", n)
		}
		got, err := io.Copy(io.Discard, server)
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the peer read %d bytes and %v, want a reset", got, err)
		}
	})
}

func (s *shard) connCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
