package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/braid-mptcp/braid/kernel"
)

// writePair writes a certificate and its key as PEM.
func writePair(t *testing.T, dir string, c tls.Certificate) {
	t.Helper()
	var cert []byte
	for _, der := range c.Certificate {
		cert = append(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	switch c.PrivateKey.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
	default:
		t.Fatalf("a key of type %T", c.PrivateKey)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for name, b := range map[string][]byte{"cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// manager stands in for systemd: it takes what services tell it.
type manager struct {
	t    *testing.T
	conn *net.UnixConn

	mu   sync.Mutex
	told []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{t: t, conn: conn}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.told = append(m.told, string(b[:n]))
			m.mu.Unlock()
		}
	}()
	return m
}

// count counts the messages that have all the lines; a line may be given by its
// beginning.
func (m *manager) count(lines ...string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, message := range m.told {
		has := true
		for _, l := range lines {
			has = has && strings.Contains("\n"+message, "\n"+l)
		}
		if has {
			n++
		}
	}
	return n
}

func (m *manager) want(n int, lines ...string) {
	m.t.Helper()
	waitFor(m.t, fmt.Sprintf("%d messages with %q", n, lines), func() bool { return m.count(lines...) >= n })
}

// TestProxyNotifies: the service manager hears of start, reloads, life and end.
func TestProxyNotifies(t *testing.T) {
	server := website(t, "server")
	m := newManager(t)
	file := configured(t, inFront(server, "timeouts: {drain: 20s}\n"))
	o := operate(t, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+m.conn.LocalAddr().String(), "WATCHDOG_USEC=300000")
	}, "proxy", "--config", file, "--no-watch")
	pid := strconv.Itoa(o.cmd.Process.Pid)
	m.want(1, "READY=1", "MAINPID="+pid, "STATUS=serving 1 listener, 1 pool")
	m.want(3, "WATCHDOG=1")

	o.signal(syscall.SIGHUP)
	m.want(1, "RELOADING=1", "MONOTONIC_USEC=")
	m.want(2, "READY=1")
	rewrite(t, file, "nonsense")
	o.signal(syscall.SIGHUP)
	m.want(2, "RELOADING=1", "MONOTONIC_USEC=")
	m.want(1, "READY=1", "STATUS=reload failed")
	m.mu.Lock()
	order := slices.DeleteFunc(slices.Clone(m.told), func(s string) bool { return strings.HasPrefix(s, "WATCHDOG") })
	m.mu.Unlock()
	for i, want := range []string{"READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1"} {
		if i >= len(order) || !strings.HasPrefix(order[i], want) {
			t.Fatalf("message %d of %q, want %s", i, order, want)
		}
	}

	k := keepAlive(t, o.addr("web"))
	k.ask("/slow?for=1s")
	k.r.Peek(1)
	o.signal(syscall.SIGTERM)
	m.want(1, "STOPPING=1", "STATUS=draining", "EXTEND_TIMEOUT_USEC=25000000")
	m.mu.Lock()
	m.told = nil
	m.mu.Unlock()
	m.want(2, "WATCHDOG=1") // while it drains too
	if _, body, err := k.answer(); err != nil || body != "half server" {
		t.Errorf("got %q, %v", body, err)
	}
	o.wantExit(0)
}

