package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/braid-mptcp/braid/proxy/internal/conformance"
)

// FuzzRequest compares what we accept with net/http: it has to accept it too,
// and to see the same message; and what we forward has to be read by both as
// that message again.
func FuzzRequest(f *testing.F) {
	for _, c := range conformance.Cases() {
		f.Add([]byte(c.Send))
	}
	f.Add([]byte(browser))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Request
		done, err := r.Parse(b, &Limits{})
		compareCuts(t, b, done, err)
		if !done {
			return
		}
		if err != nil {
			t.Fatalf("%q: done with %v", b, err)
		}
		compareRequest(t, &r, b)
		again := r.AppendForward(nil, &RequestChange{})
		var second Request
		if done, err := second.Parse(again, &Limits{Line: 1 << 20, Head: 1 << 20, Fields: 1 << 15}); !done || err != nil {
			t.Fatalf("%q is forwarded as %q, which gives %v, %v", b, again, done, err)
		}
		if second.Body != r.Body || second.Method != r.Method || !bytes.Equal(second.Authority(), r.Authority()) {
			t.Fatalf("%q is forwarded as %q, which is something else", b, again)
		}
		compareRequest(t, &second, again)
		if third := second.AppendForward(nil, &RequestChange{}); second.Form != Authority && !bytes.Equal(third, again) {
			t.Fatalf("%q is forwarded as %q, and that as %q", b, again, third)
		}
	})
}

// compareCuts parses in two pieces, which must make no difference.
func compareCuts(t *testing.T, b []byte, done bool, err error) {
	if len(b) == 0 {
		return
	}
	cut := int(b[len(b)-1]) % len(b)
	var r Request
	first, ferr := r.Parse(b[:cut], &Limits{})
	if first || ferr != nil {
		if first != done || ferr != err && (ferr != ErrHeadLength && ferr != ErrTargetLength) {
			t.Fatalf("%q cut at %d: got %v, %v, in one piece %v, %v", b, cut, first, ferr, done, err)
		}
		return
	}
	if second, serr := r.Parse(b, &Limits{}); second != done || serr != err {
		t.Fatalf("%q cut at %d: got %v, %v, in one piece %v, %v", b, cut, second, serr, done, err)
	}
}

// compareRequest shows that net/http sees the request as we do.
func compareRequest(t *testing.T, r *Request, b []byte) {
	b = bytes.TrimPrefix(b, []byte("\r\n")) // net/http does not know of the empty line
	// It reads a field name that begins with a colon of CONNECT's target in
	// its own way, and wants no more than RFC 3986 allows in targets.
	std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		if strings.Contains(err.Error(), "parse ") || strings.Contains(err.Error(), "URI") {
			return // stricter about URLs
		}
		t.Fatalf("%q: net/http says %v", b, err)
	}
	want := Body{}
	switch {
	case len(std.TransferEncoding) == 1 && std.TransferEncoding[0] == "chunked":
		want = Body{Kind: ByChunks}
	case std.ContentLength > 0:
		want = Body{ByLength, std.ContentLength}
	}
	got := r.Body
	if got.Length == 0 && got.Kind == ByLength {
		got = Body{}
	}
	if got != want || string(r.MethodName()) != std.Method {
		t.Fatalf("%q: got %s with %v, net/http has %s with %v", b, r.MethodName(), got, std.Method, want)
	}
	if !strings.EqualFold(string(r.Authority()), std.Host) {
		t.Fatalf("%q: got host %q, net/http has %q", b, r.Authority(), std.Host)
	}
	for i := range r.Len() {
		name, value := r.Field(i)
		key := http.CanonicalHeaderKey(string(name))
		if key == "Host" || key == "Transfer-Encoding" || key == "Content-Length" || key == "Trailer" || key == "Pragma" || key == "Connection" {
			continue // net/http takes these out, or changes them
		}
		found := false
		for _, v := range std.Header[key] {
			found = found || v == string(value)
		}
		if !found {
			t.Fatalf("%q: got %s: %q, net/http has %q", b, name, value, std.Header[key])
		}
	}
}

