package http1

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// brief is a timeout that strikes in a test, long one that does not.
const (
	brief = 50 * time.Millisecond
	long  = 10 * time.Minute
)

func patient() Timeouts {
	return Timeouts{Idle: long, Head: long, Body: long, Response: long, Stream: long, Write: long, Tunnel: long, Linger: long}
}

// wantWithin fails when something began longer ago than a timeout may take.
func wantWithin(t *testing.T, began time.Time) {
	t.Helper()
	if took := time.Since(began); took < brief || took > patience {
		t.Errorf("took %v, want a little more than %v", took, brief)
	}
}

func TestTimeouts(t *testing.T) {
	const upload = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc"
	silent := func(c net.Conn) { io.Copy(io.Discard, c) }
	for _, tt := range []struct {
		name   string
		set    func(*Timeouts)
		send   string
		server func(net.Conn)
		status int    // of the answer; 0: the connection just ends
		reply  string // what comes before the end without an answer
		want   error  // logged, if anything is
	}{
		{"nothing sent", func(x *Timeouts) { x.Head = brief }, "", silent, 0, "", nil},
		{"head", func(x *Timeouts) { x.Head = brief }, "GET / HT", silent, 408, "", ErrHeadTimeout},
		{"idle", func(x *Timeouts) { x.Idle = brief }, testGet, answerAll, 0, testOK, nil},
		{"small body", func(x *Timeouts) { x.Body = brief }, testPost[:len(testPost)-1], silent, 408, "", ErrBodyTimeout},
		{"large body", func(x *Timeouts) { x.Body = brief }, upload, silent, 408, "", ErrBodyTimeout},
		{"response", func(x *Timeouts) { x.Response = brief }, testGet, silent, 504, "", ErrServerTimeout},
		{"response to a large body", func(x *Timeouts) { x.Response = brief }, upload + strings.Repeat("x", 99997), silent, 504, "", ErrServerTimeout},
		{"head of the response", func(x *Timeouts) { x.Response = brief }, testGet, func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			silent(c)
		}, 504, "", ErrServerTimeout},
		{"stream", func(x *Timeouts) { x.Stream = brief }, testGet, func(c net.Conn) {
			readHead(c)
			io.WriteString(c, strings.Replace(testOK, "ok", "o", 1))
			silent(c)
		}, 0, strings.Replace(testOK, "ok", "o", 1), ErrTruncated},
		{"linger", func(x *Timeouts) { x.Linger = brief }, "x\n\n", silent, 400, "", ErrLineEnd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			variants(t, func(t *testing.T, start starter) {
				log := &logged{}
				p := start(t, startServer(t, tt.server), func(s *Settings) {
					s.Timeouts, s.Log = patient(), log.log
					tt.set(&s.Timeouts)
				})
				began := time.Now()
				c := dialTest(t, p.addr)
				sendString(t, c, tt.send)
				wantBytes(t, c, tt.reply)
				if tt.status != 0 {
					wantStatus(t, c, tt.status)
				}
				if tt.want != ErrServerTimeout {
					wantEnd(t, c)
					if tt.name != "linger" {
						c.Close()
					}
					eventually(t, "end of the connection", func() bool { return p.Open() == 0 })
				}
				wantWithin(t, began)
				if tt.want != nil {
					if got := log.wait(t, 1).Err; got != tt.want {
						t.Errorf("got %v, want %v", got, tt.want)
					}
				}
			})
		})
	}
}

// TestSlowHead sends a head byte by byte, faster than any timeout: the deadline
// is for all of it.
func TestSlowHead(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		p := start(t, startServer(t, answerAll), func(s *Settings) {
			s.Timeouts = patient()
			s.Timeouts.Head = brief
		})
		began := time.Now()
		c := dialTest(t, p.addr)
		go func() {
			for i := range testGet {
				io.WriteString(c, testGet[i:i+1])
				time.Sleep(brief / 10)
			}
		}()
		wantStatus(t, c, 408)
		wantWithin(t, began)
	})
}

// TestSlowReader has the client take nothing of a large response.
func TestSlowReader(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		log := &logged{}
		server := startServer(t, func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
			for {
				if _, err := c.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		})
		p := start(t, server, func(s *Settings) {
			s.Timeouts, s.Log = patient(), log.log
			s.Timeouts.Write = brief
		})
		c := dialTest(t, p.addr)
		sendString(t, c, testGet)
		if got := log.wait(t, 1).Err; got != ErrResponseTimeout {
			t.Errorf("got %v, want %v", got, ErrResponseTimeout)
		}
		eventually(t, "end of the connection", func() bool { return p.Open() == 0 })
	})
}

// TestConnectionSurvivesServerTimeout shows that a 504 ends the server's
// connection and not the client's.
func TestConnectionSurvivesServerTimeout(t *testing.T) {
	var conns atomic.Int32
	server := startServer(t, func(c net.Conn) {
		if conns.Add(1) == 1 {
			io.Copy(io.Discard, c)
			return
		}
		answerAll(c)
	})
	p := startProxy(t, server, func(s *Settings) { s.Timeouts.Response = 10 * brief })
	c := dialTest(t, p.addr)
	sendString(t, c, testGet)
	wantStatus(t, c, 504)
	for range 2 {
		sendString(t, c, testGet)
		wantBytes(t, c, testOK)
	}
	if got := p.pool.opened(); got != 2 {
		t.Errorf("got %d server connections, want 2", got)
	}
}
