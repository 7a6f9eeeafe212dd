package proxy

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"testing"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/kernel"
)

// TestWellKnown asks over both protocols whether it is Multipath TCP.
func TestWellKnown(t *testing.T) {
	server := serveTest(t, named("server"))
	p := start(t, `
		network: {single_path: true}
		listeners: {name: web, address: 'mptcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	n, err := braid.Open(context.Background(), braid.OpenConfig{SinglePath: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	multi := client(t)
	multi.Transport.(*http.Transport).DialContext = n.DialContext
	plain := client(t)
	plain.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{}
		d.SetMultipathTCP(false)
		return d.DialContext(ctx, network, address)
	}
	url := "http://" + p.addr + "/.well-known/multipath"
	for _, tt := range []struct {
		c    *http.Client
		uses bool
	}{{multi, kernel.Supported() == nil}, {plain, false}} {
		text, fallback := notUsingMPTCP, "not_offered"
		if tt.uses {
			text, fallback = usingMPTCP, ""
		}
		if kernel.Supported() != nil {
			fallback = ""
		}
		wantBody(t, tt.c, url, 200, text)
		for _, ask := range []string{url + "?format=json", url} {
			req, _ := http.NewRequest("GET", ask, nil)
			if ask == url {
				req.Header.Set("Accept", "text/html;q=0.5, application/json")
			}
			resp, body := do(t, tt.c, req)
			var facts multipathFacts
			if err := json.Unmarshal([]byte(body), &facts); err != nil {
				t.Fatalf("%v in %s", err, body)
			}
			if resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("header: %v", resp.Header)
			}
			if facts.Multipath != tt.uses || facts.Fallback != fallback || (facts.Version == 1) != tt.uses || facts.Protocol != "http/1.1" {
				t.Errorf("uses MPTCP %v: got %s", tt.uses, body)
			}
			if len(facts.Subflows) != 1 || facts.Subflows[0].BytesIn == 0 || facts.Subflows[0].Local.String() != p.addr {
				t.Errorf("subflows: got %s", body)
			}
		}
	}
	resp, err := plain.Post(url, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if server.requests.Load() != 1 {
		t.Error("a POST did not go to the server")
	}
	off := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		well_known: false
		pools:
		  web: {backends: [`+server.addr+`]}`)
	wantBody(t, client(t), "http://"+off.addr+"/.well-known/multipath", 200, "server")
}
