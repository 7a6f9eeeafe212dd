package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/braid-mptcp/braid/config"
)

// testAuthority is Pebble, the test server of Let's Encrypt. It connects to the
// names it is asked about, and finds all of them on this machine.
type testAuthority struct {
	*httptest.Server
	ca    config.File // that of its directory
	roots *x509.CertPool
}

func startAuthority(t *testing.T, httpPort, tlsPort int) *testAuthority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	log := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(log, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: 90 * 24 * 3600}})
	validation := va.New(log, httpPort, tlsPort, true, startDNS(t), store)
	front := wfe.New(log, store, validation, authority, []string{"pebble.letsencrypt.org"}, true, false, 1, 1)
	a := &testAuthority{Server: httptest.NewTLSServer(front.Handler()), roots: x509.NewCertPool()}
	t.Cleanup(a.Close)
	root, err := x509.ParseCertificate(authority.GetRootCert(0).DER)
	if err != nil {
		t.Fatal(err)
	}
	a.roots.AddCert(root)
	a.ca = config.File(filepath.Join(t.TempDir(), "directory.pem"))
	writeFile(t, string(a.ca), block("CERTIFICATE", a.Certificate().Raw))
	return a
}

// startDNS starts a name server that finds every name at 127.0.0.1.
func startDNS(t *testing.T) (addr string) {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for answerDNS(c) == nil {
				}
			}()
		}
	}()
	return l.Addr().String()
}

// answerDNS answers a query over TCP (RFC 7766 section 8).
func answerDNS(c net.Conn) error {
	length := make([]byte, 2)
	if _, err := io.ReadFull(c, length); err != nil {
		return err
	}
	query := make([]byte, binary.BigEndian.Uint16(length))
	if _, err := io.ReadFull(c, query); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return err
	}
	m.Response, m.Additionals = true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			})
		}
	}
	answer, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// nobody gives a port on which nobody listens.
func nobody(t *testing.T) int {
	l := listen(t)
	defer l.Close()
	return port(l)
}

// serveTLS shakes hands with everybody who comes.
func serveTLS(l net.Listener, c *tls.Config) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if tc := tls.Server(conn, c); tc.HandshakeContext(ctx) == nil {
				tc.Write([]byte{'x'})
			}
		}()
	}
}

