package stack_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/wire"
)

// TestRFC8684 has the requirements of RFC 8684 that want two real ends and a
// network between them. Names begin with the item's number in docs/rfc8684.md;
// package mptcp has those where the peer is played by hand, wire those of the
// format.
func TestRFC8684(t *testing.T) {
	for _, item := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"A6_initial_sequence_numbers", testISNs},
		{"A7_reset_is_for_one_subflow", testResetOfOne},
		{"A8_no_Data_ACK_from_a_subflow_ACK", byRow("25_and_lost_on_one_of_two")},
		{"B9_third_packet_and_first_data_lost", byRow("6_third_packet_and_first_data_lost")},
		{"B27_time_to_connect_without_MPTCP", byRow("3_SYN_with_capable_dropped")},
		{"C6_joins_in_both_directions", testJoinFromServer},
		{"C11_option_stripped_from_the_answer", byRow("10_join_SYNACK_stripped")},
		{"C12_third_packet_lost", byRow("11_join_third_packet_lost_often")},
		{"C12_fourth_packet_lost", byRow("11_join_fourth_packet_lost")},
		{"C19_both_ends_join_at_once", testCrossingJoins},
		{"D6_mappings_never_change", testMappings},
		{"D8_initial_numbers_rewritten", byRow("21_and_SACK_left_alone")},
		{"D11_no_urgent_pointer_sent", func(t *testing.T) { mapsOnce(t, 9) }},
		{"D18_wide_numbers_where_short_ones_could_wrap", testWidths},
		{"D23_segments_split", byRow("19_split_with_checksums")},
		{"D23_segments_joined", byRow("20_joined_with_one_mapping_lost")},
		{"E8_right_edge_never_shrinks", testRightEdge},
		{"E11_receive_buffer_grows_with_the_paths", testBuffersGrow},
		{"E14_window_shrunk_on_one_path", byRow("28_window_shrunk_on_one_of_two")},
		{"E16_holes_refused", byRow("26_data_that_was_lost_and_reinjected")},
		{"E17_data_lost_behind_a_proxy", byRow("25_and_lost")},
		{"E18_black_hole", testBlackHole},
		{"F8_TIME_WAIT_on_both_levels", testTimeWait},
		{"F9_break_before_make", testBreakBeforeMake},
		{"F11_passive_close_without_TIME_WAIT", testTimeWait},
		{"I4_path_retired_without_loss", testRetire},
		{"J10_announcements_lost", byRow("29_ADD_ADDR_lost")},
		{"J11_private_address", byRow("22_private_address_announced")},
		{"J21_REMOVE_ADDR_lost", testRemovalLost},
		{"K1_stripped_on_return", byRow("2_capable_stripped_from_SYNACK")},
		{"K3_stripped_on_an_added_subflow", byRow("12_stripped_on_the_joined_subflow")},
		{"K4_stripped_towards_the_client", byRow("8_stripped_towards_the_client")},
		{"K4_stripped_towards_the_server", byRow("8_stripped_towards_the_server")},
		{"K6_payload_rewritten_on_one_path", byRow("14_rewritten_on_one_of_two")},
		{"K6_payload_made_longer_on_one_path", byRow("15_longer_on_one_of_two")},
		{"K8_failed_data_arrives_elsewhere", byRow("15_shorter_on_one_of_two")},
		{"K9_payload_rewritten_on_the_only_path", byRow("15_longer_on_the_only_subflow")},
		{"L1_keys_stay_off_the_wire", testKeysOnTheWire},
	} {
		t.Run(item.name, item.test)
	}
}

// byRow is a test of TestMiddlebox that proves a requirement too.
func byRow(name string) func(*testing.T) {
	return func(t *testing.T) {
		if testing.Short() {
			t.Skip("TestMiddlebox has it")
		}
		for _, list := range [][]interference{optionBoxes, payloadBoxes, segmentBoxes, addressBoxes} {
			for _, i := range list {
				if i.name == name {
					i.run(t)
					return
				}
			}
		}
		t.Fatalf("no row %s", name)
	}
}

// twoPaths is a bed with two paths of 10 Mbit/s.
func twoPaths(t *testing.T, cfg stack.Config) *simtest.Bed {
	return simtest.NewBed(t, 1, cfg, simtest.Line(10, 10*ms), simtest.Line(10, 15*ms))
}