// FuzzResponse is FuzzRequest for responses.
func FuzzResponse(f *testing.F) {
	for _, c := range conformance.Cases() {
		for _, s := range c.Server {
			f.Add([]byte(s.Answer), false)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, head bool) {
		method, name := GET, "GET"
		if head {
			method, name = HEAD, "HEAD"
		}
		var r Response
		done, err := r.Parse(b, &Limits{}, method)
		if !done {
			return
		}
		if err != nil {
			t.Fatalf("%q: done with %v", b, err)
		}
		std, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), &http.Request{Method: name})
		if err != nil {
			t.Fatalf("%q: net/http says %v", b, err)
		}
		if std.StatusCode != r.Status {
			t.Fatalf("%q: got %d, net/http has %d", b, r.Status, std.StatusCode)
		}
		chunked := len(std.TransferEncoding) > 0
		switch r.Body.Kind {
		case ByChunks:
			if !chunked {
				t.Fatalf("%q: got chunks, net/http has length %d", b, std.ContentLength)
			}
		case ByLength:
			if chunked || std.ContentLength != r.Body.Length {
				t.Fatalf("%q: got length %d, net/http has %d", b, r.Body.Length, std.ContentLength)
			}
		case ByClose:
			if chunked || std.ContentLength != -1 {
				t.Fatalf("%q: got the connection's end, net/http has length %d", b, std.ContentLength)
			}
		}
		again := r.AppendForward(nil, &ResponseChange{})
		var second Response
		if done, err := second.Parse(again, &Limits{Line: 1 << 20, Head: 1 << 20, Fields: 1 << 15}, method); !done || err != nil ||
			second.Status != r.Status || second.Body != r.Body {
			t.Fatalf("%q is forwarded as %q, which gives %v, %v", b, again, done, err)
		}
	})
}

// FuzzChunked compares with net/http: what we accept it accepts, with the same
// data and end, also in the canonical form; and cutting makes no difference.
func FuzzChunked(f *testing.F) {
	for _, tt := range chunkedBodies {
		f.Add(tt.body+"next", byte(3))
	}
	for _, c := range conformance.Cases() {
		if _, body, ok := strings.Cut(c.Send, "Transfer-Encoding: chunked\r\n\r\n"); ok {
			f.Add(body, byte(1))
		}
	}
	f.Fuzz(func(t *testing.T, body string, size byte) {
		var whole, cut Chunked
		decode := Chunked{Decode: true}
		lim := &Limits{}
		all := func() int { return len(body) }
		out, used, done, err := feedChunked(&whole, body, all, lim)
		out2, used2, done2, err2 := feedChunked(&cut, body, func() int { return 1 + int(size) }, lim)
		if done != done2 || done && (out != out2 || used != used2) || (err == nil) != (err2 == nil) {
			t.Fatalf("%q: got %q, %d, %v, %v, in pieces %q, %d, %v, %v", body, out, used, done, err, out2, used2, done2, err2)
		}
		if !done {
			return
		}
		if len(out) > used {
			t.Fatalf("%q: grew to %q", body, out)
		}
		data, _, _, _ := feedChunked(&decode, body, all, lim)
		if got, err := stdChunked(out); err != nil || got != data {
			t.Fatalf("%q: got data %q, net/http reads %q from %q, %v", body, data, got, out, err)
		}
		// Of what came it refuses some, as whitespace before an extension.
		if got, err := stdChunked(body[:used]); err == nil && got != data {
			t.Fatalf("%q: got data %q, net/http reads %q", body, data, got)
		}
	})
}

// stdChunked decodes with net/http, which has to use all of the body.
func stdChunked(body string) (data string, err error) {
	r := bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body))
	req, err := http.ReadRequest(r)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(req.Body)
	if err == nil && r.Buffered() > 0 {
		err = io.ErrShortBuffer
	}
	return string(b), err
}
