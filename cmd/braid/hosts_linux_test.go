package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stacks are the kinds of client that use both paths.
var stacks = []string{"kernel", "user"}

// TestHostGet downloads over two shaped paths.
func TestHostGet(t *testing.T) {
	for _, stack := range stacks {
		for _, addr := range []string{"10.9.9.9", "[fd00:9::9]"} {
			t.Run(stack+" "+addr, func(t *testing.T) {
				h := newHosts(t)
				h.needKernel()
				h.shape(50e6)
				f := file{1, 24 << 20}
				h.serveHTTP(f)
				h.allowJoins()
				before := h.state()
				name := filepath.Join(t.TempDir(), "file")
				code, r, stderr := h.get("--stack", stack, "http://"+addr+"/file", "-o", name, "--sha256", sumHex(f.bytes()))
				if code != 0 || !r.Complete || !*r.SHA256OK || !r.Multipath || r.MPTCPVersion != 1 || r.Stack != stack {
					t.Fatalf("exit code %d, %+v\n%s", code, r, stderr)
				}
				// How fast that is, TestHostGetRate tells.
				if len(r.Paths) != 2 || r.Paths[0].Name != "eth1" || r.Paths[1].Name != "eth2" || r.Paths[0].Share < 0.4 || r.Paths[1].Share < 0.4 {
					t.Errorf("paths %+v", r.Paths)
				}
				h.wantState("afterwards", before)
			})
		}
	}
}

// barsEnv lets the tests run that measure, for machines that do nothing else
// meanwhile.
const barsEnv = "BRAID_BARS"

// TestHostGetRate: two paths of 50 Mbit/s give 93 % of 100.
func TestHostGetRate(t *testing.T) {
	if os.Getenv(barsEnv) == "" {
		t.Skipf("measures: set %s on an idle machine", barsEnv)
	}
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			h := newHosts(t)
			h.needKernel()
			h.shape(50e6)
			f := file{1, 200e6}
			h.serveHTTP(f)
			h.allowJoins()
			code, r, stderr := h.get("--stack", stack, "http://10.9.9.9/file", "-o", filepath.Join(t.TempDir(), "file"), "--sha256", sumHex(f.bytes()))
			if code != 0 || !*r.SHA256OK {
				t.Fatalf("exit code %d, %+v\n%s", code, r, stderr)
			}
			t.Logf("%.1f Mbit/s, first byte %.0f ms, longest stall %.0f ms; %+v", r.GoodputMbps, r.FirstByteMS, r.LongestStallMS, r.Paths)
			if r.GoodputMbps < 93 {
				t.Errorf("%.1f Mbit/s of 100", r.GoodputMbps)
			}
		})
	}
}

func sumHex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestHostGetCut cuts a path in silence, while both carry.
func TestHostGetCut(t *testing.T) {
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			h := newHosts(t)
			h.needKernel()
			h.shape(50e6)
			f := file{1, 24 << 20}
			h.serveHTTP(f)
			h.allowJoins()
			time.AfterFunc(time.Second, func() { h.uplinks[0].Sever() })
			code, r, stderr := h.get("--stack", stack, "http://10.9.9.9/file", "-o", "/dev/null", "--sha256", sumHex(f.bytes()))
			if code != 0 || !*r.SHA256OK || r.Attempts != 1 {
				t.Fatalf("exit code %d, %+v\n%s", code, r, stderr)
			}
			if r.LongestStallMS > 1000 {
				t.Errorf("longest stall %.0f ms", r.LongestStallMS)
			}
			if r.Paths[1].Share < 0.6 || r.Paths[0].Share == 0 {
				t.Errorf("paths %+v", r.Paths)
			}
		})
	}
}

