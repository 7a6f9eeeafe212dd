package main

import (
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
	"strings"
	"syscall"
	"testing"
	"time"
)

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

// TestProxyWarnsOfOneAddress: the kernel takes joins at other addresses only
// where a listener is on all of them.
func TestProxyWarnsOfOneAddress(t *testing.T) {
	h := newHosts(t)
	h.needKernel()
	const warning = "listen on all to use further uplinks"
	for _, test := range []struct {
		listen string
		warns  bool
	}{
		{"mptcp@10.9.9.9:8080", true},
		{"10.9.9.9:8080", true},
		{"mptcp6@[fd00:9::9]:8080", true},
		{"mptcp@:8080", false},
		{"tcp@10.9.9.9:8080", false},
		{"mptcp@127.0.0.1:8080", false},
	} {
		cmd := h.command("proxy", "--stack", "kernel", "--listen", test.listen, "--backend", "http://127.0.0.1:3000")
		log := new(output)
		cmd.Stderr = log
		h.start(h.server, cmd)
		waitFor(t, "the proxy is ready", func() bool { return strings.Contains(log.String(), "msg=ready") })
		if got := strings.Contains(log.String(), warning); got != test.warns {
			t.Errorf("%s: warned: %v, want %v\n%s", test.listen, got, test.warns, log)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}
}

// TestProxyWarnsOfFiles: a limit that the process cannot reach is told.
func TestProxyWarnsOfFiles(t *testing.T) {
	const warning = "this process may open fewer"
	for _, test := range []struct {
		connections int
		warns       bool
	}{{100, false}, {1000, true}, {0, false}} {
		file := configured(t, inFront("http://127.0.0.1:1", fmt.Sprintf("limits: {connections: %d}\n", test.connections)))
		o := operate(t, func(cmd *exec.Cmd) {
			braid := append([]string{cmd.Path}, cmd.Args[1:]...)
			cmd.Path = "/bin/sh"
			cmd.Args = append([]string{"sh", "-c", `ulimit -n 500 && exec "$0" "$@"`}, braid...)
		}, "proxy", "--config", file).ready()
		if got := o.logs(warning) > 0; got != test.warns {
			t.Errorf("%d connections with 500 files: warned: %v, want %v", test.connections, got, test.warns)
		}
	}
}
