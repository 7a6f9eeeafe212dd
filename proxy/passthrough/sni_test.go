package passthrough

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/balance"
	"github.com/braid-mptcp/braid/proxy/certs"
)

// serverTLS makes a certificate for names.
func serverTLS(t *testing.T, names ...string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// tlsService answers each TLS connection with a word and the name that the
// client asked for, and what it sends after that with itself.
func tlsService(t *testing.T, w way, word string) string {
	cfg := serverTLS(t, "a.test", "b.test")
	return service(t, w, func(c halves) {
		defer c.Close()
		s := tls.Server(c, cfg)
		if s.Handshake() != nil {
			return
		}
		fmt.Fprintf(s, "%s %s\n", word, s.ConnectionState().ServerName)
		io.Copy(s, s)
		s.CloseWrite()
	}).String()
}

// newSNIRig routes b.test to one server and what has no TLS to another.
func newSNIRig(t *testing.T, client, server way, change func(*rig)) *rig {
	t.Helper()
	pools := map[string]*balance.Pool{
		"a":     pool(t, server.dial, tlsService(t, server, "a")),
		"b":     pool(t, server.dial, tlsService(t, server, "b")),
		"plain": pool(t, server.dial, plainService(t, server).String()),
	}
	return newRig(t, client, pools["a"], func(r *rig) {
		r.cfg.SNI, r.cfg.HelloTimeout = true, patience
		route := r.cfg.Route
		r.cfg.Route = func(c *Conn) (*balance.Pool, balance.Request, error) {
			p, req, err := route(c)
			switch {
			case c.Hello == nil:
				p = pools["plain"]
			case c.Hello.ServerName == "b.test":
				p = pools["b"]
			case c.Hello.ServerName != "a.test":
				err = fmt.Errorf("nobody serves %q", c.Hello.ServerName)
			}
			return p, req, err
		}
		if change != nil {
			change(r)
		}
	})
}

func plainService(t *testing.T, w way) net.Addr {
	return service(t, w, func(c halves) {
		defer c.Close()
		io.WriteString(c, "plain ")
		io.Copy(c, c)
	})
}

// TestSNI: the name in the hello decides, and the server gets that hello whole.
func TestSNI(t *testing.T) {
	everyWay(t, func(t *testing.T, client, server way) {
		r := newSNIRig(t, client, server, nil)
		for _, name := range []string{"a.test", "b.test", "B.test"} {
			c := tls.Client(r.connect(), &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"x"}})
			line := make([]byte, len("a a.test\n"))
			if _, err := io.ReadFull(c, line); err != nil {
				t.Fatal(err)
			}
			if want := string(name[0]|0x20) + " " + name + "\n"; string(line) != want {
				t.Errorf("for %s got %q, want %q", name, line, want)
			}
			big := make([]byte, 1<<20)
			newPattern(3).next(big)
			go func() {
				c.Write(big)
				c.CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || string(got) != string(big) {
				t.Errorf("got %d bytes (%v), want the %d that were sent", len(got), err, len(big))
			}
			c.Close()
			res := r.wantEnd(EndClosed)
			if in := res.Conn.In.Load(); in < 1<<20 {
				t.Errorf("counted %d bytes in, want more than %d", in, 1<<20)
			}
			if h := res.Conn.Hello; h == nil || len(h.Protocols) != 1 {
				t.Errorf("the hello is %+v", h)
			}
		}

		c := tls.Client(r.connect(), &tls.Config{ServerName: "c.test", InsecureSkipVerify: true})
		if err := c.Handshake(); err == nil {
			t.Error("a name that nobody serves was served")
		}
		r.wantEnd(EndRefused)
	})
}

// TestNotTLS: clients that do not speak TLS have no hello, and lose nothing of
// what they said.
func TestNotTLS(t *testing.T) {
	everyWay(t, func(t *testing.T, client, server way) {
		r := newSNIRig(t, client, server, nil)
		for _, said := range []string{"SSH-2.0-OpenSSH_9.9\r\n", "x", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "\x80\x2e\x01\x00\x02"} {
			c := r.connect()
			io.WriteString(c, said)
			c.CloseWrite()
			if got, err := io.ReadAll(c); err != nil || string(got) != "plain "+said {
				t.Errorf("got %q (%v), want %q", got, err, "plain "+said)
			}
			c.Close()
			r.wantBytes(r.wantEnd(EndClosed), int64(len(said)), int64(len(said)+6))
		}
	})
}

