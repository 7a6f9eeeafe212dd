package mptcp

// EventKind is what an Event tells.
type EventKind uint8

const (
	EventEstablished EventKind = iota + 1
	EventReadable              // bytes, the end of the stream or an error wait for Read
	EventWritable              // there is room, or an error, for Write
	EventClosed                // the connection is over; Err says why
	EventSubflowUp
	EventSubflowDown
	EventFallback // it is plain TCP from now on
)

var eventNames = [...]string{"none", "established", "readable", "writable", "closed", "subflow up", "subflow down", "fallback"}

func (k EventKind) String() string { return eventNames[k] }

// Event is a change its owner may want to know of.
type Event struct {
	Kind    EventKind
	Subflow *SubflowInfo // of EventSubflowUp and EventSubflowDown
}

// news is what NextEvent has still to tell. Readable and writable are levels,
// told once however often they were reached.
type news struct {
	readable, writable bool
	events             []Event
}

func (c *Conn) report(e Event) { c.news.events = append(c.news.events, e) }

// NextEvent takes the oldest event not yet taken.
func (c *Conn) NextEvent() (Event, bool) {
	n := &c.news
	switch {
	case len(n.events) > 0:
		e := n.events[0]
		if n.events = n.events[1:]; len(n.events) == 0 {
			n.events = nil
		}
		return e, true
	case n.readable:
		n.readable = false
		return Event{Kind: EventReadable}, true
	case n.writable:
		n.writable = false
		return Event{Kind: EventWritable}, true
	}
	return Event{}, false
}
