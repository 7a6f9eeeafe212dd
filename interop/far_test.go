//go:build linux

package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/kernel"
)

// farEnv is set for a copy of this program that is one end of a transfer over
// the kernel's stack, in a process and a namespace of its own.
const farEnv = "BRAID_INTEROP_FAR"

// transfer is what an end has to do.
type transfer struct {
	Dial     netip.AddrPort // else listen on the port
	Plain    bool           // TCP
	Send     bool           // else receive
	Bytes    int64
	Subflows int // to wait for before it begins, where it dials
}

// cost is what a transfer took.
type cost struct {
	Bytes   int64
	Seconds float64
	CPU     float64 // seconds of this process
	SoftIRQ float64 // seconds of all processors
}

func TestMain(m *testing.M) {
	if arg := os.Getenv(farEnv); arg != "" {
		if err := farEnd(arg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// farEnd is main of the copy. It writes its cost to the standard output.
func farEnd(arg string) error {
	var t transfer
	if err := json.Unmarshal([]byte(arg), &t); err != nil {
		return err
	}
	c, err := t.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	cost, err := t.run(c, func() error {
		if t.Plain {
			return nil
		}
		return awaitSubflows(c, t.Subflows)
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(cost)
}

func (t *transfer) connect() (*kernel.Conn, error) {
	ctx := context.Background()
	if t.Dial.IsValid() {
		var d kernel.Dialer
		d.SetMultipathTCP(!t.Plain)
		c, err := d.Dialer.DialContext(ctx, "tcp", t.Dial.String())
		if err != nil {
			return nil, err
		}
		return kernel.Wrap(c.(*net.TCPConn)), nil
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(!t.Plain)
	ln, err := lc.Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, err
	}
	fmt.Println("listening")
	c, err := ln.Accept() // ln stays open: joins need it
	if err != nil {
		return nil, err
	}
	return kernel.Wrap(c.(*net.TCPConn)), nil
}

// awaitSubflows waits until n subflows are up.
func awaitSubflows(c *kernel.Conn, n int) error {
	for end := time.Now().Add(wait); ; time.Sleep(time.Millisecond) {
		info, err := c.FullInfo()
		if err != nil {
			return err
		}
		up := 0
		for _, sf := range info.Subflows {
			if sf.TCP.State == kernel.Established {
				up++
			}
		}
		if up == n {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d subflows are up, want %d", up, n)
		}
	}
}

// run makes the transfer over an established connection. A byte each way lets
// both ends know that the other is Multipath TCP; when the end that dialled is
// ready another begins the transfer, and one from the receiver ends it.
func (t *transfer) run(c halfCloser, ready func() error) (cost, error) {
	one := make([]byte, 1)
	say := func() error { _, err := c.Write(one); return err }
	hear := func() error { _, err := io.ReadFull(c, one); return err }
	begin := []func() error{hear, say, hear}
	if t.Dial.IsValid() {
		begin = []func() error{say, hear, ready, say}
	}
	for _, step := range begin {
		if err := step(); err != nil {
			return cost{}, err
		}
	}
	m := startMeter()
	buf := make([]byte, 256<<10)
	var n int64
	if t.Send {
		for n < t.Bytes {
			k, err := c.Write(buf[:min(int64(len(buf)), t.Bytes-n)])
			n += int64(k)
			if err != nil {
				return cost{}, err
			}
		}
		if err := hear(); err != nil {
			return cost{}, fmt.Errorf("the receiver does not answer: %w", err)
		}
		return m.stop(n), c.CloseWrite()
	}
	for n < t.Bytes {
		k, err := c.Read(buf)
		n += int64(k)
		if err != nil {
			return cost{}, fmt.Errorf("after %d bytes: %w", n, err)
		}
	}
	done := m.stop(n)
	if err := say(); err != nil {
		return cost{}, err
	}
	if k, err := c.Read(one); k != 0 || !errors.Is(err, io.EOF) {
		return cost{}, fmt.Errorf("instead of the end: %d bytes, %w", k, err)
	}
	return done, nil
}

// meter measures a transfer.
type meter struct {
	start        time.Time
	cpu, softIRQ float64
}

func startMeter() meter { return meter{time.Now(), ownCPU(), softIRQ()} }

func (m meter) stop(n int64) cost {
	return cost{n, time.Since(m.start).Seconds(), ownCPU() - m.cpu, softIRQ() - m.softIRQ}
}

// ownCPU is the processor time this process has used, in seconds.
func ownCPU() float64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// softIRQ is the time all processors have spent in soft interrupts, which is
// nobody's, in seconds. It is 0 on kernels that charge it to the process that
// was interrupted.
func softIRQ() float64 {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq
	if len(fields) < 8 {
		return 0
	}
	ticks, _ := strconv.ParseFloat(fields[7], 64)
	return ticks / 100
}

// far is an end in a process of its own.
type far struct {
	cmd *exec.Cmd
	out *json.Decoder
}

// startFar starts an end in n. One that listens does so when it returns.
func startFar(t testing.TB, n *netns.NS, tr transfer) *far {
	t.Helper()
	arg, err := json.Marshal(tr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), farEnv+"="+string(arg), "GOMAXPROCS=2")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if !tr.Dial.IsValid() {
		word := make([]byte, len("listening\n"))
		if _, err := io.ReadFull(out, word); err != nil {
			t.Fatal(err)
		}
	}
	return &far{cmd, json.NewDecoder(out)}
}

// cost waits until the end is done.
func (f *far) cost(t testing.TB) (c cost) {
	t.Helper()
	if err := f.out.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}
