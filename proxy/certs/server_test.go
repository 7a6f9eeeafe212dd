package certs

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/config"
)

func TestSelection(t *testing.T) {
	ca := newCA(t, "ca")
	dir := t.TempDir()
	s := startServer(t, &config.ServerTLS{Certificates: []config.Certificate{
		ca.write(t, dir, "default", ecdsaKey(t), "default.test", "other.test"),
		ca.write(t, dir, "wild", ecdsaKey(t), "*.wild.test"),
		ca.write(t, dir, "exact", ecdsaKey(t), "exact.wild.test", "UPPER.test"),
	}}, &logText{})
	for _, tt := range []struct{ ask, want string }{
		{"default.test", "default.test"},
		{"other.test", "default.test"},
		{"a.wild.test", "*.wild.test"},
		{"A.WILD.test", "*.wild.test"},
		{"exact.wild.test", "exact.wild.test"},
		{"upper.test", "exact.wild.test"},
		{"a.b.wild.test", "default.test"},
		{"wild.test", "default.test"},
		{"unknown.test", "default.test"},
		{"", "default.test"},
	} {
		if got, _ := shown(t, s, tt.ask, nil); got != tt.want {
			t.Errorf("asked for %q: got the certificate of %q, want %q", tt.ask, got, tt.want)
		}
	}
}

// TestKeyKinds has two certificates for one name, of which each client gets the
// one it can use.
func TestKeyKinds(t *testing.T) {
	ca := newCA(t, "ca")
	dir := t.TempDir()
	s := startServer(t, &config.ServerTLS{Certificates: []config.Certificate{
		ca.write(t, dir, "ecdsa", ecdsaKey(t), "a.test"),
		ca.write(t, dir, "rsa", rsaKey(), "a.test"),
	}}, &logText{})
	suites := map[x509.PublicKeyAlgorithm]uint16{
		x509.ECDSA: tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		x509.RSA:   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	}
	for _, name := range []string{"a.test", "unknown.test", ""} {
		for want, suite := range suites {
			state, err := handshake(t, s.Config(), &tls.Config{
				ServerName: name, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite},
			})
			if err != nil {
				t.Fatalf("%q, %v: %v", name, want, err)
			}
			if got := state.PeerCertificates[0].PublicKeyAlgorithm; got != want {
				t.Errorf("%q: got a key of kind %v, want %v", name, got, want)
			}
		}
	}
}

func TestVersionsAndProtocols(t *testing.T) {
	ca := newCA(t, "ca")
	cert := ca.write(t, t.TempDir(), "a", ecdsaKey(t), "a.test")
	for _, tt := range []struct {
		name  string
		c     config.ServerTLS
		mode  config.Mode
		http2 bool
		most  uint16 // of the client's versions
		offer []string
		want  string
		fails bool
	}{
		{name: "TLS 1.2", mode: config.ModeHTTP, most: tls.VersionTLS12},
		{name: "TLS 1.1", mode: config.ModeHTTP, most: tls.VersionTLS11, fails: true},
		{name: "TLS 1.2 where 1.3 is the least", c: config.ServerTLS{MinVersion: "1.3"}, most: tls.VersionTLS12, fails: true},
		{name: "TLS 1.3 where it is the least", c: config.ServerTLS{MinVersion: "1.3"}, most: tls.VersionTLS13},
		{name: "h2", mode: config.ModeHTTP, http2: true, offer: []string{"http/1.1", "h2"}, want: "h2"},
		{name: "no h2", mode: config.ModeHTTP, offer: []string{"h2", "http/1.1"}, want: "http/1.1"},
		{name: "no ALPN", mode: config.ModeHTTP, http2: true},
		{name: "nothing in common", mode: config.ModeHTTP, http2: true, offer: []string{"imap"}, fails: true},
		{name: "mode tcp", mode: config.ModeTCP, http2: true, offer: []string{"imap"}},
		{name: "own", c: config.ServerTLS{ALPN: []string{"imap"}}, mode: config.ModeTCP, offer: []string{"imap"}, want: "imap"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.Certificates = []config.Certificate{cert}
			s, err := NewServer(&tt.c, tt.mode, tt.http2, (&logText{}).logger())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			state, err := handshake(t, s.Config(), &tls.Config{
				InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tt.most, NextProtos: tt.offer,
			})
			if (err != nil) != tt.fails {
				t.Fatalf("got %v, want failure: %v", err, tt.fails)
			}
			if state.NegotiatedProtocol != tt.want {
				t.Errorf("got protocol %q, want %q", state.NegotiatedProtocol, tt.want)
			}
		})
	}
}

