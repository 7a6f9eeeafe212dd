package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/lab/demo"
)

// invoke runs a command line without a terminal.
func invoke(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, args, console{&out, &err, false})
	return code, out.String(), err.String()
}

func TestUsage(t *testing.T) {
	tests := []struct {
		args []string
		code int
		want string // on stderr; of the help on stdout
	}{
		{[]string{"--help"}, 0, "Multipath TCP"},
		{[]string{"demo", "--help"}, 0, "--no-cut"},
		{[]string{}, exitUsage, "expected one of"},
		{[]string{"dmeo"}, exitUsage, "dmeo"},
		{[]string{"demo", "--sise", "3"}, exitUsage, "--sise"},
		{[]string{"demo", "--size", "lots"}, exitUsage, `size "lots"`},
		{[]string{"demo", "--size", "-1"}, exitUsage, "size"},
		{[]string{"demo", "--size", "0"}, exitUsage, "from 1"},
		{[]string{"demo", "--path", "wired"}, exitUsage, "name=rate,delay"},
		{[]string{"demo", "--path", "a=1M,1ms", "--path", "a=1M,1ms"}, exitUsage, "two paths"},
		{[]string{"demo", "--cut", "wired"}, exitUsage, "no @"},
		{[]string{"demo", "--cut", "wierd@50%"}, exitUsage, "wired, wireless"},
		{[]string{"demo", "--cut", "wired@50%", "--cut", "wireless@60%"}, exitUsage, "could not end"},
		{[]string{"demo", "--no-cut", "--cut", "wired@50%"}, exitUsage, "--no-cut"},
		{[]string{"demo", "--restore", "wireless@50%"}, exitUsage, "never cut"},
		{[]string{"demo", "--seed", "x"}, exitUsage, "--seed"},
		{[]string{"demo", "--pcap", "/nowhere/at/all.pcapng"}, exitFailed, "--pcap"},
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

func TestDemoPlan(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{nil, "cut wired 50%, restore wired 70%"},
		{[]string{"--no-cut"}, ""},
		{[]string{"--cut", "wireless@25%"}, "cut wireless 25%"},
		{[]string{"--restore", "wired@+2s"}, "cut wired 50%, restore wired +2s"},
		{[]string{"--cut", "wired@10%", "--cut", "wired@50%", "--restore", "wired@20%"}, "cut wired 10%, cut wired 50%, restore wired 20%"},
		{[]string{"--path", "a=1M,1ms"}, ""},
		{[]string{"--path", "a=1M,1ms", "--path", "b=1M,1ms"}, "cut a 50%, restore a 70%"},
	}
	for _, tt := range tests {
		d := demoCmd{Size: "1M"}
		for i := 0; i < len(tt.args); i++ {
			switch tt.args[i] {
			case "--no-cut":
				d.NoCut = true
			case "--cut":
				d.Cut = append(d.Cut, tt.args[i+1])
			case "--restore":
				d.Restore = append(d.Restore, tt.args[i+1])
			case "--path":
				d.Path = append(d.Path, tt.args[i+1])
			}
		}
		if err := d.Validate(); err != nil {
			t.Errorf("%q: %v", tt.args, err)
		}
		var got []string
		for _, c := range d.cfg.Plan {
			got = append(got, planText(c))
		}
		if got := strings.Join(got, ", "); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.args, got, tt.want)
		}
	}
}

func planText(c demo.Change) string {
	what, when := "cut ", ""
	if c.Up {
		what = "restore "
	}
	if c.At.Share >= 0 {
		when = fmt.Sprintf("%.0f%%", 100*c.At.Share)
	} else if c.At.SinceCut {
		when = "+" + c.At.After.String()
	}
	return what + c.Path + " " + when
}

// small are the flags of a demo that takes half a second.
var small = []string{"demo", "--size", "2MiB", "--path", "wired=40M,2ms", "--path", "wireless=20M,5ms", "--restore", "wired@+50ms"}

