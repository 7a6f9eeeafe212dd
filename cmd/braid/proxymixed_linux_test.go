package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// site is braid proxy before an nginx and an origin on the server, with a
// client that reaches it by two paths and speaks Multipath TCP.
type site struct {
	*hosts
	proxy  *proxied
	nginx  *nginxd
	origin *origin
	access string // file of the access log
	cert   certificate
}

// fileSizes are what nginx has to download; names are sizes.
var fileSizes = []int{0, 1, 100, 1000, 1460, 4096, 16 << 10, 65535, 65536, 100_000, 1 << 20, 3_000_000, 10 << 20, 100_000_000}

func newSite(t *testing.T, stack string) *site {
	t.Helper()
	h := newHosts(t)
	h.needKernel()
	s := &site{hosts: h, access: filepath.Join(t.TempDir(), "access.log"), cert: newCertificate(t, "site.test", "10.9.9.9")}
	www := t.TempDir()
	for _, n := range fileSizes {
		if err := os.WriteFile(filepath.Join(www, fmt.Sprint(n)), file{byte(n), n}.bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Server side includes take the length away: nginx answers with chunks.
	s.nginx = startNginx(t, h.server, "10.9.9.9:8000", www,
		`location /ssi/ { ssi on; ssi_types *; alias `+www+`/; } location /gzip/ { gzip on; gzip_types *; alias `+www+`/; }`)
	s.origin = startOrigin(t, h.server, "10.9.9.9:8001", nil)
	s.proxy = startProxy(t, h.server, fmt.Sprintf(`
network: {stack: %s}
listeners:
- {name: plain, address: 'mptcp@:80', pool: nginx}
- {name: tls, address: 'mptcp@:443', pool: nginx, tls: {certificates: {cert: %s, key: %s}}}
routes:
- {match: {path: [/echo, /chunked/*, /bytes/*, /from]}, pool: go}
pools:
  nginx: {backends: [10.9.9.9:8000]}
  go: {backends: [10.9.9.9:8001]}
log: {access: {format: json, output: %s}}
`, stack, s.cert.cert, s.cert.key, s.access))
	if code, out, stderr := h.run(h.client, "paths", "setup"); code != 0 {
		t.Fatalf("paths setup: %s %s", out, stderr)
	}
	return s
}

// transport makes requests from the client over Multipath TCP.
func (s *site) transport(configure func(*http.Transport)) *http.Transport {
	var d net.Dialer
	d.SetMultipathTCP(true)
	tr := &http.Transport{
		DialContext:            inNS(s.client, d),
		MaxIdleConnsPerHost:    8,
		DisableCompression:     true,
		ExpectContinueTimeout:  patience,
		TLSClientConfig:        &tls.Config{RootCAs: s.cert.pool, ServerName: "site.test"},
		MaxResponseHeaderBytes: 1 << 20,
	}
	tr.Protocols = new(http.Protocols)
	if configure != nil {
		configure(tr)
	}
	s.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// pathBytes is what came to the client and left it on each path.
func (s *site) pathBytes() (received, sent [2]uint64) {
	s.t.Helper()
	for i, up := range s.uplinks {
		l, err := s.client.Netlink().LinkByIndex(up.Index)
		if err != nil {
			s.t.Fatal(err)
		}
		received[i], sent[i] = l.Attrs().Statistics.RxBytes, l.Attrs().Statistics.TxBytes
	}
	return received, sent
}

// query is a request that is made directly and through the proxy.
type query struct {
	method, path string
	header       string // "Name: value, Name: value"
	body         int    // of so many bytes; -1: none
	chunked      bool   // the body is
	trailer      bool   // and has a trailer
}

func (q query) request(t *testing.T, base string) *http.Request {
	t.Helper()
	var body io.Reader
	if q.body >= 0 {
		body = bytes.NewReader(file{byte(q.body), q.body}.bytes())
	}
	if q.chunked {
		body = struct{ io.Reader }{body} // whose length nobody knows
	}
	req, err := http.NewRequest(q.method, base+q.path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range strings.Split(q.header, ", ") {
		if name, value, ok := strings.Cut(h, ": "); ok {
			req.Header.Set(name, value)
		}
	}
	if q.trailer {
		req.Trailer = http.Header{"X-After": {"all"}}
	}
	return req
}

// reply is what two answers to a query have to have in common.
type reply struct {
	status  int
	length  int64 // as declared
	bytes   int64
	sum     [32]byte
	header  string
	trailer string
}

// fetch makes a request and reads the answer.
func fetch(t *http.Transport, req *http.Request) (reply, error) {
	resp, err := t.RoundTrip(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, resp.Body)
	if err != nil {
		return reply{}, fmt.Errorf("after %d bytes: %w", n, err)
	}
	r := reply{status: resp.StatusCode, length: resp.ContentLength, bytes: n, sum: [32]byte(hash.Sum(nil)),
		header: inWords(resp.Header, "Date", "Connection", "Keep-Alive", "Trailer"), trailer: inWords(resp.Trailer)}
	return r, nil
}

// inWords lists header fields in order, except some.
func inWords(h http.Header, except ...string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if !slices.Contains(except, name) {
			fmt.Fprintf(&b, "%s: %q\n", name, h[name])
		}
	}
	return b.String()
}

// draw makes up a query. Large files are rare.
func draw(rng *rand.Rand) query {
	sizes := fileSizes[:11] // to 1 MB
	switch p := rng.IntN(1000); {
	case p < 2:
		sizes = fileSizes[11:13] // to 10 MB
	case p < 950:
		sizes = fileSizes[:8]
	}
	n := sizes[rng.IntN(len(sizes))]
	q := query{"GET", fmt.Sprintf("/%d", n), "", -1, false, false}
	switch rng.IntN(12) {
	case 0:
		q.method = "HEAD"
	case 1:
		a, b := rng.IntN(n+1), rng.IntN(n+1)
		q.header = fmt.Sprintf("Range: bytes=%d-%d", min(a, b), max(a, b))
	case 2:
		q.header = fmt.Sprintf("Range: bytes=0-0,%d-", n/2) // several parts
		if n < 1000 {
			q.header = "Range: bytes=-1"
		}
	case 3:
		q.path = "/ssi" + q.path
	case 4:
		q.path, q.header = "/gzip"+q.path, "Accept-Encoding: gzip"
	case 5:
		q.path = "/chunked" + q.path // with a trailer
	case 6:
		q = query{"POST", "/echo", "", min(n, 1<<20), false, false}
	case 7:
		q = query{"PUT", "/echo", "", min(n, 1<<20), true, rng.IntN(2) == 0}
	case 8:
		q = query{"POST", "/echo", "Expect: 100-continue", min(n, 1<<20), rng.IntN(2) == 0, false}
	case 9:
		q.path = "/not/there"
	case 10:
		q.path, q.header = "/bytes"+q.path, "If-None-Match: \"x\""
	}
	return q
}

// TestProxyMixed: whatever is asked, in whatever version of HTTP, the answer
// through the proxy is that of the server, and it came by both paths.
func TestProxyMixed(t *testing.T) {
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			s := newSite(t, stack)
			direct := newAnswers(s)
			received, sent := s.pathBytes()
			const workers = 8
			n := 10_000
			ways := s.ways()
			var count [4]atomic.Int64
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(w), 1))
					for i := range n / workers {
						q := draw(rng)
						if w == 0 && i < full(1, len(ways)) { // the largest by the first way, or by each
							q = query{"GET", "/100000000", "", -1, false, false}
						}
						way := (w + i) % len(ways)
						if err := direct.compare(q, ways[way]); err != nil {
							t.Errorf("%s: %+v: %v", ways[way].name, q, err)
							return
						}
						count[way].Add(1)
					}
				})
			}
			wg.Wait()
			for i, w := range ways {
				t.Logf("%s: %d requests as they should be", w.name, count[i].Load())
			}
			r, o := s.pathBytes()
			for i := range r {
				r[i], o[i] = r[i]-received[i], o[i]-sent[i]
			}
			t.Logf("received by path: %d, sent: %d", r, o)
			for i := range r {
				if r[i] < 5<<20 || o[i] < 1<<20 {
					t.Errorf("path %d carried %d bytes down and %d up", i+1, r[i], o[i])
				}
			}
		})
	}
}

