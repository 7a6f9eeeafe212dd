package http1

import (
	"bytes"
	"strings"
	"testing"
)

// browser is a request as browsers send it.
const browser = "GET /assets/app.js?v=20240501 HTTP/1.1\r\n" +
	"Host: www.example.com\r\n" +
	"Connection: keep-alive\r\n" +
	"sec-ch-ua: \"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n" +
	"sec-ch-ua-mobile: ?0\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n" +
	"sec-ch-ua-platform: \"Linux\"\r\n" +
	"Accept: */*\r\n" +
	"Sec-Fetch-Site: same-origin\r\n" +
	"Sec-Fetch-Mode: no-cors\r\n" +
	"Sec-Fetch-Dest: script\r\n" +
	"Referer: https://www.example.com/\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n" +
	"\r\n"

func TestRequestParts(t *testing.T) {
	type parts struct{ method, target, authority, path string }
	for _, tt := range []struct {
		head string
		want parts
		form Form
		body Body
		keep bool
	}{
		{"GET /a?b HTTP/1.1\r\nHost: x:1\r\n\r\n", parts{"GET", "/a?b", "x:1", "/a?b"}, Origin, Body{}, true},
		{"GET http://y?b HTTP/1.1\r\nHost: x\r\n\r\n", parts{"GET", "http://y?b", "y", "?b"}, Absolute, Body{}, true},
		{"GET http://y HTTP/1.1\r\nHost: x\r\n\r\n", parts{"GET", "http://y", "y", "/"}, Absolute, Body{}, true},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", parts{"OPTIONS", "*", "x", "*"}, Asterisk, Body{}, true},
		{"CONNECT y:1 HTTP/1.1\r\nHost: x\r\n\r\n", parts{"CONNECT", "y:1", "y:1", ""}, Authority, Body{}, true},
		{"PUT / HTTP/1.1\r\nHost: x\r\ncontent-LENGTH: 12\r\n\r\n", parts{"PUT", "/", "x", "/"}, Origin, Body{ByLength, 12}, true},
		{"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", parts{"PUT", "/", "x", "/"}, Origin, Body{ByChunks, 0}, false},
		{"GET / HTTP/1.0\r\n\r\n", parts{"GET", "/", "", "/"}, Origin, Body{}, false},
		{"GET / HTTP/1.0\r\nConnection: foo, Keep-Alive\r\n\r\n", parts{"GET", "/", "", "/"}, Origin, Body{}, true},
	} {
		var r Request
		done, err := r.Parse([]byte(tt.head), &Limits{})
		if !done || err != nil {
			t.Errorf("%q: got %v, %v", tt.head, done, err)
			continue
		}
		got := parts{string(r.MethodName()), string(r.Target()), string(r.Authority()), string(r.Path())}
		if got != tt.want || r.Form != tt.form || r.Body != tt.body || r.KeepAlive != tt.keep {
			t.Errorf("%q: got %q, form %d, body %v, keep-alive %v\nwant %q, %d, %v, %v",
				tt.head, got, r.Form, r.Body, r.KeepAlive, tt.want, tt.form, tt.body, tt.keep)
		}
		if r.HeadLen() != len(tt.head) {
			t.Errorf("%q: got length %d, want %d", tt.head, r.HeadLen(), len(tt.head))
		}
	}
}

func TestFields(t *testing.T) {
	var r Request
	head := "GET / HTTP/1.1\r\nhOst: x\r\nCOOKIE:  a=b \r\ncookie: c=d\r\nX-Own:\r\n\r\n"
	if done, err := r.Parse([]byte(head), &Limits{}); !done || err != nil {
		t.Fatalf("got %v, %v", done, err)
	}
	if v, ok := r.Known(Cookie); string(v) != "a=b" || !ok {
		t.Errorf("Known(Cookie): got %q, %v", v, ok)
	}
	if v, ok := r.Known(Via); v != nil || ok {
		t.Errorf("Known(Via): got %q, %v", v, ok)
	}
	if v, ok := r.Known(Other); v != nil || ok {
		t.Errorf("Known(Other): got %q, %v, want nothing", v, ok)
	}
	if v, ok := r.Get("x-own"); len(v) != 0 || !ok {
		t.Errorf("Get(x-own): got %q, %v", v, ok)
	}
	if _, ok := r.Get("x-other"); ok {
		t.Error("Get(x-other): got a value")
	}
	var got []string
	for i := range r.Len() {
		name, value := r.Field(i)
		got = append(got, string(name)+"="+string(value))
	}
	if want := "hOst=x COOKIE=a=b cookie=c=d X-Own="; strings.Join(got, " ") != want {
		t.Errorf("fields: got %q, want %q", got, want)
	}
}

func TestNames(t *testing.T) {
	for n := Other + 1; n < numNames; n++ {
		if got := nameOf([]byte(strings.ToUpper(n.String()))); got != n {
			t.Errorf("%s: got %v", n, got)
		}
	}
	for _, s := range []string{"", "hos", "hostt", "h@st", strings.Repeat("x", 100)} {
		if got := nameOf([]byte(s)); got != Other {
			t.Errorf("%q: got %v, want none", s, got)
		}
	}
}