// TestDemoJSON: exactly one object, with the fields that are promised.
func TestDemoJSON(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.pcapng")
	code, stdout, stderr := invoke(t.Context(), append(small, "--json", "--pcap", name)...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	decoder := json.NewDecoder(strings.NewReader(stdout))
	var got map[string]any
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if decoder.More() {
		t.Errorf("more than one object: %s", stdout)
	}
	for key, want := range map[string]any{
		"bytes": 2097152.0, "sha256_ok": true, "fallback": false, "mptcp_version": 1.0,
	} {
		if got[key] != want {
			t.Errorf("%s = %v, want %v", key, got[key], want)
		}
	}
	for _, key := range []string{"seconds", "goodput_mbps", "longest_stall_ms"} {
		if n, ok := got[key].(float64); !ok || n <= 0 {
			t.Errorf("%s = %v, want a number", key, got[key])
		}
	}
	paths, _ := got["paths"].([]any)
	if len(paths) != 2 {
		t.Fatalf("paths = %v, want two", got["paths"])
	}
	for i, want := range []struct {
		name string
		rate float64
	}{{"wired", 40}, {"wireless", 20}} {
		p := paths[i].(map[string]any)
		if p["name"] != want.name || p["rate_mbps"] != want.rate {
			t.Errorf("path %d is %v, want %v", i, p, want)
		}
		for _, key := range []string{"bytes", "reinjected_bytes"} {
			if _, ok := p[key].(float64); !ok {
				t.Errorf("path %d has no %s: %v", i, key, p)
			}
		}
	}
	if info, err := os.Stat(name); err != nil || info.Size() < 2<<20 {
		t.Errorf("capture: %v, %v", info, err)
	}
}

// TestDemoPlain: without a terminal there are lines, and no control codes.
func TestDemoPlain(t *testing.T) {
	code, stdout, stderr := invoke(t.Context(), small...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	for _, want := range []string{"2.0 MiB over wired (40 Mbit/s, 2ms) and wireless", "wired: subflow up", "wired: cut",
		"wired: restored", "100 %", "longest stall", "Multipath TCP version 1, no fallback", "SHA-256 verified"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "\x1b") {
		t.Errorf("control codes in %q", stdout)
	}
}

func TestDemoInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	stopped, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, stop)()
	code, stdout, stderr := invoke(stopped, "demo", "--size", "1GiB", "--json")
	if code != exitInterrupted || !strings.Contains(stderr, "interrupted") || stdout != "" {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

func TestVersion(t *testing.T) {
	code, stdout, _ := invoke(t.Context(), "version")
	if code != 0 || !strings.HasPrefix(stdout, "braid ") || !strings.Contains(stdout, "go1") {
		t.Errorf("exit code %d, %q", code, stdout)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "4096": 4096, "32MiB": 32 << 20, "1.5KiB": 1536, "2GiB": 2 << 30, "100M": 100e6, "3 kB": 3000, "7B": 7, "1G": 1e9,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "M", "0", "0.1", "-3", "NaN", "Inf", "1e30", "3 apples", "2048GiB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestLiveView(t *testing.T) {
	cfg := demo.Config{Size: 10 << 20, Paths: demo.DefaultPaths()}
	stopped := false
	v := newLiveView(cfg, func() { stopped = true })
	if !strings.Contains(v.View(), "wireless") {
		t.Errorf("before the first snapshot: %s", v.View())
	}
	for i := range 100 {
		s := demo.Snapshot{At: time.Duration(i) * 100 * time.Millisecond, Bytes: int64(i) * 50_000, Size: cfg.Size, Rate: 50e6}
		for _, p := range cfg.Paths {
			s.Paths = append(s.Paths, demo.PathSnapshot{Path: p, Open: true, Rate: p.Rate, Bytes: 1 << 20})
		}
		s.Paths[0].Cut = i > 50
		v.Update(s)
	}
	v.Update(demo.Event{At: time.Second, Path: "wired", What: demo.Cut})
	text := v.View()
	for _, want := range []string{"wired: cut", "together", "50.0 Mbit/s", "████"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if n := len([]rune(line)); n > 200 {
			t.Errorf("a line of %d characters: %s", n, line)
		}
	}
	if stopped {
		t.Error("stopped by itself")
	}
}
