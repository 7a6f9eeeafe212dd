package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pires/go-proxyproto"
)

// TestProxyWebSocket: messages of all sizes, pings and the end of it, in the
// clear and over TLS.
func TestProxyWebSocket(t *testing.T) {
	o := startOrigin(t, nil, loopback()+":8000", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if string(b) == "bye" {
				c.Close(4321, "as you like")
				return
			}
			if c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	}))
	cert := newCertificate(t, "localhost")
	plain, secure := loopback()+":7080", loopback()+":7443"
	startProxy(t, nil, fmt.Sprintf(`
network: {stack: plain}
listeners:
- {name: plain, address: tcp@%s, pool: web}
- {name: tls, address: tcp@%s, pool: web, tls: {certificates: {cert: %s, key: %s}}}
pools:
  web: {backends: [%s]}
timeouts: {keep_alive: 1s, request_body: 1s, response_body: 1s, write: 5s}
`, plain, secure, cert.cert, cert.key, o.addr))
	for _, url := range []string{"ws://" + plain, "wss://" + secure} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: cert.pool, ServerName: "localhost"}}}
		c, resp, err := websocket.Dial(ctx, url+"/chat", &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"chat"}})
		if err != nil {
			t.Fatalf("%s: %v, %v", url, err, resp)
		}
		defer c.CloseNow()
		if c.Subprotocol() != "chat" {
			t.Errorf("%s: subprotocol %q", url, c.Subprotocol())
		}
		c.SetReadLimit(-1)
		for i, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20, 5 << 20} {
			want := file{byte(n), n}.bytes()
			kind := []websocket.MessageType{websocket.MessageBinary, websocket.MessageText}[min(i, 1)]
			if err := c.Write(ctx, kind, want); err != nil {
				t.Fatalf("%s: %d bytes: %v", url, n, err)
			}
			gotKind, got, err := c.Read(ctx)
			if err != nil || gotKind != kind || !bytes.Equal(got, want) {
				t.Fatalf("%s: %d bytes: got %d, %v", url, n, len(got), err)
			}
			if n == 126 {
				time.Sleep(1500 * time.Millisecond) // no timeout of requests ends it
			}
		}
		gone := c.CloseRead
		if err := c.Write(ctx, websocket.MessageText, []byte("bye")); err != nil {
			t.Fatal(err)
		}
		_, _, err = c.Read(ctx)
		var end websocket.CloseError
		if !errors.As(err, &end) || end.Code != 4321 || end.Reason != "as you like" {
			t.Errorf("%s: the end is %v", url, err)
		}
		_ = gone
	}
	waitFor(t, "no connection is kept that was upgraded", func() bool { return o.seen().open == 0 })
}

// TestProxyConnect: a tunnel by CONNECT, with half of it closed first.
func TestProxyConnect(t *testing.T) {
	o := startOrigin(t, nil, loopback()+":8000", nil)
	o.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "db.internal:5432" {
			http.Error(w, "what?", 400)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 200 Connected\r\n\r\n")
		b, _ := io.ReadAll(rw) // until the client has said all
		fmt.Fprintf(c, "%d bytes", len(b))
	})
	_, addr := inFrontOf(t, "routes: [{match: {method: CONNECT}, pool: web}]", o.addr)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n")
	c.Write(make([]byte, 1<<20))
	c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") || !strings.HasSuffix(string(got), "\r\n\r\n1048576 bytes") {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestProxyTellsServerByPROXY: servers hear of the client by a PROXY header, in
