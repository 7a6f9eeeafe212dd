package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
