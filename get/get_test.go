package get

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/braid-mptcp/braid"
)

// content is a file of n bytes.
func content(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// origin server, with what can go wrong.
type server struct {
	mu       sync.Mutex
	data     []byte
	etag     string
	modified time.Time
	noRanges bool
	// cut is how many bytes of the next answers pass before the connection
	// breaks; the last one is for all that follow. 0: all.
	cut []int
	// statuses are what the next answers say instead.
	statuses []int
	// hang: the connection is not broken where it is cut, but nothing more
	// comes.
	hang bool
	// contentRange, if set, is what partial answers claim.
	contentRange string
	requests     []string // "Range If-Range" of each
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, strings.TrimSpace(r.Header.Get("Range")+" "+r.Header.Get("If-Range")))
	status, cut := 0, 0
	if len(s.statuses) > 0 {
		status, s.statuses = s.statuses[0], s.statuses[1:]
	}
	if len(s.cut) > 0 {
		if cut = s.cut[0]; len(s.cut) > 1 {
			s.cut = s.cut[1:]
		}
	}
	data, etag, modified, noRanges, hang, contentRange := s.data, s.etag, s.modified, s.noRanges, s.hang, s.contentRange
	s.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	if noRanges {
		r.Header.Del("Range")
	}
	w = &cutter{ResponseWriter: w, left: cut, hang: hang, done: r.Context().Done(), contentRange: contentRange}
	http.ServeContent(w, r, "file", modified, bytes.NewReader(data))
}

// cutter breaks the connection after some bytes.
type cutter struct {
	http.ResponseWriter
	left         int
	hang         bool
	done         <-chan struct{}
	contentRange string
}

