package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// operated is a braid that a test runs as its operator.
type operated struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, log output
	exited   chan struct{}
}

// operate starts braid beside the test. set, if given, changes the command before
// it is started.
func operate(t *testing.T, set func(*exec.Cmd), args ...string) *operated {
	t.Helper()
	o := &operated{t: t, cmd: (&hosts{t: t}).command(args...), exited: make(chan struct{})}
	o.cmd.Stdout, o.cmd.Stderr = &o.out, &o.log
	if set != nil {
		set(o.cmd)
	}
	// A process dies with the thread that started it (Pdeathsig), so it is
	// started by one that stays.
	started, stay := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		started <- o.cmd.Start()
		<-stay
	}()
	if err := <-started; err != nil {
		close(stay)
		t.Fatal(err)
	}
	go func() {
		o.cmd.Wait()
		close(o.exited)
	}()
	t.Cleanup(func() {
		o.cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { o.cmd.Process.Kill() })
		<-o.exited
		late.Stop()
		close(stay)
		if t.Failed() {
			t.Logf("log of braid:\n%s", &o.log)
		}
	})
	return o
}

// ready waits until it serves.
func (o *operated) ready() *operated {
	o.t.Helper()
	o.wantLog("msg=ready")
	return o
}

// wantLog waits for a line of the log that has all the words.
func (o *operated) wantLog(words ...string) {
	o.t.Helper()
	waitFor(o.t, fmt.Sprintf("a line with %q", words), func() bool { return o.logs(words...) > 0 })
}

// logs counts the lines of the log that have all the words.
func (o *operated) logs(words ...string) (n int) {
next:
	for line := range strings.Lines(o.log.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		n++
	}
	return n
}

var boundAddress = regexp.MustCompile(`msg=listening listener=(\S+) address=(?:\w+@)?(\S+)`)

// addr gives the last address that a listener was bound to.
func (o *operated) addr(listener string) string {
	o.t.Helper()
	addr := ""
	for _, m := range boundAddress.FindAllStringSubmatch(o.log.String(), -1) {
		if m[1] == listener {
			addr = m[2]
		}
	}
	if addr == "" {
		o.t.Fatalf("listener %s listens nowhere:\n%s", listener, &o.log)
	}
	return addr
}

func (o *operated) signal(s os.Signal) {
	o.t.Helper()
	if err := o.cmd.Process.Signal(s); err != nil {
		o.t.Fatal(err)
	}
}

// wantExit waits for the end.
func (o *operated) wantExit(code int) {
	o.t.Helper()
	select {
	case <-o.exited:
	case <-time.After(patience):
		o.t.Fatal("braid does not end")
	}
	if got := o.cmd.ProcessState.ExitCode(); got != code {
		o.t.Fatalf("exit code %d, want %d", got, code)
	}
}

// page requests a page and gives its body.
func page(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %s, %q, %v", url, resp.Status, b, err)
	}
	return string(b)
}

// newClient gives an HTTP client with connections of its own.
func newClient(t *testing.T, cfg *tls.Config) *http.Client {
	tr := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// website is a web server that says its name, slowly if asked to.
func website(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			io.WriteString(w, "half ")
			w.(http.Flusher).Flush()
			d, _ := time.ParseDuration(r.URL.Query().Get("for"))
			select {
			case <-time.After(d):
			case <-r.Context().Done():
				return
			}
		}
		io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// configured writes a configuration file in a directory of its own.
func configured(t *testing.T, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "proxy.yaml")
	rewrite(t, file, text)
	return file
}

// rewrite replaces a file in one go.
func rewrite(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// inFront is a configuration for one server.
func inFront(server, more string) string {
	return fmt.Sprintf("network: {stack: plain}\nlisteners: {name: web, address: 'tcp@127.0.0.1:0', pool: web}\npools: {web: {backends: ['%s']}}\n%s",
		strings.TrimPrefix(server, "http://"), more)
}

// keptAlive is one connection with one request after the other.
type keptAlive struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func keepAlive(t *testing.T, addr string) *keptAlive {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * patience))
	return &keptAlive{t, c, bufio.NewReader(c)}
}

func (k *keptAlive) ask(path string) {
	k.t.Helper()
	if _, err := fmt.Fprintf(k.c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keptAlive) answer() (status int, body string, err error) {
	resp, err := http.ReadResponse(k.r, nil)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// want asks for / and wants an answer.
func (k *keptAlive) want(body string) {
	k.t.Helper()
	k.ask("/")
	if status, got, err := k.answer(); err != nil || got != body {
		k.t.Fatalf("got %d %q, %v; want %q", status, got, err, body)
	}
}