// checked is exchange, and the streams are equal.
func checked(t *testing.T, b *simtest.Bed, there, back []byte) (client, server *simtest.App) {
	t.Helper()
	client, server = exchange(t, b, there, back, false)
	if !bytes.Equal(server.Received.Bytes(), there) || !bytes.Equal(client.Received.Bytes(), back) {
		t.Errorf("the streams differ: %d of %d and %d of %d bytes", server.Received.Len(), len(there), client.Received.Len(), len(back))
	}
	return client, server
}

func gone(b *simtest.Bed) {
	b.T.Helper()
	b.Run("nothing is left", 10*time.Minute, b.Gone)
}

func testISNs(t *testing.T) {
	b := twoPaths(t, stack.Config{})
	seen := map[netip.AddrPort][]uint32{}
	b.Watch = func(_ time.Time, _ string, s *wire.Segment) {
		if s.Flags.Has(wire.SYN) {
			seen[s.Src] = append(seen[s.Src], s.Seq)
		}
	}
	checked(t, b, simtest.Pattern(100<<10, 1), nil)
	gone(b)
	var all []uint32
	for _, list := range seen {
		all = append(all, list...)
	}
	slices.Sort(all)
	if len(all) != 4 || len(slices.Compact(all)) != 4 {
		t.Errorf("got initial sequence numbers %v of four", all)
	}
	// The same 4-tuple again: they grow with the clock, 250,000 in a second.
	first := seen[netip.AddrPortFrom(simtest.ServerAddr(0), simtest.ServerPort)][0]
	began := b.Net.Now()
	var local netip.AddrPort
	for a := range seen {
		if a.Addr() == simtest.ClientAddr(0) {
			local = a
		}
	}
	_, err := b.Client.Dial(began, local, netip.AddrPortFrom(simtest.ServerAddr(0), simtest.ServerPort), nil, &simtest.App{})
	must(t, err)
	b.Run("a second connection", time.Minute, func() bool {
		return len(seen[netip.AddrPortFrom(simtest.ServerAddr(0), simtest.ServerPort)]) > 1
	})
	again := seen[netip.AddrPortFrom(simtest.ServerAddr(0), simtest.ServerPort)][1]
	want := int(b.Net.Elapsed().Seconds() * 250000)
	if got := int(again - first); got < want/2 || got > want+1 {
		t.Errorf("the number grew by %d in %v, want about %d", got, b.Net.Elapsed(), want)
	}
}

func testResetOfOne(t *testing.T) {
	for path := range 2 {
		b := twoPaths(t, stack.Config{})
		b.Links[path].NearB(&sim.Forge{Pick: sim.Pick{Kinds: sim.Data, Way: sim.OnlyAB, Skip: 50, Count: 1}, Make: func(_ time.Time, dir sim.Dir, s *wire.Segment, send func(sim.Dir, *wire.Segment)) {
			send(dir.Reverse(), &wire.Segment{Src: s.Dst, Dst: s.Src, TTL: 64, Flags: wire.RST | wire.ACK, Seq: s.Ack, Ack: s.Seq})
		}})
		client, _ := checked(t, b, simtest.Pattern(1<<20, 1), nil)
		down := 0
		for _, ev := range b.Client.Events {
			if ev.Kind == stack.SubflowDown && ev.Subflow.Err == mptcp.ErrReset {
				down++
			}
		}
		if down == 0 || !client.Conn.Info(b.Net.Now()).Multipath {
			t.Errorf("path %d: %d subflows were reset", path, down)
		}
		gone(b)
	}
}

func testJoinFromServer(t *testing.T) {
	b := simtest.NewBed(t, 1, stack.Config{}, simtest.Line(10, 10*ms))
	c, s := netip.MustParseAddr("10.0.9.1"), netip.MustParseAddr("10.0.9.2")
	b.Net.Attach(b.Client, c)
	b.Net.Attach(b.Server, s)
	b.Net.Connect("other", c, s, simtest.Line(10, 15*ms), simtest.Line(10, 15*ms))
	must(t, b.Client.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: c, Bits: 24, Flags: mptcp.EndpointSignal}))
	must(t, b.Server.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: s, Bits: 24, Flags: mptcp.EndpointSubflow}))
	var from netip.Addr
	b.Watch = func(_ time.Time, _ string, seg *wire.Segment) {
		if seg.Options.Has(wire.HasJoin) && seg.Flags == wire.SYN {
			from = seg.Src.Addr()
		}
	}
	client, server := checked(t, b, simtest.Pattern(600<<10, 1), simtest.Pattern(600<<10, 2))
	for name, a := range map[string]*simtest.App{"client": client, "server": server} {
		if n := a.Conn.Info(b.Net.Now()).Stats.JoinsDone; n != 1 || from != s {
			t.Errorf("%s: %d joins, from %v", name, n, from)
		}
	}
	gone(b)
}