// modes http and tcp.
func TestProxyTellsServerByPROXY(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		for _, mode := range []string{"http", "tcp"} {
			t.Run(version+" "+mode, func(t *testing.T) {
				t.Parallel()
				l, err := net.Listen("tcp", loopback()+":8000")
				if err != nil {
					t.Fatal(err)
				}
				o := &origin{t: t, addr: l.Addr().String(), open: make(map[net.Conn]bool)}
				o.serve(&proxyproto.Listener{Listener: l, ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
					return proxyproto.REQUIRE, nil
				}}, nil)
				addr := loopback() + ":7080"
				startProxy(t, nil, fmt.Sprintf(`
network: {stack: plain}
listeners: {address: tcp@%s, pool: web, mode: %s}
pools:
  web: {backends: [%s], send_proxy: %s}
`, addr, mode, o.addr, version))
				for _, from := range []string{"127.0.0.7", "127.0.0.8"} {
					b := browse(addr, from)
					for range 2 {
						if got := b.want(t, "/from"); !strings.HasPrefix(got, from+":") {
							t.Errorf("the server thinks that %s is %q", from, got)
						}
					}
					b.close()
					b.close()
				}
				if got := o.seen().accepted; got != 2 {
					t.Errorf("%d connections for two clients", got)
				}
			})
		}
	}
}

// TestProxyIsToldByPROXY: a load balancer in front says who the client is; only
// that one is believed.
func TestProxyIsToldByPROXY(t *testing.T) {
	o := startOrigin(t, nil, loopback()+":8000", nil)
	addr := loopback() + ":7080"
	startProxy(t, nil, fmt.Sprintf(`
network: {stack: plain}
listeners: {address: tcp@%s, pool: web, accept_proxy: {from: [127.0.0.7/32]}}
pools:
  web: {backends: [%s]}
`, addr, o.addr))
	for _, version := range []byte{1, 2} {
		b := browse(addr, "127.0.0.7")
		if err := b.open(); err != nil {
			t.Fatal(err)
		}
		header := &proxyproto.Header{Version: version, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4,
			SourceAddr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 55), Port: 4711}, DestinationAddr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}}
		if _, err := header.WriteTo(b.c); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := b.want(t, "/from"); !strings.HasSuffix(got, " 192.0.2.55") {
				t.Errorf("version %d: the server was told %q", version, got)
			}
		}
	}
	for name, b := range map[string]*browser{"without a header": browse(addr, "127.0.0.7"), "somebody else": browse(addr, "127.0.0.9")} {
		if err := b.open(); err != nil {
			t.Fatal(err)
		}
		if name == "somebody else" {
			io.WriteString(b.c, "PROXY TCP4 192.0.2.55 192.0.2.1 4711 80\r\n")
		}
		if a, err := b.get("/from"); err == nil && a.status == 200 {
			t.Errorf("%s: got %v", name, a)
		}
	}
}

// TestProxySNI: connections of TLS are passed on by the name they ask for, and
// end at the server, not before.
func TestProxySNI(t *testing.T) {
	one, two := newCertificate(t, "one.test"), newCertificate(t, "*.two.test")
	o1 := startOriginTLS(t, nil, loopback()+":8000", nil, &tls.Config{Certificates: []tls.Certificate{one.pair}})
	o2 := startOriginTLS(t, nil, loopback()+":8000", nil, &tls.Config{Certificates: []tls.Certificate{two.pair}})
	addr := loopback() + ":7443"
	startProxy(t, nil, fmt.Sprintf(`
network: {stack: plain}
listeners: {name: tls, address: tcp@%s, mode: tcp}
routes:
- {match: {sni: [one.test]}, pool: one}
- {match: {sni: ['*.two.test']}, pool: two}
pools:
  one: {backends: [%s]}
  two: {backends: [%s]}
`, addr, o1.addr, o2.addr))
	for _, tt := range []struct {
		name string
		cert certificate
		at   *origin
	}{{"one.test", one, o1}, {"a.two.test", two, o2}, {"b.two.test", two, o2}} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: tt.cert.pool, ServerName: tt.name}}
		resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("https://" + addr + "/bytes/3000000")
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		tr.CloseIdleConnections()
		if want := (file{byte(3000000 & 0xff), 3000000}).bytes(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", tt.name, len(got), err)
		}
		if tt.at.seen().requests == 0 {
			t.Errorf("%s: it was another server", tt.name)
		}
	}
	for _, name := range []string{"three.test", "two.test"} {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: &tls.Config{InsecureSkipVerify: true, ServerName: name}}
		if c, err := d.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s: somebody answers", name)
		}
	}
}

