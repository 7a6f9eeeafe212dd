//go:build linux

package netns

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nsInode identifies the namespace the calling thread is in.
func nsInode(t *testing.T) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestDoReturnsToWhereItWas(t *testing.T) {
	a, b := New(t, "a"), New(t, "b")
	home := nsInode(t)
	var inA, inB, backInA uint64
	a.Do(func() {
		inA = nsInode(t)
		b.Do(func() { inB = nsInode(t) })
		backInA = nsInode(t)
	})
	if inA == home || inB == home || inA == inB {
		t.Errorf("namespaces are not three: home %d, a %d, b %d", home, inA, inB)
	}
	if backInA != inA {
		t.Errorf("after the inner Do: namespace %d, want %d", backInA, inA)
	}
	done := make(chan struct{})
	go func() { // a Do whose function ends its goroutine
		defer close(done)
		a.Do(func() { panicAndRecover() })
		if got := nsInode(t); got != home {
			t.Errorf("after a panic inside: namespace %d, want %d", got, home)
		}
	}()
	<-done
	if got := nsInode(t); got != home {
		t.Errorf("after Do: namespace %d, want %d", got, home)
	}
}

func panicAndRecover() {
	defer func() { recover() }()
	panic("on purpose")
}

func TestGoAndStart(t *testing.T) {
	a := New(t, "a")
	var want uint64
	a.Do(func() { want = nsInode(t) })
	got := make(chan uint64)
	a.Go(func() { got <- nsInode(t) })
	if g := <-got; g != want {
		t.Errorf("Go ran in namespace %d, want %d", g, want)
	}
	cmd := exec.Command("readlink", "/proc/self/ns/net")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := a.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	link, err := os.Readlink(a.Path())
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(out.String()) != link {
		t.Errorf("child ran in %q, want %q", out.String(), link)
	}
}

// cable joins two new namespaces by both address families.
func cable(t *testing.T) (*End, *End) {
	return Connect(New(t, "a"), New(t, "b"), Cable{
		Addrs: []string{"10.9.0.1/24", "10.9.0.2/24", "fd00:9::1/64", "fd00:9::2/64"},
	})
}

