package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newCertificate gives a certificate and its key, PEM.
func newCertificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"example.org"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content ...[]byte) {
		t.Helper()
		var all []byte
		for _, c := range content {
			all = append(all, c...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), all, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := newCertificate(t)
	_, otherKey := newCertificate(t)
	write("cert.pem", cert)
	write("key.pem", key)
	write("both.pem", cert, key)
	write("other.key", otherKey)
	write("text", []byte("hello\n"))
	write("broken.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	for _, test := range []struct {
		listener, pool string
		want           string
	}{
		{"certificates: {cert: cert.pem, key: key.pem}", "", ""},
		{"certificates: {cert: both.pem}", "", ""},
		{"certificates: {cert: cert.pem, key: other.key}", "", "listeners[0].tls.certificates[0].key: tls: private key does not match public key"},
		{"certificates: {cert: cert.pem}", "", "listeners[0].tls.certificates[0].cert: tls: found a certificate rather than a key"},
		{"certificates: [{cert: both.pem}, {cert: none.pem}]", "", "listeners[0].tls.certificates[1].cert: " + dir + "/none.pem: no such file"},
		{"certificates: {cert: both.pem, key: none.pem}", "", "none.pem: no such file"},
		{"certificates: {cert: text}", "", "failed to find any PEM data"},
		{"{certificates: {cert: both.pem}, client_auth: require, client_ca: cert.pem}", "", ""},
		{"{certificates: {cert: both.pem}, client_auth: require, client_ca: text}", "", "client_ca: " + dir + "/text: not a PEM file"},
		{"{certificates: {cert: both.pem}, client_auth: require, client_ca: key.pem}", "", "no certificate in it"},
		{"{certificates: {cert: both.pem}, client_auth: require, client_ca: broken.pem}", "", "malformed certificate"},
		{"certificates: {cert: both.pem}", "ca: none.pem", "pools.web.tls.ca: "},
		{"certificates: {cert: both.pem}", "certificate: {cert: text}", "pools.web.tls.certificate.cert: "},
		{"certificates: {cert: both.pem}", "{ca: cert.pem, certificate: {cert: both.pem}}", ""},
	} {
		text := "listeners:\n  - address: ':443'\n    pool: web\n    tls:\n      " + test.listener +
			"\npools:\n  web:\n    backends: ['a:1']\n"
		if test.pool != "" {
			text += "    tls:\n      " + test.pool + "\n"
		}
		file := filepath.Join(dir, "braid.yaml")
		write("braid.yaml", []byte(text))
		_, err := Load(file)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s; %s: got %v", test.listener, test.pool, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s; %s: got %v, want %s", test.listener, test.pool, err, test.want)
		case test.want != "" && !strings.HasPrefix(err.Error(), file+":"):
			t.Errorf("%v has no position", err)
		}
	}
}