func (c *cutter) WriteHeader(status int) {
	if c.contentRange != "" && status == http.StatusPartialContent {
		c.Header().Set("Content-Range", c.contentRange)
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *cutter) Write(b []byte) (int, error) {
	if c.left == 0 {
		return c.ResponseWriter.Write(b)
	}
	n, err := c.ResponseWriter.Write(b[:min(len(b), c.left)])
	if c.left -= n; c.left == 0 {
		c.ResponseWriter.(http.Flusher).Flush()
		if c.hang {
			<-c.done
		}
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// rig is a server and where its file goes.
type rig struct {
	*server
	t   *testing.T
	cfg Config
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s := &server{data: content(1, 1<<20), etag: `"one"`}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	n, err := braid.Open(t.Context(), braid.OpenConfig{Kind: braid.Plain})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{server: s, t: t}
	r.cfg = Config{URL: h.URL + "/dir/file.bin?x=1", Network: n, Output: filepath.Join(t.TempDir(), "file.bin"),
		Hash: true, Retries: 3, Stall: 5 * time.Second, UserAgent: "test"}
	return r
}

// want downloads, and wants the file to be there in the end, and nothing else.
func (r *rig) want() Report {
	r.t.Helper()
	rep, err := Run(r.t.Context(), r.cfg)
	if err != nil || !rep.Complete || rep.SHA256 != sumOf(r.data) {
		r.t.Fatalf("%v, report %+v", err, rep)
	}
	got, err := os.ReadFile(r.cfg.Output)
	if err != nil || !bytes.Equal(got, r.data) {
		r.t.Fatalf("%d bytes that are not the %d of the file, %v", len(got), len(r.data), err)
	}
	if left, _ := filepath.Glob(r.cfg.Output + ".*"); left != nil {
		r.t.Errorf("left over: %q", left)
	}
	if rep.ResumedFrom+rep.Received < int64(len(r.data)) {
		r.t.Errorf("%d bytes resumed from and %d received of %d", rep.ResumedFrom, rep.Received, len(r.data))
	}
	return rep
}

// wantKept downloads, and wants it to fail with n bytes kept.
func (r *rig) wantKept(ctx context.Context, n int) (Report, error) {
	r.t.Helper()
	rep, err := Run(ctx, r.cfg)
	if err == nil || rep.Complete || rep.Error == "" {
		r.t.Fatalf("%v, report %+v", err, rep)
	}
	if _, err := os.Stat(r.cfg.Output); err == nil {
		r.t.Errorf("%s is there", r.cfg.Output)
	}
	kept, err2 := os.ReadFile(rep.Kept)
	if n == 0 && rep.Kept == "" {
		return rep, err
	}
	if err2 != nil || len(kept) != n || rep.KeptBytes != int64(n) || rep.Kept != r.cfg.Output+".part" {
		r.t.Errorf("%q with %d bytes, %v; the report says %d, want %d", rep.Kept, len(kept), err2, rep.KeptBytes, n)
	}
	if !bytes.Equal(kept, r.data[:len(kept)]) {
		r.t.Error("what is kept is not the beginning of the file")
	}
	return rep, err
}

func (r *rig) wantAsked(want ...string) {
	r.t.Helper()
	got := r.asked()
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		r.t.Errorf("asked for\n%q, want\n%q", got, want)
	}
}

func TestDownload(t *testing.T) {
	r := newRig(t)
	shots, events := 0, 0
	r.cfg.Progress = func(s Snapshot) { shots++ }
	r.cfg.Happened = func(Event) { events++ }
	rep := r.want()
	r.wantAsked("")
	if rep.Received != 1<<20 || rep.Size != 1<<20 || rep.ResumedFrom != 0 || rep.Attempts != 1 || rep.Stack != "plain" ||
		rep.GoodputMbps <= 0 || shots == 0 {
		t.Errorf("report %+v after %d snapshots", rep, shots)
	}
	// Once more, in place of the old one.
	r.set(func() { r.data, r.etag = content(2, 5000), `"two"` })
	r.want()
}

// TestBrokenConnection: the rest is asked for, if the file is still the same.
func TestBrokenConnection(t *testing.T) {
	r := newRig(t)
	r.cut = []int{300_000, 300_000, 0}
	rep := r.want()
	r.wantAsked("", `bytes=300000- "one"`, `bytes=600000- "one"`)
	if rep.Attempts != 3 || rep.Received != 1<<20 || rep.ResumedFrom != 0 {
		t.Errorf("report %+v", rep)
	}
}

// TestResume: a download that was ended goes on when it is started again.
func TestResume(t *testing.T) {
	r := newRig(t)
	r.cut, r.hang = []int{300_000, 0}, true
	ctx, cancel := context.WithCancel(t.Context())
	r.cfg.Progress = func(s Snapshot) {
		if s.Bytes == 300_000 {
			cancel()
		}
	}
	if _, err := r.wantKept(ctx, 300_000); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	rep := r.want()
	r.wantAsked("", `bytes=300000- "one"`)
	if rep.ResumedFrom != 300_000 || rep.Received != 1<<20-300_000 {
		t.Errorf("report %+v", rep)
	}
}

// TestNotResumed: what cannot be gone on from is downloaded anew.
func TestNotResumed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(r *rig) // before the first download, which is cut
		change  func(r *rig) // after it
		want    string       // of the second download's requests
	}{
		{"the file has changed", nil, func(r *rig) { r.data, r.etag = content(2, 900_000), `"two"` }, `bytes=300000- "one"`},
		{"no ranges", func(r *rig) { r.noRanges = true }, nil, `bytes=300000- "one"`},
		{"weak ETag", func(r *rig) { r.etag = `W/"one"` }, nil, ""},
		{"nothing to tell versions by", func(r *rig) { r.etag = "" }, nil, ""},
		{"modified just now", func(r *rig) { r.etag, r.modified = "", time.Now() }, nil, ""},
		{"as told", nil, func(r *rig) { r.cfg.Restart = true }, ""},
		{"another URL", nil, func(r *rig) { r.cfg.URL += "2" }, ""},
		{"no note", nil, func(r *rig) { os.Remove(r.cfg.Output + ".part.json") }, ""},
		{"a damaged note", nil, func(r *rig) { os.WriteFile(r.cfg.Output+".part.json", []byte("{"), 0o666) }, ""},
		{"too much is there", nil, func(r *rig) { os.Truncate(r.cfg.Output+".part", 2<<20) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			if tt.prepare != nil {
				tt.prepare(r)
			}
			r.cut, r.cfg.Retries = []int{300_000, 0}, 0
			r.wantKept(t.Context(), 300_000)
			if tt.change != nil {
				r.set(func() { tt.change(r) })
			}
			rep := r.want()
			r.wantAsked("", tt.want)
			if rep.ResumedFrom != 0 || rep.Received != int64(len(r.data)) {
				t.Errorf("report %+v", rep)
			}
		})
	}
}

// TestModificationTime: it tells versions by the time where there is no ETag.
func TestModificationTime(t *testing.T) {
	r := newRig(t)
	r.etag, r.modified = "", time.Date(2020, 5, 1, 12, 0, 0, 0, time.UTC)
	r.cut = []int{300_000, 0}
	r.want()
	r.wantAsked("", "bytes=300000- Fri, 01 May 2020 12:00:00 GMT")
}

// TestAllThere: the process died between the last byte and giving the name.
func TestAllThere(t *testing.T) {
	r := newRig(t)
	r.cut, r.cfg.Retries = []int{300_000, 0}, 0
	r.wantKept(t.Context(), 300_000)
	if err := os.WriteFile(r.cfg.Output+".part", r.data, 0o666); err != nil {
		t.Fatal(err)
	}
	rep := r.want()
	r.wantAsked("", `bytes=1048576- "one"`)
	if rep.Received != 0 || rep.ResumedFrom != 1<<20 {
		t.Errorf("report %+v", rep)
	}
}

