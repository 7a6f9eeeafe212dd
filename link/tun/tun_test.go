//go:build linux

package tun

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/internal/minitcp"
)

// The kernel has .1 on the interface; what we answer for is .2.
var (
	kernel4, ours4 = netip.MustParseAddr("10.7.0.1"), netip.MustParseAddr("10.7.0.2")
	kernel6, ours6 = netip.MustParseAddr("fd00:7::1"), netip.MustParseAddr("fd00:7::2")
)

// open makes a TUN interface in n, with addresses, up.
func open(t testing.TB, n *netns.NS, queues int) []*Device {
	t.Helper()
	var devs []*Device
	var err error
	n.Do(func() {
		if queues > 1 {
			devs, err = OpenQueues(Config{}, queues)
			return
		}
		var d *Device
		d, err = Open(Config{})
		devs = []*Device{d}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devs {
		t.Cleanup(func() { d.Close() })
	}
	setUp(t, n, devs[0])
	return devs
}

func setUp(t testing.TB, n *netns.NS, d *Device) {
	t.Helper()
	l, err := n.Netlink().LinkByIndex(d.Index())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{kernel4.String() + "/24", kernel6.String() + "/64"} {
		a, err := netlink.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		if a.IP.To4() == nil {
			a.Flags = unix.IFA_F_NODAD
		}
		if err := n.Netlink().AddrAdd(l, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Netlink().LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
	n.WaitAddr(kernel4)
	n.WaitAddr(kernel6)
}

// randomBytes is data that tells every misplaced piece.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

type result struct {
	conn *minitcp.Conn
	err  error
}

func TestReadGivesLargeSegments(t *testing.T) {
	for _, ours := range []netip.Addr{ours4, ours6} {
		t.Run(ours.String(), func(t *testing.T) {
			n := netns.New(t, "host")
			dev := open(t, n, 1)[0]
			local := netip.AddrPortFrom(ours, 80)
			data := randomBytes(16 << 20)
			var got bytes.Buffer
			done := make(chan result, 1)
			go func() {
				c, err := minitcp.Accept(dev, local)
				if err == nil {
					err = c.Receive(len(data), &got)
				}
				done <- result{c, err}
			}()
			c := dial(t, n, local.String())
			if _, err := c.Write(data); err != nil {
				t.Fatal(err)
			}
			r := <-done
			if r.err != nil {
				t.Fatal(r.err)
			}
			if !bytes.Equal(got.Bytes(), data) {
				t.Error("the stream was changed on its way")
			}
			if r.conn.LargestRead < 60000 {
				t.Errorf("largest segment %d bytes, want 60000 or more", r.conn.LargestRead)
			}
			// MSS 1420 less the timestamp option.
			if r.conn.LargestSegSize != 1420-12 {
				t.Errorf("SegSize %d, want %d", r.conn.LargestSegSize, 1420-12)
			}
			if !r.conn.AllVouched {
				t.Error("a packet came without its checksum vouched for")
			}
		})
	}
}

func dial(t testing.TB, n *netns.NS, addr string) net.Conn {
	t.Helper()
	var c net.Conn
	var err error
	n.Do(func() { c, err = net.DialTimeout("tcp", addr, 5*time.Second) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func listen(t testing.TB, n *netns.NS, addr string) *net.TCPListener {
	t.Helper()
	var ln net.Listener
	var err error
	n.Do(func() { ln, err = net.Listen("tcp", addr) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

// acceptAll reads everything from one connection, up to size bytes.
func acceptAll(ln *net.TCPListener, size int) <-chan []byte {
	got := make(chan []byte, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			got <- nil
			return
		}
		defer c.Close()
		b := make([]byte, size)
		n, _ := io.ReadFull(c, b)
		got <- b[:n]
	}()
	return got
}

func TestWriteTakesLargeSegments(t *testing.T) {
	for _, ours := range []netip.Addr{ours4, ours6} {
		t.Run(ours.String(), func(t *testing.T) {
			n := netns.New(t, "host")
			dev := open(t, n, 1)[0]
			kernel := kernel4
			if ours.Is6() {
				kernel = kernel6
			}
			data := randomBytes(16 << 20)
			got := acceptAll(listen(t, n, netip.AddrPortFrom(kernel, 80).String()), len(data))
			c, err := minitcp.Connect(dev, netip.AddrPortFrom(ours, 5000), netip.AddrPortFrom(kernel, 80))
			if err != nil {
				t.Fatal(err)
			}
			before := rxPackets(t, n, dev)
			if err := c.Send(data, 64000, 1400); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(<-got, data) {
				t.Error("the stream was changed on its way")
			}
			// A segment of 64,000 bytes went in as one packet, not as 46.
			if n, limit := rxPackets(t, n, dev)-before, uint64(2*len(data)/64000); n > limit && c.Resent == 0 {
				t.Errorf("%d packets, want at most %d", n, limit)
			}
		})
	}
}

func rxPackets(t testing.TB, n *netns.NS, d *Device) uint64 {
	t.Helper()
	l, err := n.Netlink().LinkByIndex(d.Index())
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Statistics.RxPackets
}

// TestKernelCutsWhatIsForwarded sends large segments through the host to
// another whose cable has no segmentation offload: the kernel has to cut them,
// with the checksums and options of every piece right.
func TestKernelCutsWhatIsForwarded(t *testing.T) {
	for _, tt := range []struct{ from, to string }{
		{"10.7.0.2:5000", "10.8.0.2:80"},
		{"[fd00:7::2]:5000", "[fd00:8::2]:80"},
	} {
		t.Run(tt.to, func(t *testing.T) {
			host, server := netns.New(t, "host"), netns.New(t, "server")
			dev := open(t, host, 1)[0]
			a, b := netns.Connect(host, server, netns.Cable{
				Addrs: []string{"10.8.0.1/24", "10.8.0.2/24", "fd00:8::1/64", "fd00:8::2/64"},
			})
			a.SetOffload(netns.TSO|netns.GSO|netns.TxChecksum|netns.ScatterGather, false)
			b.SetOffload(netns.RxChecksum, false)
			host.SetForwarding()
			server.AddRoute(netns.Route{Dst: "default", Via: "10.8.0.1"})
			server.AddRoute(netns.Route{Dst: "default", Via: "fd00:8::1"})

			data := randomBytes(4 << 20)
			got := acceptAll(listen(t, server, tt.to), len(data))
			c, err := minitcp.Connect(dev, netip.MustParseAddrPort(tt.from), netip.MustParseAddrPort(tt.to))
			if err != nil {
				t.Fatal(err)
			}
			before := server.Counters()
			if err := c.Send(data, 64000, 1400); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(<-got, data) {
				t.Error("the stream was changed on its way")
			}
			grown := server.Counters().Since(before)
			if want := int64(len(data) / 1400); grown["TcpInSegs"] < want {
				t.Errorf("the server saw %d segments, want at least %d", grown["TcpInSegs"], want)
			}
			if grown["TcpInCsumErrors"] != 0 || grown["TcpInErrs"] != 0 {
				t.Errorf("errors at the server: %v", grown.With("Tcp"))
			}
		})
	}
}

func TestQueuesShareTheFlows(t *testing.T) {
	n := netns.New(t, "host")
	devs := open(t, n, 2)
	if devs[0].Name() != devs[1].Name() || devs[0].Index() != devs[1].Index() {
		t.Fatalf("queues of two interfaces: %s and %s", devs[0].Name(), devs[1].Name())
	}
	type seen struct {
		queue int
		port  byte
	}
	packets := make(chan seen, 256)
	for i, d := range devs {
		go func() {
			pkts := []link.Packet{{Data: make([]byte, MaxPacket)}}
			for {
				if _, err := d.Read(pkts); err != nil {
					return
				}
				if b := pkts[0].Data; len(b) >= 30 && b[0]>>4 == 4 && b[9] == unix.IPPROTO_UDP {
					packets <- seen{i, b[28]}
				}
			}
		}()
	}
	queues := make(map[byte]map[int]bool) // of each flow
	used := make(map[int]int)
	for flow := range byte(32) {
		var c net.Conn
		var err error
		n.Do(func() { c, err = net.Dial("udp", "10.7.0.2:9") })
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 3 {
			c.Write([]byte{flow, flow})
			s := <-packets
			if queues[s.port] == nil {
				queues[s.port] = make(map[int]bool)
				used[s.queue]++
			}
			queues[s.port][s.queue] = true
		}
	}
	for flow, q := range queues {
		if len(q) != 1 {
			t.Errorf("flow %d came out of %d queues", flow, len(q))
		}
	}
	if used[0] == 0 || used[1] == 0 {
		t.Errorf("flows per queue: %v, want some in each", used)
	}
}

func TestConfig(t *testing.T) {
	n := netns.New(t, "host")
	n.Do(func() {
		d, err := Open(Config{Name: "mytun", MTU: 1380})
		if err != nil {
			t.Fatal(err)
		}
		if f := d.Features(); d.Name() != "mytun" || f.MTU != 1380 || !f.Checksum || f.MaxPacket != MaxPacket {
			t.Errorf("got %s %+v", d.Name(), f)
		}
		if _, err := Open(Config{Name: "mytun"}); !errors.Is(err, unix.EBUSY) {
			t.Errorf("opened twice: %v, want %v", err, unix.EBUSY)
		}
		d.Close()
		if _, err := n.Netlink().LinkByName("mytun"); err == nil {
			t.Error("the interface is still there after Close")
		}
		for _, name := range []string{"lo", strings.Repeat("x", 40)} {
			if d, err := Open(Config{Name: name}); err == nil {
				d.Close()
				t.Errorf("opened %q", name)
			}
		}
		if d, err := Open(Config{MTU: 7}); err == nil {
			d.Close()
			t.Error("opened with an MTU of 7")
		}
	})
}

func TestCloseWakesRead(t *testing.T) {
	n := netns.New(t, "host")
	dev := open(t, n, 1)[0]
	pkts := []link.Packet{{Data: make([]byte, MaxPacket)}}
	done := make(chan error)
	go func() {
		for {
			if _, err := dev.Read(pkts); err != nil {
				done <- err
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond) // so that it waits
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, link.ErrClosed) {
		t.Errorf("pending Read: %v, want %v", err, link.ErrClosed)
	}
	if _, err := dev.Read(pkts); !errors.Is(err, link.ErrClosed) {
		t.Errorf("Read after Close: %v, want %v", err, link.ErrClosed)
	}
	if _, err := dev.Write(pkts); !errors.Is(err, link.ErrClosed) {
		t.Errorf("Write after Close: %v, want %v", err, link.ErrClosed)
	}
	if err := dev.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// One goroutine waits, another polls meanwhile without waiting, and neither keeps
// the other from anything.
func TestPollBesideWait(t *testing.T) {
	n := netns.New(t, "host")
	dev := open(t, n, 1)[0]
	in := []link.Packet{{}}
	poll := func() (int, error) {
		in[0] = link.Packet{Data: make([]byte, MaxPacket)}
		return dev.Poll(in)
	}
	drain := func() {
		for {
			if got, err := poll(); err != nil {
				t.Fatal(err)
			} else if got == 0 {
				return
			}
		}
	}
	waits, woken := make(chan struct{}), make(chan error)
	go func() {
		for range waits {
			woken <- dev.Wait()
		}
	}()
	for range 20 {
		drain()
		waits <- struct{}{}
		drain() // the kernel's own packets, neighbour discovery's, may have ended it
		if _, err := dev.Write([]link.Packet{{Data: ping()}}); err != nil {
			t.Fatal(err)
		}
		if err := <-woken; err != nil {
			t.Fatal(err)
		}
		for answered := false; !answered; {
			got, err := poll()
			if err != nil {
				t.Fatal(err)
			}
			b := in[0].Data
			answered = got == 1 && len(b) == 28 && b[9] == 1 && b[20] == 0
		}
	}
	drain()
	waits <- struct{}{}
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-woken; err != nil && !errors.Is(err, link.ErrClosed) { // nil: it found a packet before
		t.Errorf("pending Wait: %v, want %v", err, link.ErrClosed)
	}
	if err := dev.Wait(); !errors.Is(err, link.ErrClosed) {
		t.Errorf("Wait after Close: %v, want %v", err, link.ErrClosed)
	}
	if _, err := poll(); !errors.Is(err, link.ErrClosed) {
		t.Errorf("Poll after Close: %v, want %v", err, link.ErrClosed)
	}
}

func TestInterfaceDeletedByOthers(t *testing.T) {
	n := netns.New(t, "host")
	dev := open(t, n, 1)[0]
	done := make(chan error)
	go func() {
		pkts := []link.Packet{{Data: make([]byte, MaxPacket)}}
		for {
			if _, err := dev.Read(pkts); err != nil {
				done <- err
				return
			}
		}
	}()
	l, err := n.Netlink().LinkByIndex(dev.Index())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Netlink().LinkDel(l); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrGone) {
		t.Errorf("Read: %v, want %v", err, ErrGone)
	}
	for range 100 { // the poller may hear of it later than the call did
		if _, err := dev.Read([]link.Packet{{Data: make([]byte, MaxPacket)}}); !errors.Is(err, ErrGone) {
			t.Fatalf("Read after that: %v, want %v", err, ErrGone)
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := dev.Write([]link.Packet{{Data: ping()}}); !errors.Is(err, ErrGone) {
		t.Errorf("Write: %v, want %v", err, ErrGone)
	}
}

func TestWriteWhileDownLosesPackets(t *testing.T) {
	n := netns.New(t, "host")
	dev := open(t, n, 1)[0]
	l, err := n.Netlink().LinkByIndex(dev.Index())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Netlink().LinkSetDown(l); err != nil {
		t.Fatal(err)
	}
	if got, err := dev.Write([]link.Packet{{Data: ping()}, {Data: ping()}}); got != 2 || err != nil {
		t.Errorf("Write: %d, %v, want 2, nil", got, err)
	}
}

func TestWriteRefusesWhatCannotBeSent(t *testing.T) {
	n := netns.New(t, "host")
	dev := open(t, n, 1)[0]
	for _, bad := range []link.Packet{
		{Data: ping(), PartialChecksum: true},
		{Data: ping(), SegSize: 100},
		{Data: []byte("xIP version 7 is none")},
		{},
	} {
		got, err := dev.Write([]link.Packet{{Data: ping()}, bad, {Data: ping()}})
		if got != 1 || !errors.Is(err, ErrPacket) {
			t.Errorf("Write of %+v: %d, %v, want 1, %v", bad, got, err, ErrPacket)
		}
	}
}

// ping is an ICMP echo request from ours4 to kernel4 (RFC 792), 28 bytes.
func ping() []byte {
	return []byte{
		0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x66, 0xd1, 10, 7, 0, 2, 10, 7, 0, 1,
		8, 0, 0xf7, 0xff, 0, 0, 0, 0,
	}
}

func TestNoAllocations(t *testing.T) {
	n := netns.New(t, "host")
	dev := open(t, n, 1)[0]
	out := []link.Packet{{Data: ping()}}
	in := []link.Packet{{Data: make([]byte, MaxPacket)}}
	none := []link.Packet{}
	got := testing.AllocsPerRun(100, func() {
		if _, err := dev.Write(out); err != nil {
			t.Fatal(err)
		}
		if err := dev.Wait(); err != nil {
			t.Fatal(err)
		}
		if _, err := dev.Read(in); err != nil {
			t.Fatal(err)
		}
		if _, err := dev.Poll(none); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations for a packet each way", got)
	}
	// The kernel answered the ping.
	if b := in[0].Data; len(b) != 28 || b[9] != 1 || b[20] != 0 {
		t.Errorf("read % x, want an echo reply", b)
	}
}

// TestWithoutPrivilege asks as a thread that has given up its rights.
func TestWithoutPrivilege(t *testing.T) {
	n := netns.New(t, "host")
	done := make(chan error)
	n.Go(func() { // the thread ends with the function
		_, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534)
		if errno != 0 {
			done <- errno
			return
		}
		d, err := Open(Config{})
		if err == nil {
			d.Close()
		}
		done <- err
	})
	if err := <-done; !errors.Is(err, ErrPermission) {
		t.Errorf("got %v, want %v", err, ErrPermission)
	}
}
