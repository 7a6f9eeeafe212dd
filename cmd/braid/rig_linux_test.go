package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/braid-mptcp/braid/get"
	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/kernel"
)

// mainEnv makes the test program be braid.
const mainEnv = "BRAID_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// patience is how long anything in a test may take that should take no time,
// however busy the machine is.
const patience = 45 * time.Second

// hosts are a client with two uplinks to a router, and a server behind that with
// one. All have default routes, as hosts on the Internet have.
type hosts struct {
	t                      *testing.T
	client, router, server *netns.NS
	uplinks, far           [2]*netns.End // the cables' ends at client and router
}

func newHosts(t *testing.T) *hosts {
	t.Helper()
	h := &hosts{t: t, client: netns.New(t, "client"), router: netns.New(t, "router"), server: netns.New(t, "server")}
	h.router.SetForwarding()
	up, down := netns.Connect(h.server, h.router, netns.Cable{A: "eth0", B: "server", Addrs: []string{
		"10.9.9.9/24", "10.9.9.1/24", "fd00:9::9/64", "fd00:9::1/64",
	}})
	for _, gw := range []string{"10.9.9.1", "fd00:9::1"} {
		h.server.AddRoute(netns.Route{Dst: "default", Via: gw, Dev: up})
	}
	// Kernel MPTCP over veth reorders without.
	up.SetRPS(3)
	down.SetRPS(3)
	for i := range h.uplinks {
		n := fmt.Sprint(i + 1)
		h.uplinks[i], h.far[i] = netns.Connect(h.client, h.router, netns.Cable{A: "eth" + n, B: "client" + n, Addrs: []string{
			"10.1." + n + ".5/24", "10.1." + n + ".1/24", "fd00:1:" + n + "::5/64", "fd00:1:" + n + "::1/64",
		}})
		h.uplinks[i].SetRPS(3)
		h.far[i].SetRPS(3)
		h.defaultRoute(i)
	}
	h.client.SetSysctl("net.ipv4.conf.all.rp_filter", "1") // the strictest that hosts have
	return h
}

func (h *hosts) defaultRoute(i int) {
	n := fmt.Sprint(i + 1)
	for _, gw := range []string{"10.1." + n + ".1", "fd00:1:" + n + "::1"} {
		h.client.AddRoute(netns.Route{Dst: "default", Via: gw, Dev: h.uplinks[i], Metric: 100 * (i + 1)})
	}
}

// addAddress gives the client the address that belongs on an uplink, and the
// routes that come with it.
func (h *hosts) addAddress(i int) {
	n := fmt.Sprint(i + 1)
	h.uplinks[i].SetUp(true)
	h.uplinks[i].AddAddr("10.1." + n + ".5/24")
	h.uplinks[i].AddAddr("fd00:1:" + n + "::5/64")
	h.defaultRoute(i)
}

// takeAddress takes an uplink's addresses away, and its routes with them.
func (h *hosts) takeAddress(i int) {
	n := fmt.Sprint(i + 1)
	h.uplinks[i].DelAddr("10.1." + n + ".5/24")
	h.uplinks[i].DelAddr("fd00:1:" + n + "::5/64")
	h.uplinks[i].SetUp(false)
}

// shape limits both directions of both cables.
func (h *hosts) shape(rate int64) {
	for i := range h.uplinks {
		h.uplinks[i].SetShape(netns.Shape{Rate: rate})
		h.far[i].SetShape(netns.Shape{Rate: rate})
	}
}

// needKernel skips where the kernel has no Multipath TCP.
func (h *hosts) needKernel() {
	h.t.Helper()
	var err error
	h.server.Do(func() { err = kernel.Supported() })
	if err != nil {
		h.t.Skip(err)
	}
}

// command is braid with arguments, to be run in a namespace.
func (h *hosts) command(args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command(executable(h.t), args...)
	cmd.Env = append(os.Environ(), mainEnv+"=1")
	// Whatever becomes of the test, no process outlives it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func executable(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// output collects what a process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start starts a process in a namespace; it ends with the test.
func (h *hosts) start(n *netns.NS, cmd *exec.Cmd) *exec.Cmd {
	h.t.Helper()
	// A process dies with the thread that started it (Pdeathsig), so it is
	// started by one that stays.
	started := make(chan error)
	stay := make(chan struct{})
	n.Go(func() {
		started <- cmd.Start()
		<-stay
	})
	if err := <-started; err != nil {
		close(stay)
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		// In good order, or a journal would stay in /run.
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
		close(stay)
	})
	return cmd
}

