package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/braid-mptcp/braid/link/pcap"
	"github.com/braid-mptcp/braid/wire"
)

// quick are lines on which a demo of a few megabytes takes about a second.
func quick() []Path {
	return []Path{
		{Name: "wired", Rate: 40e6, Delay: 2 * time.Millisecond},
		{Name: "wireless", Rate: 20e6, Delay: 5 * time.Millisecond},
	}
}

// TestRun: both lines carry the file, a cut does not end it, and the capture
// shows one Multipath TCP connection whose join is authenticated.
func TestRun(t *testing.T) {
	var file bytes.Buffer
	capture := pcap.NewWriter(&file)
	var shots []Snapshot
	var events []Event
	cfg := Config{
		Size: 4 << 20, Paths: quick(), Seed: 3, Capture: capture,
		Plan:     changes(t, "wired@50%", "restore wired@+100ms"),
		Interval: 50 * time.Millisecond,
		Progress: func(s Snapshot) { shots = append(shots, s) },
		Happened: func(e Event) { events = append(events, e) },
	}
	rep, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !rep.SHA256OK || rep.Bytes != cfg.Size || rep.Fallback || rep.MPTCPVersion != 1 {
		t.Errorf("report %+v", rep)
	}
	if rep.LongestStallMS <= 0 || rep.LongestStallMS > 1000*rep.Seconds || rep.GoodputMbps <= 0 || rep.GoodputMbps > 60 {
		t.Errorf("stall %v ms, %v Mbit/s in %v s", rep.LongestStallMS, rep.GoodputMbps, rep.Seconds)
	}
	var sum uint64
	for _, p := range rep.Paths {
		if p.Share < 0.2 {
			t.Errorf("%s carried %.0f %%", p.Name, 100*p.Share)
		}
		sum += p.Bytes
	}
	if sum < uint64(cfg.Size) {
		t.Errorf("the paths carried %d bytes of %d", sum, cfg.Size)
	}
	checkOrder(t, events, "wired", SubflowUp, Cut, Restored)
	checkOrder(t, events, "wireless", SubflowUp)
	last := shots[len(shots)-1]
	if last.Bytes != cfg.Size || last.Size != cfg.Size || len(last.Paths) != 2 {
		t.Errorf("last snapshot %+v", last)
	}
	if err := capture.Close(); err != nil {
		t.Fatal(err)
	}
	checkCapture(t, file.Bytes())
}

// checkOrder finds the wanted events of a path in their order.
func checkOrder(t *testing.T, events []Event, path string, want ...What) {
	t.Helper()
	for _, e := range events {
		if e.Path == path && len(want) > 0 && e.What == want[0] {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		t.Errorf("%s: no event %q in %v", path, want[0], events)
	}
}

// checkCapture verifies every packet's checksums, and the join's HMACs from
// the keys of the first handshake.
func checkCapture(t *testing.T, capture []byte) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(capture), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	var client, server wire.Key
	var clientNonce, serverNonce, token uint32
	joins := 0
	for {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var s wire.Segment
		if err := wire.ParseSegment(data, &s, false); err != nil || s.Options.Any(wire.HasBadMPTCP|wire.HasUnknownMPTCP) {
			t.Fatalf("packet %x: %v", data, err)
		}
		if want, _ := r.Interface(pathOf(s.Src.Addr())); want.Name != quick()[ci.InterfaceIndex].Name {
			t.Errorf("%v is recorded on %s", &s, quick()[ci.InterfaceIndex].Name)
		}
		o := &s.Options
		if o.Has(wire.HasCapable) && o.Capable.Keys == 2 {
			client, server = o.Capable.SenderKey, o.Capable.ReceiverKey
		}
		if !o.Has(wire.HasJoin) {
			continue
		}
		switch j := &o.Join; j.Form {
		case wire.JoinSYN:
			clientNonce, token = j.Nonce, j.Token
		case wire.JoinSYNACK:
			serverNonce = j.Nonce
			want := wire.JoinHMAC(server, client, serverNonce, clientNonce, wire.V1)
			if !bytes.Equal(j.HMAC[:8], want[:8]) || token != wire.Token(server, wire.V1) {
				t.Errorf("SYN/ACK of the join: HMAC %x, want %x", j.HMAC[:8], want[:8])
			}
		case wire.JoinACK:
			joins++
			if want := wire.JoinHMAC(client, server, clientNonce, serverNonce, wire.V1); j.HMAC != want {
				t.Errorf("third ACK of the join: HMAC %x, want %x", j.HMAC, want)
			}
		}
	}
	if joins == 0 {
		t.Error("nobody joined")
	}
}

func TestRunEndsWithContext(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	cfg := Config{Size: 1 << 40, Paths: quick()}
	cfg.Progress = func(s Snapshot) {
		if s.Bytes > 100_000 {
			cancel()
		}
	}
	if rep, err := Run(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, %v, want Canceled", rep, err)
	}
	// HTTP's own goroutines end on their own time.
	for i := 0; runtime.NumGoroutine() > before; i++ {
		if i == 2000 {
			t.Fatalf("%d goroutines left of %d", runtime.NumGoroutine(), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestOnePath(t *testing.T) {
	rep, err := Run(t.Context(), Config{Size: 1 << 20, Paths: quick()[:1]})
	if err != nil || !rep.SHA256OK || len(rep.Paths) != 1 || rep.Paths[0].Share != 1 {
		t.Errorf("got %+v, %v", rep, err)
	}
}

func TestAddresses(t *testing.T) {
	for i := range maxPaths {
		if a := clientAddr(i); pathOf(a) != i || pathOf(serverAddr(i)) != i {
			t.Errorf("path %d has %v", i, a)
		}
	}
	if got, want := serverAddr(1), netip.MustParseAddr("10.0.2.2"); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
