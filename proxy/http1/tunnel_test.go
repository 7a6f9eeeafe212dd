package http1

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const (
	upgrade   = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
	switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
)

// TestUpgrade says something in both directions before the switch is through,
// then goes on, then ends one direction after the other.
func TestUpgrade(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		log := &logged{}
		server := startServer(t, func(c net.Conn) {
			head, _ := readHead(c)
			if head != upgrade {
				t.Errorf("the server got %q, want %q", head, upgrade)
			}
			io.WriteString(c, switching+"early from the server;")
			b, _ := io.ReadAll(c)
			fmt.Fprintf(c, "got %d bytes, %.10s", len(b), b)
		})
		p := start(t, server, func(s *Settings) { s.Log = log.log })
		c := dialTest(t, p.addr)
		sendString(t, c, upgrade+"early from the client;")
		wantBytes(t, c, switching+"early from the server;")
		sendString(t, c, strings.Repeat("x", 200000))
		c.CloseWrite()
		wantBytes(t, c, "got 200022 bytes, early from")
		wantEnd(t, c)
		got := log.wait(t, 1)
		if want := int64(len(upgrade) + 200022); got.RequestBytes != want || got.Status != 101 || got.Err != nil {
			t.Errorf("logged %d bytes, status %d, %v, want %d, 101", got.RequestBytes, got.Status, got.Err, want)
		}
		if want := int64(len(switching) + 22 + 28); got.ReplyBytes != want {
			t.Errorf("logged %d bytes of reply, want %d", got.ReplyBytes, want)
		}
		if n := p.Counters().Tunnels; n != 1 {
			t.Errorf("got %d tunnels, want 1", n)
		}
	})
}

func TestConnect(t *testing.T) {
	const connect = "CONNECT a.example:22 HTTP/1.1\r\nHost: a.example:22\r\n\r\n"
	server := startServer(t, func(c net.Conn) {
		head, _ := readHead(c)
		if head != connect {
			t.Errorf("the server got %q, want %q", head, connect)
		}
		io.WriteString(c, "HTTP/1.1 200 Connected\r\n\r\n")
		io.Copy(c, c)
	})
	p := startProxy(t, server, func(s *Settings) { s.Connect = true })
	c := dialTest(t, p.addr)
	sendString(t, c, connect)
	head, err := readHead(c)
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 200 ") || strings.Contains(head, "Content-Length") || strings.Contains(head, "Transfer-Encoding") {
		t.Fatalf("got %q, %v", head, err)
	}
	sendString(t, c, "echo")
	wantBytes(t, c, "echo")
	c.CloseWrite()
	wantEnd(t, c)
}

func TestConnectRefused(t *testing.T) {
	server := startServer(t, func(c net.Conn) {
		readHead(c)
		io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
		answerAll(c)
	})
	p := startProxy(t, server, func(s *Settings) { s.Connect = true })
	c := dialTest(t, p.addr)
	sendString(t, c, "CONNECT a:22 HTTP/1.1\r\nHost: a:22\r\n\r\n")
	wantStatus(t, c, 403)
	sendString(t, c, testGet)
	wantBytes(t, c, testOK)
}

// TestTunnelIdle shows that a tunnel ends when nothing is said in it, and not
// while something is said in one direction.
func TestTunnelIdle(t *testing.T) {
	variants(t, func(t *testing.T, start starter) {
		server := startServer(t, func(c net.Conn) {
			readHead(c)
			io.WriteString(c, switching)
			for range 25 {
				time.Sleep(50 * time.Millisecond)
				io.WriteString(c, ".")
			}
			io.Copy(io.Discard, c)
		})
		p := start(t, server, func(s *Settings) {
			s.Timeouts = patient()
			s.Timeouts.Tunnel = time.Second
		})
		c := dialTest(t, p.addr)
		sendString(t, c, upgrade)
		wantBytes(t, c, switching+strings.Repeat(".", 25))
		if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("got %v, want the end", err)
		}
		eventually(t, "end of the connection", func() bool { return p.Open() == 0 })
	})
}

// TestTunnelReset shows that a reset on one side ends both.
func TestTunnelReset(t *testing.T) {
	ended := make(chan struct{})
	server := startServer(t, func(c net.Conn) {
		readHead(c)
		io.WriteString(c, switching)
		io.Copy(io.Discard, c)
		close(ended)
	})
	p := startProxy(t, server, nil)
	c := dialTest(t, p.addr)
	sendString(t, c, upgrade)
	wantBytes(t, c, switching)
	c.SetLinger(0)
	c.Close()
	<-ended
	eventually(t, "end of the connection", func() bool { return p.Open() == 0 })
}
