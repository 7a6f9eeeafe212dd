package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// TestForwarded looks at what servers are told about clients.
func TestForwarded(t *testing.T) {
	server := serveTest(t, echoHead)
	const sent = "X-Forwarded-For: 10.1.1.1, 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: first\r\nForwarded: for=10.9.9.9\r\n"
	for _, tt := range []struct {
		name, config string
		want         []string // fields the server gets
		not          []string
	}{
		{"by default nobody is believed", "{}", []string{
			"X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Host: h\r\n"}, []string{"Forwarded: ", "Via"}},
		{"a trusted proxy", "{trusted: [127.0.0.1]}", []string{
			"X-Forwarded-For: 10.1.1.1, 192.0.2.7, 127.0.0.1\r\n", "X-Forwarded-Proto: https\r\n", "X-Forwarded-Host: first\r\n"},
			[]string{"\nForwarded: "}},
		{"set, trusted", "{trusted: [127.0.0.1], x_forwarded_for: set, forwarded: set}", []string{
			"X-Forwarded-For: 192.0.2.7\r\n", "Forwarded: for=192.0.2.7;proto=http;host=\"h\"\r\n"}, nil},
		{"set, a chain trusted", "{trusted: [127.0.0.1, 192.0.2.0/24], x_forwarded_for: set}", []string{"X-Forwarded-For: 10.1.1.1\r\n"}, nil},
		{"keep", "{x_forwarded_for: keep, x_forwarded_proto: keep, x_forwarded_host: keep, forwarded: keep, via: me}", []string{
			"X-Forwarded-For: 10.1.1.1, 192.0.2.7\r\n", "X-Forwarded-Proto: https\r\n", "X-Forwarded-Host: first\r\n",
			"Forwarded: for=10.9.9.9\r\n", "Via: 1.1 me\r\n"}, nil},
		{"remove", "{x_forwarded_for: remove, x_forwarded_proto: remove, x_forwarded_host: remove}", nil, []string{"Forwarded"}},
		{"append Forwarded", "{trusted: [127.0.0.0/8], forwarded: append}", []string{
			"Forwarded: for=10.9.9.9, for=127.0.0.1;proto=http;host=\"h\"\r\n"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, `
				listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
				forwarded: `+tt.config+`
				pools:
				  web: {backends: [`+server.addr+`]}`)
			c := dial(t, p.addr)
			_, body := ask(t, c, bufio.NewReader(c), "GET / HTTP/1.1\r\nHost: h\r\n"+sent+"\r\n")
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("no %q", want)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(body, not) {
					t.Errorf("there is %q", not)
				}
			}
			if t.Failed() {
				t.Log(body)
			}
		})
	}
}

