package cc

import (
	"testing"
	"time"
)

// A window that a loss took down is no longer the initial one, even if nothing
// was acknowledged before: a new segment size must not bring it back.
func TestSetMSSAfterLoss(t *testing.T) {
	for _, name := range []string{"reno", "cubic"} {
		c, err := New(name, 1448)
		if err != nil {
			t.Fatal(err)
		}
		c.Timeout(time.Unix(1, 0), 14480)
		c.SetMSS(1000)
		if got := c.Window(); got > 1448 {
			t.Errorf("%s: got a window of %d after a timeout, want one segment", name, got)
		}
	}
}
