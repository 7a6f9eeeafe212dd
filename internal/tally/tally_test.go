package tally

import (
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid"
)

func TestTally(t *testing.T) {
	wired, wireless := netip.MustParseAddrPort("10.0.1.1:40000"), netip.MustParseAddrPort("10.0.2.1:40001")
	server := netip.MustParseAddrPort("10.0.1.2:80")
	sf := func(id int, local netip.AddrPort, received uint64, up bool) braid.SubflowInfo {
		return braid.SubflowInfo{ID: id, Local: local, Remote: server, BytesReceived: received, Established: up,
			RTT: time.Duration(id) * time.Millisecond}
	}
	var c Tally
	c.Note(braid.Info{Multipath: true, LocalToken: 7, Subflows: []braid.SubflowInfo{sf(1, wired, 100, true), sf(2, wireless, 0, false)}})
	if got := c.Paths(); len(got) != 1 || got[0].Local != wired || got[0].Received != 100 || !got[0].Up {
		t.Errorf("at first: %+v", got)
	}
	c.Note(braid.Info{Multipath: true, LocalToken: 7, Subflows: []braid.SubflowInfo{sf(1, wired, 150, true), sf(2, wireless, 30, true)}})
	// The first subflow has ended, and another one took its place.
	c.Note(braid.Info{Multipath: true, LocalToken: 7, Subflows: []braid.SubflowInfo{sf(2, wireless, 60, true), sf(3, wired, 5, true)}})
	c.Note(braid.Info{}) // the connection is over
	want := []Path{
		{Local: wired, Remote: server, Received: 150, RTT: time.Millisecond},
		{Local: wireless, Remote: server, Received: 60, RTT: 2 * time.Millisecond},
		{Local: wired, Remote: server, Received: 5, RTT: 3 * time.Millisecond},
	}
	got := c.Paths()
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("path %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
	if info := c.Info(); !info.Multipath || info.LocalToken != 7 {
		t.Errorf("info %+v: what it was is forgotten", info)
	}
	if got := c.Bytes(); got != 215 {
		t.Errorf("%d bytes, want 215", got)
	}
}

func TestTallyOfFallback(t *testing.T) {
	var c Tally
	c.Note(braid.Info{Subflows: []braid.SubflowInfo{{Established: true, BytesSent: 9}}})
	if info := c.Info(); info.Multipath || c.Bytes() != 9 {
		t.Errorf("info %+v, %d bytes", info, c.Bytes())
	}
}
