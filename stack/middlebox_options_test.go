package stack_test

import (
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/wire"
)

// afterHandshake are the segments that are neither SYN nor third packet.
const afterHandshake = sim.Data | sim.PureACK | sim.FIN | sim.RST

func strip(p sim.Pick) func() []sim.Middlebox {
	return func() []sim.Middlebox { return []sim.Middlebox{&sim.Strip{Pick: p}} }
}

func alterCapable(kinds sim.Kind, edit func(option []byte)) func() []sim.Middlebox {
	return func() []sim.Middlebox {
		return []sim.Middlebox{&sim.Alter{Pick: sim.Pick{Kinds: kinds}, Options: wire.HasCapable, Edit: edit}}
	}
}

// optionBoxes remove, change or lose options.
var optionBoxes = []interference{
	{name: "1_capable_stripped_from_SYN", boxes: on(0, strip(sim.Pick{Kinds: sim.SYN})),
		want: bothPlain(mptcp.NotAccepted, mptcp.NotOffered)},
	{name: "2_capable_stripped_from_SYNACK", boxes: on(0, strip(sim.Pick{Kinds: sim.SYNACK})),
		want: bothPlain(mptcp.NotAccepted, mptcp.NoThirdAck)},
	{name: "3_SYN_with_capable_dropped",
		boxes: func(b *simtest.Bed) {
			b.Links[0].NearB(&sim.Drop{Pick: sim.Pick{Kinds: sim.SYN, When: func(s *wire.Segment) bool { return s.Options.Has(wire.HasCapable) }}})
		},
		want: func(t *testing.T, o *outcome) {
			bothPlain(mptcp.SYNsLost, mptcp.NotOffered)(t, o)
			if o.took > 10*time.Second {
				t.Errorf("it took %v", o.took)
			}
		}},
	{name: "5_capable_stripped_from_third_packet", late: true, boxes: on(0, strip(sim.Pick{Kinds: sim.ThirdACK})),
		want: bothPlain(mptcp.FirstDataUnmapped, mptcp.NoThirdAck)},
	{name: "5_stripped_from_first_data_in_its_place", boxes: on(0, strip(sim.Pick{Kinds: sim.ThirdACK | sim.Data, Way: sim.OnlyAB, Count: 1})),
		want: plain},
	{name: "6_third_packet_lost", late: true,
		boxes: func(b *simtest.Bed) { b.Links[0].NearB(&sim.Drop{Pick: sim.Pick{Kinds: sim.ThirdACK, Count: 1}}) },
		want:  multipath},
	{name: "6_third_packet_and_first_data_lost",
		boxes: func(b *simtest.Bed) {
			b.Links[0].NearB(&sim.Drop{Pick: sim.Pick{Kinds: sim.ThirdACK | sim.Data, Way: sim.OnlyAB, Count: 2}})
		},
		want: multipath},
	{name: "6_third_packet_overtaken", late: true,
		boxes: func(b *simtest.Bed) {
			b.Links[0].NearB(&sim.Hold{Pick: sim.Pick{Kinds: sim.ThirdACK, Count: 1}, For: 15 * ms})
		},
		want: multipath},
	{name: "7_all_stripped_after_handshake", boxes: on(0, strip(sim.Pick{Kinds: afterHandshake})), want: plain},
	{name: "7_stripped_from_data", boxes: on(0, strip(sim.Pick{Kinds: sim.Data})), want: plain},
	{name: "8_stripped_towards_the_client", boxes: on(0, strip(sim.Pick{Kinds: afterHandshake, Way: sim.OnlyBA})), want: plain},
	{name: "8_stripped_towards_the_server", boxes: on(0, strip(sim.Pick{Kinds: afterHandshake, Way: sim.OnlyAB})), want: plain},
	{name: "8_first_ACK_stripped", boxes: on(0, strip(sim.Pick{Kinds: sim.PureACK | sim.Data, Way: sim.OnlyBA, Count: 1})), want: plain},
	{name: "9_lost_midway_on_the_only_subflow", boxes: on(0, strip(sim.Pick{Kinds: afterHandshake, Skip: 200})), want: plain},
	{name: "9_lost_midway_towards_the_client", boxes: on(0, strip(sim.Pick{Kinds: afterHandshake, Way: sim.OnlyBA, Skip: 100})), want: plain},
	{name: "9_lost_midway_towards_the_server", boxes: on(0, strip(sim.Pick{Kinds: afterHandshake, Way: sim.OnlyAB, Skip: 100})), want: plain},
	{name: "9_lost_midway_on_one_of_two", paths: 2, boxes: on(1, strip(sim.Pick{Kinds: afterHandshake, Skip: 100})),
		want: func(t *testing.T, o *outcome) {
			bothPaths(t, o)
			o.resetFor(t, wire.ResetMiddlebox)
		}},
	{name: "9_lost_midway_on_the_first_of_two", paths: 2, boxes: on(0, strip(sim.Pick{Kinds: afterHandshake, Skip: 200})),
		want: func(t *testing.T, o *outcome) {
			bothPaths(t, o)
			o.resetFor(t, wire.ResetMiddlebox)
		}},
	{name: "10_join_SYNACK_stripped", paths: 2, boxes: on(1, strip(sim.Pick{Kinds: sim.SYNACK})),
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			o.resetFor(t, wire.ResetMPTCP)
			if o.client.Stats.JoinsFailed == 0 || o.client.Stats.JoinsDone != 0 || o.joins > 2 {
				t.Errorf("joins: %d SYNs, %+v", o.joins, o.client.Stats)
			}
		}},
	{name: "10_join_stripped_from_SYN", paths: 2, boxes: on(1, strip(sim.Pick{Kinds: sim.SYN})),
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			if o.client.Stats.JoinsDone != 0 {
				t.Errorf("joins: %+v", o.client.Stats)
			}
		}},
	{name: "11_join_third_packet_lost", paths: 2,
		boxes: func(b *simtest.Bed) { b.Links[1].NearB(&sim.Drop{Pick: sim.Pick{Kinds: sim.ThirdACK, Count: 1}}) },
		want:  bothPaths},
	{name: "11_join_third_packet_lost_often", paths: 2,
		boxes: func(b *simtest.Bed) { b.Links[1].NearB(&sim.Drop{Pick: sim.Pick{Kinds: sim.ThirdACK, Count: 3}}) },
		want:  multipath},
	{name: "11_join_fourth_packet_lost", paths: 2,
		boxes: func(b *simtest.Bed) {
			b.Links[1].NearB(&sim.Drop{Pick: sim.Pick{Kinds: sim.PureACK | sim.Data, Way: sim.OnlyBA, Count: 2}})
		},
		want: bothPaths},
	{name: "12_stripped_on_the_joined_subflow", paths: 2, boxes: on(1, strip(sim.Pick{Kinds: afterHandshake})),
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			o.resetFor(t, wire.ResetMiddlebox)
			if o.joins > 4 {
				t.Errorf("joined %d times", o.joins)
			}
		}},
	{name: "12_stripped_towards_the_client_there", paths: 2, boxes: on(1, strip(sim.Pick{Kinds: afterHandshake, Way: sim.OnlyBA})),
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			o.resetFor(t, wire.ResetMiddlebox)
		}},
	{name: "12_stripped_towards_the_server_there", paths: 2, boxes: on(1, strip(sim.Pick{Kinds: afterHandshake, Way: sim.OnlyAB})),
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			o.resetFor(t, wire.ResetMiddlebox)
		}},
	{name: "13_SYN_option_echoed", boxes: on(0, func() []sim.Middlebox { return []sim.Middlebox{&sim.Echo{}} }),
		want: bothPlain(mptcp.BadAnswer, mptcp.NotOffered)},
	{name: "13_echoed_on_a_join", paths: 2, boxes: on(1, func() []sim.Middlebox { return []sim.Middlebox{&sim.Echo{}} }),
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			if o.client.Stats.JoinsDone != 0 {
				t.Errorf("joins: %+v", o.client.Stats)
			}
		}},
	{name: "29_ADD_ADDR_lost", paths: 2, there: simtest.Pattern(3<<20, 1),
		boxes: func(b *simtest.Bed) {
			b.Links[0].NearB(&sim.Drop{Pick: sim.Pick{When: func(s *wire.Segment) bool { return s.Options.Has(wire.HasAddAddr) }, Count: 2}})
		},
		want: bothPaths},
	{name: "29_echo_lost", paths: 2, there: simtest.Pattern(3<<20, 1),
		boxes: func(b *simtest.Bed) {
			b.Links[0].NearB(&sim.Drop{Pick: sim.Pick{Way: sim.OnlyAB, When: func(s *wire.Segment) bool { return s.Options.Has(wire.HasAddAddr) }}})
		},
		want: func(t *testing.T, o *outcome) {
			bothPaths(t, o)
			if n := o.server.Stats.AddAddrSent; n < 2 || n > 4 {
				t.Errorf("announced %d times, want a few and no more", n)
			}
		}},
	{name: "29_ADD_ADDR_never_arrives", paths: 2, there: simtest.Pattern(3<<20, 1),
		boxes: func(b *simtest.Bed) {
			for _, l := range b.Links {
				l.NearB(&sim.Strip{Options: wire.HasAddAddr})
			}
		},
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			if n := o.server.Stats.AddAddrSent; n < 2 || n > 4 {
				t.Errorf("announced %d times, want a few and no more", n)
			}
		}},
	{name: "31_TCPRST_stripped", paths: 2,
		boxes: func(b *simtest.Bed) {
			b.Links[1].NearB(&sim.Strip{Options: wire.HasReset}, &sim.Strip{Pick: sim.Pick{Kinds: afterHandshake &^ sim.RST, Skip: 50}})
		},
		want: multipath},
	{name: "33_version_rewritten", boxes: on(0, alterCapable(sim.SYN|sim.SYNACK, func(o []byte) { o[2] = 5 })), want: plain},
	{name: "33_version_rewritten_in_the_answer", boxes: on(0, alterCapable(sim.SYNACK, func(o []byte) { o[2] = 0 })), want: plain},
	{name: "33_flag_B_set", boxes: on(0, alterCapable(sim.SYN, func(o []byte) { o[3] |= 0x40 })), want: plain},
	{name: "33_flag_B_set_in_the_answer", boxes: on(0, alterCapable(sim.SYNACK, func(o []byte) { o[3] |= 0x40 })), want: plain},
	{name: "33_flag_B_set_in_the_third_packet", late: true, boxes: on(0, alterCapable(sim.ThirdACK, func(o []byte) { o[3] |= 0x40 })), want: plain},
	{name: "33_flag_H_cleared", boxes: on(0, alterCapable(sim.SYN, func(o []byte) { o[3] &^= 0x01 })), want: plain},
	{name: "33_flag_H_cleared_in_the_answer", boxes: on(0, alterCapable(sim.SYNACK, func(o []byte) { o[3] &^= 0x01 })), want: plain},
	{name: "33_key_changed_in_the_third_packet", late: true, boxes: on(0, alterCapable(sim.ThirdACK, func(o []byte) { o[19] ^= 1 })), want: plain},
}
