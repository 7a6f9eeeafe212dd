package proxy

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func TestTemplate(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "a": 1, "{": 1, "{}": 1, "{x}": 1, "{host": 1, "a{host}": 2, "{host}{path}": 2, "{{host}}": 3, `{"a":"{client}"}`: 3,
	} {
		got := newTemplate(text)
		fixed := want <= 1
		if len(got) != want || got.fixed() != fixed {
			t.Errorf("%q: %d parts, fixed %v; want %d, %v", text, len(got), got.fixed(), want, fixed)
		}
		if fixed && string(got.append(nil, nil)) != text {
			t.Errorf("%q: got %q", text, got.append(nil, nil))
		}
	}
}

// TestFilledFields has servers told about the client, over TLS with and without
// a certificate of its own. What the client claims in those fields is gone.
func TestFilledFields(t *testing.T) {
	ca := newCA(t)
	server := serveTest(t, echoHead)
	p := start(t, `
		network: {single_path: true}
		listeners:
		  name: web
		  address: 'mptcp@127.0.0.1:0'
		  tls: {certificates: `+ca.issue(t, "a.example")+`, client_auth: request, client_ca: `+filepath.Join(ca.dir, "ca.pem")+`}
		routes:
		- pool: web
		  strip_prefix: /x
		  request:
		    set: {x-real-ip: '{client}', x-subject: '{tls_client}', x-facts: '{scheme} {sni} {listener} {transport} {method} {uri} {no} {'}
		    add: {x-more: '{tls_version}'}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	ca.issue(t, "client")
	certificate, err := tls.LoadX509KeyPair(filepath.Join(ca.dir, "client.pem"), filepath.Join(ca.dir, "client.key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, certificates := range [][]tls.Certificate{nil, {certificate}} {
		c := tlsClient(t, ca, p.addr, certificates != nil)
		c.Transport.(*http.Transport).TLSClientConfig.Certificates = certificates
		req, err := http.NewRequest("GET", "https://a.example/x/y?z", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"X-Real-Ip", "X-Subject", "X-Facts"} {
			req.Header.Set(name, "forged")
		}
		req.Header.Set("X-More", "kept")
		_, body := do(t, c, req)
		for _, want := range []string{
			"GET /y?z ", "X-Real-Ip: 127.0.0.1\r\n", "X-Facts: https a.example web tcp GET /x/y?z {no} {\r\n",
			"X-More: kept\r\nX-More: TLS 1.3\r\n",
		} {
			if !strings.Contains(body, want) {
				t.Errorf("the server did not get %q in:\n%s", want, body)
			}
		}
		if want := certificates != nil; strings.Contains(body, "X-Subject: CN=client\r\n") != want || strings.Contains(body, "X-Subject") != want {
			t.Errorf("a certificate: %v; the server got:\n%s", want, body)
		}
		if strings.Contains(body, "forged") {
			t.Errorf("the server got what the client forged:\n%s", body)
		}
	}
}
