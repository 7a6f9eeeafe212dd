package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braid-mptcp/braid"
	"github.com/braid-mptcp/braid/link"
)

// TestUserStack serves clients of Braid's own stack, over two paths.
func TestUserStack(t *testing.T) {
	stacks := [2]*braid.Stack{}
	configs := [2]braid.Config{}
	for path := range 2 {
		a, b := link.NewPair(link.PairConfig{})
		for side, dev := range []link.Device{a, b} {
			addr := netip.AddrFrom4([4]byte{10, 0, byte(path), byte(side + 1)})
			flags := braid.Subflow
			if side == 1 {
				flags = braid.Signal
			}
			configs[side].Interfaces = append(configs[side].Interfaces, braid.Interface{
				Device: dev, Addresses: []braid.Address{{Addr: addr, Bits: 24, Flags: flags}},
			})
		}
	}
	for side := range stacks {
		s, err := braid.NewStack(configs[side])
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stacks[side] = s
	}
	socket := filepath.Join(t.TempDir(), "server.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/big" {
			b = big
		}
		w.Write(b)
	}))
	p := startOptions(t, Options{
		Config: parse(t, `
		listeners: {name: web, address: ['mptcp@10.0.0.2:80'], pool: web}
		tcp_profiles: {default: {congestion_control: reno, scheduler: roundrobin, checksum: true}}
		pools:
		  web: {backends: ['unix@`+socket+`']}`),
		Open: func(context.Context, braid.OpenConfig) (braid.Network, error) { return stacks[1], nil },
	})
	if got := p.log.String(); strings.Contains(got, "not offered") {
		t.Errorf("something is not there: %s", got)
	}
	for _, h2 := range []bool{false, true} {
		tr := &http.Transport{DialContext: stacks[0].DialContext, Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!h2)
		tr.Protocols.SetUnencryptedHTTP2(h2)
		c := &http.Client{Transport: tr}
		for range 3 {
			resp, body := get(t, c, "http://10.0.0.2/big")
			if resp.StatusCode != 200 || body != string(big) {
				t.Fatalf("got %d with %d bytes", resp.StatusCode, len(body))
			}
			resp, err := c.Post("http://10.0.0.2/echo", "", bytes.NewReader(big))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(b, big) {
				t.Fatalf("echo: %d bytes, %v", len(b), err)
			}
		}
		wantBody(t, c, "http://10.0.0.2/.well-known/multipath", 200, usingMPTCP)
		_, body := get(t, c, "http://10.0.0.2/.well-known/multipath?format=json")
		var facts multipathFacts
		if err := json.Unmarshal([]byte(body), &facts); err != nil {
			t.Fatal(err)
		}
		if !facts.Multipath || len(facts.Subflows) != 2 || facts.Subflows[0].BytesOut == 0 || facts.Subflows[1].BytesOut == 0 {
			t.Errorf("h2 %v: got %s", h2, body)
		}
		info, _ := braid.InfoOf(p.conns.all()[0].Conn)
		if !info.Checksum {
			t.Error("the profile's checksums are not there")
		}
		if info.Scheduler != braid.SchedulerRoundRobin {
			t.Errorf("the scheduler is %v, want the profile's", info.Scheduler)
		}
		tr.CloseIdleConnections()
		eventually(t, "the connection to end", func() bool { return len(p.conns.all()) == 0 })
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
