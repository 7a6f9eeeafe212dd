package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// load is a way to use a proxy.
type load struct {
	name string
	what string // in words, for the report
	path string
	h2   bool
	args []string // of wrk or h2load
}

// loads are all of them.
var loads = []load{
	{"keep-alive", "64 connections kept alive, a response of 35 bytes", "/small", false, []string{"-c64"}},
	{"close", "64 connections at once, a new one for each request, a response of 35 bytes", "/small", false,
		[]string{"-c64", "-H", "Connection: close"}},
	{"1 MB", "16 connections kept alive, responses of 1 MiB", "/big", false, []string{"-c16"}},
	{"h2", "HTTP/2 over TLS, 16 connections with 8 requests at once on each, a response of 35 bytes", "/small", true,
		[]string{"-c16", "-m8"}},
}

func (l load) url(p *proxy) string {
	if l.h2 {
		return "https://" + p.tls + l.path
	}
	return "http://" + p.plain + l.path
}

// run makes the load for so long.
func (l load) run(ctx context.Context, r *rig, p *proxy, d time.Duration) (sample, error) {
	if l.h2 {
		return l.h2load(ctx, r, p, d)
	}
	return l.wrk(ctx, r, p, d)
}

// wrkScript lets wrk tell what it found as JSON. Times are microseconds.
const wrkScript = `done = function(s, l, r)
	io.write(string.format('{"requests":%d,"us":%d,"bytes":%d,"errors":%d,"p50":%d,"p99":%d}\n',
		s.requests, s.duration, s.bytes,
		s.errors.connect + s.errors.read + s.errors.write + s.errors.status + s.errors.timeout,
		l:percentile(50), l:percentile(99)))
end
`

func (l load) wrk(ctx context.Context, r *rig, p *proxy, d time.Duration) (sample, error) {
	script, err := r.writeFile("done.lua", wrkScript)
	if err != nil {
		return sample{}, err
	}
	args := append([]string{"-t" + strconv.Itoa(r.otherThreads()), "-d" + inSeconds(d), "-s", script}, l.args...)
	out, used, err := r.generate(ctx, "wrk", append(args, l.url(p))...)
	if err != nil {
		return sample{}, err
	}
	smp, err := parseWrk(out)
	smp.loadCPU = used
	return smp, err
}

// parseWrk reads what wrkScript wrote after wrk's own report.
func parseWrk(out []byte) (sample, error) {
	i := bytes.LastIndexByte(out, '{')
	if i < 0 {
		return sample{}, fmt.Errorf("wrk says %q", out)
	}
	var w struct{ Requests, US, Bytes, Errors, P50, P99 int64 }
	if err := json.Unmarshal(out[i:], &w); err != nil {
		return sample{}, fmt.Errorf("wrk says %q: %w", out, err)
	}
	return sample{Requests: w.Requests, Seconds: float64(w.US) / 1e6, Bytes: w.Bytes, Errors: w.Errors,
		P50: float64(w.P50) / 1e3, P99: float64(w.P99) / 1e3}, nil
}

func (l load) h2load(ctx context.Context, r *rig, p *proxy, d time.Duration) (sample, error) {
	log := filepath.Join(r.dir, "h2load.log")
	os.Remove(log) // h2load appends
	args := append([]string{"-t" + strconv.Itoa(r.otherThreads()), "-D" + inSeconds(d), "--log-file", log}, l.args...)
	out, used, err := r.generate(ctx, "h2load", append(args, l.url(p))...)
	if err != nil {
		return sample{}, err
	}
	s, err := parseH2load(string(out))
	s.loadCPU = used
	if err != nil {
		return s, err
	}
	f, err := os.Open(log)
	if err != nil {
		return s, err
	}
	defer f.Close()
	s.P50, s.P99, err = percentiles(f)
	return s, err
}

var (
	h2Finished = regexp.MustCompile(`finished in ([0-9.]+)(us|ms|s|m)`)
	h2Requests = regexp.MustCompile(`requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded`)
	h2Statuses = regexp.MustCompile(`status codes: (\d+) 2xx`)
)

// parseH2load reads h2load's report.
func parseH2load(out string) (sample, error) {
	finished, requests, statuses := h2Finished.FindStringSubmatch(out), h2Requests.FindStringSubmatch(out), h2Statuses.FindStringSubmatch(out)
	if finished == nil || requests == nil || statuses == nil {
		return sample{}, fmt.Errorf("h2load says %q", out)
	}
	d, err := time.ParseDuration(finished[1] + finished[2])
	if err != nil {
		return sample{}, err
	}
	var n [3]int64
	for i, text := range []string{requests[1], requests[2], statuses[1]} {
		if n[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return sample{}, err
		}
	}
	// Requests that were under way at the end count neither as done nor as
	// succeeded, but what was done has to have a good status.
	return sample{Requests: n[0], Seconds: d.Seconds(), Errors: n[0] - min(n[1], n[2])}, nil
}

// percentiles reads the times of all requests, in microseconds in the third
// column of h2load's log, and gives two in milliseconds.
func percentiles(log io.Reader) (p50, p99 float64, err error) {
	var times []int64
	for s := bufio.NewScanner(log); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) != 3 {
			return 0, 0, fmt.Errorf("h2load logs %q", s.Text())
		}
		us, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return 0, 0, err
		}
		times = append(times, us)
	}
	if len(times) == 0 {
		return 0, 0, fmt.Errorf("h2load logged nothing")
	}
	slices.Sort(times)
	return float64(times[len(times)/2]) / 1e3, float64(times[len(times)*99/100]) / 1e3, nil
}

func inSeconds(d time.Duration) string {
	return strconv.Itoa(int(max(d.Round(time.Second)/time.Second, 1))) + "s"
}

// generate runs a load generator and tells what it printed, and how many seconds
// of processor time it used.
func (r *rig) generate(ctx context.Context, name string, args ...string) ([]byte, float64, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := onCPUs(r.otherCPUs(), cmd.Start); err != nil {
		return nil, 0, err
	}
	if err := cmd.Wait(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w\n%s", cmd, err, &out)
	}
	return out.Bytes(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}

// verify looks whether the proxy answers as the server would, byte for byte,
// before it is asked for speed.
func verify(ctx context.Context, r *rig, l load, p *proxy) error {
	want := []byte(smallBody)
	if l.path == "/big" {
		want = r.big
	}
	var protocols http.Protocols
	protocols.SetHTTP1(!l.h2)
	protocols.SetHTTP2(l.h2)
	t := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: &protocols,
		DisableKeepAlives: slices.Contains(l.args, "Connection: close")}
	defer t.CloseIdleConnections()
	c := http.Client{Transport: t, Timeout: 10 * time.Second}
	for range 20 {
		req, err := http.NewRequestWithContext(ctx, "GET", l.url(p), nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode != 200 || !bytes.Equal(got, want) || (resp.ProtoMajor == 2) != l.h2 {
			return fmt.Errorf("%s, %s with %d bytes, want %d", resp.Proto, resp.Status, len(got), len(want))
		}
	}
	return nil
}