func testCrossingJoins(t *testing.T) {
	for seed := range uint64(3) {
		b := simtest.NewBed(t, seed, stack.Config{}, simtest.Line(10, 10*ms))
		c, s := netip.MustParseAddr("10.0.9.1"), netip.MustParseAddr("10.0.9.2")
		b.Net.Attach(b.Client, c)
		b.Net.Attach(b.Server, s)
		// The announcements overtake the SYNs.
		b.Net.Connect("other", c, s, simtest.Line(10, 30*ms), simtest.Line(10, 30*ms))
		const flags = mptcp.EndpointSubflow | mptcp.EndpointSignal
		must(t, b.Client.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: c, Bits: 24, Flags: flags}))
		must(t, b.Server.Stack.AddAddress(b.Net.Now(), stack.Address{Addr: s, Bits: 24, Flags: flags}))
		used := 0
		syns := map[string]time.Time{}
		b.Watch = func(now time.Time, where string, seg *wire.Segment) {
			if where[:5] == "other" && len(seg.Payload) > 0 {
				used++
			}
			if seg.Flags == wire.SYN && syns[where].IsZero() {
				syns[where] = now
			}
		}
		client, server := checked(t, b, simtest.Pattern(2<<20, 1), simtest.Pattern(1<<20, 2))
		ci, si := client.Conn.Info(b.Net.Now()), server.Conn.Info(b.Net.Now())
		if ci.Stats.JoinsDone == 0 || si.Stats.JoinsDone == 0 || used < 100 {
			t.Errorf("seed %d: joins %+v and %+v, %d segments by the second path", seed, ci.Stats, si.Stats, used)
		}
		if d := syns["other ab"].Sub(syns["other ba"]).Abs(); d >= 30*ms {
			t.Errorf("seed %d: the SYNs did not cross: %v", seed, syns)
		}
		gone(b)
	}
}

// testMappings: on each subflow a place is mapped to one place of the stream
// for ever, whatever is lost, repeated and reinjected; and nothing is urgent.
func testMappings(t *testing.T) {
	reinjected := uint64(0)
	for seed := range uint64(4) {
		reinjected += mapsOnce(t, seed)
	}
	if reinjected == 0 {
		t.Error("nothing was reinjected: the test shows nothing")
	}
}

// mapsOnce is testMappings with one seed. It gives how many bytes were sent
// again on another subflow.
func mapsOnce(t *testing.T, seed uint64) uint64 {
	b := simtest.NewBed(t, seed, stack.Config{}, simtest.Line(10, 10*ms), simtest.Line(10, 15*ms))
	for i := range b.Links {
		lossy(b, i, 0.03)
	}
	b.Net.After(400*ms, func() { b.Links[0].Down(b.Net.Now()) })
	b.Net.After(900*ms, b.Links[0].Up)
	type flow struct{ src, dst netip.AddrPort }
	shifts := map[flow]map[uint32]uint32{} // by flow: DSN of each SSN that begins a mapping
	lens := map[flow]map[uint32]uint16{}
	b.Watch = func(_ time.Time, _ string, s *wire.Segment) {
		if s.Flags.Has(wire.URG) || s.Urgent != 0 {
			t.Errorf("urgent: %v", s)
		}
		d := &s.Options.DSS
		if !s.Options.Has(wire.HasDSS) || !d.HasMap || len(s.Payload) == 0 {
			return
		}
		f := flow{s.Src, s.Dst}
		if shifts[f] == nil {
			shifts[f], lens[f] = map[uint32]uint32{}, map[uint32]uint16{}
		}
		if dsn, known := shifts[f][d.SSN]; known && (dsn != uint32(d.DSN) || lens[f][d.SSN] != d.Len) {
			t.Errorf("place %d was mapped to %d for %d bytes: %v", d.SSN, dsn, lens[f][d.SSN], s)
		}
		shifts[f][d.SSN], lens[f][d.SSN] = uint32(d.DSN), d.Len
	}
	client, _ := checked(t, b, simtest.Pattern(2<<20, 1), nil)
	for f, m := range shifts {
		// And no place belongs to two mappings.
		var starts []uint32
		for ssn := range m {
			starts = append(starts, ssn)
		}
		slices.Sort(starts)
		for i := 1; i < len(starts); i++ {
			if end := starts[i-1] + uint32(lens[f][starts[i-1]]); end > starts[i]+1 { // a DATA_FIN takes no place
				t.Errorf("%v: mappings at %d (%d bytes) and %d overlap", f, starts[i-1], lens[f][starts[i-1]], starts[i])
			}
		}
	}
	gone(b)
	return client.Conn.Info(b.Net.Now()).Stats.BytesReinjected
}

