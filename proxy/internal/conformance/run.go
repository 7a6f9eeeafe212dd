package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long anything may take.
const patience = 25 * time.Second

// Run runs all cases. start starts the proxy under test for the server at the
// given address, without any field added to requests, and gives the proxy's
// address; it cleans up after itself.
func Run(t *testing.T, start func(t *testing.T, server string) (proxy string)) {
	s := newServer(t)
	proxy := start(t, s.listener.Addr().String())
	seen := make(map[string]bool)
	for _, c := range Cases() {
		if c.Section == "" || c.Status == 0 && c.Reply == "" {
			t.Errorf("%s: no section given, or nothing wanted", c.Name)
		}
		name := strings.ReplaceAll(c.Name, " ", "_")
		if seen[name] {
			name += "_" + c.Section
		}
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			if !c.Partial {
				c.run(t, proxy, s)
				return
			}
			// What arrives late must not be held against the next case.
			s := newServer(t)
			s.ignoring = true
			c.run(t, start(t, s.listener.Addr().String()), s)
		})
	}
}

func (c *Case) run(t *testing.T, proxy string, s *server) {
	s.expect(c.Server)
	conn, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	go io.WriteString(conn, c.Send) // it may be refused before all of it is read

	if c.Reply != "" {
		c.wantReply(t, conn)
	} else {
		c.wantStatus(t, conn)
	}
	if t.Failed() {
		t.Fatalf("the server received %s", s.got())
	}
	if c.Closed {
		if b, err := io.ReadAll(conn); err != nil || len(b) > 0 {
			t.Errorf("after the last response: got %q, %v; want the connection's end", b, err)
		}
	} else {
		probe(t, conn, s)
	}
	if err := s.met(); err != nil {
		t.Error(err)
	}
}

func (c *Case) wantReply(t *testing.T, conn net.Conn) {
	got := make([]byte, len(c.Reply))
	n, err := io.ReadFull(conn, got)
	if string(got[:n]) != c.Reply {
		t.Errorf("the client got %s, %v\nwant %s", short(got[:n]), err, short([]byte(c.Reply)))
	}
}

// wantStatus reads one response for each message the server gets, or one for a
// request that it does not get.
func (c *Case) wantStatus(t *testing.T, conn net.Conn) {
	r := bufio.NewReader(conn)
	method, _, _ := strings.Cut(c.Send, " ")
	count := max(len(c.Server), 1)
	if c.Status == 400 && len(c.Server) > 0 {
		count++ // the last of several is refused
	}
	for i := range count {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		for err == nil && resp.StatusCode < 200 {
			resp, err = http.ReadResponse(r, &http.Request{Method: method})
		}
		if err != nil {
			t.Errorf("response %d: %v", i+1, err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		if i == count-1 && resp.StatusCode != c.Status {
			t.Errorf("got status %d, want %d", resp.StatusCode, c.Status)
		}
	}
	if n := r.Buffered(); n > 0 {
		b, _ := r.Peek(n)
		t.Errorf("%d bytes beyond the response: %q", n, b)
	}
}

// probe shows that client and proxy agree on where the message ended.
func probe(t *testing.T, conn net.Conn, s *server) {
	const ask = "GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n"
	if err := s.met(); err != nil {
		t.Error(err)
		return
	}
	s.expect([]Step{{Receive: ask}})
	if _, err := io.WriteString(conn, ask); err != nil {
		t.Errorf("next request: %v", err)
		return
	}
	got := make([]byte, len(OK))
	if n, err := io.ReadFull(conn, got); string(got) != OK {
		t.Errorf("next request: got %s, %v, want %q; the server received %s", short(got[:n]), err, OK, s.got())
	}
}

// server compares what it receives with the steps of a case.
type server struct {
	listener net.Listener

	mu       sync.Mutex
	steps    []Step
	received bytes.Buffer
	fault    error
	ignoring bool // says nothing about what it receives
}

func newServer(t *testing.T) *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: l}
	var handlers sync.WaitGroup
	var conns sync.Map
	handlers.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, true)
			handlers.Go(func() {
				s.serve(conn)
				conn.Close()
				conns.Delete(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
		handlers.Wait()
	})
	return s
}

// expect sets what comes next.
func (s *server) expect(steps []Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = steps
	s.received.Reset()
	s.fault = nil
}

// met reports what was received that should not have been, or not.
func (s *server) met() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return s.fault
	}
	if len(s.steps) > 0 {
		return fmt.Errorf("the server received %s, want %s", short(s.received.Bytes()), short([]byte(s.steps[0].Receive)))
	}
	return nil
}

func (s *server) got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return short(s.received.Bytes())
}

// serve serves a connection. Messages of one case may come over several.
func (s *server) serve(conn net.Conn) {
	var have []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		have = append(have, buf[:n]...)
		answer, closing, ok := s.take(&have, buf[:n])
		if !ok {
			return
		}
		if _, err := conn.Write(answer); err != nil || closing {
			return
		}
	}
}

// take compares what a connection has brought with the next step.
func (s *server) take(have *[]byte, arrived []byte) (answer []byte, closing, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received.Write(arrived)
	if s.ignoring {
		return nil, false, true
	}
	if len(s.steps) == 0 {
		s.fault = fmt.Errorf("the server received %s, want nothing", short(s.received.Bytes()))
		return nil, true, false
	}
	step := s.steps[0]
	if n := min(len(*have), len(step.Receive)); string((*have)[:n]) != step.Receive[:n] || len(*have) > n {
		s.fault = fmt.Errorf("the server received %s, want %s", short(*have), short([]byte(step.Receive)))
		return nil, true, false
	}
	if len(*have) < len(step.Receive) {
		return nil, false, true
	}
	*have = (*have)[:0]
	s.steps = s.steps[1:]
	if step.Answer == "" && !step.Close {
		step.Answer = OK
	}
	return []byte(step.Answer), step.Close, true
}

// short quotes bytes for a message.
func short(b []byte) string {
	if len(b) > 400 {
		return fmt.Sprintf("%q... (%d bytes)", b[:400], len(b))
	}
	return fmt.Sprintf("%q", b)
}
