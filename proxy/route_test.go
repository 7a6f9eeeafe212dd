package proxy

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// echoHead answers with what came: the request line, then the fields.
func echoHead(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s host=%s\n", r.Method, r.RequestURI, r.Host)
	r.Header.Write(w)
}

// TestRouting compares where requests go with where they should.
func TestRouting(t *testing.T) {
	pools := "pools:\n"
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "last"} {
		pools += "  " + name + ": {backends: [" + serveTest(t, named(name)).addr + "]}\n"
	}
	p := start(t, `
		listeners:
		- {name: one, address: 'tcp@127.0.0.1:0', pool: last}
		- {name: two, address: 'tcp@127.0.0.1:0'}
		routes:
		- {match: {host: [a.example, A2.example.], path: ['/api/*', /login]}, pool: a}
		- {match: {host: ['*.b.example'], method: [POST, PURGE]}, pool: b}
		- {match: {host: ['*.deep.b.example']}, pool: c}
		- {match: {host: ['*.b.example']}, pool: d}
		- {match: {header: {X-Kind: 'gold*'}}, pool: e}
		- {match: {header: {X-Any: '*', x-other: exact}}, pool: f}
		- {match: {listener: [two], client: [127.0.0.0/8]}, pool: g}
		- {match: {path: ['/secret/*'], client: [192.0.2.1]}, pool: h}
		- {match: {host: [a.example]}, pool: h}
		`+pools)
	type fields map[string]string
	for _, tt := range []struct {
		listener             int
		method, host, target string
		fields               fields
		want                 string // the pool, or the status
	}{
		{0, "GET", "a.example", "/api/x", nil, "a"},
		{0, "GET", "A.Example:8080", "/api/", nil, "a"},
		{0, "GET", "a2.example", "/login?next=/", nil, "a"},
		{0, "GET", "a2.example.", "/login", nil, "a"},
		{0, "GET", "a.example", "/api", nil, "h"}, // not below /api/
		{0, "GET", "a.example", "/logins", nil, "h"},
		{0, "GET", "a2.example", "/logins", nil, "last"},
		{0, "GET", "a.example", "/x/../api/y", nil, "a"},
		{0, "GET", "a.example", "/%61pi/y", nil, "a"},
		{0, "GET", "a.example", "//api//y", nil, "a"},
		{0, "GET", "a.example", "/api/../y", nil, "h"},
		{0, "GET", "a.example", "/api%2Fy", nil, "h"}, // an escaped slash is none
		{0, "POST", "x.b.example", "/", nil, "b"},
		{0, "PURGE", "x.b.example", "/", nil, "b"},
		{0, "purge", "x.b.example", "/", nil, "d"}, // methods are case-sensitive
		{0, "GET", "x.b.example", "/", nil, "d"},
		{0, "GET", "y.x.b.example", "/", nil, "d"},
		{0, "GET", "x.deep.b.example", "/", nil, "c"},
		{0, "POST", "x.deep.b.example", "/", nil, "b"},
		{0, "GET", "deep.b.example", "/", nil, "d"},
		{0, "GET", "b.example", "/", nil, "last"}, // not below itself
		{0, "GET", "xb.example", "/", nil, "last"},
		{0, "GET", "z.example", "/", fields{"x-kind": "golden"}, "e"},
		{0, "GET", "z.example", "/", fields{"X-KIND": "gold"}, "e"},
		{0, "GET", "z.example", "/", fields{"x-kind": "Gold"}, "last"},
		{0, "GET", "z.example", "/", fields{"x-any": "", "x-other": "exact"}, "f"},
		{0, "GET", "z.example", "/", fields{"x-any": "1"}, "last"},
		{0, "GET", "z.example", "/", fields{"x-any": "1", "x-other": "exactly"}, "last"},
		{0, "GET", "z.example", "/secret/x", nil, "last"},
		{0, "GET", "z.example", "http://a.example/api/x", nil, "a"}, // the target counts
		{1, "GET", "z.example", "/", nil, "g"},
		{1, "GET", "a.example", "/login", nil, "a"},
		{0, "CONNECT", "z.example:80", "z.example:80", nil, "405"},
	} {
		c := dial(t, p.hostPort(tt.listener))
		request := tt.method + " " + tt.target + " HTTP/1.1\r\nHost: " + tt.host + "\r\n"
		for name, value := range tt.fields {
			request += name + ": " + value + "\r\n"
		}
		resp, body := ask(t, c, bufio.NewReader(c), request+"\r\n")
		got := body
		if resp.StatusCode != 200 {
			got = fmt.Sprint(resp.StatusCode)
		}
		if got != tt.want {
			t.Errorf("%d: %s %s of %s %v: went to %s, want %s", tt.listener, tt.method, tt.target, tt.host, tt.fields, got, tt.want)
		}
		c.Close()
	}
}