func TestFromFlags(t *testing.T) {
	for _, test := range []struct {
		listen, backends []string
		want             string // error, or what Print has to have, a comma between
	}{
		{[]string{"mptcp@:8080"}, []string{"http://127.0.0.1:3000"}, "mptcp@:8080,address: 127.0.0.1:3000,mode: http"},
		{[]string{":80", "tcp@:81"}, []string{"10.0.0.1:80", "10.0.0.2:80"}, "[':80', 'tcp@:81'],name: 10.0.0.2:80"},
		{[]string{":80"}, []string{"https://web.example.org/"}, "address: web.example.org:443,verify: true"},
		{[]string{":80"}, []string{"http://[2001:db8::1]"}, "'[2001:db8::1]:80'"},
		{[]string{":22"}, []string{"tcp://10.0.0.1:22"}, "mode: tcp"},
		{[]string{":22"}, []string{"mptcp@10.0.0.1:22"}, "address: mptcp@10.0.0.1:22"},
		{[]string{":22"}, []string{"tcp://10.0.0.1"}, `--backend: "10.0.0.1:": the port is not a number`},
		{[]string{"x"}, []string{"http://a/path", "ftp://b"}, `--listen: "x": want host:port`},
		{[]string{":80"}, []string{"http://a/path"}, `a backend has no path`},
		{[]string{":80"}, []string{"http://u:p@a"}, `a backend has no path and no user`},
		{[]string{":80"}, []string{"ftp://b"}, `unknown scheme; there are http, https, tcp`},
		{[]string{":80"}, []string{"http://a", "https://b"}, `one proxy cannot mix http and https`},
		{[]string{":80"}, nil, `flags: pools.web: needs backends, file or dns`},
		{nil, []string{"http://a"}, `flags: listeners[0]: has no address`},
		{[]string{":80"}, []string{"a:1", "a:1"}, `backends[0] has the same name "a:1"`},
		{[]string{":80"}, []string{"http://%zz"}, `invalid URL escape`},
	} {
		c, err := FromFlags(test.listen, test.backends)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = printed(t, c)
			if !same(parseOK(t, got), c) {
				t.Errorf("%v, %v: printed it means something else:\n%s", test.listen, test.backends, got)
			}
		}
		wants := []string{test.want}
		if err == nil {
			wants = strings.Split(strings.ReplaceAll(test.want, ", ", "\x00"), ",")
		}
		for _, want := range wants {
			if want = strings.ReplaceAll(want, "\x00", ", "); !strings.Contains(got, want) {
				t.Errorf("%v, %v: got %s, want %s", test.listen, test.backends, got, want)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.pem")
	for _, test := range []struct {
		flags Flags
		want  []string // of the error, or of what Print has to have
	}{
		{Flags{Mode: "tcp", Stack: "user", Interfaces: []string{"eth0"}, Endpoints: []string{"dev eth0 backup"}},
			[]string{"mode: tcp", "stack: user", "eth0", "dev eth0 backup"}},
		{Flags{Policy: "maglev", HTTPReuse: "always", Check: "/health", SendProxy: "v2"},
			[]string{"policy: maglev", "http_reuse: always", "path: /health", "type: http", "send_proxy: v2"}},
		{Flags{Check: "tcp"}, []string{"type: tcp"}},
		{Flags{Check: "tls"}, []string{"type: tls"}},
		{Flags{Admin: "127.0.0.1:9000", AccessLog: "json", LogFormat: "json", LogLevel: "debug"},
			[]string{"address: 127.0.0.1:9000", "level: debug", "format: json"}},
		{Flags{Mode: "htpt"}, []string{`--mode: "htpt" is not a value; did you mean "http"?`}},
		{Flags{Stack: "x"}, []string{`--stack: "x" is not a value; there are auto, kernel, plain, user`}},
		{Flags{Policy: "least-connections"}, []string{`did you mean "least_connections"?`}},
		{Flags{HTTPReuse: "alway"}, []string{`--http-reuse: `, `did you mean "always"?`}},
		{Flags{Check: "health"}, []string{`--check: "health" is neither a path`}},
		{Flags{SendProxy: "v3"}, []string{`--send-proxy: `}},
		{Flags{Admin: "9000"}, []string{`--admin: "9000": want host:port`}},
		{Flags{Admin: "mptcp@:9000"}, []string{`admin.address: is for plain TCP`}},
		{Flags{AccessLog: "apache"}, []string{`--access-log: `}},
		{Flags{LogFormat: "x"}, []string{`--log: `}},
		{Flags{LogLevel: "x"}, []string{`--log-level: `}},
		{Flags{TLSKey: missing}, []string{`--tls-key: needs --tls-cert`}},
		{Flags{TLSCert: missing}, []string{`tls.certificates[0].cert: ` + missing + `: no such file`}},
		{Flags{Policy: "x", Mode: "y"}, []string{"--mode", "--policy"}}, // all at once
	} {
		test.flags.Listen, test.flags.Backends = []string{":80"}, []string{"a:1"}
		c, err := test.flags.Config()
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = printed(t, c)
			if !same(parseOK(t, got), c) {
				t.Errorf("%+v: printed it means something else:\n%s", test.flags, got)
			}
		}
		for _, want := range test.want {
			if !strings.Contains(got, want) {
				t.Errorf("%+v: got %s, want %s", test.flags, got, want)
			}
		}
	}
}

// FuzzParse: whatever a file holds, there is an answer, and what is accepted
// means the same when it is printed.
func FuzzParse(f *testing.F) {
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	// By sections: the fuzzer is slow with long texts.
	section := ""
	for line := range strings.Lines(string(full) + "end:\n") {
		if line[0] >= 'a' && line[0] <= 'z' {
			f.Add(section)
			f.Add(good + section)
			section = ""
		}
		section += line
	}
	f.Add("listeners: [null, {tls: {certificates: [null]}}]\npools: {a: null}\nroutes: [null]\n")
	f.Add("a: &a [*a]\n<<: *a\n? {}\n: 1\n")
	f.Add("pools: {'': {}, 'a.b[0]': {backends: [{}]}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("braid.yaml", []byte(text))
		if err != nil {
			return
		}
		out := printed(t, c)
		again, err := Parse("braid.yaml", []byte(out))
		if err != nil {
			t.Fatalf("%v\nin\n%s\nprinted from\n%s", err, out, text)
		}
		if !same(c, again) {
			t.Errorf("printed it means something else:\n%s\nfrom\n%s", out, text)
		}
	})
}