// way is how requests reach the proxy.
type way struct {
	name string
	base string
	tr   *http.Transport
}

func (s *site) ways() []way {
	return []way{
		{"HTTP/1.1", "http://10.9.9.9", s.transport(func(t *http.Transport) { t.Protocols.SetHTTP1(true) })},
		{"HTTP/1.1 over TLS", "https://10.9.9.9", s.transport(func(t *http.Transport) { t.Protocols.SetHTTP1(true) })},
		{"HTTP/2", "http://10.9.9.9", s.transport(func(t *http.Transport) { t.Protocols.SetUnencryptedHTTP2(true) })},
		{"HTTP/2 over TLS", "https://10.9.9.9", s.transport(func(t *http.Transport) { t.Protocols.SetHTTP2(true) })},
	}
}

// answers remembers what the servers answered directly.
type answers struct {
	s      *site
	tr     *http.Transport
	mu     sync.Mutex
	direct map[query]reply
}

func newAnswers(s *site) *answers {
	return &answers{s: s, direct: make(map[query]reply),
		tr: s.transport(func(t *http.Transport) { t.DialContext = inNS(s.server, net.Dialer{}); t.Protocols.SetHTTP1(true) })}
}

func (a *answers) of(q query) (reply, error) {
	a.mu.Lock()
	r, ok := a.direct[q]
	a.mu.Unlock()
	if ok {
		return r, nil
	}
	base := "http://" + a.s.nginx.addr
	for _, p := range []string{"/echo", "/chunked/", "/bytes/"} {
		if strings.HasPrefix(q.path, p) {
			base = "http://" + a.s.origin.addr
		}
	}
	r, err := fetch(a.tr, q.request(a.s.t, base))
	a.mu.Lock()
	a.direct[q] = r
	a.mu.Unlock()
	return r, err
}