func TestClientAuth(t *testing.T) {
	ca, other := newCA(t, "ca"), newCA(t, "other")
	dir := t.TempDir()
	cert := ca.write(t, dir, "a", ecdsaKey(t), "a.test")
	caFile := filepath.Join(dir, "ca.pem")
	writeFile(t, caFile, ca.pem)
	pair := func(ca *testCA) []tls.Certificate {
		c, err := tls.X509KeyPair(ca.issue(t, ecdsaKey(t), time.Hour*2, "client"))
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{c}
	}
	none, good, bad := []tls.Certificate(nil), pair(ca), pair(other)
	for _, tt := range []struct {
		name string
		auth config.ClientAuth
		show []tls.Certificate
		ok   bool
	}{
		{"none, none shown", config.ClientAuthNone, none, true},
		{"none, foreign one shown", config.ClientAuthNone, bad, true},
		{"request, none shown", config.ClientAuthRequest, none, true},
		{"request, good one shown", config.ClientAuthRequest, good, true},
		{"request, foreign one shown", config.ClientAuthRequest, bad, false},
		{"require, none shown", config.ClientAuthRequire, none, false},
		{"require, good one shown", config.ClientAuthRequire, good, true},
		{"require, foreign one shown", config.ClientAuthRequire, bad, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &config.ServerTLS{Certificates: []config.Certificate{cert}, ClientAuth: tt.auth}
			if tt.auth != config.ClientAuthNone {
				c.ClientCA = config.File(caFile)
			}
			s := startServer(t, c, &logText{})
			// The client is asked in the name of ca, but shows what it likes.
			_, err := handshake(t, s.Config(), &tls.Config{
				InsecureSkipVerify: true,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if tt.show == nil {
						return &tls.Certificate{}, nil
					}
					return &tt.show[0], nil
				},
			})
			if (err == nil) != tt.ok {
				t.Errorf("got %v, want success: %v", err, tt.ok)
			}
		})
	}
}

// TestClientCAReload takes an authority away: its clients are refused from then
// on, even if they come with a ticket from before.
func TestClientCAReload(t *testing.T) {
	ca, other := newCA(t, "ca"), newCA(t, "other")
	dir := t.TempDir()
	caFile := filepath.Join(dir, "ca.pem")
	writeFile(t, caFile, ca.pem)
	s := startServer(t, &config.ServerTLS{
		Certificates: []config.Certificate{ca.write(t, dir, "a", ecdsaKey(t), "a.test")},
		ClientAuth:   config.ClientAuthRequire,
		ClientCA:     config.File(caFile),
	}, &logText{})
	pair, err := tls.X509KeyPair(ca.issue(t, ecdsaKey(t), 2*time.Hour, "client"))
	if err != nil {
		t.Fatal(err)
	}
	client := &tls.Config{
		ServerName: "a.test", RootCAs: ca.pool, ClientSessionCache: tls.NewLRUClientSessionCache(1),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
	}
	for _, want := range []bool{false, true} {
		state, err := handshake(t, s.Config(), client)
		if err != nil || state.DidResume != want {
			t.Fatalf("got resumption %v, %v, want %v", state.DidResume, err, want)
		}
	}
	writeFile(t, caFile, other.pem)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(t, s.Config(), client); err == nil {
		t.Error("a client of an authority that is gone was let in")
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	ca := newCA(t, "ca")
	dir := t.TempDir()
	good := ca.write(t, dir, "good", ecdsaKey(t), "a.test")
	other := ca.write(t, dir, "other", ecdsaKey(t), "a.test")
	junk := filepath.Join(dir, "junk.pem")
	writeFile(t, junk, []byte("junk"))
	missing := config.File(filepath.Join(dir, "missing.pem"))
	for _, tt := range []struct {
		name string
		c    config.ServerTLS
		want []string
	}{
		{"missing", config.ServerTLS{Certificates: []config.Certificate{{Cert: missing}}}, []string{"missing.pem", "no such file"}},
		{"missing key", config.ServerTLS{Certificates: []config.Certificate{{Cert: good.Cert, Key: missing}}}, []string{"missing.pem"}},
		{"junk", config.ServerTLS{Certificates: []config.Certificate{{Cert: config.File(junk)}}}, []string{"junk.pem"}},
		{"another's key", config.ServerTLS{Certificates: []config.Certificate{{Cert: good.Cert, Key: other.Key}}}, []string{"good.crt", "other.key", "match"}},
		{"no key", config.ServerTLS{Certificates: []config.Certificate{{Cert: good.Cert}}}, []string{"good.crt"}},
		{"junk authorities", config.ServerTLS{Certificates: []config.Certificate{good}, ClientCA: config.File(junk)}, []string{"junk.pem"}},
		{"nothing", config.ServerTLS{}, []string{"neither"}},
	} {
		s, err := NewServer(&tt.c, config.ModeHTTP, true, (&logText{}).logger())
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", tt.name)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want %q in it", tt.name, err, want)
			}
		}
	}
}

