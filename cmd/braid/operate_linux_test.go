package main

import (
	"bufio"
	"context"
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

// operate starts braid beside the test. through, if given, is a program with its
// arguments that starts it.
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

// site is a web server that says its name, slowly if asked to.
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

// TestProxyByFlags: a proxy needs no file.
func TestProxyByFlags(t *testing.T) {
	server := website(t, "server")
	t.Run("http", func(t *testing.T) {
		o := operate(t, nil, "proxy", "--listen", "tcp@127.0.0.1:0", "--listen", "mptcp@127.0.0.1:0", "--backend", server,
			"--stack", "plain", "--access-log", "json", "--admin", "127.0.0.1:0").ready()
		if n := o.logs("msg=listening", "listener=web", "mode=http", "tls=false"); n != 2 {
			t.Errorf("%d lines tell where it listens, want 2", n)
		}
		o.wantLog("msg=ready", "stack=plain", "listeners=1", "pools=1", "version=")
		if got := page(t, newClient(t, nil), "http://"+o.addr("web")+"/page"); got != "server" {
			t.Errorf("got %q", got)
		}
		waitFor(t, "a line in the access log", func() bool { return strings.Contains(o.out.String(), `"/page"`) })
		o.signal(syscall.SIGTERM)
		o.wantExit(0)
		o.wantLog("msg=ended")
	})
	t.Run("tls", func(t *testing.T) {
		tlsServer := httptest.NewTLSServer(nil)
		defer tlsServer.Close()
		dir := t.TempDir()
		writePair(t, dir, tlsServer.TLS.Certificates[0])
		o := operate(t, nil, "proxy", "--listen", "127.0.0.1:0", "--backend", server, "--stack", "plain",
			"--tls-cert", dir+"/cert.pem", "--tls-key", dir+"/key.pem").ready()
		client := newClient(t, &tls.Config{InsecureSkipVerify: true})
		resp, err := client.Get("https://" + o.addr("web") + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
			t.Errorf("got %s, %s, want HTTP/2", resp.Proto, resp.Status)
		}
	})
	t.Run("tcp", func(t *testing.T) {
		o := operate(t, nil, "proxy", "--listen", "127.0.0.1:0", "--backend", strings.Replace(server, "http:", "tcp:", 1),
			"--stack", "plain").ready()
		o.wantLog("msg=listening", "mode=tcp")
		if got := page(t, newClient(t, nil), "http://"+o.addr("web")+"/"); got != "server" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("SIGHUP", func(t *testing.T) {
		o := operate(t, nil, "proxy", "--listen", "127.0.0.1:0", "--backend", server, "--stack", "plain").ready()
		o.signal(syscall.SIGHUP)
		o.wantLog("msg=reloaded", "because=SIGHUP")
		if got := page(t, newClient(t, nil), "http://"+o.addr("web")+"/"); got != "server" {
			t.Errorf("got %q", got)
		}
	})
}

// TestProxyBusyPort: what is wrong with an address is told in words that help.
func TestProxyBusyPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, test := range []struct{ address, want string }{
		{"tcp@" + l.Addr().String(), "address already in use: another process listens there; \"ss -ltnp sport = :" + port},
		{"tcp@192.0.2.1:1", "this host does not have that address"},
		{"fd@web", "no sockets were handed over"},
	} {
		o := operate(t, nil, "proxy", "--listen", test.address, "--backend", "127.0.0.1:1", "--stack", "plain")
		o.wantExit(exitFailed)
		if !strings.Contains(o.log.String(), test.want) {
			t.Errorf("%s: no %q in %q", test.address, test.want, &o.log)
		}
		if o.logs("msg=ready") != 0 {
			t.Errorf("%s: it said that it was ready", test.address)
		}
	}
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

// TestProxyReloads: another configuration is in force for the next request of a
// connection that goes on, whichever way it came. A broken one changes nothing.
func TestProxyReloads(t *testing.T) {
	one, two := website(t, "one"), website(t, "two")
	texts := map[string]string{"one": inFront(one, ""), "two": inFront(two, "")}
	for _, test := range []struct {
		name string
		args []string
		// change puts another text in place of the file.
		change func(t *testing.T, o *operated, file, text string)
		why    string
	}{
		{"SIGHUP", []string{"--no-watch"}, func(t *testing.T, o *operated, file, text string) {
			rewrite(t, file, text)
			o.signal(syscall.SIGHUP)
		}, "SIGHUP"},
		{"renamed", nil, func(t *testing.T, _ *operated, file, text string) { rewrite(t, file, text) }, "the file has changed"},
		{"written", nil, func(t *testing.T, _ *operated, file, text string) {
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for half := range strings.SplitAfterSeq(text, "\n") { // as editors do it that write in pieces
				f.WriteString(half)
				time.Sleep(settleTime / 10)
			}
		}, "the file has changed"},
		{"moved away first", nil, func(t *testing.T, _ *operated, file, text string) {
			if err := os.Rename(file, file+"~"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "the file has changed"},
		{"another directory", nil, func(t *testing.T, _ *operated, file, text string) {
			// Kubernetes: proxy.yaml -> ..data/proxy.yaml, ..data -> one of two.
			dir := filepath.Dir(file)
			next, err := os.MkdirTemp(dir, "..")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(next+"/proxy.yaml", []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Base(next), dir+"/..tmp"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(dir+"/..tmp", dir+"/..data"); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Lstat(file); err != nil || info.Mode()&os.ModeSymlink == 0 {
				os.Remove(file)
				if err := os.Symlink("..data/proxy.yaml", file); err != nil {
					t.Fatal(err)
				}
			}
		}, "the file has changed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := configured(t, texts["one"])
			o := operate(t, nil, append([]string{"proxy", "--config", file}, test.args...)...).ready()
			k := keepAlive(t, o.addr("web"))
			k.want("one")
			for i, text := range []string{"two", "one"} {
				test.change(t, o, file, texts[text])
				waitFor(t, "the reload", func() bool { return o.logs("msg=reloaded", test.why) == i+1 })
				k.want(text)
			}
			test.change(t, o, file, "pools: {web: {polcy: x}}\n# broken\n")
			o.wantLog("level=ERROR", "reload failed", `proxy.yaml:1:15: pools.web: unknown key \"polcy\"`)
			k.want("one")
			test.change(t, o, file, texts["two"])
			waitFor(t, "the reload", func() bool { return o.logs("msg=reloaded", test.why) == 3 })
			k.want("two")
			if n := o.logs("msg=listening"); n != 1 {
				t.Errorf("it began to listen %d times, want once", n)
			}
		})
	}
}

// TestProxyReloadsByPage: the administrator's page loads the configuration too,
// and hears what is wrong with it. All reloads are counted.
func TestProxyReloadsByPage(t *testing.T) {
	one, two := website(t, "one"), website(t, "two")
	// The address of the page has to be known beforehand.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := l.Addr().String()
	l.Close()
	more := "admin: {address: '" + admin + "'}\n"
	file := configured(t, inFront(one, more))
	o := operate(t, nil, "proxy", "--config", file, "--no-watch").ready()
	k := keepAlive(t, o.addr("web"))
	client := newClient(t, nil)
	reload := func() (int, string) {
		t.Helper()
		resp, err := client.Post("http://"+admin+"/api/reload", "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	k.want("one")
	rewrite(t, file, inFront(two, more))
	if code, body := reload(); code != 204 {
		t.Errorf("got %d %s", code, body)
	}
	k.want("two")
	rewrite(t, file, "nonsense: 1\n"+inFront(one, more))
	if code, body := reload(); code != 422 || !strings.Contains(body, "proxy.yaml:1:1") {
		t.Errorf("got %d %s, want 422 and the place of the mistake", code, body)
	}
	k.want("two")
	o.wantLog("reload failed", "because=\"the admin page\"")
	text := page(t, client, "http://"+admin+"/metrics")
	for _, want := range []string{`braid_config_reloads_total{result="ok"} 1`, `braid_config_reloads_total{result="failed"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}

// TestProxyWatchesOneFile: what happens beside the file is none of its business,
// nor is a write that changes nothing.
func TestProxyWatchesOneFile(t *testing.T) {
	server := website(t, "server")
	text := inFront(server, "")
	file := configured(t, text)
	o := operate(t, nil, "proxy", "--config", file).ready()
	for range 3 {
		rewrite(t, file+".other", "nonsense")
		rewrite(t, file, text)
		time.Sleep(2 * settleTime)
	}
	if n := o.logs("msg=reloaded") + o.logs("reload failed"); n != 0 {
		t.Errorf("%d reloads for nothing", n)
	}
	o.signal(syscall.SIGHUP) // asks for one whatever the file says
	o.wantLog("msg=reloaded", "because=SIGHUP")
}

// TestProxyReloadAddresses: addresses come and go with the configuration; one
// that cannot be had leaves all as it was.
func TestProxyReloadAddresses(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	server := website(t, "server")
	more := func(address string) string {
		return strings.Replace(inFront(server, ""), "listeners: {", "listeners: [{name: more, address: 'tcp@"+address+"', pool: web}, {", 1)
	}
	withMore := func(address string) string {
		return strings.Replace(more(address), "pool: web}\npools", "pool: web}]\npools", 1)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	file := configured(t, inFront(server, ""))
	o := operate(t, nil, "proxy", "--config", file, "--no-watch").ready()
	k := keepAlive(t, o.addr("web"))
	k.want("server")

	rewrite(t, file, withMore(busy.Addr().String()))
	o.signal(syscall.SIGHUP)
	o.wantLog("reload failed", "address already in use", "ss -ltnp")
	k.want("server")

	rewrite(t, file, withMore(free.Addr().String()))
	o.signal(syscall.SIGHUP)
	o.wantLog("msg=listening", "listener=more")
	added := o.addr("more")
	keepAlive(t, added).want("server")

	rewrite(t, file, inFront(server, ""))
	o.signal(syscall.SIGHUP)
	o.wantLog("no longer listening", "listener=more")
	waitFor(t, "the address is free", func() bool {
		c, err := net.Dial("tcp", added)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	k.want("server")
}

// TestProxyEnds: requests in work come to their end for as long as that may
// take, or until the second signal.
func TestProxyEnds(t *testing.T) {
	server := website(t, "server")
	for _, test := range []struct {
		name, drain string
		slow        string
		second      os.Signal
		whole       bool
		code        int
	}{
		{"in time", "10s", "700ms", nil, true, 0},
		{"too late", "300ms", "5m", nil, false, exitBroken},
		{"at once", "0", "5m", nil, false, exitBroken},
		{"second signal", "5m", "5m", syscall.SIGTERM, false, exitBroken},
		{"SIGHUP is no second signal", "10s", "700ms", syscall.SIGHUP, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := operate(t, nil, "proxy", "--config", configured(t, inFront(server, "timeouts: {drain: "+test.drain+"}\n"))).ready()
			k := keepAlive(t, o.addr("web"))
			k.ask("/slow?for=" + test.slow)
			if b, err := k.r.Peek(1); err != nil || b[0] != 'H' {
				t.Fatal(b, err)
			}
			began := time.Now()
			o.signal(syscall.SIGTERM)
			o.wantLog("msg=ending", "because=terminated")
			if test.second != nil {
				o.signal(test.second)
			}
			_, body, err := k.answer()
			if whole := err == nil && body == "half server"; whole != test.whole {
				t.Errorf("got %q, %v; the whole response: %v, want %v", body, err, whole, test.whole)
			}
			o.wantExit(test.code)
			if took := time.Since(began); took > patience/2 {
				t.Errorf("it took %v", took)
			}
			if c, err := net.Dial("tcp", o.addr("web")); err == nil {
				c.Close()
				t.Error("somebody still listens")
			}
		})
	}
}

// TestProxyLogFiles: log files that were moved away are made anew on SIGHUP, and
// another destination is taken from the configuration.
func TestProxyLogFiles(t *testing.T) {
	dir := t.TempDir()
	server := website(t, "server")
	logs := func(name string) string {
		return fmt.Sprintf("log: {output: %s/%s.log, format: json, access: {format: common, output: %s/%s.access}}\n", dir, name, dir, name)
	}
	file := configured(t, inFront(server, logs("a")))
	o := operate(t, nil, "proxy", "--config", file, "--no-watch")
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return string(b)
	}
	has := func(name, text string) {
		t.Helper()
		waitFor(t, name+" has "+text, func() bool { return strings.Contains(read(name), text) })
	}
	has("a.log", `"msg":"ready"`)
	address := regexp.MustCompile(`"address":"tcp@(.*?)"`).FindStringSubmatch(read("a.log"))
	if address == nil {
		t.Fatal("no address in", read("a.log"))
	}
	k := keepAlive(t, address[1])
	k.want("server")
	has("a.access", "GET / HTTP/1.1")

	for _, name := range []string{"a.log", "a.access"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+".1")); err != nil {
			t.Fatal(err)
		}
	}
	o.signal(syscall.SIGHUP)
	has("a.log", `"msg":"reloaded"`)
	k.want("server")
	has("a.access", "GET / HTTP/1.1")
	if n := strings.Count(read("a.access.1"), "\n"); n != 1 {
		t.Errorf("the file that was moved away has %d lines, want 1", n)
	}

	rewrite(t, file, inFront(server, logs("b")))
	o.signal(syscall.SIGHUP)
	has("b.log", `"msg":"reloaded"`)
	k.want("server")
	has("b.access", "GET / HTTP/1.1")

	// A file that cannot be opened leaves all as it was.
	rewrite(t, file, inFront(server, strings.ReplaceAll(logs("c"), dir, dir+"/none")))
	o.signal(syscall.SIGHUP)
	has("b.log", `reload failed`)
	k.want("server")
	if o.log.String() != "" {
		t.Errorf("standard error has %q", &o.log)
	}
}

// TestProxyStackKilled: nothing is left on the host by a proxy on the user stack
// that was killed, once another one has run.
func TestProxyStackKilled(t *testing.T) {
	h := newHosts(t)
	h.addUsersRules()
	serve := func() (*exec.Cmd, *output) {
		cmd := h.command("proxy", "--stack", "user", "--listen", "mptcp@:8080", "--backend", "http://127.0.0.1:3000")
		log := new(output)
		cmd.Stderr = log
		h.start(h.server, cmd)
		waitFor(t, "the proxy is ready\n"+log.String(), func() bool { return strings.Contains(log.String(), "msg=ready") })
		return cmd, log
	}
	var origin net.Listener
	var err error
	h.server.Do(func() { origin, err = net.Listen("tcp", "127.0.0.1:3000") })
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Close()
	go http.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "behind") }))
	state := func() (lines []string) {
		h := *h
		h.client = h.server
		return h.state()
	}
	wantSoon := func(what string, want []string) {
		t.Helper()
		var got []string
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if got = state(); strings.Join(got, "\n") == strings.Join(want, "\n") {
				return
			}
		}
		wantSame(t, what, got, want)
	}
	before := state()
	cmd, _ := serve()
	if installed := state(); strings.Join(installed, "\n") == strings.Join(before, "\n") {
		t.Fatal("nothing is installed: the test proves nothing")
	}
	cmd.Process.Kill()
	cmd.Wait()

	cmd, log := serve()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		var d net.Dialer
		h.client.Do(func() { c, err = d.DialContext(ctx, network, addr) })
		return c, err
	}}}
	if got := page(t, &client, "http://10.9.9.9:8080/"); got != "behind" {
		t.Errorf("got %q\n%s", got, log)
	}
	client.CloseIdleConnections()
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, log)
	}
	wantSoon("after the end of the next one", before)
}
