package afpacket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/internal/netns"
	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/link/internal/minitcp"
)

var ports = PortRange{5000, 5003}

// cable joins our host and a peer.
func cable(t testing.TB) (us, peer *netns.End) {
	return netns.Connect(netns.New(t, "us"), netns.New(t, "peer"), netns.Cable{
		Addrs: []string{"10.6.0.1/24", "10.6.0.2/24", "fd00:6::1/64", "fd00:6::2/64"},
	})
}

func open(t testing.TB, e *netns.End) *Device {
	t.Helper()
	var d *Device
	var err error
	e.NS.Do(func() { d, err = Open(Config{Interface: e.Name, Ports: ports}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{2})
	r.Read(b)
	return b
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

var families = []struct{ us, peer string }{
	{"10.6.0.1:5001", "10.6.0.2:80"},
	{"[fd00:6::1]:5001", "[fd00:6::2]:80"},
}

func TestSend(t *testing.T) {
	for _, tt := range families {
		t.Run(tt.us, func(t *testing.T) {
			us, peer := cable(t)
			us.AddAddr("fe80::1/64") // neighbour solicitations come from it
			peer.AddAddr("fe80::2/64")
			us.ForgetPeer() // the first packets wait for the address
			dev := open(t, us)
			data := randomBytes(8 << 20)
			got := acceptAll(listen(t, peer.NS, tt.peer), len(data))
			before := us.NS.Counters()
			c, err := minitcp.Connect(dev, netip.MustParseAddrPort(tt.us), netip.MustParseAddrPort(tt.peer))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Send(data, 64000, 1400); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(<-got, data) {
				t.Error("the stream was changed on its way")
			}
			checkKernelKeptQuiet(t, us.NS.Counters().Since(before))
			if n := peer.NS.Counters()["TcpInCsumErrors"]; n != 0 {
				t.Errorf("%d segments with a wrong checksum", n)
			}
		})
	}
}

func checkKernelKeptQuiet(t *testing.T, grown netns.Counters) {
	t.Helper()
	if grown["TcpOutRsts"] != 0 || grown["TcpOutSegs"] != 0 || grown["TcpPassiveOpens"] != 0 {
		t.Errorf("the kernel took part: %v", grown.With("Tcp"))
	}
}

func TestReceive(t *testing.T) {
	for _, tt := range families {
		t.Run(tt.us, func(t *testing.T) {
			us, peer := cable(t)
			dev := open(t, us)
			data := randomBytes(8 << 20)
			before := us.NS.Counters()
			var got bytes.Buffer
			type result struct {
				c   *minitcp.Conn
				err error
			}
			done := make(chan result, 1)
			go func() {
				c, err := minitcp.Accept(dev, netip.MustParseAddrPort(tt.us))
				if err == nil {
					err = c.Receive(len(data), &got)
				}
				done <- result{c, err}
			}()
			var conn net.Conn
			var err error
			peer.NS.Do(func() { conn, err = net.DialTimeout("tcp", tt.us, 5*time.Second) })
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(data); err != nil {
				t.Fatal(err)
			}
			r := <-done
			if r.err != nil {
				t.Fatal(r.err)
			}
			if !bytes.Equal(got.Bytes(), data) {
				t.Error("the stream was changed on its way")
			}
			if r.c.LargestRead < 60000 || r.c.LargestSegSize != 1420-12 || !r.c.AllVouched {
				t.Errorf("largest segment %d in pieces of %d, checksums vouched for: %v",
					r.c.LargestRead, r.c.LargestSegSize, r.c.AllVouched)
			}
			checkKernelKeptQuiet(t, us.NS.Counters().Since(before))
		})
	}
}

func TestBehindGateway(t *testing.T) {
	us, router, server := netns.New(t, "us"), netns.New(t, "router"), netns.New(t, "server")
	e, _ := netns.Connect(us, router, netns.Cable{Addrs: []string{"10.6.0.1/24", "10.6.0.2/24"}})
	netns.Connect(router, server, netns.Cable{A: "right", Addrs: []string{"10.7.0.1/24", "10.7.0.2/24"}})
	router.SetForwarding()
	e.ForgetPeer()
	us.AddRoute(netns.Route{Dst: "default", Via: "10.6.0.2"})
	server.AddRoute(netns.Route{Dst: "default", Via: "10.7.0.1"})
	d := open(t, e)
	data := randomBytes(1 << 20)
	got := acceptAll(listen(t, server, "10.7.0.2:80"), len(data))
	c, err := minitcp.Connect(d, netip.MustParseAddrPort("10.6.0.1:5000"), netip.MustParseAddrPort("10.7.0.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(data, 64000, 1400); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-got, data) {
		t.Error("the stream was changed on its way")
	}
}

func TestNeighbourChanges(t *testing.T) {
	us, peer := cable(t)
	d := open(t, us)
	syn := tcpPacket(t, 5000)
	waitFor(t, "packets arrive", func() bool { return arrives(t, d, peer, syn) })
	wrong := net.HardwareAddr{2, 0, 0, 0, 0, 99}
	if err := us.NS.Netlink().NeighSet(neighbour(us.Index, "10.6.0.2", wrong)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "packets go to another host", func() bool { return !arrives(t, d, peer, syn) })
	if err := us.NS.Netlink().NeighSet(neighbour(us.Index, "10.6.0.2", peer.MAC)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "packets arrive again", func() bool { return arrives(t, d, peer, syn) })
}

// arrives tells whether the peer's TCP sees the packet.
func arrives(t *testing.T, d *Device, peer *netns.End, packet []byte) bool {
	t.Helper()
	before := peer.NS.Counters()["TcpInSegs"]
	if _, err := d.Write([]link.Packet{{Data: packet, PartialChecksum: true}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	return peer.NS.Counters()["TcpInSegs"] > before
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

// tcpPacket is an ACK from our port to the peer's port 80, with the sum of the
// pseudo header in place.
func tcpPacket(t testing.TB, port uint16) []byte {
	t.Helper()
	b := frame4("10.6.0.2", 6, 20, tcp(port, 80))[etherLen:]
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[8] = 64
	copy(b[12:], []byte{10, 6, 0, 1})
	b[20+13] = 0x10
	sum := func(b []byte) (s uint32) {
		for i := 0; i < len(b); i += 2 {
			s += uint32(binary.BigEndian.Uint16(b[i:]))
		}
		return s>>16 + s&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum(b[:20])))
	pseudo := sum(b[12:20]) + 6 + 20
	binary.BigEndian.PutUint16(b[20+16:], uint16(pseudo>>16+pseudo&0xffff))
	return b
}

func TestReservesThePorts(t *testing.T) {
	us, peer := cable(t)
	d := open(t, us)
	us.NS.Do(func() {
		for _, addr := range []string{"10.6.0.1:5000", ":5003", "[fd00:6::1]:5002"} {
			if ln, err := net.Listen("tcp", addr); !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("listen on %s: %v, %v, want %v", addr, ln, err, unix.EADDRINUSE)
			}
		}
		if _, err := Open(Config{Interface: us.Name, Ports: PortRange{5003, 5005}}); !errors.Is(err, ErrPortTaken) {
			t.Errorf("second Open: %v, want %v", err, ErrPortTaken)
		}
		// Other ports are as they were.
		ln, err := net.Listen("tcp", ":5004")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
	})
	var err error
	peer.NS.Do(func() { _, err = net.DialTimeout("tcp", "10.6.0.1:6000", time.Second) })
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("another port: %v, want %v", err, unix.ECONNREFUSED)
	}
	// A reserved one gives no answer, as the user of the device gives none.
	peer.NS.Do(func() { _, err = net.DialTimeout("tcp", "10.6.0.1:5000", 300*time.Millisecond) })
	if ne := net.Error(nil); !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("a reserved port: %v, want a timeout", err)
	}
	d.Close()
	us.NS.Do(func() {
		ln, err := net.Listen("tcp", ":5000")
		if err != nil {
			t.Errorf("after Close: %v", err)
			return
		}
		ln.Close()
	})
}

// TestPacketTooBig sees the ICMP error of a router with a narrower link ahead.
func TestPacketTooBig(t *testing.T) {
	us, router, server := netns.New(t, "us"), netns.New(t, "router"), netns.New(t, "server")
	e, _ := netns.Connect(us, router, netns.Cable{Addrs: []string{"10.6.0.1/24", "10.6.0.254/24"}})
	netns.Connect(router, server, netns.Cable{A: "right", MTU: 1300, Addrs: []string{"10.7.0.1/24", "10.7.0.2/24"}})
	router.SetForwarding()
	us.AddRoute(netns.Route{Dst: "default", Via: "10.6.0.254"})
	d := open(t, e)
	b := append(tcpPacket(t, 5000), make([]byte, 1400)...)
	copy(b[16:], []byte{10, 7, 0, 2})
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[6] = 0x40 // may not be fragmented
	b[10], b[11] = 0, 0
	var s uint32
	for i := 0; i < 20; i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(s>>16+s&0xffff))
	if _, err := d.Write([]link.Packet{{Data: b}}); err != nil {
		t.Fatal(err)
	}
	in := []link.Packet{{Data: make([]byte, MaxPacket)}}
	if _, err := d.Read(in); err != nil {
		t.Fatal(err)
	}
	got := in[0].Data
	if len(got) < 28 || got[9] != 1 || got[20] != 3 || got[21] != 4 || binary.BigEndian.Uint16(got[26:]) != 1300 {
		t.Errorf("read % x, want ICMP fragmentation needed, 1300", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	us, _ := cable(t)
	us.NS.Do(func() {
		for _, cfg := range []Config{
			{Interface: "nosuch", Ports: ports},
			{Interface: "lo", Ports: ports},
			{Interface: us.Name},
			{Interface: us.Name, Ports: ports, Addrs: []netip.Addr{netip.MustParseAddr("10.6.0.2")}},
		} {
			if d, err := Open(cfg); err == nil {
				d.Close()
				t.Errorf("%+v was opened", cfg)
			}
		}
	})
}

func TestWriteRefusesWhatCannotBeSent(t *testing.T) {
	us, _ := cable(t)
	d := open(t, us)
	good := link.Packet{Data: tcpPacket(t, 5000), PartialChecksum: true}
	waitFor(t, "the address is known", func() bool {
		_, ok := d.hops.lookup(netip.MustParseAddr("10.6.0.2"), &good)
		return ok
	})
	large := append(tcpPacket(t, 5000), make([]byte, 2000)...)
	for _, bad := range []link.Packet{
		{}, {Data: []byte("xx")}, {Data: make([]byte, 50)},
		{Data: good.Data, SegSize: 1400},
		{Data: large},
	} {
		n, err := d.Write([]link.Packet{good, bad, good})
		if n != 1 || !errors.Is(err, ErrPacket) {
			t.Errorf("Write of %d bytes, SegSize %d: %d, %v, want 1, %v", len(bad.Data), bad.SegSize, n, err, ErrPacket)
		}
	}
}

func TestHostThatDoesNotAnswer(t *testing.T) {
	us, _ := cable(t)
	d := open(t, us)
	b := tcpPacket(t, 5000)
	b[19] = 77 // nobody has 10.6.0.77
	for range 3 * maxHeld {
		if n, err := d.Write([]link.Packet{{Data: b}}); n != 1 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	d.hops.mu.Lock()
	held := len(d.hops.by[netip.MustParseAddr("10.6.0.77")].held)
	d.hops.mu.Unlock()
	if held > maxHeld {
		t.Errorf("%d packets held, want at most %d", held, maxHeld)
	}
}

func TestCloseWakesRead(t *testing.T) {
	us, _ := cable(t)
	d := open(t, us)
	pkts := []link.Packet{{Data: make([]byte, MaxPacket)}}
	done := make(chan error)
	go func() {
		_, err := d.Read(pkts)
		done <- err
	}()
	time.Sleep(20 * time.Millisecond) // so that it waits
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, link.ErrClosed) {
		t.Errorf("pending Read: %v, want %v", err, link.ErrClosed)
	}
	if _, err := d.Write([]link.Packet{{Data: tcpPacket(t, 5000)}}); !errors.Is(err, link.ErrClosed) {
		t.Errorf("Write after Close: %v, want %v", err, link.ErrClosed)
	}
	if err := d.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestInterfaceGoesDownAndUp(t *testing.T) {
	us, peer := cable(t)
	d := open(t, us)
	packet := tcpPacket(t, 5000)
	waitFor(t, "packets arrive", func() bool { return arrives(t, d, peer, packet) })
	answers := make(chan error, 100)
	go func() {
		in := []link.Packet{{Data: make([]byte, MaxPacket)}}
		for {
			_, err := d.Read(in)
			answers <- err
			if err != nil {
				return
			}
		}
	}()
	us.SetUp(false)
	if n, err := d.Write([]link.Packet{{Data: packet, PartialChecksum: true}}); n != 1 || err != nil {
		t.Errorf("Write while down: %d, %v", n, err)
	}
	us.SetUp(true)
	for len(answers) > 0 {
		<-answers
	}
	waitFor(t, "packets arrive after it came up", func() bool { return arrives(t, d, peer, packet) })
	if err := <-answers; err != nil {
		t.Errorf("Read after it came up: %v", err)
	}
}

func TestInterfaceDeletedByOthers(t *testing.T) {
	us, _ := cable(t)
	d := open(t, us)
	l, err := us.NS.Netlink().LinkByIndex(us.Index)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := d.Read([]link.Packet{{Data: make([]byte, MaxPacket)}})
		done <- err
	}()
	if err := us.NS.Netlink().LinkDel(l); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrGone) {
		t.Errorf("Read: %v, want %v", err, ErrGone)
	}
	if _, err := d.Write([]link.Packet{{Data: tcpPacket(t, 5000)}}); !errors.Is(err, ErrGone) {
		t.Errorf("Write: %v, want %v", err, ErrGone)
	}
}

func TestNoAllocations(t *testing.T) {
	us, peer := cable(t)
	d := open(t, us)
	// The peer's kernel answers an ACK out of nowhere with a reset.
	out := []link.Packet{{Data: tcpPacket(t, 5000), PartialChecksum: true}}
	in := []link.Packet{{Data: make([]byte, MaxPacket)}}
	waitFor(t, "the address is known", func() bool { return arrives(t, d, peer, out[0].Data) })
	if _, err := d.Read(in); err != nil {
		t.Fatal(err)
	}
	got := testing.AllocsPerRun(100, func() {
		if _, err := d.Write(out); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Read(in); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations for a packet each way", got)
	}
	if b := in[0].Data; len(b) != 40 || b[33]&4 == 0 {
		t.Errorf("read % x, want a reset of 40 bytes", b)
	}
}

// TestWithoutPrivilege asks as a thread that has given up its rights.
func TestWithoutPrivilege(t *testing.T) {
	us, _ := cable(t)
	done := make(chan error)
	us.NS.Go(func() { // the thread ends with the function
		if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			done <- errno
			return
		}
		d, err := Open(Config{Interface: us.Name, Ports: ports})
		if err == nil {
			d.Close()
		}
		done <- err
	})
	if err := <-done; !errors.Is(err, ErrPermission) {
		t.Errorf("got %v, want %v", err, ErrPermission)
	}
}

func neighbour(index int, addr string, mac net.HardwareAddr) *netlink.Neigh {
	return &netlink.Neigh{
		LinkIndex: index, State: netlink.NUD_PERMANENT,
		IP: netip.MustParseAddr(addr).AsSlice(), HardwareAddr: mac,
	}
}
