package tcp

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write what happened into the scripts of testdata")

// TestScripts plays the scripts of testdata against a connection and compares
// what it does with what they say. A script begins with prose that says what it
// proves. Lines that begin with ">" are done to the connection; those below
// are what follows from it: segments sent, changes of state, events, results.
// After a change that is meant, go test ./tcp -run Scripts -rewrite and review
// the difference.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playScript(t, string(want))
			if got == string(want) {
				return
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s: what happened differs:\n%s", file, firstDifference(string(want), got))
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			from := max(0, i-6)
			return strings.Join(g[from:i], "\n") + fmt.Sprintf("\nline %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}

// playScript gives the script as it would read if what happened were right.
func playScript(t *testing.T, script string) string {
	p := &player{t: t, state: StateClosed}
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "> "):
			p.out.WriteString(line + "\n")
			p.do(strings.Fields(line[2:]), line[2:])
			p.report()
		case line == "" || strings.HasPrefix(line, "#"):
			p.out.WriteString(line + "\n")
		}
	}
	return p.out.String()
}

type player struct {
	t     *testing.T
	cfg   Config
	tc    *testConn
	state State
	out   strings.Builder
}

func (p *player) conn() *testConn {
	if p.tc == nil {
		p.tc = newTestConn(p.t, p.cfg)
	}
	return p.tc
}

// do carries out one line.
func (p *player) do(words []string, line string) {
	arg := strings.TrimSpace(strings.TrimPrefix(line, words[0]))
	num := func() int {
		n, err := strconv.Atoi(arg)
		if err != nil {
			p.t.Fatalf("%q: %v", line, err)
		}
		return n
	}
	tc := p.tc
	if tc == nil && words[0] != "config" {
		tc = p.conn()
	}
	switch words[0] {
	case "config":
		for _, w := range words[1:] {
			p.configure(w)
		}
	case "connect":
		tc.connect()
	case "accept":
		tc.accept(arg)
	case "in":
		tc.inject(arg)
	case "wait":
		d, err := time.ParseDuration(arg)
		if err != nil {
			p.t.Fatalf("%q: %v", line, err)
		}
		tc.advance(d)
	case "write":
		tc.write(num())
	case "read":
		p.read(num())
	case "shut":
		tc.closeWrite()
	case "close":
		tc.close()
	case "abort":
		tc.abort()
	case "show":
		p.show()
	default:
		p.t.Fatalf("script: what is %q?", line)
	}
}

func (p *player) configure(w string) {
	if p.tc != nil {
		p.t.Fatal("config comes first")
	}
	switch w {
	case "nots":
		p.cfg.NoTimestamps = true
	case "nosack":
		p.cfg.NoSACK = true
	case "nagle":
		p.cfg.Nagle = true
	case "reno":
		p.cfg.CongestionControl = "reno"
	case "large":
		p.cfg.MaxPacket = 65535
	default:
		p.t.Fatalf("config %q", w)
	}
}

// read reports how much there was to read, and why no more.
func (p *player) read(n int) {
	if k := min(n, p.tc.s.in.Readable()); k > 0 {
		p.tc.wantRead(fmt.Sprintf("read %d", n), k)
		fmt.Fprintf(&p.out, "read %d\n", k)
		return
	}
	_, err := p.tc.s.Read(p.tc.now, make([]byte, n))
	fmt.Fprintf(&p.out, "read: %v\n", err)
}

// show writes where loss recovery and congestion control stand.
func (p *player) show() {
	c := p.tc.c
	ssthresh := "none"
	if n := c.cc.Threshold(); n != math.MaxInt {
		ssthresh = strconv.Itoa(n)
	}
	fmt.Fprintf(&p.out, "%s: window %d, threshold %s, in flight %d, RTO %v\n",
		[...]string{"open", "recovery", "loss"}[c.loss.phase], c.cc.Window(), ssthresh, c.InFlight(),
		c.rtt.backoff(c.loss.timeouts).Round(time.Millisecond))
}

// report writes what happened.
func (p *player) report() {
	tc := p.tc
	if tc == nil || tc.c == nil {
		return
	}
	for _, s := range tc.take() {
		fmt.Fprintf(&p.out, "%.3f %s\n", s.at.Sub(epoch).Seconds(), s.text)
	}
	if s := tc.c.State(); s != p.state {
		p.state = s
		fmt.Fprintf(&p.out, "state %v\n", s)
	}
	for e, ok := tc.s.NextEvent(); ok; e, ok = tc.s.NextEvent() {
		fmt.Fprintf(&p.out, "event %v\n", e)
		if e == Closed && tc.c.Err() != nil {
			fmt.Fprintf(&p.out, "error %v\n", tc.c.Err())
		}
	}
}
