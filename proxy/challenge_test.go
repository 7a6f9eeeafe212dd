package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestChallenge answers authorities where there is no TLS, and leaves all other
// requests alone.
func TestChallenge(t *testing.T) {
	server := serveTest(t, named("server"))
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	url := "http://" + p.addr + challengePath + "token"
	wantBody(t, client(t), url, 200, "server")
	p.acme.Store(&challenges{
		http.NotFoundHandler(),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/token") || r.Host != p.addr {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "proof")
		}),
	})
	wantBody(t, client(t), url, 200, "proof")
	wantBody(t, client(t), url+"s", 200, "server")
	resp, err := http.Post(url, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n := server.requests.Load(); n != 3 {
		t.Errorf("the server got %d requests, want 3", n)
	}
}