// TestHostGetChoices: --interface and --endpoint choose what carries.
func TestHostGetChoices(t *testing.T) {
	for _, stack := range stacks {
		for _, tt := range []struct {
			args []string
			want string // share of each path in words
		}{
			{[]string{"--interface", "eth2"}, "eth2 all"},
			{[]string{"--interface", "eth2", "--interface", "eth1"}, "eth1 some, eth2 some"},
			{[]string{"--endpoint", "dev eth2 backup"}, "eth1 all, eth2 none"},
			{[]string{"--interface", "eth2", "--interface", "eth1", "--endpoint", "dev eth1 backup"}, "eth1 none, eth2 all"},
		} {
			t.Run(fmt.Sprint(stack, tt.args), func(t *testing.T) {
				h := newHosts(t)
				h.needKernel()
				h.shape(50e6)
				f := file{1, 4 << 20}
				h.serveHTTP(f)
				h.allowJoins()
				before := h.state()
				code, r, stderr := h.get(append(tt.args, "--stack", stack, "http://10.9.9.9/file", "-o", "/dev/null")...)
				if code != 0 {
					t.Fatalf("exit code %d, %+v\n%s", code, r, stderr)
				}
				var got []string
				for _, p := range r.Paths {
					word := "some"
					switch {
					case p.Share > 0.99:
						word = "all"
					case p.Share < 0.01:
						word = "none"
					}
					got = append(got, p.Name+" "+word)
				}
				slices.Sort(got)
				if got := strings.Join(got, ", "); got != tt.want {
					t.Errorf("%s, want %s: %+v", got, tt.want, r.Paths)
				}
				h.wantState("afterwards", before)
			})
		}
	}
}

// TestHostWithoutMPTCP: the kernel of one host or the other has none.
func TestHostWithoutMPTCP(t *testing.T) {
	f := file{1, 1 << 20}
	off := func(h *hosts) { h.client.SetSysctl("net.mptcp.enabled", "0") }
	for _, tt := range []struct {
		name    string
		prepare func(*hosts)
		args    []string
		code    int
		stack   string
		multi   bool
		stderr  string
	}{
		{"auto takes the user stack", off, nil, 0, "user", true, ""},
		{"kernel says why not", off, []string{"--stack", "kernel"}, exitFailed, "", false, "net.mptcp.enabled=0"},
		{"auto takes the kernel's", nil, []string{"--stack", "auto"}, 0, "kernel", true, ""},
		{"server has none", func(h *hosts) { h.server.SetSysctl("net.mptcp.enabled", "0") }, nil, 0, "kernel", false, ""},
		{"server has none, user stack", func(h *hosts) { h.server.SetSysctl("net.mptcp.enabled", "0") },
			[]string{"--stack", "user"}, 0, "user", false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHosts(t)
			h.needKernel()
			if tt.prepare != nil {
				tt.prepare(h)
			}
			h.serveHTTP(f)
			before := h.state()
			code, r, stderr := h.get(append(tt.args, "http://10.9.9.9/file", "-o", "/dev/null", "--sha256", sumHex(f.bytes()))...)
			if code != tt.code || !strings.Contains(stderr, tt.stderr) {
				t.Fatalf("exit code %d, want %d; %q, want %q in it", code, tt.code, stderr, tt.stderr)
			}
			if code == 0 && (r.Stack != tt.stack || r.Multipath != tt.multi || !*r.SHA256OK) {
				t.Errorf("got %+v", r)
			}
			h.wantState("afterwards", before)
		})
	}
}

// TestHostUnprivileged: without the right to change the host, the kernel's
// stack uses what the host has been prepared for, and says so.
func TestHostUnprivileged(t *testing.T) {
	h := newHosts(t)
	h.needKernel()
	f := file{1, 1 << 20}
	h.serveHTTP(f)
	dir := t.TempDir()
	for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	as := func(args ...string) (int, string) {
		cmd := h.command(append([]string{"get", "-q", "-o", filepath.Join(dir, "file"), "http://10.9.9.9/file"}, args...)...)
		var out output
		cmd.Stderr = &out
		cmd.Path = readable(t, dir)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		h.start(h.client, cmd)
		cmd.Wait()
		return cmd.ProcessState.ExitCode(), out.String()
	}
	if code, stderr := as(); code != 0 || !strings.Contains(stderr, "CAP_NET_ADMIN") {
		t.Errorf("kernel: exit code %d, %q, want a warning about CAP_NET_ADMIN", code, stderr)
	}
	if code, stderr := as("--stack", "user"); code != exitFailed || !strings.Contains(stderr, "CAP_NET_ADMIN") {
		t.Errorf("user: exit code %d, %q, want an error about CAP_NET_ADMIN", code, stderr)
	}
	h.client.SetSysctl("net.mptcp.enabled", "0")
	code, stderr := as()
	for _, want := range []string{"plain TCP", "net.mptcp.enabled=0", "CAP_NET_ADMIN"} {
		if code != 0 || !strings.Contains(stderr, want) {
			t.Errorf("neither: exit code %d, %q, want %q in it", code, stderr, want)
		}
	}
}