// TestWrongRange: a server that sends another part is asked for the whole.
func TestWrongRange(t *testing.T) {
	for _, claim := range []string{"bytes 0-1048575/1048576", "bytes 300000-1048575/2000000", "apples", "bytes 5-3/9"} {
		r := newRig(t)
		r.cut, r.contentRange = []int{300_000, 0}, claim
		r.want()
		r.wantAsked("", `bytes=300000- "one"`, "")
	}
}

func TestRefused(t *testing.T) {
	r := newRig(t)
	r.statuses = []int{404}
	var status *StatusError
	if _, err := r.wantKept(t.Context(), 0); !errors.As(err, &status) || status.Code != 404 {
		t.Errorf("got %v", err)
	}
	r.wantAsked("")
	if left, _ := filepath.Glob(r.cfg.Output + "*"); left != nil {
		t.Errorf("left over: %q", left)
	}
}

func TestTransientRefusal(t *testing.T) {
	r := newRig(t)
	r.statuses = []int{503, 429}
	if rep := r.want(); rep.Attempts != 3 {
		t.Errorf("%d attempts, want 3", rep.Attempts)
	}
	r.statuses, r.cfg.Retries = []int{503, 503, 503}, 1
	os.Remove(r.cfg.Output)
	var status *StatusError
	if rep, err := r.wantKept(t.Context(), 0); !errors.As(err, &status) || status.Code != 503 || rep.Attempts != 2 {
		t.Errorf("got %v after %d attempts, want 503 after 2", err, rep.Attempts)
	}
}

// TestStall: a connection on which nothing comes is given up for another.
func TestStall(t *testing.T) {
	r := newRig(t)
	r.cut, r.hang, r.cfg.Stall = []int{300_000, 0}, true, time.Second
	rep := r.want()
	r.wantAsked("", `bytes=300000- "one"`)
	if rep.LongestStallMS < 1000 {
		t.Errorf("longest stall %v ms", rep.LongestStallMS)
	}
	// For good.
	os.Remove(r.cfg.Output)
	r.cut, r.cfg.Retries = []int{300_000, 1}, 0
	if _, err := r.wantKept(t.Context(), 300_000); !errors.Is(err, ErrStalled) {
		t.Errorf("got %v, want %v", err, ErrStalled)
	}
}

func TestNobodyThere(t *testing.T) {
	r := newRig(t)
	r.cfg.URL = "http://127.0.0.1:1/file"
	if rep, err := r.wantKept(t.Context(), 0); !errors.Is(err, syscall.ECONNREFUSED) || rep.Attempts != 1 {
		t.Errorf("got %v after %d attempts", err, rep.Attempts)
	}
}

func TestWrongHash(t *testing.T) {
	r := newRig(t)
	r.cfg.SHA256 = strings.Repeat("0", 64)
	rep, err := r.wantKept(t.Context(), 1<<20)
	if !errors.Is(err, ErrHash) || rep.SHA256OK == nil || *rep.SHA256OK {
		t.Errorf("got %v, %+v", err, rep)
	}
	// Nobody goes on from there.
	r.cfg.SHA256 = strings.ToUpper(sumOf(r.data))
	if rep := r.want(); rep.ResumedFrom != 0 || !*rep.SHA256OK {
		t.Errorf("report %+v", rep)
	}
}

// TestHashOfResumed: the bytes that were there count too.
func TestHashOfResumed(t *testing.T) {
	r := newRig(t)
	r.cut, r.cfg.Retries = []int{300_000, 0}, 0
	r.wantKept(t.Context(), 300_000)
	part, err := os.OpenFile(r.cfg.Output+".part", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	part.WriteAt([]byte("damage"), 1000)
	part.Close()
	r.cfg.SHA256 = sumOf(r.data)
	if _, err := Run(t.Context(), r.cfg); !errors.Is(err, ErrHash) {
		t.Errorf("got %v, want %v", err, ErrHash)
	}
}

// TestDiskFull: what fits is kept, and goes on when there is room.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	mount, unmount := smallDisk(dir, 512<<10)
	if err := mount(); err != nil {
		t.Skipf("needs root: a small disk cannot be mounted here: %v", err)
	}
	defer unmount()
	r := newRig(t)
	r.cfg.Output = filepath.Join(dir, "file.bin")
	rep, err := Run(t.Context(), r.cfg)
	if !errors.Is(err, ErrFile) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("got %v, want disk full", err)
	}
	if rep.KeptBytes == 0 || rep.Attempts != 1 {
		t.Errorf("%d bytes kept after %d attempts", rep.KeptBytes, rep.Attempts)
	}
	kept, err := os.ReadFile(rep.Kept)
	if err != nil || int64(len(kept)) != rep.KeptBytes || !bytes.Equal(kept, r.data[:len(kept)]) {
		t.Errorf("kept %d bytes, %v", len(kept), err)
	}
	if err := growDisk(dir, 4<<20); err != nil {
		t.Fatal(err)
	}
	if again := r.want(); again.ResumedFrom != rep.KeptBytes {
		t.Errorf("resumed from %d, want %d", again.ResumedFrom, rep.KeptBytes)
	}
}

