package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braid-mptcp/braid/kernel"
)

func TestProxyUsage(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("listners: []\npools:\n  web: {polcy: x}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	minimal := []string{"proxy", "--listen", "tcp@127.0.0.1:0", "--backend", "http://127.0.0.1:1", "--print-config"}
	with := func(more ...string) []string { return append(minimal[:len(minimal):len(minimal)], more...) }
	tests := []struct {
		args []string
		code int
		want string // on stderr; on stdout when the code is 0
	}{
		{[]string{"--help"}, 0, "proxy"},
		{[]string{"proxy", "--help"}, 0, "--backend"},
		{[]string{"proxy", "--help"}, 0, "SIGHUP"},
		{[]string{"proxy", "validate", "--help"}, 0, "Exit codes"},
		{[]string{"proxy"}, exitUsage, "--config FILE"},
		{[]string{"proxy", "--listen", ":80"}, exitUsage, "--backend"},
		{[]string{"proxy", "--config", "x", "--listen", ":80"}, exitUsage, "--listen has its place"},
		{[]string{"proxy", "--config", "x", "--log-level", "debug"}, exitUsage, "--log-level has its place"},
		{[]string{"proxy", "--config", filepath.Join(dir, "missing")}, exitFailed, "no such file"},
		{[]string{"proxy", "--config", broken}, exitFailed, `broken.yaml:1:1: unknown key "listners"; did you mean "listeners"?` + "\nbraid: " + broken + ":1:1: listeners: there has to be one"},
		{[]string{"proxy", "validate", broken, "--listen", ":80"}, exitUsage, "no flags"},
		{[]string{"proxy", "valid"}, exitUsage, "valid"},
		{minimal, 0, "mode: http"},
		{with("--mode", "tcp", "--stack", "plain"), 0, "mode: tcp"},
		{with("--policy", "maglev", "--http-reuse", "always", "--check", "/up", "--admin", "127.0.0.1:1"), 0, "path: /up"},
		{with("--access-log", "json", "--log", "json", "--log-level", "warn", "--send-proxy", "v2"), 0, "send_proxy: v2"},
		{with("--interface", "eth0", "--endpoint", "dev eth0 signal, backup"), 0, "dev eth0 signal, backup"},
		{with("--backend", "https://b"), exitFailed, "--backend: one proxy cannot mix http and https"},
		{with("--policy", "maglef"), exitFailed, `did you mean "maglev"?`},
		{with("--tls-cert", filepath.Join(dir, "none.pem")), exitFailed, "none.pem: no such file"},
		{with("--listen", "x"), exitFailed, "--listen: "},
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

// TestPrintDefault: what is printed to start from is a configuration.
func TestPrintDefault(t *testing.T) {
	code, stdout, stderr := invoke(t.Context(), "config", "print-default")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	file := filepath.Join(t.TempDir(), "default.yaml")
	if err := os.WriteFile(file, []byte(stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = invoke(t.Context(), "proxy", "validate", file)
	if want := file + ": ok, 1 listener, 1 pool\n"; code != 0 || stdout != want {
		t.Errorf("exit code %d, %q, want %q; %s", code, stdout, want, stderr)
	}
}

// TestValidateScheduler: a scheduler that the kernel has not is no mistake, and
// without effect there.
func TestValidateScheduler(t *testing.T) {
	if err := kernel.CheckScheduler("default"); err != nil {
		t.Skip(err)
	}
	for stack, want := range map[string]string{
		"kernel": ":4:34: tcp_profiles.fast.scheduler: has no effect: scheduler roundrobin: the kernel has ", "user": "", "plain": "",
	} {
		file := filepath.Join(t.TempDir(), "proxy.yaml")
		text := "network: {stack: " + stack + "}\nlisteners: {address: ':80', pool: a, tcp: fast}\npools: {a: {backends: ['1.2.3.4:5']}}\n" +
			"tcp_profiles: {fast: {scheduler: roundrobin}, usual: {scheduler: default}}\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := invoke(t.Context(), "proxy", "validate", file)
		if code != 0 || !strings.HasSuffix(stdout, ": ok, 1 listener, 1 pool\n") {
			t.Errorf("%s: exit code %d, %q, %s", stack, code, stdout, stderr)
		}
		if n := strings.Count(stderr, "\n"); want == "" && n != 0 || want != "" && (n != 1 || !strings.Contains(stderr, file+want)) {
			t.Errorf("%s: got %q, want %q", stack, stderr, want)
		}
	}
}

// TestValidate: every mistake of a file is told with its place.
func TestValidate(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("servers", "10.0.0.1:80\nnonsense here\n")
	write("junk.pem", "junk")
	const pools = "pools: {a: {backends: ['1.2.3.4:5']}, b: {backends: ['1.2.3.4:6']}}\n"
	const listener = "listeners: {address: ':80', pool: a}\n"
	for _, test := range []struct {
		name, text string
		want       []string // "LINE:COLUMN: what is said"; "": how many are fine
	}{
		{"two of each", "listeners: [{address: ':80', pool: a}, {address: ':81', pool: b}]\n" + pools, nil},
		{"misspelt", "listener: {address: ':80'}\n" + listener + pools, []string{`1:1: unknown key "listener"; did you mean "listeners"?`}},
		{"several", "timeouts: {drian: 3s}\nlisteners: {address: ':80', pool: c, http2: maybe}\n" + pools,
			[]string{`1:12: timeouts: unknown key "drian"; did you mean "drain"?`, `2:35: listeners[0].pool: there is no pool "c"; `, `2:45: `}},
		{"no YAML", "listeners: [\n", []string{`:`}},
		{"endpoint", "network: {endpoints: ['dev']}\n" + listener + pools, []string{`1:23: network.endpoints[0]: `}},
		{"servers", listener + "pools:\n  a:\n    file: servers\n", []string{`4:11: pools.a.file`}},
		{"certificate", "listeners:\n- address: ':443'\n  pool: a\n  tls:\n    certificates: {cert: junk.pem}\n" + pools, []string{`5:26: listeners[0].tls.certificates[0].cert: `}},
		{"no certificate", "listeners:\n- address: ':443'\n  pool: a\n  tls:\n    certificates: {cert: none.pem}\n" + pools, []string{`no such file`}},
		{"log", "log: {output: " + dir + "/none/log}\n" + listener + pools, []string{`1:15: log.output: `}},
		{"access log", "log: {access: {format: json, output: " + dir + "/servers/log}}\n" + listener + pools, []string{`1:38: log.access.output: `}},
	} {
		t.Run(test.name, func(t *testing.T) {
			write("proxy.yaml", test.text)
			file := filepath.Join(dir, "proxy.yaml")
			code, stdout, stderr := invoke(t.Context(), "proxy", "validate", file)
			if test.want == nil {
				if want := file + ": ok, 2 listeners, 2 pools\n"; code != 0 || stdout != want || stderr != "" {
					t.Errorf("exit code %d, %q, want %q; %s", code, stdout, want, stderr)
				}
				return
			}
			if code != exitFailed || stdout != "" {
				t.Errorf("exit code %d, want %d; stdout %q", code, exitFailed, stdout)
			}
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			last := lines[len(lines)-1]
			if want := "braid: " + file + ": " + count(len(test.want), "mistake"); last != want {
				t.Errorf("the last line is %q, want %q", last, want)
			}
			if len(lines) != len(test.want)+1 {
				t.Errorf("%d mistakes, want %d:\n%s", len(lines)-1, len(test.want), stderr)
			}
			for i, want := range test.want {
				if i < len(lines) && (!strings.HasPrefix(lines[i], file+":") || !strings.Contains(lines[i], want)) {
					t.Errorf("got %q, want %q in %s", lines[i], want, file)
				}
			}
		})
	}
}
