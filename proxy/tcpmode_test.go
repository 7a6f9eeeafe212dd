package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// shout is a server that is no HTTP server: it speaks first, then echoes in
// capitals, and says goodbye when the client is done.
func shout(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.WriteString(c, "this is "+name+"\n")
				b, _ := io.ReadAll(c)
				io.WriteString(c, strings.ToUpper(string(b))+"bye\n")
			}()
		}
	}()
	return l.Addr().String()
}

// converse says something over c and gives all that came.
func converse(t *testing.T, c net.Conn, say string) string {
	t.Helper()
	io.WriteString(c, say)
	c.(interface{ CloseWrite() error }).CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// TestTCPMode passes connections on.
func TestTCPMode(t *testing.T) {
	p := start(t, `
		listeners:
		- {name: ssh, address: 'tcp@127.0.0.1:0', mode: tcp, pool: ssh}
		- {name: routed, address: 'tcp@127.0.0.1:0', mode: tcp}
		- {name: headed, address: 'tcp@127.0.0.1:0', mode: tcp, pool: ssh, accept_proxy: {from: [127.0.0.1]}}
		routes:
		- {match: {listener: [routed], client: [192.0.2.0/24]}, pool: other}
		- {match: {listener: [routed], client: [127.0.0.0/8]}, pool: ssh}
		pools:
		  ssh: {backends: ['`+shout(t, "ssh")+`']}
		  other: {backends: ['`+shout(t, "other")+`']}`)
	for i := range 2 {
		c := dial(t, p.hostPort(i))
		if got, want := converse(t, c, "hello\n"), "this is ssh\nHELLO\nbye\n"; got != want {
			t.Errorf("listener %d: got %q, want %q", i, got, want)
		}
	}
	c := dial(t, p.hostPort(2))
	if got, want := converse(t, c, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello\n"), "this is ssh\nHELLO\nbye\n"; got != want {
		t.Errorf("behind a PROXY header: got %q, want %q", got, want)
	}
	eventually(t, "the connections to end", func() bool { return len(p.conns.all()) == 0 })
}

// TestSNIRouting passes TLS on to where the client's hello says.
func TestSNIRouting(t *testing.T) {
	server := func(name string) *testServer {
		s := newTestServer(named(name))
		s.StartTLS()
		s.addr = s.Listener.Addr().String()
		t.Cleanup(s.Close)
		return s
	}
	a, b, rest := server("a"), server("b"), server("rest")
	p := start(t, `
		listeners: {name: tls, address: 'tcp@127.0.0.1:0', mode: tcp, pool: rest}
		routes:
		- {match: {sni: [a.example]}, pool: a}
		- {match: {sni: ['*.b.example']}, pool: b}
		pools:
		  a: {backends: [`+a.addr+`]}
		  b: {backends: [`+b.addr+`]}
		  rest: {backends: [`+rest.addr+`]}`)
	for name, want := range map[string]string{"a.example": "a", "A.example": "a", "x.b.example": "b", "b.example": "rest", "": "rest"} {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: name}}}
		wantBody(t, c, "https://"+p.addr+"/", 200, want)
		c.CloseIdleConnections()
	}
}

// TestTCPModeBooks closes the books of connections that were passed on.
func TestTCPModeBooks(t *testing.T) {
	p := start(t, `
		network: {single_path: true}
		listeners: {name: tcp, address: 'mptcp@127.0.0.1:0', mode: tcp, pool: tcp}
		admin: {address: '`+free(t)+`'}
		pools:
		  tcp: {backends: ['`+shout(t, "tcp")+`']}`)
	for range 3 {
		converse(t, dial(t, p.addr), "hello")
	}
	eventually(t, "the books to be closed", func() bool {
		totals := p.Snapshot().Totals
		if totals.Connections != 3 || totals.Closed != 3 || len(totals.Paths) != 1 {
			return false
		}
		in := totals.Paths[0].Plain.BytesIn + totals.Paths[0].Multipath.BytesIn
		return in >= 15 && in <= 18 // Linux counts the FINs
	})
}
