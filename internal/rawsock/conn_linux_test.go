package rawsock

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/kernel"
)

const patience = 30 * time.Second

// way is a kind of listener.
type way struct {
	name      string
	address   string
	multipath bool
}

var ways = []way{
	{"tcp4", "127.0.0.1:0", false},
	{"tcp6", "[::1]:0", false},
	{"any address", ":0", false},
	{"mptcp4", "127.0.0.1:0", true},
	{"mptcp any address", ":0", true},
}

// everyWay runs a test for all kinds of listeners that this host offers.
func everyWay(t *testing.T, test func(t *testing.T, w way)) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			if w.multipath && kernel.Supported() != nil {
				t.Skip(kernel.Supported())
			}
			if w.address[0] == '[' && !nettest.SupportsIPv6() {
				t.Skip("no IPv6")
			}
			test(t, w)
		})
	}
}

// listen gives a listener of Listen.
func (w way) listen(t testing.TB) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(w.multipath)
	l, err := lc.Listen(context.Background(), "tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	bare := Listen(l)
	if bare == l {
		t.Fatal("the listener was given back as it was")
	}
	t.Cleanup(func() { bare.Close() })
	return bare
}

// dial connects to l.
func (w way) dial(t testing.TB, l net.Listener) *net.TCPConn {
	t.Helper()
	var d net.Dialer
	d.SetMultipathTCP(w.multipath)
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// pair gives a connection with a client at the other end.
func (w way) pair(t testing.TB) (*Conn, *net.TCPConn) {
	t.Helper()
	l := w.listen(t)
	client := w.dial(t, l)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*Conn), client
}

// TestConn: it is a net.Conn in all respects, at either end of one.
func TestConn(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			c, client := w.pair(t)
			return c, client, func() { c.Close(); client.Close() }, nil
		})
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			c, client := w.pair(t)
			return client, c, func() { c.Close(); client.Close() }, nil
		})
	})
}

// TestUnpolled: the poller hears only of connections that have to wait.
func TestUnpolled(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		c, client := w.pair(t)
		io.WriteString(client, "request")
		awaitReadable(t, c)
		b := make([]byte, 100)
		if n, err := c.Read(b); err != nil || string(b[:n]) != "request" {
			t.Fatalf("read %q, %v", b[:n], err)
		}
		if n, err := io.WriteString(c, "response"); n != 8 || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
		c.SetDeadline(time.Time{})
		if c.polled.Load() != nil {
			t.Error("the poller knows of a connection that never waited")
		}
		io.WriteString(client, "more")
		awaitReadable(t, c)
		client.CloseWrite()
		if got, err := io.ReadAll(c); err != nil || string(got) != "more" {
			t.Errorf("read %q, %v", got, err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(client); err != nil || string(got) != "response" {
			t.Errorf("the client read %q, %v", got, err)
		}
		c.Close()
		c2, _ := w.pair(t)
		c2.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c2.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
		if c2.polled.Load() == nil {
			t.Error("the poller does not know of a connection that waited")
		}
	})
}

// awaitReadable waits for something to read, by no means of c's.
func awaitReadable(t *testing.T, c *Conn) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(patience/time.Millisecond))
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Fatalf("nothing arrives: %v", err)
		}
		return
	}
}

// TestAddresses: they are as package net has them, and so are the options.
func TestAddresses(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		c, client := w.pair(t)
		if got, want := c.LocalAddr().String(), client.RemoteAddr().String(); got != want {
			t.Errorf("local address %s, the client says %s", got, want)
		}
		if got, want := c.RemoteAddr().String(), client.LocalAddr().String(); got != want {
			t.Errorf("remote address %s, the client says %s", got, want)
		}
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY); got != 1 || err != nil {
				t.Errorf("TCP_NODELAY is %d, %v", got, err)
			}
			flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
			if err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Error("other programs inherit the socket")
			}
		})
		if IsMPTCP(c) != w.multipath || IsTCP(c) == w.multipath {
			t.Errorf("IsMPTCP %v, IsTCP %v", IsMPTCP(c), IsTCP(c))
		}
		if _, err := kernel.TCPInfoOf(c); err != nil {
			t.Error(err)
		}
		if info, err := kernel.FullInfoOf(c); w.multipath && (err != nil || info.Token == 0) || !w.multipath && !errors.Is(err, kernel.ErrNotMPTCP) {
			t.Errorf("%+v, %v", info, err)
		}
		if Of(c) == nil {
			t.Error("its socket is not found")
		}
	})
}

