package stack_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// TestTimeWaitIsSmall closes a connection from one end and then the other and
// looks at what is left meanwhile: nothing at all of the end that closed last,
// and of the other the 4-tuple alone.
func TestTimeWaitIsSmall(t *testing.T) {
	for _, disabled := range []bool{true, false} {
		d := newDirect(t, 1, stack.Config{Conn: mptcp.Config{Disabled: disabled}})
		client, server := d.connect(netip.AddrPort{})
		into := make([]byte, 10)
		d.move(client, server, into[:1], into)
		client.Close(d.now)
		d.settle()
		server.Close(d.now)
		d.settle()
		got := [2]stack.Stats{d.client.Stats(), d.server.Stats()}
		for i, st := range got {
			if st.Connections != 0 || st.Subflows != 0 || st.Tokens != 0 || st.Timers != 0 || st.BufferBytes != 0 {
				t.Errorf("disabled %v, end %d: got %+v, want nothing but TIME-WAIT", disabled, i, st)
			}
		}
		if n := got[0].TimeWaits + got[1].TimeWaits; n == 0 {
			t.Errorf("disabled %v: no end is in TIME-WAIT", disabled)
		}
		d.now = d.now.Add(61 * time.Second)
		d.client.Advance(d.now)
		d.server.Advance(d.now)
		if n := d.client.Stats().TimeWaits + d.server.Stats().TimeWaits; n != 0 {
			t.Errorf("disabled %v: %d TIME-WAITs are left after their time", disabled, n)
		}
		if !d.client.NextTimeout().IsZero() || !d.server.NextTimeout().IsZero() {
			t.Errorf("disabled %v: a timer is left", disabled)
		}
	}
}