// run runs braid in a namespace to its end.
func (h *hosts) run(n *netns.NS, args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	cmd := h.command(args...)
	var out, err output
	cmd.Stdout, cmd.Stderr = &out, &err
	h.start(n, cmd)
	cmd.Wait()
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// waitFor waits until ok.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// serve starts `braid serve` on a host and returns its log.
func (h *hosts) serve(n *netns.NS, args ...string) (*exec.Cmd, *output) {
	h.t.Helper()
	cmd := h.command(append([]string{"serve", "--drain", "1s"}, args...)...)
	log := new(output)
	cmd.Stderr = log
	h.start(n, cmd)
	waitFor(h.t, "serve listens", func() bool { return strings.Contains(log.String(), "msg=listening") })
	h.t.Cleanup(func() {
		if h.t.Failed() {
			h.t.Logf("log of serve:\n%s", log)
		}
	})
	return cmd, log
}

// file is what the server has to download.
type file struct {
	seed byte
	size int
}

func (f file) bytes() []byte {
	b := make([]byte, f.size)
	rand.NewChaCha8([32]byte{f.seed}).Read(b)
	return b
}

// serveHTTP serves the file at every path of the server's port 80, behind the
// kernel's Multipath TCP or, with it switched off, plain TCP.
func (h *hosts) serveHTTP(f file) {
	h.t.Helper()
	data := f.bytes()
	var l net.Listener
	var err error
	h.server.Do(func() {
		if h.server.Sysctl("net.mptcp.enabled") == "0" {
			l, err = net.Listen("tcp", ":80")
			return
		}
		l, err = kernel.Listen(context.Background(), "tcp", ":80")
	})
	if err != nil {
		h.t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "file", time.Time{}, bytes.NewReader(data))
	})}
	go s.Serve(l)
	h.t.Cleanup(func() { s.Close() })
}

// allowJoins lets the server's connections have four paths.
func (h *hosts) allowJoins() {
	h.t.Helper()
	var pm *kernel.PathManager
	var err error
	h.server.Do(func() { pm, err = kernel.OpenPathManager() })
	if err != nil {
		h.t.Fatal(err)
	}
	defer pm.Close()
	if err := pm.SetLimits(kernel.Limits{Subflows: 8, AddAddrAccepted: 8}); err != nil {
		h.t.Fatal(err)
	}
}

// get runs `braid get --json` on the client.
func (h *hosts) get(args ...string) (code int, report get.Report, stderr string) {
	h.t.Helper()
	code, stdout, stderr := h.run(h.client, append([]string{"get", "--json", "-q"}, args...)...)
	if stdout != "" {
		if err := json.Unmarshal([]byte(stdout), &report); err != nil {
			h.t.Fatalf("%v in %q", err, stdout)
		}
	}
	return code, report, stderr
}

// echo answers at port 7 of a host's own loopback address with what it gets.
func (h *hosts) echo(n *netns.NS) {
	h.t.Helper()
	var l net.Listener
	var err error
	n.Do(func() { l, err = net.Listen("tcp", "127.0.0.1:7") })
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
}

// dialogue is a session that sends a line now and then and gets it back.
type dialogue struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	sent  int
	got   int
	last  time.Time
	gap   time.Duration // the longest time without a line
	late  time.Duration // the longest time by which this process itself was held up
}

// talk starts a command whose output is its input.
func (h *hosts) talk(n *netns.NS, cmd *exec.Cmd) *dialogue {
	h.t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	h.start(n, cmd)
	d := &dialogue{t: h.t, cmd: cmd, in: in, lines: make(chan string, 1000), last: time.Now()}
	go func() {
		defer close(d.lines)
		s := bufio.NewScanner(out)
		for s.Scan() {
			d.lines <- s.Text()
		}
	}()
	return d
}

const beat = 50 * time.Millisecond

func lineOf(n int) string { return fmt.Sprintf("line %d %s", n, strings.Repeat("x", 100)) }

