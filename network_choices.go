package braid

import (
	"sync/atomic"
	"time"
)

// choicesFor is how long the interfaces to dial over are taken to be those that
// were found: asking for all addresses and routes costs more than connecting
// does. What is found too late is another interface that could be tried, should
// the first one not answer.
const choicesFor = 250 * time.Millisecond

// choices are interfaces to dial over, as found a moment ago at most.
type choices struct {
	last atomic.Pointer[foundChoices]
}

type foundChoices struct {
	names []string
	when  time.Time
}

// get gives what find gave last, or asks it. While one asks, others take what
// there is.
func (c *choices) get(now time.Time, find func() []string) []string {
	last := c.last.Load()
	if last != nil {
		if now.Sub(last.when) < choicesFor || !c.last.CompareAndSwap(last, &foundChoices{last.names, now}) {
			return last.names
		}
	}
	found := &foundChoices{find(), now}
	c.last.Store(found)
	return found.names
}