func TestDevices(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	r := newRig(t)
	r.cfg.Output = "/dev/null"
	if rep, err := Run(t.Context(), r.cfg); err != nil || rep.SHA256 != sumOf(r.data) {
		t.Errorf("/dev/null: %v, %+v", err, rep)
	}
	r.cfg.Output = "/dev/full"
	if _, err := Run(t.Context(), r.cfg); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("/dev/full: %v", err)
	}
	r.cfg.Output = t.TempDir()
	if _, err := Run(t.Context(), r.cfg); !errors.Is(err, ErrFile) {
		t.Errorf("a directory: %v", err)
	}
}

func TestStream(t *testing.T) {
	r := newRig(t)
	var out bytes.Buffer
	r.cfg.Output, r.cfg.Stream = "", &out
	r.cut = []int{300_000, 0}
	rep, err := Run(t.Context(), r.cfg)
	if err != nil || !bytes.Equal(out.Bytes(), r.data) || rep.SHA256 != sumOf(r.data) {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	// What went out cannot be taken back.
	out.Reset()
	r.set(func() { r.cut, r.noRanges = []int{300_000, 0}, true })
	if _, err := Run(t.Context(), r.cfg); !errors.Is(err, errStream) || out.Len() != 300_000 {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
}

func TestTwoAtOnce(t *testing.T) {
	r := newRig(t)
	r.cut, r.hang = []int{300_000}, true
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	var once sync.Once
	first := r.cfg
	first.Progress = func(s Snapshot) {
		if s.Bytes > 0 {
			once.Do(func() { close(started) })
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := Run(ctx, first)
		done <- err
	}()
	<-started
	if rep, err := Run(t.Context(), r.cfg); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, %+v, want %v", err, rep, ErrBusy)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	r.set(func() { r.cut = nil })
	r.want()
}

// TestChunked: the server does not say how long the file is.
func TestChunked(t *testing.T) {
	data := content(3, 700_000)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for b := data; len(b) > 0; b = b[70_000:] {
			w.Write(b[:70_000])
			w.(http.Flusher).Flush()
		}
	}))
	defer h.Close()
	r := newRig(t)
	r.data, r.cfg.URL = data, h.URL
	if rep := r.want(); rep.Size != -1 {
		t.Errorf("size %d", rep.Size)
	}
}

func TestFileName(t *testing.T) {
	for url, want := range map[string]string{
		"http://h/a/b.iso": "b.iso", "http://h/b.iso?x=/c": "b.iso", "http://h/a%20b": "a b", "http://h": "", "http://h/": "",
		"http://h/..": "", "http://h/a%2fb": "b", "http://h/a%5cb": "", "http://h/a/": "a",
	} {
		if got := FileName(url); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, bad := range []Config{
		{URL: "ftp://h/x"}, {URL: "h/x"}, {URL: "http:///x"}, {URL: "http://h/%zz"},
		{URL: "http://h/x", SHA256: "abc"}, {URL: "http://h/x", SHA256: strings.Repeat("g", 64)},
	} {
		if err := bad.Check(); err == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}

func TestParseContentRange(t *testing.T) {
	for _, tt := range []struct {
		text        string
		first, size int64
		ok          bool
	}{
		{"bytes 100-199/1000", 100, 1000, true},
		{"bytes 0-0/*", 0, -1, true},
		{"bytes */1000", -1, 1000, true},
		{"", 0, 0, false}, {"bytes", 0, 0, false}, {"bytes 1-2", 0, 0, false}, {"bytes 2-1/9", 0, 0, false},
		{"bytes 1-9/9", 0, 0, false}, {"bytes -1-2/9", 0, 0, false}, {"items 1-2/9", 0, 0, false}, {"bytes 1-2/-9", 0, 0, false},
	} {
		first, size, err := parseContentRange(tt.text)
		if (err == nil) != tt.ok || tt.ok && (first != tt.first || size != tt.size) {
			t.Errorf("%q: %d, %d, %v", tt.text, first, size, err)
		}
	}
}

func FuzzParseContentRange(f *testing.F) {
	f.Add("bytes 100-199/1000")
	f.Add("bytes */5")
	f.Fuzz(func(t *testing.T, text string) {
		first, size, err := parseContentRange(text)
		if err == nil && (first < -1 || size < -1 || first >= 0 && size >= 0 && first >= size) {
			t.Errorf("%q: %d of %d", text, first, size)
		}
	})
}