// compare asks both.
func (a *answers) compare(q query, w way) error {
	want, err := a.of(q)
	if err != nil {
		return fmt.Errorf("directly: %w", err)
	}
	got, err := fetch(w.tr, q.request(a.s.t, w.base))
	if err != nil {
		return err
	}
	if strings.Contains(q.header, "Range") { // the boundary between parts is never the same
		want, got = withoutBoundary(want), withoutBoundary(got)
	}
	if got != want {
		return fmt.Errorf("got %+v\nwant %+v", got, want)
	}
	return nil
}

func withoutBoundary(r reply) reply {
	if strings.Contains(r.header, "multipart/byteranges") {
		r.header, r.sum = "", [32]byte{}
	}
	return r
}

// TestProxyCurl: curl, made to speak Multipath TCP by mptcpize, in every version
// of HTTP.
func TestProxyCurl(t *testing.T) {
	for _, need := range []string{"curl", "mptcpize"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skipf("needs %s: %v", need, err)
		}
	}
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			s := newSite(t, stack)
			s.shape(200e6) // so that one path is not enough
			want := file{byte(10 << 20 & 0xff), 10 << 20}.bytes()
			for _, args := range [][]string{
				{"--http1.1", "http://10.9.9.9/10485760"},
				{"--http2-prior-knowledge", "http://10.9.9.9/10485760"},
				{"--http1.1", "https://site.test/10485760"},
				{"--http2", "https://site.test/10485760"},
			} {
				before, _ := s.pathBytes()
				target := filepath.Join(t.TempDir(), "file")
				cmd := exec.Command("mptcpize", append([]string{"run", "curl", "-sS", "--fail", "-o", target, "--cacert", s.cert.cert,
					"--connect-to", "site.test:443:10.9.9.9:443"}, args...)...)
				log := new(output)
				cmd.Stderr = log
				startIn(t, s.client, cmd)
				if err := cmd.Wait(); err != nil {
					t.Errorf("%q: %v: %s", args, err, log)
					continue
				}
				if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%q: %d bytes, %v, want %d", args, len(got), err, len(want))
				}
				after, _ := s.pathBytes()
				for i := range after {
					if after[i]-before[i] < 1<<20 {
						t.Errorf("%q: path %d carried %d bytes", args, i+1, after[i]-before[i])
					}
				}
			}
		})
	}
}