// TestPlainClient: a Multipath TCP listener serves clients without.
func TestPlainClient(t *testing.T) {
	if kernel.Supported() != nil {
		t.Skip(kernel.Supported())
	}
	l := way{multipath: true, address: "127.0.0.1:0"}.listen(t)
	way{}.dial(t, l)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !IsTCP(c.(*Conn)) {
		t.Error("a client without Multipath TCP is not told apart")
	}
	c.(*Conn).control("getsockopt", func(fd int) error {
		if got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); got != 1 || err != nil {
			t.Errorf("TCP_NODELAY is %d, %v", got, err)
		}
		return nil
	})
}

// TestErrors are those that callers look for.
func TestErrors(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		check := func(what string, err, want error) {
			t.Helper()
			var op *net.OpError
			if !errors.Is(err, want) || !errors.As(err, &op) {
				t.Errorf("%s: got %v, want a *net.OpError of %v", what, err, want)
			}
		}
		for _, polled := range []bool{false, true} {
			c, client := w.pair(t)
			if polled {
				c.SetDeadline(time.Now().Add(patience))
			}
			client.SetLinger(0)
			client.Close()
			awaitReadable(t, c)
			_, err := c.Read(make([]byte, 1))
			check("read after a reset", err, syscall.ECONNRESET)
			_, err = c.Write(make([]byte, 1))
			check("write after a reset", err, syscall.EPIPE)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			check("close again", c.Close(), net.ErrClosed)
			_, err = c.Read(make([]byte, 1))
			check("read", err, net.ErrClosed)
			_, err = c.Write(make([]byte, 1))
			check("write", err, net.ErrClosed)
			check("deadline", c.SetDeadline(time.Now()), net.ErrClosed)
			check("linger", c.SetLinger(0), net.ErrClosed)
			raw, _ := c.SyscallConn()
			never := func(uintptr) bool { t.Error("called for a closed connection"); return true }
			check("raw read", raw.Read(never), net.ErrClosed)
			check("raw write", raw.Write(never), net.ErrClosed)
			check("control", raw.Control(func(uintptr) { never(0) }), net.ErrClosed)
		}
		l := w.listen(t)
		go l.Close()
		_, err := l.Accept()
		check("accept", err, net.ErrClosed)
		check("close again", l.Close(), net.ErrClosed)
	})
}

// TestRawRead: what arrives at any time wakes who waits, in one piece after the
// other and together with the end.
func TestRawRead(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		c, client := w.pair(t)
		raw, _ := c.SyscallConn()
		const rounds = 500
		go func() {
			for i := range rounds {
				client.Write([]byte{byte(i)})
				var b [1]byte
				if _, err := io.ReadFull(client, b[:]); err != nil || b[0] != byte(i) {
					t.Errorf("answer %d is %d, %v", i, b[0], err)
				}
			}
			client.CloseWrite()
		}()
		for i := range rounds + 1 {
			var b [1]byte
			n := 0
			err := raw.Read(func(fd uintptr) bool {
				var err error
				n, err = unix.Read(int(fd), b[:])
				return err != unix.EAGAIN
			})
			if i == rounds {
				if n != 0 || err != nil {
					t.Errorf("%d bytes, %v at the end", n, err)
				}
				break
			}
			if n != 1 || err != nil || b[0] != byte(i) {
				t.Fatalf("message %d: %d bytes, %d, %v", i, n, b[0], err)
			}
			err = raw.Write(func(fd uintptr) bool {
				n, err := unix.Write(int(fd), b[:])
				return n == 1 && err == nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestCloseWakes: Close ends all waits, of connections that the poller knew and
// of those it hears of at that very moment.
func TestCloseWakes(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		l := w.listen(t)
		for i := range 200 {
			w.dial(t, l)
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c := nc.(*Conn)
			raw, _ := c.SyscallConn()
			var waits sync.WaitGroup
			wait := func(what string, f func() error) {
				waits.Go(func() {
					if err := f(); !errors.Is(err, net.ErrClosed) {
						t.Errorf("%s: got %v, want %v", what, err, net.ErrClosed)
					}
				})
			}
			if i%2 == 0 {
				wait("read", func() error { _, err := c.Read(make([]byte, 1)); return err })
			} else {
				wait("raw read", func() error { return raw.Read(func(uintptr) bool { return false }) })
			}
			wait("raw write", func() error { return raw.Write(func(uintptr) bool { return false }) })
			waits.Go(func() { c.SetDeadline(time.Now().Add(time.Hour)) })
			if i%4 == 3 {
				time.Sleep(time.Millisecond)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			waits.Wait()
		}
	})
}

// TestReuse: descriptors of closed connections go to others at once, and whoever
// still holds such a connection must not reach theirs.
func TestReuse(t *testing.T) {
	w := ways[0]
	l := w.listen(t)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(worker)))
			for i := range 300 {
				client, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				word := []byte{byte(worker), byte(i), byte(i >> 8)}
				client.Write(word)
				got := make([]byte, 3)
				// The server sends the word back or closes: never another one.
				if n, err := io.ReadFull(client, got); err == nil && !bytes.Equal(got, word) {
					t.Errorf("got %v, want %v", got[:n], word)
				}
				if r.IntN(2) == 0 {
					client.SetDeadline(time.Now())
				}
				client.Close()
			}
		})
	}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				b := make([]byte, 3)
				if _, err := io.ReadFull(nc, b); err == nil {
					nc.Write(b)
				}
			}()
			// A stranger who closes at any moment, and goes on afterwards.
			go func() {
				b := make([]byte, 3)
				nc.SetReadDeadline(time.Now().Add(time.Hour))
				nc.Close()
				if n, err := nc.Read(b); n > 0 || err == nil {
					t.Errorf("read %d bytes of a closed connection", n)
				}
				nc.Write([]byte("???"))
			}()
		}
	}()
	all.Wait()
}

