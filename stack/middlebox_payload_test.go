package stack_test

import (
	"bytes"
	"testing"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/wire"
)

var checksums = stack.Config{Conn: mptcp.Config{Checksum: true}}

// ftp is a stream with the words that a gateway looks for, in it and at the
// start.
func ftp(word string, places ...int) []byte {
	b := simtest.Pattern(400<<10, 7)
	for _, p := range places {
		copy(b[p:], word)
	}
	return b
}

const (
	inside  = "PORT 10,0,1,1"
	outside = "PORT 192.0,2,1" // one byte longer
	same    = "PORT 99,9,9,9"
)

// gateway rewrites on one path what the client sends.
func gateway(path int, put string) func(*simtest.Bed) {
	return func(b *simtest.Bed) {
		b.Links[path].NearB(&sim.Rewrite{Pick: sim.Pick{Way: sim.OnlyAB}, Find: []byte(inside), Put: []byte(put)})
	}
}

func rewritten(put string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(inside), []byte(put)) }
}

// fellBackOverChecksum wants the fallback that a failed checksum on the only
// subflow ends in.
func fellBackOverChecksum(t *testing.T, o *outcome) {
	t.Helper()
	plain(t, o)
	if o.server.Fallback != mptcp.ChecksumFailed || o.client.Fallback != mptcp.PeerFailed || o.server.Stats.ChecksumFailures != 1 {
		t.Errorf("fallback: client %v, server %v, %d checksum failures", o.client.Fallback, o.server.Fallback, o.server.Stats.ChecksumFailures)
	}
	if o.fails != 2 {
		t.Errorf("got %d MP_FAIL, want one from each end", o.fails)
	}
}

// dataSentElsewhere wants a reset with MP_FAIL and the stream intact.
func dataSentElsewhere(t *testing.T, o *outcome) {
	t.Helper()
	multipath(t, o)
	if o.server.Stats.ChecksumFailures == 0 || o.fails == 0 || o.resets[wire.ResetMiddlebox] == 0 {
		t.Errorf("got %d checksum failures, %d MP_FAIL, resets %v", o.server.Stats.ChecksumFailures, o.fails, o.resets)
	}
}

// payloadBoxes change what is sent.
var payloadBoxes = []interference{
	{name: "14_rewritten_on_the_only_subflow", client: checksums, there: ftp(inside, 100<<10, 200<<10),
		boxes: gateway(0, same), altered: rewritten(same), want: fellBackOverChecksum},
	{name: "14_checksum_wanted_by_the_server", server: checksums, there: ftp(inside, 100<<10),
		boxes: gateway(0, same), altered: rewritten(same), want: fellBackOverChecksum},
	{name: "14_rewritten_on_one_of_two", paths: 2, client: checksums, there: ftp(inside, everyFew(400<<10)...),
		boxes: gateway(1, same), want: dataSentElsewhere},
	{name: "15_longer_on_the_only_subflow", client: checksums, there: ftp(inside, 100<<10, 200<<10),
		boxes: gateway(0, outside), altered: rewritten(outside), want: fellBackOverChecksum},
	{name: "15_shorter_on_the_only_subflow", client: checksums, there: ftp(inside, 100<<10, 200<<10),
		boxes: gateway(0, "PORT 0"), altered: rewritten("PORT 0"), want: fellBackOverChecksum},
	{name: "15_longer_on_one_of_two", paths: 2, client: checksums, there: ftp(inside, everyFew(400<<10)...),
		boxes: gateway(1, outside), want: dataSentElsewhere},
	{name: "15_shorter_on_one_of_two", paths: 2, client: checksums, there: ftp(inside, everyFew(400<<10)...),
		boxes: gateway(1, "PORT 0"), want: dataSentElsewhere},
	// Nobody can notice: flag A is there for this.
	{name: "16_rewritten_without_checksums", there: ftp(inside, 100<<10, 200<<10),
		boxes: gateway(0, same), altered: rewritten(same), want: multipath},
	{name: "17_first_mapping_rewritten", client: checksums, there: ftp(inside, 0),
		boxes: gateway(0, same), altered: rewritten(same), want: fellBackOverChecksum},
	{name: "17_first_mapping_made_longer", client: checksums, there: ftp(inside, 0),
		boxes: gateway(0, outside), altered: rewritten(outside), want: fellBackOverChecksum},
}

// everyFew is a place in every tenth kilobyte or so.
func everyFew(n int) []int {
	var places []int
	for p := 5 << 10; p < n-1000; p += 10 << 10 {
		places = append(places, p)
	}
	return places
}