// TestTrustedClient routes by the address that a trusted proxy names.
func TestTrustedClient(t *testing.T) {
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0'}
		forwarded: {trusted: [127.0.0.1, '2001:db8::/32']}
		routes:
		- {match: {client: [192.0.2.0/24]}, respond: {body: four}}
		- {match: {client: ['2001:db9::/32']}, respond: {body: six}}
		- {match: {client: ['127.0.0.1']}, respond: {body: self}}
		- {match: {client: ['2001:db8::1']}, respond: {body: proxy}}
		- {respond: {body: other}}`)
	c := dial(t, p.addr)
	r := bufio.NewReader(c)
	for head, want := range map[string]string{
		"": "self", "X-Forwarded-For: 192.0.2.1": "four", "X-Forwarded-For: 192.0.2.1:4000": "four",
		"X-Forwarded-For: 192.0.2.1, 2001:db9::1": "six", "X-Forwarded-For: 2001:db9::1, 2001:db8::1": "six",
		"X-Forwarded-For: [2001:db9::1]:80": "six", "X-Forwarded-For: 2001:db8::1": "proxy",
		"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1": "other", "X-Forwarded-For: 192.0.2.1, what": "self",
		"X-Forwarded-For: 192.0.2.1, what, 2001:db8::1":      "proxy",
		"X-Forwarded-For: ":                                  "self",
		"Forwarded: for=192.0.2.1;proto=https":               "four",
		"Forwarded: proto=http; For=\"[2001:db9::17]:4711\"": "six",
		"Forwarded: for=_hidden":                             "self",
	} {
		request := "GET / HTTP/1.1\r\nHost: h\r\n"
		if head != "" {
			request += head + "\r\n"
		}
		if _, got := ask(t, c, r, request+"\r\n"); got != want {
			t.Errorf("%q: got %s, want %s", head, got, want)
		}
	}
}

// TestAcceptProxy reads PROXY headers in front of requests.
func TestAcceptProxy(t *testing.T) {
	server := serveTest(t, echoHead)
	const request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	v1 := "PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\n"
	header := func(h *proxyproto.Header) string {
		b, err := h.Format()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	v2 := header(proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 4000}, &net.TCPAddr{IP: net.ParseIP("2001:db8::2"), Port: 80}))
	local := header(&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC})
	for _, tt := range []struct {
		name, accept string
		send         []string // in pieces
		want         string   // X-Forwarded-For; "": the connection is closed
	}{
		{"v1", "{from: [127.0.0.1]}", []string{v1 + request}, "192.0.2.1"},
		{"v1 in pieces", "{from: [127.0.0.1]}", []string{v1[:3], v1[3:20], v1[20:], request[:9], request[9:]}, "192.0.2.1"},
		{"v1, unknown", "{from: [127.0.0.1]}", []string{"PROXY UNKNOWN\r\n" + request}, "127.0.0.1"},
		{"v2", "{from: [127.0.0.1]}", []string{v2 + request}, "2001:db8::1"},
		{"v2, its own check", "{from: [127.0.0.1]}", []string{local + request}, "127.0.0.1"},
		{"not from there", "{from: [192.0.2.9]}", []string{v1 + request}, ""},
		{"none", "{from: [127.0.0.1]}", []string{request}, ""},
		{"none, optional", "{from: [127.0.0.1], optional: true}", []string{request}, "127.0.0.1"},
		{"one, optional", "{from: [127.0.0.1], optional: true}", []string{v1, request}, "192.0.2.1"},
		{"not from there, optional", "{from: [192.0.2.9], optional: true}", []string{request}, "127.0.0.1"},
		{"the wrong version", "{from: [127.0.0.1], version: v2}", []string{v1 + request}, ""},
		{"the right version", "{from: [127.0.0.1], version: v2}", []string{v2 + request}, "2001:db8::1"},
		{"broken", "{from: [127.0.0.1], optional: true}", []string{"PROXY TCP4 1.2.3\r\n" + request}, ""},
		{"never complete", "{from: [127.0.0.1], optional: true}", []string{v1[:10]}, ""},
		{"silence", "{from: [127.0.0.1]}", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			limit := "1h"
			if tt.name == "never complete" || tt.name == "silence" {
				limit = "300ms"
			}
			p := start(t, `
				listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web, accept_proxy: `+tt.accept+`}
				timeouts: {proxy_header: `+limit+`}
				pools:
				  web: {backends: [`+server.addr+`]}`)
			c := dial(t, p.addr)
			for _, piece := range tt.send {
				io.WriteString(c, piece)
				time.Sleep(10 * time.Millisecond)
			}
			b, _ := io.ReadAll(c)
			got := ""
			if _, rest, ok := strings.Cut(string(b), "X-Forwarded-For: "); ok {
				got, _, _ = strings.Cut(rest, "\r\n")
			}
			if got != tt.want || tt.want == "" && len(b) > 0 {
				t.Errorf("got %q, want %q; all of it: %q", got, tt.want, b)
			}
		})
	}
}

// TestProxyHeaderHoldsNobodyUp has others served while a connection says
// nothing.
func TestProxyHeaderHoldsNobodyUp(t *testing.T) {
	server := serveTest(t, named("ok"))
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web, accept_proxy: {from: [127.0.0.1], optional: true}}
		timeouts: {proxy_header: 1h}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	for range 5 {
		dial(t, p.addr)
	}
	wantBody(t, client(t), "http://"+p.addr+"/", 200, "ok")
}

// TestSendProxy tells servers who their clients are.
func TestSendProxy(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		t.Run(version, func(t *testing.T) {
			server := newTestServer(echoHead)
			seen := make(chan string, 100)
			server.Config.ConnState = nil
			server.Listener = &headerListener{server.Listener, seen}
			server.Start()
			defer server.Close()
			p := start(t, `
				listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
				oneconnect: {default: {http_reuse: always}}
				pools:
				  web:
				    backends: [`+server.Listener.Addr().String()+`]
				    send_proxy: `+version+`
				    check: {type: http, interval: 100ms}`)
			check := <-seen
			if want := version + " none"; check != want {
				t.Errorf("a check came with %q, want %q", check, want)
			}
			for range 2 {
				tr := &http.Transport{}
				local := ""
				tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					var d net.Dialer
					c, err := d.DialContext(ctx, network, address)
					if err == nil {
						local = c.LocalAddr().String()
					}
					return c, err
				}
				c := &http.Client{Transport: tr}
				for range 3 {
					get(t, c, "http://"+p.addr+"/")
				}
				got := ""
				for got == "" || strings.HasSuffix(got, " none") {
					got = <-seen
				}
				if want := version + " " + local + " " + p.addr; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				tr.CloseIdleConnections()
			}
		})
	}
}

// headerListener reads PROXY headers by the library, and tells of them.
type headerListener struct {
	net.Listener
	seen chan string
}

func (l *headerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(c)
	h, err := proxyproto.Read(r)
	switch {
	case err != nil:
		l.seen <- err.Error()
	case h.SourceAddr == nil || h.Command.IsLocal():
		l.seen <- fmt.Sprintf("v%d none", h.Version)
	default:
		l.seen <- fmt.Sprintf("v%d %v %v", h.Version, h.SourceAddr, h.DestinationAddr)
	}
	return &bufferedConn{c, r}, nil
}

type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }
