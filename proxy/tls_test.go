package proxy

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testCA signs certificates for tests.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
	pool *x509.CertPool
}

func newCA(t testing.TB) *testCA {
	t.Helper()
	ca := &testCA{dir: t.TempDir(), pool: x509.NewCertPool()}
	var err error
	if ca.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &ca.key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	ca.pool.AddCert(ca.cert)
	ca.write(t, "ca", "CERTIFICATE", der)
	return ca
}

func (ca *testCA) write(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(ca.dir, name+".pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// issue makes a certificate, and gives "{cert: FILE, key: FILE}".
func (ca *testCA) issue(t testing.TB, names ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return "{cert: " + ca.write(t, names[0], "CERTIFICATE", der) + ", key: " + ca.write(t, names[0]+".key", "PRIVATE KEY", pkcs8) + "}"
}

// tlsClient makes a client that connects to addr whatever the name.
func tlsClient(t testing.TB, ca *testCA, addr string, h2 bool) *http.Client {
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: ca.pool}, ForceAttemptHTTP2: h2,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// TestTLS speaks HTTP/1.1 and HTTP/2 over TLS, with certificates by name.
func TestTLS(t *testing.T) {
	ca := newCA(t)
	server := serveTest(t, echoHead)
	p := start(t, `
		listeners:
		  name: web
		  address: 'mptcp@127.0.0.1:0'
		  tls: {certificates: [`+ca.issue(t, "a.example")+`, `+ca.issue(t, "b.example")+`]}
		  pool: web
		network: {single_path: true}
		routes:
		- {match: {sni: [b.example]}, respond: {body: by name}}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	for _, h2 := range []bool{false, true} {
		c := tlsClient(t, ca, p.addr, h2)
		for range 3 {
			resp, body := get(t, c, "https://a.example/x")
			if want := map[bool]int{false: 1, true: 2}[h2]; resp.ProtoMajor != want {
				t.Errorf("got HTTP/%d, want HTTP/%d", resp.ProtoMajor, want)
			}
			if !strings.Contains(body, "GET /x host=a.example\n") || !strings.Contains(body, "X-Forwarded-Proto: https\r\n") ||
				!strings.Contains(body, "X-Forwarded-For: 127.0.0.1\r\n") {
				t.Errorf("the server got:\n%s", body)
			}
		}
		wantBody(t, c, "https://b.example/", 200, "by name")
		_, body := get(t, c, "https://a.example/.well-known/multipath?format=json")
		var facts multipathFacts
		if err := json.Unmarshal([]byte(body), &facts); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{false: "http/1.1", true: "h2"}[h2]; facts.TLS != "TLS 1.3" || facts.Protocol != want || len(facts.Subflows) != 1 {
			t.Errorf("got %s", body)
		}
	}
	if n := p.engine.Open(); n > 4 {
		t.Errorf("%d connections and streams are open", n)
	}
	// Whoever speaks HTTP without TLS is told.
	c := dial(t, p.addr)
	if resp, body := ask(t, c, bufio.NewReader(c), "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); resp.StatusCode != 400 || !strings.Contains(body, "HTTPS") {
		t.Errorf("in the clear: got %d %q", resp.StatusCode, body)
	}
}

// TestTLSHandshakeTimeout ends connections that say nothing.
func TestTLSHandshakeTimeout(t *testing.T) {
	ca := newCA(t)
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', tls: {certificates: `+ca.issue(t, "a.example")+`}, pool: web}
		timeouts: {tls_handshake: 200ms}
		pools:
		  web: {backends: ['127.0.0.1:1']}`)
	c := dial(t, p.addr)
	begun := time.Now()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF || time.Since(begun) > patience {
		t.Errorf("got %v after %v, want EOF", err, time.Since(begun))
	}
	eventually(t, "the refusal to be counted", func() bool { return p.Snapshot().Totals.Refused["tls"] == 1 })
}

// TestReloadCertificate changes a certificate by a reload, while a connection
// goes on.
func TestReloadCertificate(t *testing.T) {
	ca := newCA(t)
	text := func(name string) string {
		return `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', tls: {certificates: ` + ca.issue(t, name, "site.example") + `}}
		routes: {respond: {body: ok}}`
	}
	p := start(t, text("first"))
	c := tlsClient(t, ca, p.addr, false)
	name := func(c *http.Client) string {
		resp, _ := get(t, c, "https://site.example/")
		return resp.TLS.PeerCertificates[0].Subject.CommonName
	}
	if got := name(c); got != "first" {
		t.Errorf("got %s", got)
	}
	if err := p.Reload(t.Context(), parse(t, text("second"))); err != nil {
		t.Fatal(err)
	}
	if got := name(c); got != "first" {
		t.Errorf("the connection did not go on: got %s", got)
	}
	if got := name(tlsClient(t, ca, p.addr, false)); got != "second" {
		t.Errorf("got %s", got)
	}
}

// TestHTTP2PriorKnowledge speaks HTTP/2 in the clear.
func TestHTTP2PriorKnowledge(t *testing.T) {
	server := serveTest(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Host", r.Host)
		w.Write(b)
	})
	p := start(t, `
		listeners:
		- {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		- {name: none, address: 'tcp@127.0.0.1:0', pool: web, http2: false}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: 10 * time.Second}
	big := strings.Repeat("0123456789", 100_000)
	for range 3 {
		resp, err := c.Post("http://"+p.addr+"/", "", strings.NewReader(big))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != big || resp.ProtoMajor != 2 || resp.Header.Get("X-Host") != p.addr {
			t.Errorf("got %d bytes by %s, %v", len(b), resp.Proto, err)
		}
	}
	if s := p.Snapshot(); len(s.Connections) != 1 || s.Connections[0].Protocol != "h2" || s.Connections[0].Requests != 3 {
		t.Errorf("got %+v", s.Connections)
	}
	if _, err := c.Get("http://" + p.hostPort(1) + "/"); err == nil {
		t.Error("HTTP/2 was spoken where it is off")
	}
	// GOAWAY at the end, and the request in work goes through.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestServerTLS speaks TLS with servers.
func TestServerTLS(t *testing.T) {
	ca := newCA(t)
	names := make(chan string, 100)
	serve := func(cert string, clients bool) string {
		var files struct{ cert, key string }
		cert = strings.Trim(cert, "{}")
		files.cert, files.key, _ = strings.Cut(strings.TrimPrefix(cert, "cert: "), ", key: ")
		pair, err := tls.LoadX509KeyPair(files.cert, files.key)
		if err != nil {
			t.Fatal(err)
		}
		s := newTestServer(func(w http.ResponseWriter, r *http.Request) {
			names <- r.TLS.ServerName
			who := "nobody"
			if len(r.TLS.PeerCertificates) > 0 {
				who = r.TLS.PeerCertificates[0].Subject.CommonName
			}
			io.WriteString(w, "hello "+who)
		})
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		if clients {
			s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool
		}
		s.Config.ErrorLog = nil
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	own := ca.issue(t, "proxy.example")
	server, picky := serve(ca.issue(t, "server.example", "other.example", "127.0.0.1"), false), serve(ca.issue(t, "picky.example"), true)
	caFile := filepath.Join(ca.dir, "ca.pem")
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0'}
		oneconnect: {default: {http_reuse: always}}
		routes:
		- {match: {path: /named}, pool: named}
		- {match: {path: /host}, pool: host}
		- {match: {path: /edited}, pool: host, host: other.example}
		- {match: {path: /strange}, pool: strange}
		- {match: {path: /any}, pool: any}
		- {match: {path: /own}, pool: own}
		pools:
		  named: {backends: ['`+server+`'], tls: {server_name: server.example, ca: `+caFile+`}, check: {type: http, interval: 1s}}
		  host: {backends: ['`+server+`'], tls: {ca: `+caFile+`}}
		  strange: {backends: ['`+server+`'], tls: {server_name: server.example}}
		  any: {backends: ['`+server+`'], tls: {verify: false}}
		  own: {backends: ['`+picky+`'], tls: {server_name: picky.example, ca: `+caFile+`, certificate: `+own+`}}`)
	if got := <-names; got != "server.example" {
		t.Errorf("the check named %q", got)
	}
	for _, tt := range []struct {
		host, path string
		status     int
		name       string // by SNI
		body       string
	}{
		{"x.example", "/named", 200, "server.example", "hello nobody"},
		{"server.example", "/host", 200, "server.example", "hello nobody"},
		{"other.example:80", "/host", 200, "other.example", "hello nobody"},
		{"Server.Example", "/host", 200, "server.example", "hello nobody"},
		{"x.example", "/edited", 200, "other.example", "hello nobody"},
		{"x.example", "/host", 502, "", ""}, // its certificate has no such name
		{"127.0.0.1", "/host", 200, "", "hello nobody"},
		{"x.example", "/strange", 502, "", ""},
		{"x.example", "/any", 200, "x.example", "hello nobody"},
		{"x.example", "/own", 200, "picky.example", "hello proxy.example"},
	} {
		for len(names) > 0 {
			<-names
		}
		req, _ := http.NewRequest("GET", "http://"+p.addr+tt.path, nil)
		req.Host = tt.host
		resp, body := do(t, client(t), req)
		if resp.StatusCode != tt.status || tt.status == 200 && body != tt.body {
			t.Errorf("%s%s: got %d %q, want %d %q", tt.host, tt.path, resp.StatusCode, body, tt.status, tt.body)
			continue
		}
		if tt.status == 200 {
			if got := <-names; got != tt.name {
				t.Errorf("%s%s: named %q, want %q", tt.host, tt.path, got, tt.name)
			}
		}
	}
}