// TestProxyTCP: mode tcp passes on bytes in both directions, and the end of
// each by itself.
func TestProxyTCP(t *testing.T) {
	l, err := net.Listen("tcp", loopback()+":8000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.WriteString(c, "hello\n") // the server speaks first, as ssh does
				b, _ := io.ReadAll(c)
				c.Write(b)
			}()
		}
	}()
	addr := loopback() + ":7022"
	startProxy(t, nil, fmt.Sprintf(`
network: {stack: plain}
listeners: {address: tcp@%s, mode: tcp, pool: ssh}
pools:
  ssh: {backends: [%s]}
`, addr, l.Addr()))
	for range 3 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		hello := make([]byte, 6)
		if _, err := io.ReadFull(c, hello); err != nil || string(hello) != "hello\n" {
			t.Fatalf("got %q, %v", hello, err)
		}
		want := file{3, 5 << 20}.bytes()
		go func() {
			c.Write(want)
			c.(*net.TCPConn).CloseWrite()
		}()
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back of %d, %v", len(got), len(want), err)
		}
		c.Close()
	}
}

// TestProxyClientCertificate: without one nobody gets in.
func TestProxyClientCertificate(t *testing.T) {
	cert, client, stranger := newCertificate(t, "site.test"), newCertificate(t, "a client"), newCertificate(t, "a stranger")
	o := startOrigin(t, nil, loopback()+":8000", nil)
	addr := loopback() + ":7443"
	startProxy(t, nil, fmt.Sprintf(`
network: {stack: plain}
listeners:
  address: tcp@%s
  pool: web
  tls: {certificates: {cert: %s, key: %s}, client_auth: require, client_ca: %s}
pools:
  web: {backends: [%s]}
`, addr, cert.cert, cert.key, client.cert, o.addr))
	for _, tt := range []struct {
		name string
		show []tls.Certificate
		ok   bool
	}{{"a client's", []tls.Certificate{client.pair}, true}, {"none", nil, false}, {"a stranger's", []tls.Certificate{stranger.pair}, false}} {
		for _, protocol := range []string{"http/1.1", "h2"} {
			tr := &http.Transport{ForceAttemptHTTP2: protocol == "h2", TLSClientConfig: &tls.Config{RootCAs: cert.pool, ServerName: "site.test",
				// Shown even to who does not ask for one of its authority.
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if tt.show == nil {
						return new(tls.Certificate), nil
					}
					return &tt.show[0], nil
				}}}
			resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("https://" + addr + "/conn")
			if err == nil {
				resp.Body.Close()
			}
			if ok := err == nil && resp.StatusCode == 200; ok != tt.ok {
				t.Errorf("%s over %s: %v, %v", tt.name, protocol, resp, err)
			}
			tr.CloseIdleConnections()
		}
	}
}

// TestProxyCertificateChanges: new files of a certificate are in use without a
// word, and connections go on.
func TestProxyCertificateChanges(t *testing.T) {
	cert := newCertificate(t, "site.test")
	o := startOrigin(t, nil, loopback()+":8000", nil)
	addr := loopback() + ":7443"
	startProxy(t, nil, fmt.Sprintf(`
network: {stack: plain}
listeners: {address: tcp@%s, pool: web, tls: {certificates: {cert: %s, key: %s}}}
pools:
  web: {backends: [%s]}
`, addr, cert.cert, cert.key, o.addr))
	secure := func() *browser {
		b := browse(addr, "")
		b.dial = (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: "site.test"}}).DialContext
		b.want(t, "/conn")
		return b
	}
	serial := func(b *browser) string {
		return b.c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	old := secure()
	if got, want := serial(old), cert.serial.String(); got != want {
		t.Fatalf("serial number %s, want %s", got, want)
	}
	conn := old.c
	cert.renew(t, "site.test")
	waitFor(t, "the new certificate is shown", func() bool {
		b := secure()
		defer b.close()
		return serial(b) == cert.serial.String()
	})
	old.want(t, "/conn")
	if old.c != conn {
		t.Error("a connection was closed")
	}
}
