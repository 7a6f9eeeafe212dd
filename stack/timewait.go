package stack

import (
	"time"

	"github.com/braid-mptcp/braid/tcp"
	"github.com/braid-mptcp/braid/wire"
)

// timeWaits holds what is left of subflows in TIME-WAIT, without a connection
// around it.
type timeWaits struct {
	byTuple map[fourTuple]*tcp.TimeWait
	order   []waiting // by expiry as it was when they came or were renewed
	talking []*tcp.TimeWait
}

type waiting struct {
	t  fourTuple
	at time.Time
}

func (w *timeWaits) init()                { w.byTuple = map[fourTuple]*tcp.TimeWait{} }
func (w *timeWaits) len() int             { return len(w.byTuple) }
func (w *timeWaits) has(t fourTuple) bool { return w.byTuple[t] != nil }

func (w *timeWaits) add(t fourTuple, tw tcp.TimeWait) {
	w.byTuple[t] = &tw
	w.order = append(w.order, waiting{t, tw.Expiry()})
}

// input shows a segment to what waits at t. It reports whether the segment is
// dealt with; a SYN that may reopen the connection is not.
func (w *timeWaits) input(now time.Time, t fourTuple, seg *wire.Segment) bool {
	tw := w.byTuple[t]
	if tw == nil {
		return false
	}
	reply, reopen := tw.Input(now, seg)
	if reopen {
		return false
	}
	if reply {
		w.talking = append(w.talking, tw)
	}
	return true
}

// reopen ends the wait at t, if there is one, for a new connection that would
// begin with isn, and gives what it has to begin with.
func (w *timeWaits) reopen(t fourTuple, isn uint32) uint32 {
	if tw := w.byTuple[t]; tw != nil {
		isn = tw.NextISN(isn)
		delete(w.byTuple, t)
	}
	return isn
}

func (w *timeWaits) output(now time.Time, p *tcp.Packet) bool {
	if len(w.talking) == 0 {
		return false
	}
	w.talking[0].Output(now, p)
	if w.talking = w.talking[1:]; len(w.talking) == 0 {
		w.talking = nil
	}
	return true
}

func (w *timeWaits) nextTimeout() time.Time {
	if len(w.order) == 0 {
		return time.Time{}
	}
	return w.order[0].at
}

// expire forgets those whose time is over. One that was renewed goes to the
// end of the line.
func (w *timeWaits) expire(now time.Time) {
	for len(w.order) > 0 && !w.order[0].at.After(now) {
		first := w.order[0]
		w.order = w.order[1:]
		tw := w.byTuple[first.t]
		switch {
		case tw == nil:
		case tw.Expiry().After(now):
			w.order = append(w.order, waiting{first.t, tw.Expiry()})
		default:
			delete(w.byTuple, first.t)
		}
	}
	if len(w.order) == 0 {
		w.order = nil
	}
}
