package stack_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/braid-mptcp/braid/internal/simtest"
	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/sim"
	"github.com/braid-mptcp/braid/stack"
	"github.com/braid-mptcp/braid/wire"
)

// interference is one way in which a network interferes with Multipath TCP, and
// what has to come of it. In every case both streams arrive whole, the
// connection ends as it should, and nothing is left on either host.
type interference struct {
	name           string
	paths          int // 0 means one
	client, server stack.Config
	// boxes puts the middleboxes in place; the client is at end A.
	boxes func(b *simtest.Bed)
	// altered is what becomes of the client's stream where it is not to arrive
	// as it was sent.
	altered func([]byte) []byte
	there   []byte // what the client sends, if not the usual
	late    bool   // it sends nothing before the handshake is over
	want    func(t *testing.T, o *outcome)
}

// outcome is what happened.
type outcome struct {
	b              *simtest.Bed
	client, server mptcp.Info
	resets         map[wire.ResetReason]int // MP_TCPRSTs sent
	bareResets     int                      // RSTs without a reason
	fails          int                      // MP_FAILs sent
	joins          int                      // SYNs with MP_JOIN
	took           time.Duration
}

func (i *interference) run(t *testing.T) {
	lines := []sim.LinkConfig{simtest.Line(10, 10*ms)}
	for n := 1; n < i.paths; n++ {
		lines = append(lines, simtest.Line(10, time.Duration(10+5*n)*ms))
	}
	b := simtest.NewBedWith(t, 1, i.client, i.server, lines...)
	o := &outcome{b: b, resets: map[wire.ResetReason]int{}}
	b.Watch = o.watch
	i.boxes(b)
	there := i.there
	if there == nil {
		there = simtest.Pattern(400<<10, 1)
	}
	back := simtest.Pattern(300<<10, 2)
	client, server := exchange(t, b, there, back, i.late)
	if i.altered != nil {
		there = i.altered(there)
	}
	if !bytes.Equal(server.Received.Bytes(), there) {
		t.Errorf("the server got %d bytes that are not the %d sent", server.Received.Len(), len(there))
	}
	if !bytes.Equal(client.Received.Bytes(), back) {
		t.Errorf("the client got %d bytes that are not the %d sent", client.Received.Len(), len(back))
	}
	o.took = b.Net.Elapsed()
	o.client, o.server = client.Conn.Info(b.Net.Now()), server.Conn.Info(b.Net.Now())
	i.want(t, o)
	b.Run("nothing is left", 10*time.Minute, b.Gone)
}

// exchange lets both ends send and read to the end. The first data of a client
// that is not late takes the place of the third packet.
func exchange(t *testing.T, b *simtest.Bed, there, back []byte, late bool) (client, server *simtest.App) {
	t.Helper()
	b.Server.Serve = func(*mptcp.Conn) *simtest.App {
		server = &simtest.App{Send: back, Shut: true, Close: true}
		return server
	}
	client = &simtest.App{Send: there, Shut: true, Close: true}
	if late {
		client.Send, client.Shut, client.Close = nil, false, false
		b.Net.After(500*ms, func() {
			client.Send, client.Shut, client.Close = there, true, true
			client.Step(b.Net.Now())
		})
	}
	b.Dial(nil, client)
	b.Run("both ends read to the end", 10*time.Minute, func() bool { return server != nil && client.Done() && server.Done() })
	if client.Err != io.EOF || server.Err != io.EOF {
		t.Fatalf("client ended with %v, server with %v", client.Err, server.Err)
	}
	return client, server
}

func (o *outcome) watch(_ time.Time, _ string, s *wire.Segment) {
	opt := &s.Options
	switch {
	case !s.Flags.Has(wire.RST):
	case opt.Has(wire.HasReset):
		o.resets[opt.Reset.Reason]++
	default:
		o.bareResets++
	}
	if opt.Has(wire.HasFail) {
		o.fails++
	}
	if opt.Has(wire.HasJoin) && s.Flags&(wire.SYN|wire.ACK) == wire.SYN {
		o.joins++
	}
}

// bothPlain wants TCP on both sides, for a reason each, without any reset.
func bothPlain(client, server mptcp.FallbackReason) func(*testing.T, *outcome) {
	return func(t *testing.T, o *outcome) {
		t.Helper()
		if o.client.Multipath || o.client.Fallback != client {
			t.Errorf("client: multipath %v, fallback %v, want %v", o.client.Multipath, o.client.Fallback, client)
		}
		if o.server.Multipath || o.server.Fallback != server {
			t.Errorf("server: multipath %v, fallback %v, want %v", o.server.Multipath, o.server.Fallback, server)
		}
		o.wantNoReset(t)
	}
}

// plain wants TCP on both sides, whatever the reasons, without any reset.
func plain(t *testing.T, o *outcome) {
	t.Helper()
	if o.client.Multipath || o.server.Multipath {
		t.Errorf("multipath: client %v, server %v", o.client.Multipath, o.server.Multipath)
	}
	if o.client.Fallback == mptcp.None || o.server.Fallback == mptcp.None {
		t.Errorf("fallback: client %v, server %v", o.client.Fallback, o.server.Fallback)
	}
	o.wantNoReset(t)
}

func (o *outcome) wantNoReset(t *testing.T) {
	t.Helper()
	if len(o.resets) > 0 || o.bareResets > 0 {
		t.Errorf("got %d resets, and with reasons %v", o.bareResets, o.resets)
	}
}

// multipath wants Multipath TCP on both sides.
func multipath(t *testing.T, o *outcome) {
	t.Helper()
	for name, i := range map[string]mptcp.Info{"client": o.client, "server": o.server} {
		if !i.Multipath || i.Fallback != mptcp.None {
			t.Errorf("%s: multipath %v, fallback %v", name, i.Multipath, i.Fallback)
		}
	}
}

// bothPaths wants Multipath TCP, and a second subflow.
func bothPaths(t *testing.T, o *outcome) {
	t.Helper()
	multipath(t, o)
	if o.client.Stats.JoinsDone == 0 || o.server.Stats.JoinsDone == 0 {
		t.Errorf("joins done: client %d, server %d", o.client.Stats.JoinsDone, o.server.Stats.JoinsDone)
	}
}

// resetFor wants MP_TCPRSTs with that reason, and no others.
func (o *outcome) resetFor(t *testing.T, reason wire.ResetReason) {
	t.Helper()
	if o.resets[reason] == 0 || len(o.resets) > 1 {
		t.Errorf("got resets for %v, want %v alone", o.resets, reason)
	}
}

// on puts boxes next to the server on one path.
func on(path int, boxes func() []sim.Middlebox) func(*simtest.Bed) {
	return func(b *simtest.Bed) { b.Links[path].NearB(boxes()...) }
}

// TestMiddlebox has a test for each row of the table in docs/middleboxes.md,
// whose number the name begins with.
func TestMiddlebox(t *testing.T) {
	for _, list := range [][]interference{optionBoxes, payloadBoxes, segmentBoxes, addressBoxes} {
		for _, i := range list {
			t.Run(i.name, i.run)
		}
	}
}
