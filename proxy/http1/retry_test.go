package http1

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const testPost = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"

// TestDeadConnection sends a first request over a server connection that the
// server closes afterwards, or just when the second request has arrived, and
// looks what becomes of the second.
func TestDeadConnection(t *testing.T) {
	for _, tt := range []struct {
		name    string
		request string
		close   string // when the server closes
		status  int
		seen    int32 // how often the server sees the second request
		retries int64
	}{
		{"GET, closed before", testGet, "before", 200, 1, 1},
		{"GET, closed on arrival", testGet, "on arrival", 200, 2, 1},
		{"PUT, closed on arrival", "PUT" + testPost[4:], "on arrival", 200, 2, 1},
		{"unknown method, closed on arrival", "BREW" + testPost[4:], "on arrival", 502, 1, 0},
		{"POST, closed on arrival", testPost, "on arrival", 502, 1, 0},
		{"POST, reset before", testPost, "reset", 200, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			variants(t, func(t *testing.T, start starter) {
				var conns, seen atomic.Int32
				closed := make(chan struct{}, 1)
				server := startServer(t, func(c net.Conn) {
					first := conns.Add(1) == 1
					io.ReadFull(c, make([]byte, len(testGet)))
					if !first {
						seen.Add(1)
					}
					io.WriteString(c, testOK)
					if !first {
						io.Copy(io.Discard, c)
						return
					}
					switch tt.close {
					case "reset":
						c.(*net.TCPConn).SetLinger(0)
					case "on arrival":
						io.ReadFull(c, make([]byte, len(tt.request)))
						seen.Add(1)
					}
					c.Close()
					closed <- struct{}{}
				})
				p := start(t, server, nil)
				c := dialTest(t, p.addr)
				sendString(t, c, testGet)
				wantBytes(t, c, testOK)
				if tt.close != "on arrival" {
					<-closed
					time.Sleep(10 * time.Millisecond) // the end has to arrive
				}
				sendString(t, c, tt.request)
				wantStatus(t, c, tt.status)
				if got := seen.Load(); got != tt.seen {
					t.Errorf("the server saw the request %d times, want %d", got, tt.seen)
				}
				if got := p.Counters().Retries; got != tt.retries {
					t.Errorf("got %d retries, want %d", got, tt.retries)
				}
				// Either way the connection goes on.
				sendString(t, c, testGet)
				if tt.status == 502 {
					wantStatus(t, c, 200)
				}
			})
		})
	}
}

// TestNoRetryOfFresh shows that a connection that dies on its first request is
// not tried again: something is wrong with the server.
func TestNoRetryOfFresh(t *testing.T) {
	var conns atomic.Int32
	server := startServer(t, func(c net.Conn) {
		conns.Add(1)
		readHead(c)
	})
	p := startProxy(t, server, nil)
	c := dialTest(t, p.addr)
	sendString(t, c, testGet)
	wantStatus(t, c, 502)
	if got := conns.Load(); got != 1 {
		t.Errorf("the server got %d connections, want 1", got)
	}
}

// TestNoRetryAfterResponse shows that nothing is sent again once a part of a
// response has come.
func TestNoRetryAfterResponse(t *testing.T) {
	var requests atomic.Int32
	server := startServer(t, func(c net.Conn) {
		readHead(c)
		io.WriteString(c, testOK)
		readHead(c)
		requests.Add(1)
		io.WriteString(c, "HTTP/1.1 200 O")
	})
	p := startProxy(t, server, nil)
	c := dialTest(t, p.addr)
	sendString(t, c, testGet)
	wantBytes(t, c, testOK)
	sendString(t, c, testGet)
	wantStatus(t, c, 502)
	if got := requests.Load(); got != 1 {
		t.Errorf("the server saw the request %d times, want 1", got)
	}
}

// TestNoRetryOfLargeBody shows that a body that is passed on as it comes is not
// sent twice, be the method idempotent or not.
func TestNoRetryOfLargeBody(t *testing.T) {
	var requests atomic.Int32
	server := startServer(t, func(c net.Conn) {
		for {
			head, err := readHead(c)
			if err != nil {
				return
			}
			if strings.HasPrefix(head, "PUT") {
				requests.Add(1)
				io.ReadFull(c, make([]byte, 50000))
				return
			}
			io.WriteString(c, testOK)
		}
	})
	p := startProxy(t, server, nil)
	c := dialTest(t, p.addr)
	sendString(t, c, testGet)
	wantBytes(t, c, testOK)
	sendString(t, c, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 100000))
	wantStatus(t, c, 502)
	if got := requests.Load(); got != 1 {
		t.Errorf("the server saw the request %d times, want 1", got)
	}
}
