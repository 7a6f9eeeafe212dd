package http1

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// mixedServer answers with as many bytes as asked for, made from a seed, framed
// as asked for; and says what it received.
func mixedServer() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		q := r.URL.Query()
		size, _ := strconv.Atoi(q.Get("size"))
		seed, _ := strconv.ParseUint(q.Get("seed"), 10, 64)
		h := w.Header()
		h.Set("X-Received", fmt.Sprintf("%d %x", n, sum.Sum(nil)))
		h.Set("X-Trailer", r.Trailer.Get("X-Sum"))
		body := mixedBytes(seed, size)
		switch q.Get("framing") {
		case "length":
			h.Set("Content-Length", strconv.Itoa(size))
		case "range":
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
			return
		case "chunks":
			h.Set("Trailer", "X-Sum")
			defer h.Set("X-Sum", fmt.Sprintf("%x", sha256.Sum256(body)))
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
		case "close":
			conn, rw, _ := w.(http.Hijacker).Hijack()
			fmt.Fprintf(rw, "HTTP/1.1 200 OK\r\nX-Received: %s\r\nX-Trailer: %s\r\n\r\n", h.Get("X-Received"), h.Get("X-Trailer"))
			rw.Write(body)
			rw.Flush()
			conn.Close()
			return
		case "none":
			w.WriteHeader(204)
			return
		}
		w.Write(body)
	})
}

func mixedBytes(seed uint64, size int) []byte {
	b := make([]byte, size+8)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	rand.NewChaCha8(key).Read(b)
	return b[:size]
}

// TestMixed sends random requests from several clients at once and compares
// every byte. BRAID_HTTP1_N sets how many.
func TestMixed(t *testing.T) {
	n := 300
	if testing.Short() {
		n = 60
	}
	if s := os.Getenv("BRAID_HTTP1_N"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	server := httptest.NewServer(mixedServer())
	defer server.Close()
	variants(t, func(t *testing.T, start starter) {
		p := start(t, server.Listener.Addr().String(), nil)
		runMixed(t, "http://"+p.addr, &http.Transport{MaxIdleConnsPerHost: 8}, n)
		// Those that end their connection are one in five.
		if got := p.pool.opened(); got > n/3 {
			t.Errorf("%d requests took %d server connections", n, got)
		}
	})
}

// TestMixedTLS is TestMixed over TLS on both sides.
func TestMixedTLS(t *testing.T) {
	server := httptest.NewTLSServer(mixedServer())
	defer server.Close()
	listener := tls.NewListener(listenTest(t), &tls.Config{Certificates: server.TLS.Certificates})
	p := startProxyOn(t, listener, "", nil)
	p.pool.dial = func() (net.Conn, error) {
		return tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	}
	runMixed(t, "https://"+p.addr, &http.Transport{MaxIdleConnsPerHost: 8, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, 200)
}

func runMixed(t *testing.T, url string, transport *http.Transport, n int) {
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var clients sync.WaitGroup
	const parallel = 6
	for i := range parallel {
		clients.Go(func() {
			for j := range n / parallel {
				seed := uint64(i*1000000 + j)
				if err := mixedRequest(client, url, seed); err != nil {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// mixedRequest makes the request of a seed and checks what comes of it.
func mixedRequest(client *http.Client, url string, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	size := func() int {
		return rng.IntN([]int{1, 10, 1000, 20000, 40000, 300000, 1000000}[rng.IntN(7)])
	}
	framing := []string{"length", "chunks", "range", "close", "none"}[rng.IntN(5)]
	want := mixedBytes(seed, size())
	method := []string{"GET", "HEAD", "POST", "PUT"}[rng.IntN(4)]
	if framing == "close" && method == "HEAD" {
		method = "GET"
	}
	var sent []byte
	var body io.Reader
	if method == "POST" || method == "PUT" {
		sent = mixedBytes(seed+1, size())
		body = bytes.NewReader(sent)
	}
	chunked := rng.IntN(2) == 0
	if chunked && body != nil {
		body = io.MultiReader(body) // of unknown length
	}
	req, err := http.NewRequest(method, fmt.Sprintf("%s/?size=%d&seed=%d&framing=%s", url, len(want), seed, framing), body)
	if err != nil {
		return err
	}
	if chunked && body != nil && len(sent) > 0 {
		req.Trailer = http.Header{"X-Sum": {"sum"}}
	}
	if rng.IntN(4) == 0 && body != nil {
		req.Header.Set("Expect", "100-continue")
	}
	status := 200
	switch {
	case framing == "none":
		status, want = 204, nil
	case framing == "range" && len(want) > 10 && method == "GET":
		req.Header.Set("Range", "bytes=5-9")
		status, want = 206, want[5:10]
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != status:
		return fmt.Errorf("%s %s: got status %s, want %d", method, framing, resp.Status, status)
	case method != "HEAD" && !bytes.Equal(got, want):
		return fmt.Errorf("%s %s: got %d bytes, want %d, or they differ", method, framing, len(got), len(want))
	case resp.Header.Get("X-Received") != fmt.Sprintf("%d %x", len(sent), sha256.Sum256(sent)):
		return fmt.Errorf("%s %s: sent %d bytes, the server received %s", method, framing, len(sent), resp.Header.Get("X-Received"))
	case req.Trailer != nil && resp.Header.Get("X-Trailer") != "sum":
		return fmt.Errorf("%s %s: the server got trailer %q", method, framing, resp.Header.Get("X-Trailer"))
	case framing == "chunks" && method != "HEAD" && resp.Trailer.Get("X-Sum") != fmt.Sprintf("%x", sha256.Sum256(got)):
		return fmt.Errorf("%s %s: got trailer %v", method, framing, resp.Trailer)
	}
	return nil
}
