//go:build linux

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	pid, ppid, ticks, err := parseStat("4711 (a (odd) name) S 42 4711 4711 0 -1 4194560 9 8 7 6 100 20 3 1 20 0 1 0 55 1 2")
	if err != nil || pid != 4711 || ppid != 42 || ticks != 124 {
		t.Errorf("got %d, %d, %d, %v", pid, ppid, ticks, err)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1 2", "x (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
		"1 (x) S 1 2 3 4 5 6 7 8 9 10 x 12 13 14 15"} {
		if _, _, _, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) succeeded", bad)
		}
	}
}

// TestCPUSecondsCountsChildren: a shell that lets another one work has used
// what that one used.
func TestCPUSecondsCountsChildren(t *testing.T) {
	p, err := start(nil, nil, "sh", "-c", "sh -c 'while :; do :; done' & child=$!; trap 'kill $child; exit' TERM; wait")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		used, err := cpuSeconds(p.cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if used >= 0.2 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%.2f s of processor time", used)
		}
	}
}

func TestAwaitPortTellsOfTheEnd(t *testing.T) {
	p, err := start(nil, nil, "sh", "-c", "echo no such option; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	err = p.awaitPort(addr)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("got %v", err)
	}
}

func TestParseWrk(t *testing.T) {
	got, err := parseWrk([]byte("Running 1s test\n  2 threads\n" +
		`{"requests":1000,"us":2000000,"bytes":35000,"errors":7,"p50":640,"p99":12300}` + "\n"))
	want := sample{Requests: 1000, Seconds: 2, Bytes: 35000, Errors: 7, P50: 0.64, P99: 12.3}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "unable to connect", `{"requests":`} {
		if _, err := parseWrk([]byte(bad)); err == nil {
			t.Errorf("parseWrk(%q) succeeded", bad)
		}
	}
}

func TestParseH2load(t *testing.T) {
	const out = `finished in 2.00s, 500.00 req/s, 12.3KB/s
requests: 1010 total, 1010 started, 1000 done, 998 succeeded, 2 failed, 0 errored, 0 timeout
status codes: 997 2xx, 0 3xx, 1 4xx, 2 5xx
`
	got, err := parseH2load(out)
	if want := (sample{Requests: 1000, Seconds: 2, Errors: 3}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseH2load("cannot connect"); err == nil {
		t.Error("nonsense was taken")
	}
}

func TestPercentiles(t *testing.T) {
	var log strings.Builder
	for _, us := range []string{"9000", "1000", "2000", "4000", "3000"} {
		log.WriteString("1760000000\t200\t" + us + "\n")
	}
	p50, p99, err := percentiles(strings.NewReader(log.String()))
	if err != nil || p50 != 3 || p99 != 9 {
		t.Errorf("got %v, %v, %v", p50, p99, err)
	}
	for _, bad := range []string{"", "1 2\n", "1 2 x\n"} {
		if _, _, err := percentiles(strings.NewReader(bad)); err == nil {
			t.Errorf("percentiles(%q) succeeded", bad)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestSamplesRoundTrip(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s.jsonl")
	if got, err := readSamples(name); err != nil || got != nil {
		t.Errorf("no file: %v, %v", got, err)
	}
	want := []sample{{Time: time.Unix(1, 0).UTC(), Load: "keep-alive", Proxy: "nginx", Requests: 10, Seconds: 1, P99: 2.5},
		{Time: time.Unix(2, 0).UTC(), Load: "h2", Proxy: "Caddy", CPU: 0.1}}
	for _, s := range want {
		if err := appendSample(name, s); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readSamples(name)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if err := os.WriteFile(name, []byte("{}\nnonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readSamples(name); err == nil || !strings.Contains(err.Error(), name+":2:") {
		t.Errorf("got %v", err)
	}
}

func TestReport(t *testing.T) {
	var samples []sample
	for i, rate := range []int64{50, 70, 60} {
		for _, p := range []struct {
			name string
			rate int64
		}{{"HAProxy", rate}, {"braid", rate * 9 / 10}} {
			samples = append(samples, sample{Time: time.Unix(int64(i), 0).UTC(), Machine: "a machine", CPUs: cpusShared,
				Load: "keep-alive", Proxy: p.name, Version: "v1", Requests: p.rate, Seconds: 1, P50: 1, P99: 2, CPU: 0.5})
		}
	}
	got := report(samples)
	for _, want := range []string{"On a machine; 1970-01-01. braid v1, HAProxy v1.", "Medians of 3 rounds at least.",
		"| HAProxy | 60 | 50 to 70 | 1.00 | 1.00 | 2.00 | 8333.3 |", "| braid | 54 | 45 to 63 | 0.90 |"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "**h2**") || strings.Contains(got, "CPU 0") {
		t.Errorf("a table of what was not measured:\n%s", got)
	}
}

func TestWriteBetween(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results.md")
	if err := os.WriteFile(name, []byte("before\n"+beginMark+"old"+endMark+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeBetween(name, "new\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if want := "before\n" + beginMark + "\n\nnew\n\n" + endMark + "\nafter\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if err := os.WriteFile(name, []byte("no markers"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeBetween(name, "new"); err == nil {
		t.Error("a file without markers was written")
	}
}