// TestNoRoute answers 404 where no route fits and the listener has no pool.
func TestNoRoute(t *testing.T) {
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0'}
		routes:
		- {match: {path: /a}, respond: {status: 204}}`)
	wantBody(t, client(t), "http://"+p.addr+"/b", 404, "404 Not Found\n")
	wantBody(t, client(t), "http://"+p.addr+"/a", 204, "")
}

// TestAnswers has the proxy answer by itself.
func TestAnswers(t *testing.T) {
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0'}
		routes:
		- {match: {path: /gone}, respond: {status: 410, body: "no more\n", content_type: text/x}, response: {set: {x-a: b}, add: {x-c: d}}}
		- {match: {path: /typed}, respond: {body: "{}", content_type: text/x}, response: {set: {content-type: application/json}}}
		- {match: {path: '/old/*'}, redirect: {to: 'https://{host}/new{path}?was={query}', status: 301}}
		- {match: {path: '/open/*'}, redirect: {to: '{path}'}}
		- {redirect: {to: 'https://{host}{uri}'}}`)
	c := client(t)
	resp, body := get(t, c, "http://"+p.addr+"/gone")
	if resp.StatusCode != 410 || body != "no more\n" || resp.Header.Get("Content-Type") != "text/x" ||
		resp.Header.Get("X-A") != "b" || resp.Header.Get("X-C") != "d" {
		t.Errorf("got %d %q %v", resp.StatusCode, body, resp.Header)
	}
	resp, _ = get(t, c, "http://"+p.addr+"/typed")
	if got := resp.Header.Values("Content-Type"); len(got) != 1 || got[0] != "application/json" {
		t.Errorf("Content-Type: got %q", got)
	}
	for _, tt := range []struct {
		host, target string
		status       int
		location     string
	}{
		{"example.org:8080", "/old/x?a=b", 301, "https://example.org/new/old/x?was=a=b"},
		{"example.org", "/old/x", 301, "https://example.org/new/old/x?was="},
		{"example.org:8080", "/x?y", 308, "https://example.org/x?y"},
		{"[::1]:8080", "/", 308, "https://[::1]/"},
		{"example.org", "//open/evil.example/x", 308, "/open/evil.example/x"},
	} {
		nc := dial(t, p.addr)
		resp, _ := ask(t, nc, bufio.NewReader(nc), "GET "+tt.target+" HTTP/1.1\r\nHost: "+tt.host+"\r\n\r\n")
		if got := resp.Header.Get("Location"); resp.StatusCode != tt.status || got != tt.location {
			t.Errorf("%s%s: got %d %q, want %d %q", tt.host, tt.target, resp.StatusCode, got, tt.status, tt.location)
		}
	}
}

