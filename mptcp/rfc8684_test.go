package mptcp_test

import "testing"

// item is one requirement of RFC 8684 and the test that holds the code to it.
// Names begin with the item's number in docs/rfc8684.md.
type item struct {
	name string
	test func(t *testing.T)
}

// TestRFC8684 plays the peer by hand, segment by segment. Package stack has the
// items that want two real ends and a network between them, wire those of the
// format.
func TestRFC8684(t *testing.T) {
	for _, items := range [][]item{
		generalItems, handshakeItems, joinItems, mappingItems, ackItems, closeItems, addressItems, fallbackItems,
	} {
		for _, i := range items {
			t.Run(i.name, i.test)
		}
	}
}