func testWidths(t *testing.T) {
	for _, tc := range []struct {
		mbits float64
		wide  bool // may be, or have to be
	}{{10, false}, {300, true}} {
		b := simtest.NewBed(t, 1, stack.Config{Conn: mptcp.Config{}}, simtest.Line(tc.mbits, 5*ms))
		short, wide := 0, 0
		var sent uint64
		b.Watch = func(_ time.Time, _ string, s *wire.Segment) {
			if d := &s.Options.DSS; s.Options.Has(wire.HasDSS) && d.HasMap {
				sent += uint64(len(s.Payload))
				if d.DSN64 {
					wide++
				} else {
					short++
					if b.Net.Elapsed() > time.Second && tc.wide {
						t.Fatalf("a short number at 300 Mbit/s: %v", s)
					}
				}
			}
		}
		size := int(tc.mbits * 1e6 / 8 * 0.5)
		checked(t, b, simtest.Pattern(size, 1), nil)
		if tc.wide && wide == 0 || !tc.wide && wide > 0 {
			t.Errorf("%v Mbit/s: %d short numbers, %d wide", tc.mbits, short, wide)
		}
		gone(b)
	}
}

// testRightEdge: what a host offers, in numbers of the stream, it never takes
// back, on whichever subflow it says so.
func testRightEdge(t *testing.T) {
	b := twoPaths(t, stack.Config{})
	for i := range b.Links {
		lossy(b, i, 0.02)
	}
	type flow struct{ src, dst netip.AddrPort }
	scale := map[flow]uint8{}
	edge := map[netip.Addr]uint64{} // by host, its first address standing for it
	host := func(a netip.Addr) netip.Addr {
		if a.As4()[3] == 1 {
			return simtest.ClientAddr(0)
		}
		return simtest.ServerAddr(0)
	}
	checkedEdges := 0
	b.Watch = func(_ time.Time, _ string, s *wire.Segment) {
		f := flow{s.Src, s.Dst}
		if s.Flags.Has(wire.SYN) {
			scale[f] = s.Options.WindowScale
			return
		}
		d := &s.Options.DSS
		if !s.Options.Has(wire.HasDSS) || !d.HasAck || s.Flags.Has(wire.RST) {
			return
		}
		h := host(s.Src.Addr())
		near := seq.Pos(edge[h])
		ack := seq.Unwrap32(near, 0, uint32(d.Ack))
		now := uint64(ack) + uint64(s.Window)<<scale[f]
		if edge[h] != 0 {
			checkedEdges++
			// The scale rounds what is offered (RFC 7323 section 2.3).
			if now+1<<scale[f] <= edge[h] && !s.Flags.Has(wire.FIN) {
				t.Errorf("the edge went back by %d: %v", edge[h]-now, s)
			}
		}
		edge[h] = max(edge[h], now)
	}
	client, server := (*simtest.App)(nil), (*simtest.App)(nil)
	b.Server.Serve = func(*mptcp.Conn) *simtest.App {
		server = &simtest.App{Shut: true, Close: true, Habits: simtest.Habits{Read: 3000, ReadEvery: 3 * ms}}
		return server
	}
	client = b.Dial(nil, &simtest.App{Send: simtest.Pattern(1<<20, 1), Shut: true, Close: true})
	b.Run("a slow reader reads to the end", 5*time.Minute, func() bool { return server != nil && server.Done() && client.Done() })
	if server.Err != io.EOF || server.Received.Len() != 1<<20 || checkedEdges < 500 {
		t.Errorf("got %d bytes, %v, %d edges", server.Received.Len(), server.Err, checkedEdges)
	}
	gone(b)
}