// echo answers on every TCP connection to addr in the namespace of e.
func echo(t *testing.T, e *End, addr string) {
	t.Helper()
	var ln net.Listener
	var err error
	e.NS.Do(func() { ln, err = net.Listen("tcp", addr) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
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

func dial(t *testing.T, e *End, addr string) net.Conn {
	t.Helper()
	var c net.Conn
	var err error
	e.NS.Do(func() { c, err = net.DialTimeout("tcp", addr, 5*time.Second) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestConnectCarriesBothFamilies(t *testing.T) {
	a, b := cable(t)
	for _, addr := range []string{"10.9.0.2:7", "[fd00:9::2]:7"} {
		echo(t, b, addr)
		before := b.NS.Counters()
		c := dial(t, a, addr)
		if _, err := c.Write([]byte("there and back")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("there and back"))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "there and back" {
			t.Errorf("%s: got %q, %v", addr, got, err)
		}
		if n := b.NS.Counters().Since(before)["TcpPassiveOpens"]; n != 1 {
			t.Errorf("%s: TcpPassiveOpens grew by %d, want 1", addr, n)
		}
	}
}

func TestAddressesComeAndGo(t *testing.T) {
	a, b := cable(t)
	b.DelAddr("10.9.0.2/24")
	b.AddAddr("10.9.0.3/24")
	echo(t, b, "10.9.0.3:7")
	dial(t, a, "10.9.0.3:7")
	b.SetUp(false)
	b.SetUp(true)
	dial(t, a, "10.9.0.3:7")
}

func TestResolvesByItselfWhenForgotten(t *testing.T) {
	a, b := cable(t)
	a.ForgetPeer()
	b.ForgetPeer()
	echo(t, b, ":7")
	dial(t, a, "10.9.0.2:7")
}

func TestRoutesAndRules(t *testing.T) {
	client, router, server := New(t, "client"), New(t, "router"), New(t, "server")
	c, _ := Connect(client, router, Cable{B: "left", Addrs: []string{"10.1.0.2/24", "10.1.0.1/24"}})
	Connect(server, router, Cable{B: "right", Addrs: []string{"10.2.0.2/24", "10.2.0.1/24"}})
	router.SetForwarding()
	server.AddRoute(Route{Dst: "default", Via: "10.2.0.1"})
	// Only packets from 10.1.0.2 find the way: by the rule's table.
	client.AddRoute(Route{Dst: "default", Via: "10.1.0.1", Dev: c, Table: 100, Src: "10.1.0.2"})
	client.AddSourceRule("10.1.0.2", 100)

	var err error
	client.Do(func() { _, err = net.DialTimeout("tcp", "10.2.0.2:7", time.Second) })
	if !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("without a source address: got %v, want %v", err, unix.ENETUNREACH)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(10, 1, 0, 2)}, Timeout: time.Second}
	client.Do(func() { _, err = d.Dial("tcp", "10.2.0.2:7") })
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("from 10.1.0.2: got %v, want %v", err, unix.ECONNREFUSED)
	}
}

func TestCutIsSilent(t *testing.T) {
	a, b := cable(t)
	echo(t, b, "10.9.0.2:7")
	c := dial(t, a, "10.9.0.2:7")
	buf := make([]byte, 1)
	b.Cut()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatalf("write on a cut cable: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read on a cut cable: %v, want a timeout", err)
	}
	if b.CutPackets() == 0 {
		t.Error("the cut lost no packet")
	}
	b.Mend()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(buf); err != nil {
		t.Errorf("read after mending: %v", err)
	}
}

func TestShapeLimitsTheRate(t *testing.T) {
	a, b := cable(t)
	const rate = 40e6
	a.SetShape(Shape{Rate: rate})
	echo(t, b, "10.9.0.2:7")
	c := dial(t, a, "10.9.0.2:7")
	const size = 2 << 20
	most := 0.0 // a busy machine may hold up one, and never makes one faster
	for try := 0; try < 5 && most < 0.5*rate; try++ {
		start := time.Now()
		go c.Write(make([]byte, size))
		if _, err := io.CopyN(io.Discard, c, size); err != nil {
			t.Fatal(err)
		}
		most = max(most, float64(size*8)/time.Since(start).Seconds())
	}
	if most > 1.1*rate || most < 0.5*rate {
		t.Errorf("rate %.1f Mbit/s, want about %.0f", most/1e6, rate/1e6)
	}
	a.SetShape(Shape{}) // fails the test when there was no limit
}

func TestOffloadSwitches(t *testing.T) {
	a, b := cable(t)
	echo(t, b, "10.9.0.2:7")
	// Seen by the receiver: with segmentation on, a large write crosses the
	// cable in few packets; with it off, in one per MSS.
	packets := func() int64 {
		c := dial(t, a, "10.9.0.2:7")
		before := b.NS.Counters()["TcpInSegs"]
		const size = 1 << 20
		go c.Write(make([]byte, size))
		if _, err := io.CopyN(io.Discard, c, size); err != nil {
			t.Fatal(err)
		}
		return b.NS.Counters()["TcpInSegs"] - before
	}
	_ = packets()
	var in [2]uint64
	for i, on := range []bool{true, false} {
		a.SetOffload(TSO|GSO, on)
		before := rxPackets(t, b)
		packets()
		in[i] = rxPackets(t, b) - before
	}
	if in[1] < 700 || in[0] > in[1]/2 {
		t.Errorf("packets with offload %d, without %d", in[0], in[1])
	}
}

func rxPackets(t *testing.T, e *End) uint64 {
	t.Helper()
	l, err := e.NS.nl.LinkByIndex(e.Index)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Statistics.RxPackets
}

func TestSetRPS(t *testing.T) {
	a, b := cable(t)
	a.SetRPS(3)
	for _, tt := range []struct {
		end  *End
		want uint64
	}{{a, 3}, {b, 0}} {
		var got []byte
		err := tt.end.NS.inSysfs(func() (err error) {
			got, err = os.ReadFile(rpsFile(tt.end.Name, 0))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		cpus, err := strconv.ParseUint(strings.TrimSpace(string(got)), 16, 64)
		if err != nil || cpus != tt.want {
			t.Errorf("%s: rps_cpus %q, want %x", tt.end.NS.Name(), got, tt.want)
		}
	}
}

func TestSysctlIsPerNamespace(t *testing.T) {
	a, b := New(t, "a"), New(t, "b")
	a.SetSysctl("net.ipv4.ip_default_ttl", "33")
	b.SetSysctl("net.ipv4.ip_default_ttl", "44")
	if got := a.Sysctl("net.ipv4.ip_default_ttl"); got != "33" {
		t.Errorf("got %s, want 33", got)
	}
}
