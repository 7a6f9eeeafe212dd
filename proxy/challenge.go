package proxy

import (
	"bytes"
	"net/http"
	"net/url"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// challengePath is where an ACME authority asks whether a name is ours (RFC 8555
// section 8.3).
const challengePath = "/.well-known/acme-challenge/"

// challenges answers the authorities of all listeners, at those without TLS,
// where authorities ask.
type challenges []http.Handler

// challenges finds who has something to answer.
func (next *plan) challenges() *challenges {
	var all challenges
	for _, s := range next.certs {
		if h := s.Challenge(); h != nil {
			all = append(all, h)
		}
	}
	return &all
}

// answer answers a request, if it is an authority's, and somebody knows the
// answer.
func (c *challenges) answer(x *http1.Exchange) bool {
	if len(*c) == 0 || x.Request.Method != http1.GET || !bytes.HasPrefix(x.Request.Path(), []byte(challengePath)) {
		return false
	}
	u, err := url.ParseRequestURI(string(x.Request.Path()))
	if err != nil {
		return false
	}
	r := &http.Request{
		Method: http.MethodGet, URL: u, Host: string(x.Request.Authority()), Header: make(http.Header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: x.Client.String(),
	}
	r = r.WithContext(x.Context())
	for _, h := range *c {
		w := &memoryResponse{header: make(http.Header), status: http.StatusOK}
		if h.ServeHTTP(w, r); w.status == http.StatusOK {
			x.Reply(w.status, w.header.Get("Content-Type"), w.body.Bytes())
			return true
		}
	}
	return false
}

// memoryResponse keeps a response.
type memoryResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *memoryResponse) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *memoryResponse) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *memoryResponse) Write(b []byte) (int, error) { return w.body.Write(b) }
