package stack

import "github.com/braid-mptcp/braid/mptcp"

// Event is something a user of the stack may want to know.
type Event struct {
	Kind     EventKind
	Conn     *mptcp.Conn        // all but Acceptable
	Listener *Listener          // Acceptable
	Subflow  *mptcp.SubflowInfo // SubflowUp, SubflowDown
}

// EventKind is what an Event tells.
type EventKind uint8

const (
	Established EventKind = iota + 1 // a Dial succeeded
	Readable                         // bytes, the end of the stream or an error wait for Read
	Writable                         // there is room, or an error, for Write
	Closed                           // the connection is over; Conn.Err says why
	Acceptable                       // a connection waits for Listener.Accept
	SubflowUp
	SubflowDown
	Fallback // the connection became plain TCP; Conn.Info says why
)

var eventKinds = map[mptcp.EventKind]EventKind{
	mptcp.EventEstablished: Established, mptcp.EventReadable: Readable, mptcp.EventWritable: Writable,
	mptcp.EventClosed: Closed, mptcp.EventSubflowUp: SubflowUp, mptcp.EventSubflowDown: SubflowDown,
	mptcp.EventFallback: Fallback,
}

// NextEvent takes the next event not yet taken. Readable and Writable are told
// once however often they became true since.
func (s *Stack) NextEvent() (Event, bool) {
	for {
		if len(s.acceptq) > 0 {
			l := s.acceptq[0]
			s.acceptq = s.acceptq[1:]
			l.queued = false
			return Event{Kind: Acceptable, Listener: l}, true
		}
		e := s.telling.first()
		if e == nil {
			return Event{}, false
		}
		ev, ok := e.conn.NextEvent()
		if !ok {
			s.telling.pop()
			e.isTelling = false
			continue
		}
		if e.listener != nil && (ev.Kind == mptcp.EventEstablished || ev.Kind == mptcp.EventClosed) {
			e.settle(ev.Kind)
			continue
		}
		return Event{Kind: eventKinds[ev.Kind], Conn: e.conn, Subflow: ev.Subflow}, true
	}
}