// TestProxyTellsOfPaths: what the access log, the metrics, the admin page and
// the well-known address say of a connection with two paths.
func TestProxyTellsOfPaths(t *testing.T) {
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			s := newSite(t, stack)
			s.shape(200e6) // so that one path is not enough
			tr := s.transport(func(t *http.Transport) { t.Protocols.SetHTTP1(true); t.MaxConnsPerHost = 1 })
			get := func(tr *http.Transport, path, accept string) string {
				t.Helper()
				req, err := http.NewRequest("GET", "http://10.9.9.9"+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Accept", accept)
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("%s: %s, %v", path, resp.Status, err)
				}
				return string(b)
			}
			get(tr, "/10485760", "*/*")
			if got := get(tr, "/.well-known/multipath", "*/*"); !strings.HasPrefix(got, "You are using MPTCP.") {
				t.Errorf("well-known: %q", got)
			}
			var facts map[string]any
			if err := json.Unmarshal([]byte(get(tr, "/.well-known/multipath", "application/json")), &facts); err != nil {
				t.Errorf("well-known: %v", err)
			} else if list, _ := facts["subflows"].([]any); len(list) != 2 {
				t.Errorf("well-known: %v", facts)
			}
			plain := s.transport(func(t *http.Transport) { t.DialContext = inNS(s.client, tcpDialer()); t.Protocols.SetHTTP1(true) })
			if got := get(plain, "/.well-known/multipath", "*/*"); !strings.HasPrefix(got, "You are not using MPTCP.") {
				t.Errorf("well-known: %q", got)
			}

			s.wantInMetrics()
			if page := s.proxy.page("/"); !strings.Contains(page, "<html") && !strings.Contains(page, "<!doctype html") && !strings.Contains(page, "<!DOCTYPE html") {
				t.Errorf("admin page: %.300q", page)
			}
			// The page looks at connections every now and then.
			waitFor(t, "the subflows are on the admin page", func() bool {
				status := s.proxy.page("/api/status")
				return strings.Contains(status, `"10.1.1.5:`) && strings.Contains(status, `"10.1.2.5:`)
			})
			if got := s.proxy.page("/readyz"); got == "" {
				t.Error("readyz says nothing")
			}
			s.wantInAccessLog("/10485760")
		})
	}
}

func tcpDialer() (d net.Dialer) {
	d.SetMultipathTCP(false)
	return d
}

// wantInMetrics: one connection has two subflows, one of which joined, and the
// other has none. A request is counted when its answer is out, which its client
// may have by then.
func (s *site) wantInMetrics() {
	s.t.Helper()
	for _, want := range []struct {
		name  string
		least float64
	}{
		{"braid_connections_total", 2}, {"braid_connections_mptcp_total", 1}, {"braid_joins_total", 1}, {"braid_subflows", 3},
		{"braid_fallbacks_total", 1}, {"braid_subflows_opened_total", 3}, {"braid_path_bytes_total", 10 << 20},
		{"braid_path_rtt_seconds", 0.00001}, {"braid_requests_total", 4}, {"braid_request_duration_seconds_count", 4},
		{"braid_pool_connections", 1},
	} {
		waitFor(s.t, fmt.Sprintf("%s is %v at least", want.name, want.least), func() bool {
			return s.proxy.metrics().sum(want.name) >= want.least
		})
	}
}

// wantInAccessLog: the line of a request has both subflows, with the bytes of
// each.
func (s *site) wantInAccessLog(path string) {
	s.t.Helper()
	var line string
	waitFor(s.t, "a line in the access log", func() bool {
		f, err := os.Open(s.access)
		if err != nil {
			return false
		}
		defer f.Close()
		for in := bufio.NewScanner(f); in.Scan(); {
			if strings.Contains(in.Text(), `"`+path+`"`) {
				line = in.Text()
			}
		}
		return line != ""
	})
	var record struct {
		Status     int
		Connection struct {
			Multipath bool
			Subflows  []struct {
				Remote   string
				BytesOut int64 `json:"bytes_out"`
			}
		}
	}
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		s.t.Fatalf("%v in %q", err, line)
	}
	c := record.Connection
	if record.Status != 200 || !c.Multipath || len(c.Subflows) != 2 {
		s.t.Fatalf("access log: %s", line)
	}
	for _, from := range []string{"10.1.1.5:", "10.1.2.5:"} {
		var carried int64
		for _, sf := range c.Subflows {
			if strings.HasPrefix(sf.Remote, from) {
				carried += sf.BytesOut
			}
		}
		if carried < 1<<20 {
			s.t.Errorf("access log: %d bytes to %s in %s", carried, from, line)
		}
	}
}