// handOver starts braid as systemd does that has opened sockets for it.
func handOver(t *testing.T, names []string, sockets []*os.File, args ...string) *operated {
	t.Helper()
	return operate(t, func(cmd *exec.Cmd) {
		// The process has to be told its own number.
		braid := append([]string{cmd.Path}, cmd.Args[1:]...)
		sh, err := exec.LookPath("sh")
		if err != nil {
			t.Skip(err)
		}
		cmd.Path = sh
		cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`}, braid...)
		cmd.Env = append(cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(sockets)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
		cmd.ExtraFiles = sockets
	}, args...)
}

// TestProxySockets: sockets that systemd has opened are served, by name and by
// number, over Multipath TCP where they are for that, and connections that came
// while nobody served wait.
func TestProxySockets(t *testing.T) {
	server := website(t, "server")
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	plain, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	second, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	file := func(l net.Listener) *os.File {
		t.Helper()
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	waiting := keepAlive(t, plain.Addr().String())
	waiting.ask("/")

	t.Run("names", func(t *testing.T) {
		o := handOver(t, []string{"web", "web"}, []*os.File{file(plain), file(second)},
			"proxy", "--listen", "fd@web", "--backend", server, "--stack", "plain").ready()
		if status, body, err := waiting.answer(); err != nil || body != "server" {
			t.Errorf("the connection that waited got %d %q, %v", status, body, err)
		}
		for _, l := range []net.Listener{plain, second} {
			keepAlive(t, l.Addr().String()).want("server")
		}
		o.signal(syscall.SIGTERM)
		o.wantExit(0)
		// The sockets are still open here, as they are in systemd.
		c, err := net.Dial("tcp", plain.Addr().String())
		if err != nil {
			t.Errorf("the socket went with the process: %v", err)
		} else {
			c.Close()
		}
	})
	t.Run("number", func(t *testing.T) {
		o := handOver(t, []string{"web", "other"}, []*os.File{file(plain), file(second)},
			"proxy", "--listen", "fd@4", "--backend", server, "--stack", "plain").ready()
		keepAlive(t, second.Addr().String()).want("server")
		o.wantLog("level=WARN", "a socket was handed over that no listener takes", plain.Addr().String())
		if n := o.logs("that no listener takes"); n != 1 {
			t.Errorf("%d warnings, want 1", n)
		}
	})
	t.Run("no such name", func(t *testing.T) {
		o := handOver(t, []string{"web"}, []*os.File{file(plain)}, "proxy", "--listen", "fd@wbe", "--backend", server, "--stack", "plain")
		o.wantExit(exitFailed)
		if !strings.Contains(o.log.String(), "fd@wbe") || !strings.Contains(o.log.String(), "web") {
			t.Errorf("the error is %q", &o.log)
		}
	})
	t.Run("no listener", func(t *testing.T) {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f, err := c.(*net.UDPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		o := handOver(t, []string{"web"}, []*os.File{f}, "proxy", "--listen", "fd@web", "--backend", server, "--stack", "plain")
		o.wantExit(exitFailed)
		if !strings.Contains(o.log.String(), "socket 3 (web) that was handed over cannot be listened to") {
			t.Errorf("the error is %q", &o.log)
		}
	})
	t.Run("reload", func(t *testing.T) {
		with := func(name string) string {
			return strings.Replace(inFront(server, ""), "tcp@127.0.0.1:0", "fd@"+name, 1)
		}
		cfg := configured(t, with("a"))
		o := handOver(t, []string{"a", "b"}, []*os.File{file(plain), file(second)}, "proxy", "--config", cfg, "--no-watch").ready()
		keepAlive(t, plain.Addr().String()).want("server")
		for i, step := range []struct {
			name string
			l    net.Listener
		}{{"b", second}, {"a", plain}} {
			rewrite(t, cfg, with(step.name))
			o.signal(syscall.SIGHUP)
			waitFor(t, "the reload", func() bool { return o.logs("msg=reloaded") == i+1 })
			keepAlive(t, step.l.Addr().String()).want("server")
		}
	})
	t.Run("multipath", func(t *testing.T) {
		if err := kernel.Supported(); err != nil {
			t.Skip(err)
		}
		l, err := kernel.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		handOver(t, []string{"web"}, []*os.File{file(l)}, "proxy", "--listen", "fd@web", "--backend", server, "--stack", "plain").ready()
		client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return kernel.Dial(ctx, network, addr)
			}}}
		if got := page(t, &client, "http://"+l.Addr().String()+"/.well-known/multipath"); !strings.Contains(got, "You are using MPTCP") {
			t.Errorf("got %q", got)
		}
	})
}

// unit is a unit file: sections, keys, values.
type unit map[string]map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	u, section := make(unit), ""
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		key, value, assigned := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
			u[section] = make(map[string][]string)
		case !assigned || section == "":
			t.Errorf("%s:%d: %q", name, i+1, line)
		default:
			u[section][key] = append(u[section][key], value)
		}
	}
	return u
}

// TestUnits: the unit files are what systemd takes, and say what braid does.
func TestUnits(t *testing.T) {
	const dir = "../../dist/systemd"
	service, socket := readUnit(t, dir+"/braid-proxy.service"), readUnit(t, dir+"/braid-proxy.socket")
	for _, want := range []struct {
		u                   unit
		section, key, value string
	}{
		{service, "Service", "Type", "notify"},
		{service, "Service", "ExecStart", "/usr/bin/braid proxy --config /etc/braid/proxy.yaml"},
		{service, "Service", "ExecReload", "/usr/bin/braid proxy validate /etc/braid/proxy.yaml"},
		{service, "Service", "ExecReload", "/bin/kill -HUP $MAINPID"},
		{service, "Service", "AmbientCapabilities", "CAP_NET_BIND_SERVICE CAP_NET_ADMIN"},
		{service, "Service", "CapabilityBoundingSet", "CAP_NET_BIND_SERVICE CAP_NET_ADMIN"},
		{service, "Service", "RuntimeDirectoryPreserve", "yes"},
		{service, "Install", "WantedBy", "multi-user.target"},
		{socket, "Socket", "SocketProtocol", "mptcp"},
		{socket, "Socket", "FileDescriptorName", "web"},
		{socket, "Socket", "Service", "braid-proxy.service"},
	} {
		if !slices.Contains(want.u[want.section][want.key], want.value) {
			t.Errorf("[%s] has %s=%q, want %q", want.section, want.key, want.u[want.section][want.key], want.value)
		}
	}
	// The commands in it are commands.
	for _, key := range []string{"ExecStart", "ExecReload"} {
		for _, command := range service["Service"][key] {
			args, ours := strings.CutPrefix(command, "/usr/bin/braid ")
			if !ours {
				continue
			}
			code, _, stderr := invoke(t.Context(), append(strings.Fields(args), "--help")...)
			if code != 0 {
				t.Errorf("%s: %s", command, stderr)
			}
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is missing: units were read, not verified")
		return
	}
	// It looks for the program, which need not be installed here.
	copies := t.TempDir()
	var names []string
	for _, name := range []string{"braid-proxy.service", "braid-proxy.socket"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.Join(copies, name))
		b = []byte(strings.ReplaceAll(string(b), "/usr/bin/braid", executable(t)))
		if err := os.WriteFile(names[len(names)-1], b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(analyze, append([]string{"verify"}, names...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		// Older than 257: it says so and takes TCP.
		if strings.Contains(line, copies) && !strings.Contains(line, "Failed to parse socket protocol") {
			t.Errorf("systemd-analyze verify: %s", strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