// TestChanges looks at what the server gets, and the client, after a route's
// changes.
func TestChanges(t *testing.T) {
	server := serveTest(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Internal-A", "1")
		w.Header().Set("X-Internal-B", "2")
		w.Header().Set("Server", "secret")
		w.Header().Set("X-Kept", "yes")
		echoHead(w, r)
	})
	p := start(t, `
		listeners: {name: web, address: 'tcp@127.0.0.1:0'}
		routes:
		- match: {path: '/app/*'}
		  pool: web
		  strip_prefix: /app/
		  host: inner.example:81
		  request: {remove: [cookie, 'x-in-*'], set: {x-set: new}, add: {x-add: more}}
		  response: {remove: ['x-internal-*'], set: {server: braid}, add: {x-added: a}}
		- match: {path: /app}
		  pool: web
		  strip_prefix: /app
		- match: {path: '/host/*'}
		  pool: web
		  request: {set: {Host: other.example, X-Forwarded-Proto: gopher}, remove: [x-forwarded-f*]}
		pools:
		  web: {backends: [`+server.addr+`]}`)
	nc := dial(t, p.addr)
	r := bufio.NewReader(nc)
	resp, body := ask(t, nc, r, "GET /app/x/y?z HTTP/1.1\r\nHost: outer\r\nCookie: a=b\r\nX-In-1: 1\r\nX-IN-2: 2\r\nX-Set: old\r\nX-set: old\r\nX-Add: one\r\n\r\n")
	for _, want := range []string{"GET /x/y?z host=inner.example:81\n", "X-Set: new\r\n", "X-Add: one\r\nX-Add: more\r\n", "X-Forwarded-Host: outer\r\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("the server did not get %q in:\n%s", want, body)
		}
	}
	for _, not := range []string{"Cookie", "X-In-", "old"} {
		if strings.Contains(body, not) {
			t.Errorf("the server got %q in:\n%s", not, body)
		}
	}
	h := resp.Header
	if h.Get("X-Internal-A")+h.Get("X-Internal-B") != "" || fmt.Sprint(h["Server"]) != "[braid]" || h.Get("X-Kept") != "yes" || h.Get("X-Added") != "a" {
		t.Errorf("the client got %v", h)
	}
	for target, want := range map[string]string{
		"/app/": "/", "/app": "/", "/app/..//app/x": "/x", "/%61pp/x": "/x", "/app//x": "/x", "/app/?q": "/?q", "/app?q": "/?q",
	} {
		if _, body := ask(t, nc, r, "GET "+target+" HTTP/1.1\r\nHost: outer\r\n\r\n"); !strings.HasPrefix(body, "GET "+want+" ") {
			t.Errorf("%s: the server got %q, want %s", target, strings.SplitN(body, "\n", 2)[0], want)
		}
	}
	_, body = ask(t, nc, r, "GET /host/ HTTP/1.1\r\nHost: outer\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n")
	if !strings.Contains(body, "host=other.example\n") || !strings.Contains(body, "X-Forwarded-Proto: gopher\r\n") ||
		strings.Count(body, "X-Forwarded-Proto") != 1 || strings.Contains(body, "X-Forwarded-For") {
		t.Errorf("the server got:\n%s", body)
	}
}

func TestNormalPath(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "/a/b": "/a/b", "/a/": "/a/", "*": "*", "": "",
		"/a/./b": "/a/b", "/a/../b": "/b", "/../a": "/a", "/a/..": "/", "/a/b/..": "/a/", "/a/.": "/a/", "/..": "/",
		"//a": "/a", "/a//b": "/a/b", "/a//": "/a/", "//": "/", "/a/..//../b": "/b", "/...": "/...", "/.a": "/.a",
		"/%61": "/a", "/%2e%2E/a": "/a", "/a%2fb": "/a%2Fb", "/%": "/%", "/%4": "/%4", "/%zz": "/%zz", "/%20": "/%20",
		"/a%25b": "/a%25b", "/%7e": "/~",
	} {
		if got := string(normalPath([]byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		// What is normal stays so.
		if got := string(normalPath([]byte(want))); got != want {
			t.Errorf("%q: got %q", want, got)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"*", "x", true}, {"", "", true}, {"", "x", false}, {"a", "a", true}, {"a", "ab", false},
		{"a*", "ab", true}, {"a*", "b", false}, {"*b", "ab", true}, {"*b", "ba", false}, {"a*b", "ab", true},
		{"a*b", "axxb", true}, {"a*b", "a", false}, {"a*a", "a", false}, {"*a*", "xax", true}, {"*a*", "xxx", false},
		{"a*b*c", "a1b2b3c", true}, {"a*b*c", "acb", false}, {"**", "x", true}, {"*ab*ab", "ab", false}, {"*ab*ab", "abab", true},
	} {
		if got := glob(tt.pattern, []byte(tt.s)); got != tt.want {
			t.Errorf("glob(%q, %q): got %v", tt.pattern, tt.s, got)
		}
	}
}