// testBuffersGrow: the receive buffer ends between the bandwidth-delay product
// of one path and what section 3.3.4 calls enough, with room for doubling.
func testBuffersGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes megabytes to find out")
	}
	b := simtest.NewBed(t, 1, stack.Config{}, simtest.Line(40, 50*ms), simtest.Line(40, 100*ms))
	client, _ := checked(t, b, nil, simtest.Pattern(24<<20, 1))
	rate := float64(24<<20) * 8 / b.Net.Elapsed().Seconds() / 1e6
	got := client.Conn.Info(b.Net.Now()).RecvBuffer
	bdp := int(80e6 / 8 * 0.2) // both rates, the longer round trip
	if got < bdp/2 || got > 8<<20 {
		t.Errorf("got a buffer of %d, want at least %d", got, bdp/2)
	}
	if rate < 50 {
		t.Errorf("got %.1f Mbit/s of 80", rate)
	}
	gone(b)
}

func testBlackHole(t *testing.T) {
	b := twoPaths(t, stack.Config{Conn: mptcp.Config{SubflowTimeout: 5 * time.Second}})
	b.Net.After(300*ms, func() { b.Links[1].Down(b.Net.Now()) })
	client, _ := checked(t, b, nil, simtest.Pattern(8<<20, 1))
	if client.Longest > 500*ms {
		t.Errorf("it stalled for %v", client.Longest)
	}
	gone(b)
}

// testTimeWait: whoever closes first waits, and only for the subflows; the
// other need not.
func testTimeWait(t *testing.T) {
	b := twoPaths(t, stack.Config{})
	client, server := (*simtest.App)(nil), (*simtest.App)(nil)
	b.Server.Serve = func(*mptcp.Conn) *simtest.App {
		server = &simtest.App{Send: simtest.Pattern(400<<10, 1), Shut: true, Close: true, Habits: simtest.Habits{Answer: true}}
		return server
	}
	client = b.Dial(nil, &simtest.App{Send: simtest.Pattern(400<<10, 2), Shut: true, Close: true})
	b.Run("both ends read to the end", time.Minute, func() bool { return server != nil && client.Done() && server.Done() })
	must(t, b.Net.RunFor(2*time.Second))
	c, s := b.Client.Stack.Stats(), b.Server.Stack.Stats()
	if c.TimeWaits != 2 || c.Connections != 0 {
		t.Errorf("client, who closed first: got %+v, want two subflows in TIME-WAIT and no connection", c)
	}
	if s.TimeWaits != 0 || s.Connections != 0 {
		t.Errorf("server: got %+v, want nothing left", s)
	}
	b.Run("TIME-WAIT ends", 2*time.Minute, func() bool { return b.Client.Stack.Stats().TimeWaits == 0 })
}

func testBreakBeforeMake(t *testing.T) {
	b := twoPaths(t, stack.Config{})
	must(t, b.Client.Stack.RemoveAddress(b.Net.Now(), simtest.ClientAddr(1)))
	b.Net.After(500*ms, func() {
		b.Links[0].Down(b.Net.Now())
		must(t, b.Client.Stack.RemoveAddress(b.Net.Now(), simtest.ClientAddr(0)))
	})
	b.Net.After(5500*ms, func() { b.AddClientAddress(1) })
	client, server := checked(t, b, simtest.Pattern(2<<20, 1), simtest.Pattern(2<<20, 2))
	for name, a := range map[string]*simtest.App{"client": client, "server": server} {
		if info := a.Conn.Info(b.Net.Now()); !info.Multipath || info.Stats.JoinsDone == 0 {
			t.Errorf("%s: %+v", name, info.Stats)
		}
	}
	if a := client.Conn.LocalAddr().Addr(); a != simtest.ClientAddr(0) {
		t.Errorf("the local address became %v", a)
	}
	b.Run("the server has nothing left", 10*time.Minute, func() bool { return b.Server.Stack.Stats().Connections == 0 })
}