func TestOneFile(t *testing.T) {
	ca := newCA(t, "ca")
	path := filepath.Join(t.TempDir(), "both.pem")
	certPEM, keyPEM := ca.issue(t, ecdsaKey(t), 2*time.Hour, "a.test")
	for _, b := range [][]byte{slices.Concat(certPEM, keyPEM), slices.Concat(keyPEM, certPEM)} {
		writeFile(t, path, b)
		s := startServer(t, &config.ServerTLS{Certificates: []config.Certificate{{Cert: config.File(path)}}}, &logText{})
		if got, _ := shown(t, s, "a.test", nil); got != "a.test" {
			t.Errorf("got the certificate of %q", got)
		}
	}
}

func TestExpiryIsSaid(t *testing.T) {
	ca := newCA(t, "ca")
	path := filepath.Join(t.TempDir(), "both.pem")
	for _, tt := range []struct {
		valid time.Duration
		want  string
	}{
		{30 * time.Minute, "has expired"},
		{5 * 24 * time.Hour, "expires soon"},
		{60 * 24 * time.Hour, ""},
	} {
		writeFile(t, path, slices.Concat(ca.issue(t, ecdsaKey(t), tt.valid, "a.test")))
		certPEM, keyPEM := ca.issue(t, ecdsaKey(t), tt.valid, "a.test")
		writeFile(t, path, slices.Concat(certPEM, keyPEM))
		log := &logText{}
		startServer(t, &config.ServerTLS{Certificates: []config.Certificate{{Cert: config.File(path)}}}, log)
		if got := log.String(); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("valid for %v: log %q, want %q", tt.valid, got, tt.want)
		}
	}
}

