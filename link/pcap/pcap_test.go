package pcap

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/braid-mptcp/braid/link"
	"github.com/braid-mptcp/braid/wire"
)

var epoch = time.Date(2001, 2, 3, 4, 5, 6, 789, time.UTC)

// segment makes a data segment of n bytes with a mapping for them.
func segment(n int) []byte {
	payload := bytes.Repeat([]byte{'x'}, n)
	s := wire.Segment{
		Src: netip.MustParseAddrPort("10.0.1.1:40000"), Dst: netip.MustParseAddrPort("10.0.1.2:80"),
		TTL: 64, Seq: 1000, Ack: 2000, Flags: wire.ACK | wire.PSH, Window: 500, Payload: payload,
	}
	s.Options.Set = wire.HasDSS
	s.Options.DSS = wire.DSS{HasMap: true, DSN64: true, DSN: 77, SSN: 1, Len: uint16(n), HasAck: true, Ack64: true, Ack: 5}
	return wire.AppendSegment(nil, &s)
}

type recorded struct {
	name string
	at   time.Time
	data []byte
}

// readBack reads a capture with the library's reader.
func readBack(t *testing.T, capture []byte) []recorded {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(capture), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []recorded
	for {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		intf, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if intf.LinkType != layers.LinkTypeRaw {
			t.Errorf("link type %v, want raw IP", intf.LinkType)
		}
		got = append(got, recorded{intf.Name, ci.Timestamp.UTC(), data})
	}
}

