package stack_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// TestWindowOpensUnsaid fills the client's window, takes its only address away,
// lets the application read meanwhile, and brings the address back. The server
// has to learn of the room although nothing is on its way to be acknowledged.
func TestWindowOpensUnsaid(t *testing.T) {
	small := stack.Config{Conn: mptcp.Config{RecvBuffer: 4 << 10}}
	b := simtest.NewBedWith(t, 1, small, stack.Config{}, simtest.Line(10, 10*ms))
	data := simtest.Pattern(16<<10, 1)
	b.Server.Serve = func(*mptcp.Conn) *simtest.App { return &simtest.App{Send: data, Shut: true, Close: true} }
	client := b.Dial(nil, &simtest.App{Send: []byte("x"), Hold: true, Shut: true, Close: true})
	at := func(d time.Duration, f func(now time.Time)) { b.Net.After(d, func() { f(b.Net.Now()) }) }
	at(time.Second, func(now time.Time) {
		b.Net.Detach(simtest.ClientAddr(0))
		if err := b.Client.Stack.RemoveAddress(now, simtest.ClientAddr(0)); err != nil {
			t.Error(err)
		}
	})
	at(2*time.Second, func(now time.Time) {
		client.Hold = false
		client.Step(now)
	})
	at(3*time.Second, func(now time.Time) {
		b.Net.Attach(b.Client, simtest.ClientAddr(0))
		b.AddClientAddress(0)
	})
	b.Run("the rest arrives", 5*time.Second, client.Done)
	if took := b.Net.Elapsed() - 3*time.Second; took > 300*ms {
		t.Errorf("took %v once there was a path again", took)
	}
	if !bytes.Equal(client.Received.Bytes(), data) {
		t.Error("the streams differ")
	}
	b.Run("nothing is left", 5*time.Minute, b.Gone)
}