// readable puts the program where everybody may run it.
func readable(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(executable(t))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "braid")
	if err := os.WriteFile(name, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestHostServe: every kind of client through every kind of server.
func TestHostServe(t *testing.T) {
	for _, server := range []string{"kernel", "user", "plain"} {
		for _, client := range []string{"kernel", "user", "plain"} {
			for _, addr := range []string{"10.9.9.9:2222", "[fd00:9::9]:2222"} {
				if addr[0] == '[' && (server == "plain" || client == "plain") {
					continue
				}
				t.Run(client+" to "+server+" "+addr, func(t *testing.T) { testServe(t, client, server, addr) })
			}
		}
	}
}

func testServe(t *testing.T, client, server, addr string) {
	h := newHosts(t)
	h.needKernel()
	h.echo(h.server)
	beforeServer := h.server.Snapshot()
	cmd, log := h.serve(h.server, "--stack", server, "--listen", "mptcp@:2222", "--to", "127.0.0.1:7")
	before := h.state()
	d := h.talk(h.client, h.command("connect", "--stack", client, addr))
	d.forTime(500 * time.Millisecond)
	d.end()
	h.wantState("afterwards", before)
	multipath := client != "plain" && server != "plain"
	waitFor(t, "a line in the log", func() bool { return strings.Contains(log.String(), "connection ended") })
	for _, want := range []string{fmt.Sprintf("multipath=%v", multipath), "end=closed", fmt.Sprintf("from_client=%d", d.bytes()), "path1="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log", want)
		}
	}
	if multipath && strings.Contains(log.String(), "subflows=1 ") {
		t.Errorf("one subflow only")
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("serve: exit code %d after SIGTERM", code)
	}
	wantSame(t, "the server afterwards", h.server.Snapshot(), beforeServer)
}

// TestHostServeAnnounces: a server of two uplinks tells of the second, and
// answers by it. The client has one.
func TestHostServeAnnounces(t *testing.T) {
	for _, server := range stacks {
		for _, client := range stacks {
			t.Run(client+" to "+server, func(t *testing.T) {
				h := newHosts(t)
				h.needKernel()
				h.echo(h.client)
				_, log := h.serve(h.client, "--stack", server, "--listen", "mptcp4@:2222", "--to", "127.0.0.1:7")
				d := h.talk(h.server, h.command("connect", "--stack", client, "10.1.1.5:2222"))
				d.forTime(time.Second)
				// The path that was announced has to carry when the other is gone.
				h.uplinks[0].Sever()
				d.forTime(3 * time.Second)
				d.end()
				waitFor(t, "a line in the log", func() bool { return strings.Contains(log.String(), "connection ended") })
				if text := log.String(); !strings.Contains(text, "dev eth2 received ") || strings.Contains(text, "dev eth2 received 0") {
					t.Error("the second address carried nothing")
				}
			})
		}
	}
}

// TestHostEndpointWords: an id and a port of an endpoint reach the path manager,
// and go again.
func TestHostEndpointWords(t *testing.T) {
	h := newHosts(t)
	h.needKernel()
	before := h.state()
	cmd, _ := h.serve(h.client, "--stack", "kernel", "--listen", "mptcp4@:2222", "--to", "127.0.0.1:7",
		"--endpoint", "10.1.2.5 id 33 port 2223 signal", "--endpoint", "dev eth1 signal")
	state := strings.Join(h.state(), "\n")
	for _, want := range []string{"10.1.2.5 port 2223 id 33 signal dev eth2", "10.1.1.5 id "} {
		if !strings.Contains(state, want) {
			t.Errorf("no %q in\n%s", want, state)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	h.wantState("afterwards", before)

	cmd = h.command("serve", "--stack", "kernel", "--listen", "mptcp4@:2222", "--to", "127.0.0.1:7", "--endpoint", "dev eth2 id 3 signal")
	var out []byte
	h.client.Do(func() { out, _ = cmd.CombinedOutput() })
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), "an id is for one address") {
		t.Errorf("exit code %d: %s", cmd.ProcessState.ExitCode(), out)
	}
}