func TestNamesAndTimes(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter(&file)
	wired, err := w.Interface("wired")
	if err != nil {
		t.Fatal(err)
	}
	wireless, err := w.Interface("wireless")
	if err != nil {
		t.Fatal(err)
	}
	pkt := segment(100)
	want := []recorded{
		{"wireless", epoch, pkt},
		{"wired", epoch.Add(time.Nanosecond), pkt},
		{"wireless", epoch.Add(time.Hour), segment(3)},
	}
	for _, p := range want {
		i := map[string]*Interface{"wired": wired, "wireless": wireless}[p.name]
		if err := i.WritePacket(p.at, p.data, wire.Offload{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := readBack(t, file.Bytes())
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d", len(got), len(want))
	}
	for i, w := range want {
		if g := got[i]; g.name != w.name || !g.at.Equal(w.at) || !bytes.Equal(g.data, w.data) {
			t.Errorf("packet %d: got %s %v %x, want %s %v %x", i, g.name, g.at, g.data, w.name, w.at, w.data)
		}
	}
}

func TestLargePacketsAreCut(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter(&file)
	i, err := w.Interface("x")
	if err != nil {
		t.Fatal(err)
	}
	whole := segment(50_000)
	before := bytes.Clone(whole)
	wire.Finish(whole, wire.Offload{PartialChecksum: true})
	if err := i.WritePacket(epoch, whole, wire.Offload{SegSize: 1400, PartialChecksum: true}); err != nil {
		t.Fatal(err)
	}
	small := segment(10)
	wire.Finish(small, wire.Offload{PartialChecksum: true})
	if err := i.WritePacket(epoch, small, wire.Offload{PartialChecksum: true}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wire.Finish(whole, wire.Offload{})
	if !bytes.Equal(whole, before) {
		t.Error("recording changed the packet")
	}
	got := readBack(t, file.Bytes())
	if want := 50_000/1400 + 1 + 1; len(got) != want {
		t.Fatalf("%d packets, want %d", len(got), want)
	}
	total := 0
	for n, p := range got {
		var s wire.Segment
		// Not verified: the checksum has to be right.
		if err := wire.ParseSegment(p.data, &s, false); err != nil {
			t.Fatalf("packet %d: %v", n, err)
		}
		if len(s.Payload) > 1400 {
			t.Errorf("packet %d carries %d bytes", n, len(s.Payload))
		}
		if want := 1000 + uint32(total); n < len(got)-1 && s.Seq != want {
			t.Errorf("packet %d: sequence number %d, want %d", n, s.Seq, want)
		}
		total += len(s.Payload)
	}
	if want := 50_010; total != want {
		t.Errorf("%d bytes, want %d", total, want)
	}
}

func TestTap(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter(&file)
	i, err := w.Interface("x")
	if err != nil {
		t.Fatal(err)
	}
	a, b := link.NewPair(link.PairConfig{Features: link.Features{MTU: 1500}})
	dev := Tap(a, i)
	if got, want := dev.Features(), a.Features(); got != want {
		t.Errorf("Features() = %v, want %v", got, want)
	}
	out, back := segment(7), segment(8)
	if n, err := dev.Write([]link.Packet{{Data: out}}); n != 1 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	buf := []link.Packet{{Data: make([]byte, 1500)}, {Data: make([]byte, 1500)}}
	if n, err := b.Read(buf); n != 1 || err != nil || !bytes.Equal(buf[0].Data, out) {
		t.Fatalf("Read = %d, %v, %x", n, err, buf[0].Data)
	}
	if _, err := b.Write([]link.Packet{{Data: back}}); err != nil {
		t.Fatal(err)
	}
	if n, err := dev.Read(buf); n != 1 || err != nil || !bytes.Equal(buf[0].Data, back) {
		t.Fatalf("Read = %d, %v, %x", n, err, buf[0].Data)
	}
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := dev.Read(buf); n != 0 || !errors.Is(err, link.ErrClosed) {
		t.Errorf("Read after Close = %d, %v", n, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := readBack(t, file.Bytes())
	if len(got) != 2 || !bytes.Equal(got[0].data, out) || !bytes.Equal(got[1].data, back) {
		t.Errorf("recorded %v, want what went out and what came back", got)
	}
}

// fullDisk takes n bytes and no more.
type fullDisk struct{ n int }

var errFull = errors.New("disk full")

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.n -= len(b); d.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestErrorIsKept(t *testing.T) {
	w := NewWriter(&fullDisk{10_000})
	i, err := w.Interface("x")
	if err != nil {
		t.Fatal(err)
	}
	a, b := link.NewPair(link.PairConfig{})
	dev := Tap(a, i)
	pkt := segment(1400)
	for range 20 {
		if _, err := dev.Write([]link.Packet{{Data: pkt}}); err != nil {
			t.Fatalf("the capture's error reached the traffic: %v", err)
		}
	}
	if n, err := b.Read(make([]link.Packet, 30)); n != 20 || err != nil {
		t.Errorf("Read = %d, %v, want all 20", n, err)
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close = %v, want %v", err, errFull)
	}
	if err := i.WritePacket(epoch, pkt, wire.Offload{}); !errors.Is(err, ErrClosed) {
		t.Errorf("WritePacket after Close = %v, want ErrClosed", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
}

func TestConcurrentInterfaces(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter(&file)
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		i, err := w.Interface(name)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			pkt := segment(3000)
			for n := range 50 {
				if err := i.WritePacket(epoch.Add(time.Duration(n)), pkt, wire.Offload{SegSize: 1000}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for _, p := range readBack(t, file.Bytes()) {
		count[p.name]++
	}
	for _, name := range []string{"a", "b", "c"} {
		if got, want := count[name], 150; got != want {
			t.Errorf("interface %s: %d packets, want %d", name, got, want)
		}
	}
}

// TestTshark has the field's own reader judge a capture.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed; it judges captures")
	}
	name := filepath.Join(t.TempDir(), "x.pcapng")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(file)
	i, err := w.Interface("wired")
	if err != nil {
		t.Fatal(err)
	}
	if err := i.WritePacket(epoch, segment(4000), wire.Offload{SegSize: 1400}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-r", name, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
		"-T", "fields", "-E", "separator=/s", "-e", "frame.interface_name", "-e", "frame.time_epoch", "-e", "ip.checksum.status",
		"-e", "tcp.checksum.status", "-e", "tcp.len", "-e", "tcp.options.mptcp.rawdataseqno").Output()
	if err != nil {
		t.Fatal(err)
	}
	const at = "981173106.000000789"
	want := strings.Join([]string{
		"wired " + at + " 1 1 1400 77", "wired " + at + " 1 1 1400 77", "wired " + at + " 1 1 1200 77", "",
	}, "\n")
	if got := string(out); got != want {
		t.Errorf("tshark reads\n%swant\n%s", got, want)
	}
}
