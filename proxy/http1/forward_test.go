package http1

import (
	"net/netip"
	"strings"
	"testing"
)

// forwarded parses a request and gives what a server would get.
func forwarded(t *testing.T, head string, change *RequestChange) string {
	t.Helper()
	var r Request
	if done, err := r.Parse([]byte(head), &Limits{}); !done || err != nil {
		t.Fatalf("%q: %v, %v", head, done, err)
	}
	return string(r.AppendForward(nil, change))
}

func TestTrace(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: h:1\r\n"
	for _, tt := range []struct {
		name   string
		config TraceConfig
		addr   string
		fields string // of the request
		want   string // behind the Host field
	}{
		{"nothing", TraceConfig{}, "192.0.2.1", "X-Forwarded-For: a\r\n", "X-Forwarded-For: a\r\n"},
		{"for", TraceConfig{For: Append}, "192.0.2.1", "", "X-Forwarded-For: 192.0.2.1\r\n"},
		{"mapped", TraceConfig{For: Append}, "::ffff:192.0.2.1", "", "X-Forwarded-For: 192.0.2.1\r\n"},
		{"zone", TraceConfig{For: Append}, "fe80::1%eth0", "", "X-Forwarded-For: fe80::1\r\n"},
		{"append", TraceConfig{For: Append}, "192.0.2.1", "X-Forwarded-For: a\r\nx-forwarded-for: b, c\r\n", "X-Forwarded-For: a, b, c, 192.0.2.1\r\n"},
		{"append to nothing", TraceConfig{For: Append}, "192.0.2.1", "X-Forwarded-For:\r\n", "X-Forwarded-For: 192.0.2.1\r\n"},
		{"replace", TraceConfig{For: Replace}, "192.0.2.1", "X-Forwarded-For: a\r\nX-Forwarded-For: b\r\n", "X-Forwarded-For: 192.0.2.1\r\n"},
		{"named by Connection", TraceConfig{For: Append}, "192.0.2.1", "X-Forwarded-For: a\r\nConnection: x-forwarded-for\r\n", "X-Forwarded-For: 192.0.2.1\r\n"},
		{"proto", TraceConfig{Proto: Append}, "192.0.2.1", "", "X-Forwarded-Proto: https\r\n"},
		{"proto kept", TraceConfig{Proto: Append}, "192.0.2.1", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Proto: http\r\n"},
		{"proto replaced", TraceConfig{Proto: Replace}, "192.0.2.1", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Proto: https\r\n"},
		{"host", TraceConfig{Host: Replace}, "192.0.2.1", "X-Forwarded-Host: evil\r\n", "X-Forwarded-Host: h:1\r\n"},
		{"forwarded", TraceConfig{Forwarded: Append}, "192.0.2.1", "Forwarded: for=a\r\n", "Forwarded: for=a, for=192.0.2.1;proto=https;host=\"h:1\"\r\n"},
		{"forwarded IPv6", TraceConfig{Forwarded: Replace}, "2001:db8::1", "Forwarded: for=a\r\n", "Forwarded: for=\"[2001:db8::1]\";proto=https;host=\"h:1\"\r\n"},
		{"via", TraceConfig{Via: "braid"}, "192.0.2.1", "Via: 1.0 x\r\n", "Via: 1.0 x\r\nVia: 1.1 braid\r\n"},
	} {
		trace := NewTrace(&tt.config, netip.MustParseAddr(tt.addr), "https")
		got := forwarded(t, head+tt.fields+"\r\n", &RequestChange{Trace: trace})
		if want := head + tt.want + "\r\n"; got != want {
			t.Errorf("%s: got %q\nwant %q", tt.name, got, want)
		}
	}
}

func TestTraceWithoutAddress(t *testing.T) {
	config := &TraceConfig{For: Append, Forwarded: Append}
	got := forwarded(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &RequestChange{Trace: NewTrace(config, netip.Addr{}, "http")})
	want := "GET / HTTP/1.1\r\nHost: h\r\nForwarded: for=unknown;proto=http;host=\"h\"\r\n\r\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEdits(t *testing.T) {
	var e Edits
	for _, err := range []error{e.Remove("X-Gone"), e.Set("X-Set", "1"), e.Add("X-Added", "2")} {
		if err != nil {
			t.Error(err)
		}
	}
	change := &RequestChange{Path: []byte("/new"), Host: []byte("other"), Edits: []*Edits{&e}}
	got := forwarded(t, "GET /old HTTP/1.1\r\nx-set: 0\r\nHost: h\r\nX-Gone: y\r\nX-ADDED: 0\r\nx-gone: z\r\n\r\n", change)
	want := "GET /new HTTP/1.1\r\nHost: other\r\nX-ADDED: 0\r\nX-Set: 1\r\nX-Added: 2\r\n\r\n"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	e.Reset()
	const plain = "GET / HTTP/1.1\r\nHost: h\r\nX-Gone: y\r\n\r\n"
	if got := forwarded(t, plain, &RequestChange{Edits: []*Edits{&e}}); got != plain {
		t.Errorf("after Reset: got %q", got)
	}
}

// TestEditsRefused shows that no edit can break the framing.
func TestEditsRefused(t *testing.T) {
	var e Edits
	for _, name := range []string{"", "a b", "a:", "Content-Length", "transfer-encoding", "Host", "Connection", "Upgrade", "TE", "a\r\n"} {
		if e.Set(name, "x") != ErrEdit || e.Add(name, "x") != ErrEdit || e.Remove(name) != ErrEdit {
			t.Errorf("name %q: accepted", name)
		}
	}
	for _, value := range []string{"a\r\nb", "a\nb", "\x00"} {
		if e.Set("X", value) != ErrEdit || e.Add("X", value) != ErrEdit {
			t.Errorf("value %q: accepted", value)
		}
	}
	if len(e.add) != 0 || len(e.remove) != 0 {
		t.Errorf("something was kept: %q %q", e.add, e.remove)
	}
	x := &Exchange{}
	for _, s := range []string{"", "a", "/a b", "/a\r\nX: y", "/\xff"} {
		if x.SetPath([]byte(s)) != ErrEdit {
			t.Errorf("path %q: accepted", s)
		}
	}
	for _, s := range []string{"", "a b", "a\r\nX: y", "u@h", "h:port"} {
		if x.SetHost([]byte(s)) != ErrEdit {
			t.Errorf("host %q: accepted", s)
		}
	}
}

func TestResponseChange(t *testing.T) {
	var e Edits
	e.Set("Server", "braid")
	for _, tt := range []struct {
		name   string
		head   string
		change ResponseChange
		want   string
	}{
		{"close and date", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ResponseChange{Close: true, Date: []byte("now")},
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\nDate: now\r\n\r\n"},
		{"date kept", "HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 0\r\n\r\n", ResponseChange{Date: []byte("now")},
			"HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 0\r\n\r\n"},
		{"old client", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ResponseChange{Old: true},
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
		{"edits and via", "HTTP/1.0 200 Fine\r\nServer: x\r\nContent-Length: 0\r\n\r\n", ResponseChange{Edits: []*Edits{&e}, Via: "b"},
			"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\nVia: 1.0 b\r\nServer: braid\r\n\r\n"},
		{"upgrade required", "HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n", ResponseChange{},
			"HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nContent-Length: 0\r\nConnection: upgrade\r\n\r\n"},
	} {
		var r Response
		if done, err := r.Parse([]byte(tt.head), &Limits{}, GET); !done || err != nil {
			t.Fatalf("%s: %v, %v", tt.name, done, err)
		}
		if got := string(r.AppendForward(nil, &tt.change)); got != tt.want {
			t.Errorf("%s: got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

func TestReply(t *testing.T) {
	change := &ResponseChange{Close: true, Date: []byte("now")}
	r := errorReply(404)
	got := string(r.append(nil, GET, change))
	want := "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\nDate: now\r\nConnection: close\r\n\r\n404 Not Found\n"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := string(r.append(nil, HEAD, change)); got != strings.TrimSuffix(want, "404 Not Found\n") {
		t.Errorf("HEAD: got %q", got)
	}
	r = reply{status: 204}
	if got := string(r.append(nil, GET, &ResponseChange{Date: []byte("now")})); got != "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n" {
		t.Errorf("204: got %q", got)
	}
}