func (d *dialogue) bytes() (n int) {
	for i := range d.sent {
		n += len(lineOf(i+1)) + 1
	}
	return n
}

// TestHostNginx downloads from an unmodified nginx, which knows nothing of
// Multipath TCP, through `braid serve` in front of it.
func TestHostNginx(t *testing.T) {
	nginx := program(t, "nginx", "/usr/sbin", "/usr/local/sbin")
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			h := newHosts(t)
			h.needKernel()
			h.shape(50e6)
			dir := t.TempDir()
			f := file{1, 16 << 20}
			if err := os.WriteFile(filepath.Join(dir, "file"), f.bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			config := fmt.Sprintf("daemon off; master_process off; pid %s/pid; error_log stderr;\nevents {}\n"+
				"http { access_log off; client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;\n"+
				"server { listen 127.0.0.1:8080; root %s; } }\n", dir, dir, dir, dir, dir, dir, dir)
			name := filepath.Join(dir, "nginx.conf")
			if err := os.WriteFile(name, []byte(config), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(nginx, "-p", dir, "-c", name)
			var log output
			cmd.Stderr = &log
			h.start(h.server, cmd)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("log of nginx:\n%s", &log)
				}
			})
			waitFor(t, "nginx listens", func() bool {
				var c net.Conn
				var err error
				h.server.Do(func() { c, err = net.Dial("tcp", "127.0.0.1:8080") })
				if err == nil {
					c.Close()
				}
				return err == nil
			})
			h.serve(h.server, "--listen", "mptcp@:80", "--to", "127.0.0.1:8080")
			target := filepath.Join(t.TempDir(), "file")
			// The first attempt is interrupted half-way; nginx knows ranges.
			half := h.start(h.client, h.command("get", "--stack", stack, "-q", "-o", target, "http://10.9.9.9/file"))
			waitFor(t, "some of it is there", func() bool {
				info, err := os.Stat(target + ".part")
				return err == nil && info.Size() > 1<<20
			})
			half.Process.Signal(os.Interrupt)
			half.Wait()
			if code := half.ProcessState.ExitCode(); code != exitInterrupted {
				t.Errorf("interrupted: exit code %d, want %d", code, exitInterrupted)
			}
			code, r, stderr := h.get("--stack", stack, "http://10.9.9.9/file", "-o", target, "--sha256", sumHex(f.bytes()))
			if code != 0 || !*r.SHA256OK || !r.Multipath || r.ResumedFrom < 1<<20 || len(r.Paths) != 2 {
				t.Errorf("exit code %d, %+v\n%s", code, r, stderr)
			}
		})
	}
}

// TestHostKilled kills braid in the middle of a download; the next start, or
// cleanup, leaves nothing behind.
func TestHostKilled(t *testing.T) {
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			h := newHosts(t)
			h.needKernel()
			h.addUsersRules()
			h.shape(50e6)
			f := file{1, 8 << 20}
			h.serveHTTP(f)
			h.allowJoins()
			before := h.state()
			name := filepath.Join(t.TempDir(), "file")
			for _, next := range []string{"cleanup", "get"} {
				cmd := h.start(h.client, h.command("get", "--stack", stack, "-q", "-o", name, "http://10.9.9.9/file"))
				waitFor(t, "half of it is there", func() bool {
					info, err := os.Stat(name + ".part")
					return err == nil && info.Size() > 1<<20
				})
				if slices.Equal(h.state(), before) {
					t.Fatal("nothing is installed: the test proves nothing")
				}
				cmd.Process.Kill()
				cmd.Wait()
				if next == "get" {
					code, r, stderr := h.get("--stack", stack, "-o", name, "http://10.9.9.9/file", "--sha256", sumHex(f.bytes()))
					if code != 0 || !*r.SHA256OK || r.ResumedFrom < 1<<20 {
						t.Errorf("exit code %d, %+v\n%s", code, r, stderr)
					}
				} else if code, stdout, stderr := h.run(h.client, "cleanup"); code != 0 || stdout == "" {
					t.Errorf("cleanup: exit code %d, %q, %q", code, stdout, stderr)
				}
				h.wantState("after "+next, before)
				os.Remove(name)
				os.Remove(name + ".part")
			}
		})
	}
}

