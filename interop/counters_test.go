//go:build linux

package interop_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/braid-mptcp/braid/internal/netns"
)

// troubles are the counters that stay at zero in a run without trouble, with
// the prefix MPTcpExt left out. AddAddrDrop is not among them: on a machine that
// is busy elsewhere an ADD_ADDR may be repeated before the kernel has got round
// to the first.
var troubles = []string{
	"MPCapableFallbackACK", "MPCapableFallbackSYNACK", "MPCapableDataFallback", "MPFallbackTokenInit",
	"DssFallback", "SimultConnectFallback", "FallbackFailed", "MD5SigFallback", "Blackhole",
	"MPJoinNoTokenFound", "MPJoinSynAckHMacFailure", "MPJoinAckHMacFailure", "MPJoinRejected",
	"MPJoinSynTxCreatSkErr", "MPJoinSynTxBindErr", "MPJoinSynTxConnectErr",
	"MismatchPortSynRx", "MismatchPortAckRx",
	"DSSNotMatching", "DSSCorruptionFallback", "DSSCorruptionReset", "DSSNoMatchTCP", "DataCsumErr",
	"InfiniteMapTx", "InfiniteMapRx", "NoDSSInWindow",
	"AddAddrTxDrop", "EchoAddTxDrop", "RmAddrDrop", "RmAddrTxDrop",
	"MPFailTx", "MPFailRx", "MPFastcloseTx", "MPFastcloseRx", "MPRstTx", "MPRstRx",
}

const mptcpExt = "MPTcpExt"

// want is what the peer's counters are to have grown by, with the prefix left
// out. What is not named among the troubles is to be zero, the rest may be
// anything.
type want map[string]int64

// Instead of a number: at least one, and any number.
const (
	some     = -1
	whatever = -2
)

func fits(got, want int64) bool {
	return got == want || want == some && got > 0 || want == whatever
}

// judge compares the peer's counters since old with what was wanted.
func (r *rig) judge(old netns.Counters, w want) {
	r.t.Helper()
	got := r.peer.Counters().Since(old)
	names := append(slices.Clone(troubles), slices.Collect(maps.Keys(w))...)
	slices.Sort(names)
	var wrong []string
	for _, name := range slices.Compact(names) {
		if g := got[mptcpExt+name]; !fits(g, w[name]) {
			wrong = append(wrong, fmt.Sprintf("%s %d, want %d", name, g, w[name]))
		}
	}
	if len(wrong) > 0 {
		r.t.Errorf("the peer's counters: %s\nall: %s", strings.Join(wrong, "; "), inWords(got))
	}
}

// await waits until the peer's counters have grown to what is wanted.
func (r *rig) await(old netns.Counters, w want) {
	r.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(w)) {
		r.eventually(fmt.Sprintf("%s grows by %d", name, w[name]), func() bool {
			return w[name] < 0 || r.grown(old, name) >= w[name]
		})
	}
}

// inWords lists the counters of Multipath TCP.
func inWords(c netns.Counters) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if rest, ok := strings.CutPrefix(name, mptcpExt); ok || strings.HasPrefix(name, "TcpExtTCPAbort") || name == "TcpRetransSegs" {
			words = append(words, fmt.Sprintf("%s %d", rest, c[name]))
		}
	}
	return strings.Join(words, ", ")
}
