package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// helloBytes gives what a client sends first.
func helloBytes(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	client := &scripted{r: strings.NewReader("")}
	c.InsecureSkipVerify = true
	tls.Client(client, c).Handshake()
	if client.w.Len() == 0 {
		t.Fatal("no hello")
	}
	return client.w.Bytes()
}

// scripted is a connection on which what comes is known.
type scripted struct {
	net.Conn
	r io.Reader
	w bytes.Buffer
}

func (s *scripted) Read(b []byte) (int, error)      { return s.r.Read(b) }
func (s *scripted) Write(b []byte) (int, error)     { return s.w.Write(b) }
func (s *scripted) Close() error                    { return nil }
func (s *scripted) SetReadDeadline(time.Time) error { return nil }

func TestPeekHello(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = strings.Repeat("p", 200) + string(rune('a'+i%26))
	}
	for _, tt := range []struct {
		name string
		c    *tls.Config
		want Hello
	}{
		{"name", &tls.Config{ServerName: "a.test"}, Hello{"a.test", nil}},
		{"upper case", &tls.Config{ServerName: "A.Test"}, Hello{"a.test", nil}},
		{"no name", &tls.Config{}, Hello{"", nil}},
		{"protocols", &tls.Config{ServerName: "a.test", NextProtos: []string{"h2", "http/1.1"}}, Hello{"a.test", []string{"h2", "http/1.1"}}},
		{"TLS 1.2", &tls.Config{ServerName: "a.test", MaxVersion: tls.VersionTLS12}, Hello{"a.test", nil}},
		{"TLS 1.0", &tls.Config{ServerName: "a.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, Hello{"a.test", nil}},
		{"several records", &tls.Config{ServerName: "a.test", NextProtos: many}, Hello{"a.test", many}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := helloBytes(t, tt.c)
			behind := "more"
			for _, slow := range []bool{false, true} {
				var r io.Reader = strings.NewReader(string(sent) + behind)
				if slow {
					r = iotest.OneByteReader(r)
				}
				c := &scripted{r: r}
				got, p, err := PeekHello(c, 0)
				if err != nil {
					t.Fatal(err)
				}
				if got.ServerName != tt.want.ServerName || !slices.Equal(got.Protocols, tt.want.Protocols) {
					t.Errorf("got %+v, want %+v", got, tt.want)
				}
				if c.w.Len() > 0 {
					t.Errorf("answered %q", c.w.Bytes())
				}
				if again, err := io.ReadAll(p); err != nil || string(again) != string(sent)+behind {
					t.Errorf("read again %d bytes, %v, want all %d", len(again), err, len(sent)+len(behind))
				}
			}
		})
	}
}

// record makes a handshake record.
func record(body []byte) []byte {
	return append([]byte{22, 3, 1, byte(len(body) >> 8), byte(len(body))}, body...)
}

func TestPeekHelloHostile(t *testing.T) {
	good := helloBytes(t, &tls.Config{ServerName: "a.test"})
	var tiny []byte // records of one byte each, for a hello that is said to be long
	tiny = append(tiny, record([]byte{1, 0, 0xff, 0xff})...)
	for range 10000 {
		tiny = append(tiny, record([]byte{0})...)
	}
	empty := bytes.Repeat(record(nil), 10000)
	changed := slices.Clone(good)
	changed[5+4+2+32] = 0xff // the length of the session identifier
	for _, tt := range []struct {
		name string
		sent []byte
		want error
	}{
		{"nothing", nil, io.EOF},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), ErrNotTLS},
		{"ssh", []byte("SSH"), ErrNotTLS},
		{"one byte of something else", []byte{0}, ErrNotTLS},
		{"SSL 2", []byte{0x80, 0x2e, 1, 0, 2}, ErrNotTLS},
		{"one byte", good[:1], ErrHello},
		{"cut off", good[:len(good)-1], ErrHello},
		{"wrong version of the record", []byte{22, 0x90, 9, 0, 1, 1}, ErrNotTLS},
		{"length of the session out of bounds", changed, ErrHello},
		{"not a ClientHello", record([]byte{2, 0, 0, 0}), ErrHello},
		{"length of the message out of bounds", record([]byte{1, 0xff, 0xff, 0xff}), ErrHello},
		{"an alert", []byte{21, 3, 1, 0, 2, 2, 40}, ErrNotTLS},
		{"tiny records", tiny, ErrHelloLength},
		{"empty records", empty, ErrHello},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, p, err := PeekHello(&scripted{r: bytes.NewReader(tt.sent)}, 0)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %+v, %v, want %v", got, err, tt.want)
			}
			if len(p.read) > maxHello {
				t.Errorf("read %d bytes, want at most %d", len(p.read), maxHello)
			}
			if again, err := io.ReadAll(p); err != nil || !bytes.Equal(again, tt.sent) {
				t.Errorf("read again %d bytes, %v, want all %d", len(again), err, len(tt.sent))
			}
		})
	}
}