// TestWritesStayWhole: what several write at once is not mixed, though it does
// not fit into the socket's buffer.
func TestWritesStayWhole(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		c, client := w.pair(t)
		const size, writers = 3 << 20, 4
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				if n, err := c.Write(bytes.Repeat([]byte{byte('a' + i)}, size)); n != size || err != nil {
					t.Errorf("wrote %d, %v", n, err)
				}
			})
		}
		go func() { all.Wait(); c.Close() }()
		got, err := io.ReadAll(client)
		if err != nil || len(got) != writers*size {
			t.Fatalf("got %d bytes, %v, want %d", len(got), err, writers*size)
		}
		for i := 0; i < len(got); i += size {
			if n := bytes.Count(got[i:i+size], got[i:i+1]); n != size {
				t.Errorf("of a write of %d bytes %d are together", size, n)
			}
		}
	})
}

// TestTLS: a handshake and requests over it.
func TestTLS(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		s := httptest.NewUnstartedServer(nil)
		s.Listener.Close()
		s.Listener = w.listen(t)
		s.StartTLS()
		defer s.Close()
		for range 3 {
			c, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, "GET /nothing HTTP/1.0\r\n\r\n")
			if got, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.0 404")) {
				t.Errorf("got %.40q, %v", got, err)
			}
			c.Close()
		}
	})
}

// TestOthers: listeners that are no bare sockets are given back.
func TestOthers(t *testing.T) {
	l, err := net.Listen("unix", t.TempDir()+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if Listen(l) != l {
		t.Error("a Unix socket was taken for TCP")
	}
	wrapped := struct{ net.Listener }{l}
	if Listen(wrapped) != net.Listener(wrapped) {
		t.Error("a wrapper was looked through")
	}
}

// TestDeferAccept: a client that says nothing is accepted later, with what it
// has said by then.
func TestDeferAccept(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		l := w.listen(t)
		setting := func() (seconds int) {
			raw, _ := l.(syscall.Conn).SyscallConn()
			raw.Control(func(fd uintptr) {
				var err error
				if seconds, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT); err != nil {
					t.Error(err)
				}
			})
			return seconds
		}
		DeferAccept(l, true)
		if got := setting() > 0; got == w.multipath {
			t.Fatalf("connections are held back: %v", got)
		}
		began := time.Now()
		client := w.dial(t, l)
		speaks := make(chan time.Time, 1)
		go func() {
			time.Sleep(100 * time.Millisecond)
			speaks <- time.Now()
			io.WriteString(client, "request")
		}()
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepted := time.Now()
		b := make([]byte, 100)
		n, err := nc.Read(b)
		if err != nil || string(b[:n]) != "request" {
			t.Errorf("read %q, %v", b[:n], err)
		}
		said := <-speaks // after a second nobody is held back
		if !w.multipath && accepted.Before(said) && accepted.Sub(began) < 900*time.Millisecond {
			t.Errorf("accepted after %v, %v too early", accepted.Sub(began), said.Sub(accepted))
		}
		nc.Close()
		DeferAccept(l, false)
		if got := setting(); got != 0 {
			t.Errorf("connections are still held back for %d s", got)
		}
		silent := w.dial(t, l)
		if nc, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if nc.RemoteAddr().String() != silent.LocalAddr().String() {
			t.Error("another connection was accepted")
		}
	})
	DeferAccept(nil, true)
}