func testRetire(t *testing.T) {
	b := twoPaths(t, stack.Config{})
	var client *simtest.App
	b.Net.After(600*ms, func() { client.Conn.SetBackup(b.Net.Now(), simtest.ClientAddr(0), true) })
	b.Net.After(1200*ms, func() { must(t, b.Client.Stack.RemoveAddress(b.Net.Now(), simtest.ClientAddr(0))) })
	lateData := 0
	b.Watch = func(_ time.Time, where string, s *wire.Segment) {
		if e := b.Net.Elapsed(); where == "path0 ba" && e > 1100*ms && e < 1200*ms && len(s.Payload) > 0 {
			lateData++
		}
	}
	b.Server.Serve = func(*mptcp.Conn) *simtest.App {
		return &simtest.App{Send: simtest.Pattern(4<<20, 1), Shut: true, Close: true}
	}
	client = b.Dial(nil, &simtest.App{Shut: true, Close: true})
	b.Run("the download is complete", time.Minute, client.Done)
	if client.Received.Len() != 4<<20 || client.Longest > 200*ms {
		t.Errorf("got %d bytes, a stall of %v", client.Received.Len(), client.Longest)
	}
	if lateData > 0 {
		t.Errorf("got %d segments of data on a backup", lateData)
	}
	b.Run("nothing is left", 10*time.Minute, b.Gone)
}

func testRemovalLost(t *testing.T) {
	b := twoPaths(t, stack.Config{})
	for _, l := range b.Links {
		l.NearB(&sim.Strip{Options: wire.HasRemoveAddr})
	}
	b.Net.After(600*ms, func() {
		// The address is gone, and with it the way to say so.
		b.Links[0].Down(b.Net.Now())
		must(t, b.Client.Stack.RemoveAddress(b.Net.Now(), simtest.ClientAddr(0)))
	})
	client, server := (*simtest.App)(nil), (*simtest.App)(nil)
	b.Server.Serve = func(*mptcp.Conn) *simtest.App {
		server = &simtest.App{Send: simtest.Pattern(4<<20, 1), Shut: true, Close: true}
		return server
	}
	client = b.Dial(nil, &simtest.App{Shut: true, Close: true})
	b.Run("the download is complete", time.Minute, func() bool { return client.Done() && server.Done() })
	if client.Received.Len() != 4<<20 || client.Longest > time.Second {
		t.Errorf("got %d bytes, a stall of %v", client.Received.Len(), client.Longest)
	}
	b.Run("nothing is left", 10*time.Minute, b.Gone)
}

// testKeysOnTheWire looks for the keys of a connection in everything it sends.
func testKeysOnTheWire(t *testing.T) {
	b := twoPaths(t, stack.Config{})
	var keys [][]byte
	found := map[string]int{}
	b.Watch = func(_ time.Time, _ string, s *wire.Segment) {
		if cp := &s.Options.Capable; s.Options.Has(wire.HasCapable) && cp.Keys > 0 {
			key := binary.BigEndian.AppendUint64(nil, uint64(cp.SenderKey))
			if !slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
				keys = append(keys, key)
			}
		}
		raw := wire.AppendSegment(nil, s)
		for _, k := range keys {
			if !bytes.Contains(raw, k) {
				continue
			}
			switch {
			case s.Options.Has(wire.HasCapable):
				found["first handshake"]++
			case s.Options.Has(wire.HasFastClose):
				found["fast close"]++
			default:
				t.Errorf("a key in %v", s)
			}
		}
	}
	var server *simtest.App
	b.Server.Serve = func(*mptcp.Conn) *simtest.App {
		server = &simtest.App{Send: simtest.Pattern(500<<10, 1)}
		return server
	}
	client := b.Dial(nil, &simtest.App{Send: simtest.Pattern(500<<10, 2)})
	b.Run("data", time.Minute, func() bool { return client.Received.Len() == 500<<10 && server.Received.Len() == 500<<10 })
	client.Abort(b.Net.Now())
	b.Run("nothing is left", time.Minute, b.Gone)
	if len(keys) != 2 || found["first handshake"] < 3 || found["fast close"] == 0 {
		t.Errorf("%d keys, found %v", len(keys), fmt.Sprint(found))
	}
}
