package stack_test

import (
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/wire"
)

// lossy lets both ways of a path lose packets.
func lossy(b *simtest.Bed, path int, loss float64) {
	for _, dir := range []sim.Dir{sim.AB, sim.BA} {
		p := b.Links[path].Pipe(dir)
		c := p.Config()
		c.Loss = loss
		p.Set(b.Net.Now(), c)
	}
}

// patient lets both ways of a path queue as much as comes: a proxy that keeps no
// data must not lose any behind its back.
func patient(b *simtest.Bed, path int) {
	for _, dir := range []sim.Dir{sim.AB, sim.BA} {
		p := b.Links[path].Pipe(dir)
		c := p.Config()
		c.QueueBytes = 0
		p.Set(b.Net.Now(), c)
	}
}

// early puts a proxy on a path.
func early(b *simtest.Bed, path int, proxy sim.EarlyACK) {
	patient(b, path)
	b.Links[path].NearA(&proxy)
}

// segmentBoxes split, join, renumber, acknowledge and withhold segments.
var segmentBoxes = []interference{
	{name: "18_split_with_options_on_each", paths: 2,
		boxes: func(b *simtest.Bed) {
			for _, l := range b.Links {
				l.NearB(&sim.Resegment{Size: 500, Repeat: true})
			}
		},
		want: bothPaths},
	{name: "18_split_with_checksums", paths: 2, client: checksums,
		boxes: func(b *simtest.Bed) {
			for i, l := range b.Links {
				lossy(b, i, 0.01)
				l.NearB(&sim.Resegment{Size: 300, Repeat: true})
			}
		},
		want: bothPaths},
	{name: "19_split_with_options_on_one", paths: 2,
		boxes: func(b *simtest.Bed) {
			for _, l := range b.Links {
				l.NearB(&sim.Resegment{Size: 500})
			}
		},
		want: bothPaths},
	{name: "19_split_with_checksums", client: checksums,
		boxes: func(b *simtest.Bed) { b.Links[0].NearB(&sim.Resegment{Size: 500}) },
		want:  multipath},
	{name: "20_joined_with_one_mapping_lost",
		boxes: func(b *simtest.Bed) {
			b.Links[0].NearB(&sim.Coalesce{Pick: sim.Pick{Way: sim.OnlyAB, Skip: 20, Every: 10}, Max: 3000, Hold: 5 * ms})
		},
		want: multipath},
	{name: "20_joined_with_the_second_mapping_kept", paths: 2,
		boxes: func(b *simtest.Bed) {
			b.Links[1].NearB(&sim.Coalesce{Pick: sim.Pick{Way: sim.OnlyAB, Skip: 20, Every: 10}, Max: 3000, Hold: 5 * ms, KeepLast: true})
		},
		want: func(t *testing.T, o *outcome) { multipath(t, o) }},
	{name: "21_initial_numbers_rewritten", paths: 2,
		boxes: func(b *simtest.Bed) {
			for i, l := range b.Links {
				lossy(b, i, 0.01)
				l.NearB(&sim.ShiftISN{Seed: 3, FixSACK: true})
			}
		},
		want: bothPaths},
	{name: "21_and_SACK_left_alone", paths: 2,
		boxes: func(b *simtest.Bed) {
			for i, l := range b.Links {
				lossy(b, i, 0.01)
				l.NearB(&sim.ShiftISN{Seed: 3})
			}
		},
		want: bothPaths},
	{name: "24_acknowledged_early",
		boxes: func(b *simtest.Bed) { early(b, 0, sim.EarlyACK{After: 50 << 10}) },
		want:  multipath},
	{name: "24_acknowledged_early_on_both_of_two", paths: 2,
		boxes: func(b *simtest.Bed) {
			for i := range b.Links {
				early(b, i, sim.EarlyACK{After: 20 << 10})
			}
		},
		want: bothPaths},
	{name: "24_acknowledged_early_from_the_start",
		boxes: func(b *simtest.Bed) { early(b, 0, sim.EarlyACK{}) },
		want:  plain}, // as section 3.7 has it
	{name: "25_and_lost",
		boxes: func(b *simtest.Bed) {
			early(b, 0, sim.EarlyACK{Way: sim.OnlyAB, After: 50 << 10, Lose: &sim.Pick{Skip: 100, Count: 1}})
		},
		want: func(t *testing.T, o *outcome) {
			multipath(t, o)
			if o.client.Stats.BytesReinjected == 0 {
				t.Error("nothing was sent again")
			}
		}},
	{name: "25_and_lost_on_one_of_two", paths: 2,
		boxes: func(b *simtest.Bed) {
			early(b, 1, sim.EarlyACK{Way: sim.OnlyAB, After: 20 << 10, Lose: &sim.Pick{Skip: 20, Count: 1}})
		},
		want: func(t *testing.T, o *outcome) {
			bothPaths(t, o)
			if o.client.Stats.BytesReinjected == 0 {
				t.Error("nothing was sent again")
			}
		}},
	{name: "26_holes_refused", paths: 2,
		boxes: func(b *simtest.Bed) {
			for i, l := range b.Links {
				lossy(b, i, 0.01)
				l.NearB(&sim.RefuseHoles{})
			}
		},
		want: bothPaths},
	{name: "26_data_that_was_lost_and_reinjected", paths: 2,
		boxes: func(b *simtest.Bed) {
			b.Links[1].NearB(&sim.Drop{Pick: sim.Pick{Kinds: sim.Data, Way: sim.OnlyAB, Skip: 10, Count: 12}}, &sim.RefuseHoles{})
		},
		want: bothPaths},
	{name: "27_ACKs_of_unseen_data_dropped", paths: 2,
		boxes: func(b *simtest.Bed) {
			for i, l := range b.Links {
				lossy(b, i, 0.01)
				l.NearB(&sim.GuardACKs{})
			}
		},
		want: bothPaths},
	{name: "27_ACKs_of_unseen_data_corrected", paths: 2,
		boxes: func(b *simtest.Bed) {
			for i, l := range b.Links {
				lossy(b, i, 0.01)
				l.NearB(&sim.GuardACKs{Correct: true})
			}
		},
		want: bothPaths},
	{name: "28_window_shrunk_on_one_of_two", paths: 2,
		boxes: func(b *simtest.Bed) {
			b.Links[1].NearB(&sim.ShrinkWindow{Pick: sim.Pick{Kinds: afterHandshake | sim.ThirdACK}, Max: 12})
		},
		want: func(t *testing.T, o *outcome) {
			bothPaths(t, o)
			if o.took > 5*time.Second {
				t.Errorf("it took %v", o.took)
			}
		}},
	{name: "28_window_shrunk_to_nothing_on_one_of_two", paths: 2,
		boxes: func(b *simtest.Bed) {
			b.Links[1].NearB(&sim.ShrinkWindow{Pick: sim.Pick{Kinds: afterHandshake | sim.ThirdACK}, Max: 0})
		},
		want: bothPaths},
	{name: "28_window_shrunk_on_the_only_subflow",
		boxes: func(b *simtest.Bed) {
			b.Links[0].NearB(&sim.ShrinkWindow{Pick: sim.Pick{Kinds: afterHandshake | sim.ThirdACK}, Max: 50})
		},
		want: multipath},
	{name: "35_acknowledgements_with_many_holes", paths: 2, client: stack.Config{Conn: mptcp.Config{Checksum: true}},
		boxes: func(b *simtest.Bed) {
			for i := range b.Links {
				lossy(b, i, 0.05)
			}
			seen := b.Watch
			b.Watch = func(now time.Time, where string, s *wire.Segment) {
				seen(now, where, s)
				o := &s.Options
				if o.Has(wire.HasSACK) && o.Any(wire.HasDSS) && !o.DSS.HasAck {
					b.T.Errorf("SACK blocks in place of the Data ACK: %v", s)
				}
			}
		},
		want: bothPaths},
}