// forTime keeps talking for so long.
func (d *dialogue) forTime(long time.Duration) {
	d.t.Helper()
	end := time.After(long)
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		waits := time.Now()
		select {
		case <-end:
			return
		case due := <-ticker.C:
			if waits.After(due) {
				due = waits
			}
			d.late = max(d.late, time.Since(due))
			d.send()
		case line, ok := <-d.lines:
			d.take(line, ok)
		}
	}
}

// send says one line.
func (d *dialogue) send() {
	d.t.Helper()
	d.sent++
	if _, err := fmt.Fprintln(d.in, lineOf(d.sent)); err != nil {
		d.t.Fatalf("line %d: %v", d.sent, err)
	}
}

func (d *dialogue) take(line string, ok bool) {
	d.t.Helper()
	if !ok {
		d.t.Fatalf("the session has ended after line %d of %d", d.got, d.sent)
	}
	d.got++
	if want := lineOf(d.got); line != want {
		d.t.Fatalf("got %q, want %q", line, want)
	}
	d.gap = max(d.gap, time.Since(d.last))
	d.last = time.Now()
}

// catchUp waits for the lines that were sent and forgets the gaps so far.
func (d *dialogue) catchUp() {
	d.t.Helper()
	timeout := time.After(patience)
	for d.got < d.sent {
		select {
		case line, ok := <-d.lines:
			d.take(line, ok)
		case <-timeout:
			d.t.Fatalf("%d lines of %d", d.got, d.sent)
		}
	}
	d.gap, d.late, d.last = 0, 0, time.Now()
}

// wantNoStall wants no gap of more than a second, not counting what the machine
// did not run this process either.
func (d *dialogue) wantNoStall() {
	d.t.Helper()
	d.t.Logf("longest gap %v", d.gap.Round(time.Millisecond))
	if d.gap > time.Second+d.late {
		d.t.Errorf("a gap of %v, while this process was held up for %v at most", d.gap, d.late)
	}
}

// end ends the session; everything that was sent has to come back. The process
// is over then.
func (d *dialogue) end() {
	d.t.Helper()
	d.in.Close()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-d.lines:
			if !ok {
				if d.got != d.sent {
					d.t.Errorf("%d lines of %d", d.got, d.sent)
				}
				if err := d.cmd.Wait(); err != nil {
					d.t.Error(err)
				}
				return
			}
			d.take(line, true)
		case <-timeout:
			d.t.Fatalf("%d lines of %d, and no end", d.got, d.sent)
		}
	}
}

// addUsersRules gives the client a ruleset of its own.
func (h *hosts) addUsersRules() {
	h.t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(h.client.Fd()))
	if err != nil {
		h.t.Fatal(err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "filter"})
	chain := c.AddChain(&nftables.Chain{Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}})
	if err := c.Flush(); err != nil {
		h.t.Fatal(err)
	}
}

// state is what a process of ours could leave behind at the client.
func (h *hosts) state() (lines []string) {
	h.t.Helper()
	lines = h.client.Snapshot()
	if h.client.Sysctl("net.mptcp.enabled") == "0" {
		return lines
	}
	var pm *kernel.PathManager
	var err error
	h.client.Do(func() { pm, err = kernel.OpenPathManager() })
	if err != nil {
		h.t.Fatal(err)
	}
	defer pm.Close()
	endpoints, err := pm.Endpoints()
	if err != nil {
		h.t.Fatal(err)
	}
	limits, err := pm.Limits()
	if err != nil {
		h.t.Fatal(err)
	}
	return append(lines, fmt.Sprintf("endpoints %v limits %v close_timeout %s", endpoints, limits, h.client.Sysctl("net.mptcp.close_timeout")))
}

func (h *hosts) wantState(what string, want []string) {
	h.t.Helper()
	wantSame(h.t, what, h.state(), want)
}

// wantStateSoon is wantState for when nobody waits for braid: ssh hangs up on
// it.
func (h *hosts) wantStateSoon(what string, want []string) {
	h.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end) && !slices.Equal(h.state(), want); {
		time.Sleep(20 * time.Millisecond)
	}
	h.wantState(what, want)
}

func wantSame(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, l := range got {
		if !slices.Contains(want, l) {
			t.Errorf("%s: new: %s", what, l)
		}
	}
	for _, l := range want {
		if !slices.Contains(got, l) {
			t.Errorf("%s: lost: %s", what, l)
		}
	}
}