// TestReload changes files in the ways in which tools do so, and expects the
// new certificate to be found without being told.
func TestReload(t *testing.T) {
	ca := newCA(t, "ca")
	old, oldKey := ca.issue(t, ecdsaKey(t), 1000*time.Hour, "old.test")
	fresh, freshKey := ca.issue(t, ecdsaKey(t), 1000*time.Hour, "fresh.test")
	link := func(t *testing.T, target, path string) {
		t.Helper()
		if err := os.Symlink(target, path+".tmp"); err != nil {
			t.Skip(err)
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			t.Fatal(err)
		}
	}
	mkdir := func(t *testing.T, dir string, cert, key []byte) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "tls.crt"), cert)
		writeFile(t, filepath.Join(dir, "tls.key"), key)
	}
	for _, tt := range []struct {
		name  string
		build func(t *testing.T, dir string) (at string)
		swap  func(t *testing.T, dir string)
	}{
		{"written over", func(t *testing.T, dir string) string {
			mkdir(t, dir, old, oldKey)
			return dir
		}, func(t *testing.T, dir string) {
			writeFile(t, filepath.Join(dir, "tls.key"), freshKey)
			time.Sleep(20 * time.Millisecond)
			writeFile(t, filepath.Join(dir, "tls.crt"), fresh)
		}},
		{"renamed into place", func(t *testing.T, dir string) string {
			mkdir(t, dir, old, oldKey)
			return dir
		}, func(t *testing.T, dir string) {
			mkdir(t, filepath.Join(dir, "tmp"), fresh, freshKey)
			for _, name := range []string{"tls.key", "tls.crt"} {
				if err := os.Rename(filepath.Join(dir, "tmp", name), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"as Kubernetes does", func(t *testing.T, dir string) string {
			mkdir(t, filepath.Join(dir, "..1"), old, oldKey)
			link(t, "..1", filepath.Join(dir, "..data"))
			link(t, "..data/tls.crt", filepath.Join(dir, "tls.crt"))
			link(t, "..data/tls.key", filepath.Join(dir, "tls.key"))
			return dir
		}, func(t *testing.T, dir string) {
			mkdir(t, filepath.Join(dir, "..2"), fresh, freshKey)
			link(t, "..2", filepath.Join(dir, "..data"))
			os.RemoveAll(filepath.Join(dir, "..1"))
		}},
		{"as certbot does", func(t *testing.T, dir string) string {
			mkdir(t, filepath.Join(dir, "archive1"), old, oldKey)
			live := filepath.Join(dir, "live")
			os.Mkdir(live, 0o700)
			link(t, "../archive1/tls.crt", filepath.Join(live, "tls.crt"))
			link(t, "../archive1/tls.key", filepath.Join(live, "tls.key"))
			return live
		}, func(t *testing.T, dir string) {
			mkdir(t, filepath.Join(dir, "archive2"), fresh, freshKey)
			link(t, "../archive2/tls.key", filepath.Join(dir, "live", "tls.key"))
			link(t, "../archive2/tls.crt", filepath.Join(dir, "live", "tls.crt"))
		}},
		{"behind a link elsewhere", func(t *testing.T, dir string) string {
			mkdir(t, filepath.Join(dir, "there"), old, oldKey)
			link(t, filepath.Join(dir, "there"), filepath.Join(dir, "here"))
			return filepath.Join(dir, "here")
		}, func(t *testing.T, dir string) {
			mkdir(t, filepath.Join(dir, "there"), fresh, freshKey)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			at := tt.build(t, dir)
			log := &logText{}
			s := startServer(t, &config.ServerTLS{Certificates: []config.Certificate{{
				Cert: config.File(filepath.Join(at, "tls.crt")), Key: config.File(filepath.Join(at, "tls.key")),
			}}}, log)
			if got, _ := shown(t, s, "", nil); got != "old.test" {
				t.Fatalf("got %q before", got)
			}
			tt.swap(t, dir)
			eventually(t, "the new certificate", func() bool {
				got, _ := shown(t, s, "", nil)
				return got == "fresh.test"
			})
			if !strings.Contains(log.String(), "fresh.test") {
				t.Errorf("log says %q", log)
			}
			// And again, now that what is watched has changed.
			writeFile(t, filepath.Join(at, "tls.key"), oldKey)
			writeFile(t, filepath.Join(at, "tls.crt"), old)
			eventually(t, "the old certificate again", func() bool {
				got, _ := shown(t, s, "", nil)
				return got == "old.test"
			})
		})
	}
}

func TestBrokenFileKeepsTheOld(t *testing.T) {
	ca := newCA(t, "ca")
	dir := t.TempDir()
	cert := ca.write(t, dir, "a", ecdsaKey(t), "a.test")
	log := &logText{}
	s := startServer(t, &config.ServerTLS{Certificates: []config.Certificate{cert}}, log)
	_, before := shown(t, s, "", nil)
	good, err := os.ReadFile(string(cert.Cert))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, string(cert.Cert), good[:len(good)/2])
	eventually(t, "an error in the log", func() bool { return strings.Contains(log.String(), "level=ERROR") })
	if got := log.String(); !strings.Contains(got, "a.crt") || !strings.Contains(got, "stay as they were") {
		t.Errorf("log does not say what happened: %s", got)
	}
	if _, got := shown(t, s, "", nil); got != before {
		t.Errorf("got certificate %d, want the old one %d", got, before)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "a.crt") {
		t.Errorf("Reload: %v, want an error with the file's name", err)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("said %d times, want once", n)
	}
	writeFile(t, string(cert.Cert), good)
	eventually(t, "the all-clear", func() bool { return strings.Contains(log.String(), "in order again") })
}

// TestTickets resumes sessions over a change of files, and over a change of
// Servers that continue each other.
func TestTickets(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ca := newCA(t, "ca")
		dir := t.TempDir()
		c := &config.ServerTLS{Certificates: []config.Certificate{ca.write(t, dir, "a", ecdsaKey(t), "a.test")}}
		s := startServer(t, c, &logText{})
		client := &tls.Config{ServerName: "a.test", RootCAs: ca.pool, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		resumed := func(what string, config *tls.Config, want bool) {
			t.Helper()
			state, err := handshake(t, config, client)
			if err != nil || state.DidResume != want {
				t.Fatalf("%s: resumed %v, %v, want %v", what, state.DidResume, err, want)
			}
		}
		held := s.Config()
		resumed("first", s.Config(), false)
		resumed("second", s.Config(), true)
		ca.write(t, dir, "a", ecdsaKey(t), "a.test")
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		resumed("after new files", s.Config(), true)

		stranger := startServer(t, c, &logText{})
		resumed("another server", stranger.Config(), false)
		resumed("back", s.Config(), false)
		next := startServer(t, c, &logText{})
		next.Continue(s)
		s.Close()
		resumed("successor", next.Config(), true)
		resumed("the Config of before", held, true)
	}
}

func TestContinueTakesOver(t *testing.T) {
	ca := newCA(t, "ca")
	dir := t.TempDir()
	s := startServer(t, &config.ServerTLS{Certificates: []config.Certificate{ca.write(t, dir, "a", ecdsaKey(t), "a.test")}}, &logText{})
	next := startServer(t, &config.ServerTLS{Certificates: []config.Certificate{ca.write(t, dir, "b", ecdsaKey(t), "b.test")}}, &logText{})
	next.Continue(s)
	if got, _ := shown(t, s, "", nil); got != "b.test" {
		t.Errorf("the old Config shows %q, want b.test", got)
	}
}

func TestClient(t *testing.T) {
	ca, other := newCA(t, "ca"), newCA(t, "other")
	dir := t.TempDir()
	caFile, otherFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "other.pem")
	writeFile(t, caFile, ca.pem)
	writeFile(t, otherFile, other.pem)
	s := startServer(t, &config.ServerTLS{
		Certificates: []config.Certificate{ca.write(t, dir, "a", ecdsaKey(t), "a.test")},
		ClientAuth:   config.ClientAuthRequire,
		ClientCA:     config.File(caFile),
	}, &logText{})
	mine := ca.write(t, dir, "client", ecdsaKey(t), "client")
	for _, tt := range []struct {
		name string
		c    config.ClientTLS
		host string // set by the caller if c has none
		ok   bool
	}{
		{"good", config.ClientTLS{CA: config.File(caFile), Verify: true, Certificate: &mine}, "a.test", true},
		{"name from the configuration", config.ClientTLS{CA: config.File(caFile), Verify: true, Certificate: &mine, ServerName: "a.test"}, "", true},
		{"another name", config.ClientTLS{CA: config.File(caFile), Verify: true, Certificate: &mine}, "b.test", false},
		{"another authority", config.ClientTLS{CA: config.File(otherFile), Verify: true, Certificate: &mine}, "a.test", false},
		{"not verified", config.ClientTLS{CA: config.File(otherFile), Certificate: &mine}, "b.test", true},
		{"no certificate", config.ClientTLS{CA: config.File(caFile), Verify: true}, "a.test", false},
		{"TLS 1.3", config.ClientTLS{CA: config.File(caFile), Verify: true, Certificate: &mine, MinVersion: "1.3"}, "a.test", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, err := Client(&tt.c)
			if err != nil {
				t.Fatal(err)
			}
			if tt.c.ServerName == "" {
				client = client.Clone()
				client.ServerName = tt.host
			}
			if _, err := handshake(t, s.Config(), client); (err == nil) != tt.ok {
				t.Errorf("got %v, want success: %v", err, tt.ok)
			}
		})
	}
	for _, c := range []config.ClientTLS{{CA: "missing.pem"}, {Certificate: &config.Certificate{Cert: "missing.pem"}}} {
		if _, err := Client(&c); err == nil || !strings.Contains(err.Error(), "missing.pem") {
			t.Errorf("got %v, want an error with the file's name", err)
		}
	}
}