// TestHostRoaming: the only address is taken away, and another one comes up on
// another interface ten seconds later. The session goes on.
func TestHostRoaming(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			h := newHosts(t)
			h.needKernel()
			h.echo(h.server)
			h.takeAddress(1)
			h.serve(h.server, "--listen", "mptcp@:2222", "--to", "127.0.0.1:7")
			h.takeAddress(0)
			before := h.state()
			h.addAddress(0)
			d := h.talk(h.client, h.command("connect", "--stack", stack, "10.9.9.9:2222"))
			d.forTime(time.Second)
			d.catchUp()
			h.takeAddress(0)
			d.forTime(10 * time.Second)
			if d.got == d.sent {
				t.Fatal("lines pass without an address: the test proves nothing")
			}
			back := time.Now()
			h.addAddress(1)
			d.catchUp()
			t.Logf("all lines passed %v after the new address came up", time.Since(back).Round(time.Millisecond))
			d.forTime(2 * time.Second)
			d.wantNoStall()
			// And back again.
			h.takeAddress(1)
			h.addAddress(0)
			d.forTime(2 * time.Second)
			d.end()
			h.takeAddress(0)
			h.wantState("afterwards", before)
		})
	}
}

// TestHostOverlap: one network goes while the other is there.
func TestHostOverlap(t *testing.T) {
	for _, stack := range stacks {
		for _, how := range []string{"address", "cable"} {
			t.Run(stack+" "+how, func(t *testing.T) {
				t.Parallel()
				h := newHosts(t)
				h.needKernel()
				h.echo(h.server)
				h.serve(h.server, "--listen", "mptcp@:2222", "--to", "127.0.0.1:7")
				d := h.talk(h.client, h.command("connect", "--stack", stack, "10.9.9.9:2222"))
				d.forTime(time.Second)
				d.catchUp()
				if how == "address" {
					h.takeAddress(0)
				} else {
					h.uplinks[0].Sever()
				}
				d.forTime(4 * time.Second)
				d.wantNoStall()
				d.end()
			})
		}
	}
}

// TestHostLinger: a session without any path is given up after --linger, be it
// that the address has gone or, which leaves it where it is, that the interface
// is down.
func TestHostLinger(t *testing.T) {
	for _, tt := range []struct {
		what string
		lose func(h *hosts)
	}{
		{"without address", func(h *hosts) { h.takeAddress(0) }},
		{"down", func(h *hosts) { h.uplinks[0].SetUp(false) }},
	} {
		for _, stack := range stacks {
			t.Run(stack+" "+tt.what, func(t *testing.T) { testLinger(t, stack, tt.lose) })
		}
	}
}

func testLinger(t *testing.T, stack string, lose func(h *hosts)) {
	t.Parallel()
	h := newHosts(t)
	h.needKernel()
	h.echo(h.server)
	h.takeAddress(1)
	h.serve(h.server, "--listen", "mptcp@:2222", "--to", "127.0.0.1:7")
	cmd := h.command("connect", "--stack", stack, "--linger", "2s", "10.9.9.9:2222")
	var stderr output
	cmd.Stderr = &stderr
	d := h.talk(h.client, cmd)
	d.forTime(500 * time.Millisecond)
	lose(h)
	began := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it goes on for ever")
	}
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("given up after %v", took)
	}
	if code := cmd.ProcessState.ExitCode(); code != exitBroken {
		t.Errorf("exit code %d, want %d; %s", code, exitBroken, &stderr)
	}
}