// ask shakes hands with the server at l in the name of name.
func ask(l net.Listener, name string, roots *x509.CertPool) (*x509.Certificate, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", l.Addr().String(), &tls.Config{ServerName: name, RootCAs: roots})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

func TestACME(t *testing.T) {
	for _, way := range []string{"tls-alpn-01", "http-01"} {
		t.Run(way, func(t *testing.T) {
			front, plain := listen(t), listen(t)
			httpPort, tlsPort := nobody(t), port(front)
			if way == "http-01" {
				httpPort, tlsPort = port(plain), nobody(t)
			}
			authority := startAuthority(t, httpPort, tlsPort)
			dir := t.TempDir()
			private := newCA(t, "private")
			caFile := filepath.Join(dir, "clients.pem")
			writeFile(t, caFile, private.pem)
			c := &config.ServerTLS{
				ACME: &config.ACME{
					Domains:     []string{"a.braid.test", "B.braid.test"},
					Email:       "admin@braid.test",
					Directory:   authority.URL + wfe.DirectoryPath,
					CA:          authority.ca,
					Cache:       config.File(filepath.Join(dir, "cache")),
					AcceptTerms: true,
				},
				Certificates: []config.Certificate{private.write(t, dir, "file", ecdsaKey(t), "file.test")},
				// What clients have to show the authority has not.
				ClientAuth: config.ClientAuthRequest,
				ClientCA:   config.File(caFile),
			}
			text := &logText{}
			s := startServer(t, c, text)
			go serveTLS(front, s.Config())
			server := &http.Server{Handler: s.Challenge()}
			go server.Serve(plain)
			t.Cleanup(func() { server.Close() })

			// A client comes before the certificate was fetched.
			leaf, err := ask(front, "a.braid.test", authority.roots)
			if err != nil {
				t.Fatal(err)
			}
			if len(leaf.DNSNames) != 1 || leaf.DNSNames[0] != "a.braid.test" {
				t.Errorf("got a certificate for %q", leaf.DNSNames)
			}
			// The other name is fetched without anybody asking.
			eventually(t, "the other certificate", func() bool { return strings.Contains(text.String(), "name=b.braid.test") })
			authority.Close()
			if _, err := ask(front, "b.braid.test", authority.roots); err != nil {
				t.Errorf("the certificate that was fetched is not shown: %v", err)
			}
			// Names that are not ours, or for which there is a file.
			for _, name := range []string{"file.test", "c.braid.test", ""} {
				if got, _ := shown(t, s, name, nil); got != "file.test" {
					t.Errorf("%q gets the certificate of %s", name, got)
				}
			}
			wantChallenge(t, plain, "a.braid.test", http.StatusNotFound)
			wantChallenge(t, plain, "c.braid.test", http.StatusForbidden)
			// The cache serves the next start, and a successor keeps what is
			// in memory: the authority is not there any more.
			c.Certificates = nil
			next := startServer(t, c, &logText{})
			if got, _ := shown(t, next, "a.braid.test", nil); got != "a.braid.test" {
				t.Errorf("after a start got %s", got)
			}
			next.Continue(s)
			s.Close()
			if _, err := ask(front, "a.braid.test", authority.roots); err != nil {
				t.Errorf("the successor does not have it: %v", err)
			}
			if got, _ := shown(t, next, "", nil); got != "a.braid.test" {
				t.Errorf("without a name got %s, want the first domain's", got)
			}
			if _, err := ask(front, "c.braid.test", authority.roots); err == nil {
				t.Error("got a certificate for a name that is not ours")
			}
		})
	}
}

// wantChallenge asks for a token that there is not.
func wantChallenge(t *testing.T, l net.Listener, host string, want int) {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+l.Addr().String()+"/.well-known/acme-challenge/unknown", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("an unknown token at %s gets %d, want %d", host, resp.StatusCode, want)
	}
}

// TestACMEFailure says so: the library itself is silent.
func TestACMEFailure(t *testing.T) {
	text := &logText{}
	s := startServer(t, &config.ServerTLS{ACME: &config.ACME{
		Domains:     []string{"a.braid.test"},
		Directory:   "https://" + listenAndDrop(t) + "/dir",
		Cache:       config.File(t.TempDir()),
		AcceptTerms: true,
	}}, text)
	eventually(t, "a line about it", func() bool {
		return strings.Contains(text.String(), "no certificate by ACME") && strings.Contains(text.String(), "a.braid.test")
	})
	s.Close()
}

func listenAndDrop(t *testing.T) string {
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// TestContinueWhileServing changes Servers while clients shake hands.
func TestContinueWhileServing(t *testing.T) {
	ca := newCA(t, "ca")
	dir := t.TempDir()
	c := &config.ServerTLS{
		Certificates: []config.Certificate{ca.write(t, dir, "a", ecdsaKey(t), "a.test")},
		ACME: &config.ACME{
			Domains: []string{"b.test"}, Directory: "https://" + listenAndDrop(t) + "/dir",
			Cache: config.File(filepath.Join(dir, "cache")), AcceptTerms: true,
		},
	}
	s := startServer(t, c, &logText{})
	front := listen(t)
	go serveTLS(front, s.Config())
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, name := range []string{"a.test", "c.test"} {
				if _, err := ask(front, name, ca.pool); (err == nil) != (name == "a.test") {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}()
	for range 20 {
		next := startServer(t, c, &logText{})
		next.Continue(s)
		s.Close()
		if err := next.Reload(); err != nil {
			t.Error(err)
		}
		s = next
		time.Sleep(2 * time.Millisecond)
	}
	close(stop)
	<-stopped
}
