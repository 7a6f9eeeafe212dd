package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestToolUsage(t *testing.T) {
	tests := []struct {
		args []string
		code int
		want string // on stderr; of the help on stdout
	}{
		{[]string{"get", "--help"}, 0, "Exit codes"},
		{[]string{"get"}, exitUsage, "<url>"},
		{[]string{"get"}, exitUsage, "braid get --help says more"},
		{[]string{"nosuch"}, exitUsage, "braid --help says more"},
		{[]string{"get", "ftp://h/x"}, exitUsage, "http://"},
		{[]string{"get", "http://h/"}, exitUsage, "-o FILE"},
		{[]string{"get", "http://h/x", "--sha256=abc"}, exitUsage, "64 hexadecimal digits"},
		{[]string{"get", "http://h/x", "--stack", "magic"}, exitUsage, "--stack"},
		{[]string{"get", "http://h/x", "--scheduler", "blest"}, exitUsage, "default, roundrobin, redundant"},
		{[]string{"connect", "h:22", "--scheduler", "redundant", "--stack", "plain"}, exitUsage, "--stack plain has none"},
		{[]string{"get", "http://h/x", "--endpoint", "dev"}, exitUsage, "endpoint"},
		{[]string{"get", "http://h/x", "--retries=-1"}, exitUsage, "negative"},
		{[]string{"get", "http://h/x", "-o", "-", "--json"}, exitUsage, "standard output"},
		{[]string{"get", "http://h/x", "--interface", "nosuch0"}, exitFailed, "braid: no interface nosuch0; there are "},
		{[]string{"connect", "--help"}, 0, "ProxyCommand"},
		{[]string{"connect"}, exitUsage, "<address>"},
		{[]string{"connect", "host"}, exitUsage, "HOST:PORT"},
		{[]string{"connect", "host:"}, exitUsage, "HOST:PORT"},
		{[]string{"connect", "host:22", "-4", "-6"}, exitUsage, "can't be used together"},
		{[]string{"connect", "host:22", "--linger", "0"}, exitUsage, "--linger"},
		{[]string{"connect", "--stack", "plain", "127.0.0.1:1"}, exitFailed, "refused"},
		{[]string{"serve", "--help"}, 0, "SIGTERM"},
		{[]string{"serve", "--listen", ":1"}, exitUsage, "--to"},
		{[]string{"serve", "--listen", "udp@:1", "--to", ":2"}, exitUsage, "mptcp@"},
		{[]string{"serve", "--listen", ":1", "--to", "x"}, exitUsage, "--to"},
		{[]string{"serve", "--listen", ":1", "--to", ":2", "--proxy-protocol", "v3"}, exitUsage, "--proxy-protocol"},
		{[]string{"serve", "--listen", ":1", "--to", ":2", "--max-conns=-1"}, exitUsage, "negative"},
	}
	for _, tt := range tests {
		code, stdout, stderr := invoke(t.Context(), tt.args...)
		text := stderr
		if tt.code == 0 {
			text = stdout
		}
		if code != tt.code || !strings.Contains(text, tt.want) {
			t.Errorf("%q: exit code %d, want %d; %q, want %q in it", tt.args, code, tt.code, text, tt.want)
		}
		if tt.code != 0 && stdout != "" {
			t.Errorf("%q: an error left %q on stdout", tt.args, stdout)
		}
	}
}

func TestGet(t *testing.T) {
	data := strings.Repeat("braid", 100_000)
	sum := sha256.Sum256([]byte(data))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/file" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.Write([]byte(data))
	}))
	defer server.Close()
	name := filepath.Join(t.TempDir(), "out")
	run := func(args ...string) (code int, stdout, stderr string) {
		args = append([]string{"get", "--stack", "plain", "-o", name}, args...)
		return invoke(context.Background(), args...)
	}

	// The hash is asked for, told, or wrong.
	hash := hex.EncodeToString(sum[:])
	for _, args := range [][]string{{"--sha256"}, {"--sha256=" + hash}, {"--sha256", hash}} {
		code, stdout, stderr := run(append([]string{server.URL + "/file"}, args...)...)
		if code != 0 || !strings.Contains(stdout, hash+"  "+name) || !strings.Contains(stderr, "100 %") {
			t.Errorf("%q: exit code %d, %q, %q", args, code, stdout, stderr)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != data {
			t.Errorf("%q: %d bytes, %v", args, len(got), err)
		}
	}
	// What follows --sha256 may be the URL.
	if code, stdout, _ := run("-q", "--sha256", server.URL+"/file"); code != 0 || stdout != hash+"  "+name+"\n" {
		t.Errorf("exit code %d, %q", code, stdout)
	}
	code, stdout, stderr := run("--json", "--sha256", strings.Repeat("0", 64), server.URL+"/file")
	var report map[string]any
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Errorf("%q: %v", stdout, err)
	}
	if code != exitHash || report["sha256_ok"] != false || report["kept"] != name+".part" || !strings.Contains(stderr, "kept in "+name+".part") {
		t.Errorf("exit code %d, %v, %q", code, report, stderr)
	}
	if code, _, stderr := run(server.URL + "/other"); code != exitRefused || !strings.Contains(stderr, "404") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	if code, _, stderr := run("http://127.0.0.1:1/file"); code != exitFailed || !strings.Contains(stderr, "refused") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	name = "/dev/full"
	if code, _, stderr := run(server.URL + "/file"); code != exitFile || !strings.Contains(stderr, "disk full") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	name = "-"
	if code, stdout, _ := run(server.URL + "/file"); code != 0 || stdout != data {
		t.Errorf("exit code %d, %d bytes", code, len(stdout))
	}
}