// clientHello is what a client of TLS says first.
func clientHello(t *testing.T, name string) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer b.Close()
	go tls.Client(a, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
	buf := make([]byte, 16<<10)
	n, err := b.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// TestBadHello: clients that say no hello, or none that can be read, come to no
// server, and keep nothing.
func TestBadHello(t *testing.T) {
	hello := clientHello(t, "a.test")
	garbage := append([]byte{22, 3, 1, 0, 200}, make([]byte, 200)...)
	long := append([]byte{22, 3, 1, 0x3f, 0xff}, make([]byte, 0x3fff)...)
	copy(long[5:], []byte{1, 0xff, 0xff, 0xff}) // a hello of 16 MiB
	cut := hello[:len(hello)/2]
	for _, tt := range []struct {
		name string
		say  func(c halves)
		want error
	}{
		{"nothing", func(halves) {}, certs.ErrHelloTimeout},
		{"half of it", func(c halves) { c.Write(cut) }, certs.ErrHelloTimeout},
		{"a byte at a time", func(c halves) {
			for _, b := range hello {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}, certs.ErrHelloTimeout},
		{"garbage", func(c halves) { c.Write(garbage) }, certs.ErrHello},
		{"too long", func(c halves) {
			for range 10 {
				c.Write(long)
			}
		}, nil},
		{"cut off", func(c halves) { c.Write(cut); c.CloseWrite() }, certs.ErrHello},
		{"the end", func(c halves) { c.CloseWrite() }, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newSNIRig(t, plainWay(), plainWay(), func(r *rig) {
				if tt.want == certs.ErrHelloTimeout {
					r.cfg.HelloTimeout = 300 * time.Millisecond
				}
			})
			c := r.connect()
			go tt.say(c)
			io.Copy(io.Discard, c) // until it is closed, in whichever way
			res := r.wantEnd(EndHello)
			if tt.want != nil && !errors.Is(res.Err, tt.want) {
				t.Errorf("the error is %v, want %v", res.Err, tt.want)
			}
			if r.mu.Lock(); len(r.routed) != 0 {
				t.Error("it was routed")
			}
			r.mu.Unlock()
			if res.Duration > patience/2 {
				t.Errorf("it took %v", res.Duration)
			}
		})
	}
}

// TestSlowHello: a hello in pieces is a hello if it comes in time.
func TestSlowHello(t *testing.T) {
	everyWay(t, func(t *testing.T, client, server way) {
		r := newSNIRig(t, client, server, nil)
		c := r.connect()
		hello := clientHello(t, "b.test")
		for len(hello) > 0 {
			n := min(40, len(hello))
			c.Write(hello[:n])
			hello = hello[n:]
			time.Sleep(5 * time.Millisecond)
		}
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil { // the server's part of the handshake
			t.Error(err)
		}
		c.Close()
		<-r.results
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.routed) != 1 || r.routed[0].Hello == nil || r.routed[0].Hello.ServerName != "b.test" {
			t.Errorf("routed %d connections, want one to b.test", len(r.routed))
		}
	})
}

// TestTLSClient: a listener that ends TLS itself passes on what is inside,
// half-close included.
func TestTLSClient(t *testing.T) {
	everyWay(t, func(t *testing.T, client, server way) {
		to := plainService(t, server)
		cfg := serverTLS(t, "a.test")
		r := newRig(t, client, pool(t, server.dial, to.String()), func(r *rig) {
			r.wrapper = func(c net.Conn) net.Conn { return tls.Server(c, cfg) }
		})
		c := tls.Client(r.connect(), &tls.Config{ServerName: "a.test", InsecureSkipVerify: true})
		big := make([]byte, 1<<20)
		newPattern(4).next(big)
		go func() {
			c.Write(big)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "plain "+string(big) {
			t.Errorf("got %d bytes (%v), want %d", len(got), err, 6+len(big))
		}
		c.Close()
		r.wantBytes(r.wantEnd(EndClosed), 1<<20, 6+1<<20)
	})
}