// pair gives the two ends of a connection over loopback.
func pair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func TestPeekHelloTimeout(t *testing.T) {
	good := helloBytes(t, &tls.Config{ServerName: "a.test"})
	for _, sent := range [][]byte{nil, good[:20]} {
		client, server := pair(t)
		client.Write(sent)
		began := time.Now()
		_, p, err := PeekHello(server, 50*time.Millisecond)
		if err != ErrHelloTimeout {
			t.Fatalf("got %v, want %v", err, ErrHelloTimeout)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("took %v", took)
		}
		// The deadline is over, and the connection good for others.
		time.AfterFunc(60*time.Millisecond, func() {
			client.Write([]byte("late"))
			client.CloseWrite()
		})
		if got, err := io.ReadAll(p); err != nil || string(got) != string(sent)+"late" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// TestPeekHelloDrip sends a byte now and then: the limit is for all of it.
func TestPeekHelloDrip(t *testing.T) {
	good := helloBytes(t, &tls.Config{ServerName: "a.test"})
	client, server := pair(t)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for i := range good {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				client.Write(good[i : i+1])
			}
		}
	}()
	_, _, err := PeekHello(server, 200*time.Millisecond)
	if err != ErrHelloTimeout {
		t.Fatalf("got %v, want %v", err, ErrHelloTimeout)
	}
}

// TestPeeked shakes hands over a connection that was peeked at.
func TestPeeked(t *testing.T) {
	ca := newCA(t, "ca")
	cert, err := tls.X509KeyPair(ca.issue(t, ecdsaKey(t), 2*time.Hour, "a.test"))
	if err != nil {
		t.Fatal(err)
	}
	client, server := pair(t)
	served := make(chan error, 1)
	go func() {
		hello, p, err := PeekHello(server, 10*time.Second)
		if err != nil || hello.ServerName != "a.test" || p.NetConn() != net.Conn(server) {
			served <- errors.New("wrong hello")
			return
		}
		tc := tls.Server(p, &tls.Config{Certificates: []tls.Certificate{cert}})
		if err := tc.Handshake(); err != nil {
			served <- err
			return
		}
		if err := tc.CloseWrite(); err != nil {
			served <- err
			return
		}
		served <- p.CloseWrite()
	}()
	tc := tls.Client(client, &tls.Config{ServerName: "a.test", RootCAs: ca.pool})
	if got, err := io.ReadAll(tc); err != nil || len(got) > 0 {
		t.Errorf("got %q, %v, want the end", got, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestPeekedPassedOn(t *testing.T) {
	sent := append(helloBytes(t, &tls.Config{ServerName: "a.test"}), "behind"...)
	for _, take := range []bool{false, true} {
		_, p, err := PeekHello(&scripted{r: bytes.NewReader(sent)}, 0)
		if err != nil {
			t.Fatal(err)
		}
		var to bytes.Buffer
		if take {
			to.Write(p.Take())
			io.Copy(&to, p.NetConn())
		} else if n, err := io.Copy(&to, p); err != nil || n != int64(len(sent)) {
			t.Errorf("copied %d, %v, want %d", n, err, len(sent))
		}
		if !bytes.Equal(to.Bytes(), sent) {
			t.Errorf("take %v: got %d bytes, want %d", take, to.Len(), len(sent))
		}
	}
}

func FuzzPeekHello(f *testing.F) {
	f.Add(helloBytes(f, &tls.Config{ServerName: "a.test", NextProtos: []string{"h2"}}))
	f.Add(helloBytes(f, &tls.Config{MaxVersion: tls.VersionTLS12}))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(record([]byte{1, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, sent []byte) {
		c := &scripted{r: bytes.NewReader(sent)}
		hello, p, err := PeekHello(c, 0)
		if c.w.Len() > 0 {
			t.Errorf("answered %q", c.w.Bytes())
		}
		if err != nil && (hello.ServerName != "" || hello.Protocols != nil) {
			t.Errorf("%+v with %v", hello, err)
		}
		if len(p.read) > maxHello {
			t.Errorf("read %d bytes", len(p.read))
		}
		if again, err := io.ReadAll(p); err != nil || !bytes.Equal(again, sent) {
			t.Errorf("read again %d bytes of %d, %v", len(again), len(sent), err)
		}
	})
}
