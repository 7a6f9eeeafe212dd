package seq_test

import (
	"fmt"

	"github.com/braid-mptcp/braid/seq"
)

// A segment that begins shortly after the 32-bit numbers wrapped.
func ExampleUnwrap32() {
	const isn = 0xffff_ff00 // of the SYN
	rcvNxt := seq.Pos(200)
	fmt.Println(seq.Unwrap32(rcvNxt, isn, 0x0000_0010))
	// Output: 272
}

func ExampleSet() {
	var s seq.Set
	s.Add(seq.Range{Lo: 2921, Hi: 4381})
	s.Add(seq.Range{Lo: 5841, Hi: 7301})
	s.Add(seq.Range{Lo: 4381, Hi: 5841})
	fmt.Println(s.Ranges())
	gap, _ := s.NextGap(seq.Range{Lo: 1461, Hi: 7301})
	fmt.Println(gap)
	// Output:
	// [{2921 7301}]
	// {1461 2921}
}
