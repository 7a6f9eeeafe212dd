package http1

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const expectHead = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

func TestContinue(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		server := startServer(t, func(c net.Conn) {
			for {
				head, err := readHead(c)
				if err != nil {
					return
				}
				if head == expectHead {
					io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
					body := make([]byte, 5)
					io.ReadFull(c, body)
					if string(body) != "hello" {
						t.Errorf("the server got body %q", body)
					}
				}
				io.WriteString(c, testOK)
			}
		})
		p := start(t, server, nil)
		c := dialTest(t, p.addr)
		for range 3 {
			sendString(t, c, expectHead)
			wantBytes(t, c, "HTTP/1.1 100 Continue\r\n\r\n")
			sendString(t, c, "hello")
			wantBytes(t, c, testOK)
			sendString(t, c, testGet)
			wantBytes(t, c, testOK)
		}
		if got := p.pool.opened(); got != 1 {
			t.Errorf("got %d server connections, want 1", got)
		}
	})
}

// TestContinueRefused has the server answer without wanting the body. The
// client may send it or not, so neither connection can go on.
func TestContinueRefused(t *testing.T) {
	const refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nDate: x\r\n\r\nno"
	variants(t, func(t *testing.T, start starter) {
		server := startServer(t, func(c net.Conn) {
			readHead(c)
			io.WriteString(c, refusal)
			io.Copy(io.Discard, c)
		})
		p := start(t, server, nil)
		c := dialTest(t, p.addr)
		sendString(t, c, expectHead)
		wantBytes(t, c, strings.Replace(refusal, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
		wantEnd(t, c)
	})
}

// TestEarlyResponse has the server refuse a large body after its beginning.
func TestEarlyResponse(t *testing.T) {
	const refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nDate: x\r\nConnection: close\r\n\r\nno"
	variants(t, func(t *testing.T, start starter) {
		server := startServer(t, func(c net.Conn) {
			readHead(c)
			io.ReadFull(c, make([]byte, 100000))
			io.WriteString(c, refusal)
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
		})
		p := start(t, server, nil)
		c := dialTest(t, p.addr)
		sendString(t, c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"+strings.Repeat("x", 100000))
		// It goes on sending until it sees the answer.
		stop := make(chan struct{})
		sending := make(chan struct{})
		go func() {
			defer close(sending)
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := io.WriteString(c, strings.Repeat("x", 1000)); err != nil {
						return
					}
				}
			}
		}()
		wantBytes(t, c, strings.Replace(refusal, "Date: x\r\nConnection: close", "Date: x\r\nConnection: close", 1))
		close(stop)
		<-sending
		wantEnd(t, c)
	})
}

// TestBackpressure shows that a server that does not read keeps the client from
// sending more than what fits on the way, and the other way round.
func TestBackpressure(t *testing.T) {
	const most = 16 << 20 // buffers of three sockets and ours
	t.Run("request", func(t *testing.T) {
		release := make(chan struct{})
		server := startServer(t, func(c net.Conn) {
			readHead(c)
			<-release
		})
		defer close(release)
		p := startProxy(t, server, nil)
		c := dialTest(t, p.addr)
		sendString(t, c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
		if n := sendUntilStuck(c); n > most {
			t.Errorf("%d bytes were taken from the client, want less than %d", n, most)
		}
	})
	t.Run("response", func(t *testing.T) {
		sent := make(chan int, 1)
		server := startServer(t, func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
			sent <- sendUntilStuck(c)
		})
		p := startProxy(t, server, nil)
		c := dialTest(t, p.addr)
		sendString(t, c, testGet)
		if n := <-sent; n > most {
			t.Errorf("%d bytes were taken from the server, want less than %d", n, most)
		}
	})
}

// sendUntilStuck writes until nothing is taken for a while.
func sendUntilStuck(c net.Conn) (n int) {
	b := make([]byte, 64<<10)
	for n < 100<<20 {
		c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		k, err := c.Write(b)
		n += k
		if err != nil {
			break
		}
	}
	return n
}

// TestBodyLimit tries bodies of the limit and of a byte more.
func TestBodyLimit(t *testing.T) {
	var served atomic.Int32
	server := startServer(t, func(c net.Conn) {
		for {
			head, err := readHead(c)
			if err != nil {
				return
			}
			if strings.Contains(head, "chunked") {
				for {
					if end, err := readHead(c); err != nil {
						return
					} else if strings.HasSuffix(end, "\r\n0\r\n\r\n") {
						break
					}
				}
			} else {
				io.CopyN(io.Discard, c, 100000)
			}
			served.Add(1)
			io.WriteString(c, testOK)
		}
	})
	p := startProxy(t, server, func(s *Settings) {
		s.MaxBody = 100000
	})
	for _, tt := range []struct {
		name, body string
		want       int
	}{
		{"length", "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), 200},
		{"length, more", "Content-Length: 100001\r\n\r\n", 413},
		{"chunks", "Transfer-Encoding: chunked\r\n\r\n186a0\r\n" + strings.Repeat("x", 100000) + "\r\n0\r\n\r\n", 200},
		{"chunks, more", "Transfer-Encoding: chunked\r\n\r\n186a1\r\n" + strings.Repeat("x", 100001) + "\r\n0\r\n\r\n", 413},
	} {
		c := dialTest(t, p.addr)
		go io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\n"+tt.body)
		wantStatus(t, c, tt.want)
		c.Close()
	}
	if got := served.Load(); got != 2 {
		t.Errorf("the server served %d requests, want 2", got)
	}
}

// TestClientGone has the client go away while the server takes its time.
func TestClientGone(t *testing.T) {
	for _, tt := range []struct {
		name string
		send string
		go_  func(c *net.TCPConn)
		half bool
		want error
	}{
		{"close", testGet, func(c *net.TCPConn) { c.Close() }, false, ErrClientGone},
		{"reset", testGet, func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, true, ErrClientGone},
		{"half-close", testGet, func(c *net.TCPConn) { c.CloseWrite() }, false, ErrClientGone},
		{"half-close that is served", testGet, func(c *net.TCPConn) { c.CloseWrite() }, true, nil},
		{"in the body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc", func(c *net.TCPConn) { c.Close() }, true, ErrClientGone},
		{"behind a large body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000),
			func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, true, ErrClientGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := &logged{}
			arrived := make(chan struct{})
			ended := make(chan bool, 1)
			server := startServer(t, func(c net.Conn) {
				readHead(c)
				if strings.Contains(tt.name, "behind") {
					io.CopyN(io.Discard, c, 100000)
				}
				close(arrived)
				if tt.want == nil {
					time.Sleep(30 * time.Millisecond) // some sweeps
					io.WriteString(c, testOK)
				}
				c.SetReadDeadline(time.Now().Add(patience))
				_, err := io.Copy(io.Discard, c)
				ended <- err == nil
			})
			p := startProxy(t, server, func(s *Settings) {
				s.HalfClose, s.Log = tt.half, log.log
			})
			c := dialTest(t, p.addr)
			sendString(t, c, tt.send)
			<-arrived
			tt.go_(c)
			if tt.want == nil {
				wantBytes(t, c, testOK)
				wantEnd(t, c)
				return
			}
			if !<-ended {
				t.Error("the server connection did not end")
			}
			if got := log.wait(t, 1).Err; got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestClientGoneWhileQueued shows that the context of a pool that waits ends.
func TestClientGoneWhileQueued(t *testing.T) {
	log := &logged{}
	waiting := make(chan struct{})
	p := startProxy(t, "", func(s *Settings) {
		s.Log = log.log
		s.Route = func(*Exchange) (Pool, error) {
			return poolFunc(func(x *Exchange) (*ServerConn, error) {
				close(waiting)
				<-x.Context().Done()
				return nil, x.Context().Err()
			}), nil
		}
	})
	c := dialTest(t, p.addr)
	sendString(t, c, testGet)
	<-waiting
	c.Close()
	if got := log.wait(t, 1).Err; got != ErrClientGone {
		t.Errorf("got %v, want %v", got, ErrClientGone)
	}
}

// TestClientGoneWhileLent has the client go just before a server connection is
// lent: the request is not left with a server that takes its time, and the
// server connection is not used again.
func TestClientGoneWhileLent(t *testing.T) {
	log := &logged{}
	late := &latePool{waiting: make(chan struct{})}
	made := make(chan struct{})
	server := startServer(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	p := startProxy(t, server, func(s *Settings) {
		s.Log, s.Timeouts = log.log, patient()
		s.Timeouts.Response = time.Hour
		s.Route = func(*Exchange) (Pool, error) {
			<-made
			return late, nil
		}
	})
	p.pool.keep = true
	late.testPool = p.pool
	close(made)
	c := dialTest(t, p.addr)
	sendString(t, c, testGet)
	<-late.waiting
	c.Close()
	if got := log.wait(t, 1).Err; got != ErrClientGone {
		t.Errorf("got %v, want %v", got, ErrClientGone)
	}
	eventually(t, "end of the connection", func() bool { return p.Open() == 0 })
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	if got := p.pool.results; len(got) != 1 || got[0].Reuse || got[0].Err != nil {
		t.Errorf("got %+v, want one result without an error, not to be reused", got)
	}
}

// latePool lends a connection although nobody waits for it any more.
type latePool struct {
	*testPool
	waiting chan struct{} // closed by Get
}

func (p *latePool) Get(x *Exchange, fresh bool) (*ServerConn, error) {
	s, err := p.testPool.Get(x, fresh)
	close(p.waiting)
	<-x.Context().Done()
	return s, err
}

// poolFunc is a Pool that never has a connection.
type poolFunc func(x *Exchange) (*ServerConn, error)

func (f poolFunc) Get(x *Exchange, fresh bool) (*ServerConn, error) { return f(x) }
func (f poolFunc) Put(*ServerConn, Result)                          { panic("BUG: nothing was lent") }