// TestArrivingInPieces shows that it does not matter where a head is cut, nor
// that the buffer moves.
func TestArrivingInPieces(t *testing.T) {
	for cut := range len(browser) {
		var r Request
		if done, err := r.Parse([]byte(browser[:cut]), &Limits{}); done || err != nil {
			t.Fatalf("after %d bytes: got %v, %v", cut, done, err)
		}
		if done, err := r.Parse([]byte(browser+"next"), &Limits{}); !done || err != nil {
			t.Fatalf("cut after %d bytes: got %v, %v", cut, done, err)
		}
		cookie, _ := r.Known(Cookie)
		if r.Len() != 14 || r.HeadLen() != len(browser) || !bytes.HasPrefix(cookie, []byte("session=")) {
			t.Fatalf("cut after %d bytes: got %d fields, length %d, cookie %q", cut, r.Len(), r.HeadLen(), cookie)
		}
	}
	var r Request
	for n := range len(browser) + 1 {
		done, err := r.Parse([]byte(browser[:n]), &Limits{})
		if done != (n == len(browser)) || err != nil {
			t.Fatalf("byte by byte, after %d: got %v, %v", n, done, err)
		}
	}
}

func TestHeadLimits(t *testing.T) {
	lim := &Limits{Line: 30, Head: 60, Fields: 2}
	line := "GET /" + strings.Repeat("a", 16) + " HTTP/1.1" // 30 bytes
	for _, tt := range []struct {
		name, head string
		want       error
	}{
		{"line of the limit", line + "\r\nHost: x\r\n\r\n", nil},
		{"line too long", "GET /a" + line[5:] + "\r\nHost: x\r\n\r\n", ErrTargetLength},
		{"line too long without its end", "GET /a" + line[5:], ErrTargetLength},
		{"head of the limit", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 28) + "\r\n\r\n", nil},
		{"head too long", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 29) + "\r\n\r\n", ErrHeadLength},
		{"head too long without its end", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 34), ErrHeadLength},
		{"too many fields", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\n\r\n", ErrFields},
	} {
		var r Request
		done, err := r.Parse([]byte(tt.head), lim)
		if err != tt.want || done != (tt.want == nil) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, done, err, tt.want)
		}
	}
}

func TestResponseFraming(t *testing.T) {
	for _, tt := range []struct {
		head   string
		method Method
		want   Body
		keep   bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", GET, Body{ByLength, 5}, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HEAD, Body{}, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", GET, Body{ByChunks, 0}, true},
		{"HTTP/1.1 200 OK\r\n\r\n", GET, Body{ByClose, 0}, false},
		{"HTTP/1.1 200 OK\r\n\r\n", HEAD, Body{}, true},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", GET, Body{}, true},
		{"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", GET, Body{}, false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", GET, Body{ByLength, 5}, false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", GET, Body{ByLength, 5}, true},
		{"HTTP/1.1 101 Switching Protocols\r\n\r\n", GET, Body{ByProtocol, 0}, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", CONNECT, Body{ByProtocol, 0}, true},
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\n", CONNECT, Body{ByLength, 5}, true},
		{"HTTP/1.1 100 Continue\r\n\r\n", POST, Body{}, true},
	} {
		var r Response
		done, err := r.Parse([]byte(tt.head), &Limits{}, tt.method)
		if !done || err != nil || r.Body != tt.want || r.KeepAlive != tt.keep {
			t.Errorf("%q to %d: got %v, %v, %v, keep-alive %v, want %v, %v", tt.head, tt.method, done, err, r.Body, r.KeepAlive, tt.want, tt.keep)
		}
	}
}

// TestControlCharacters tries every byte in every place of a value, since they
// are looked at eight at a time.
func TestControlCharacters(t *testing.T) {
	for n := 1; n < 20; n++ {
		for at := range n {
			for b := range 256 {
				s := bytes.Repeat([]byte{'a'}, n)
				s[at] = byte(b)
				want := b >= ' ' && b != 0x7f || b == '\t'
				if got := isFieldValue(s); got != want {
					t.Fatalf("%q: got %v, want %v", s, got, want)
				}
			}
		}
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	var (
		r    Request
		resp Response
		lim  Limits
		out  = make([]byte, 0, 4096)
		b    = []byte(browser)
		ok   = []byte("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n")
	)
	r.Parse(b, &lim) // room for the fields
	resp.Parse(ok, &lim, GET)
	n := testing.AllocsPerRun(100, func() {
		r.Reset()
		r.Parse(b, &lim)
		out = r.AppendForward(out[:0], &RequestChange{})
		resp.Reset()
		resp.Parse(ok, &lim, GET)
		out = resp.AppendForward(out[:0], &ResponseChange{})
	})
	if n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bb := range []struct{ name, head string }{
		{"wrk", "GET / HTTP/1.1\r\nHost: 127.0.0.1:9100\r\n\r\n"},
		{"browser", browser},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var r Request
			var lim Limits
			head := []byte(bb.head)
			b.SetBytes(int64(len(head)))
			for b.Loop() {
				r.Reset()
				if done, _ := r.Parse(head, &lim); !done {
					b.Fatal("not done")
				}
			}
		})
	}
}

func BenchmarkForward(b *testing.B) {
	head := []byte(browser)
	var r Request
	var lim Limits
	out := make([]byte, 0, 4096)
	for b.Loop() {
		r.Reset()
		r.Parse(head, &lim)
		out = r.AppendForward(out[:0], &RequestChange{})
	}
}
