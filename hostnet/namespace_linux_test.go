package hostnet

import (
	"testing"

	"github.com/braid-mptcp/braid/internal/netns"
)

// TestNamespaceNames: every namespace has a name of its own, and the same one
// each time.
func TestNamespaceNames(t *testing.T) {
	name := func(n *netns.NS) (s string) {
		t.Helper()
		var err error
		n.Do(func() { s, err = currentNamespace() })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := netns.New(t, "a"), netns.New(t, "b")
	first, again, other := name(a), name(a), name(b)
	if first != again || first == other {
		t.Errorf("names %q, %q and %q", first, again, other)
	}
}
