package http2

import (
	"time"

	"golang.org/x/net/http2"
)

// budget counts what legitimate clients do rarely, by the second. It belongs to
// the goroutine that reads.
type budget struct {
	second  int64
	resets  int
	useless int
}

// maxUseless is how many frames in a second may do nothing for anybody: PING,
// SETTINGS, PRIORITY, empty DATA, tiny WINDOW_UPDATE, frames for streams that
// are no more, unknown ones.
const maxUseless = 1000

// errCalm ends a connection whose client does what only attackers do.
var errCalm = http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)

func (b *budget) turn(now time.Duration) {
	if s := int64(now / time.Second); s != b.second {
		*b = budget{second: s}
	}
}

// countReset is called for each stream that the client has reset, or that had
// to be reset for what the client did. Either makes us work for a request whose
// response nobody wants.
func (c *conn) countReset() error {
	b := &c.budget
	b.turn(c.server.now())
	if b.resets++; b.resets > c.limits.resets {
		return errCalm
	}
	return nil
}

// useless is called for frames that do nothing. It also bounds what they have us
// answer.
func (c *conn) useless() error {
	b := &c.budget
	b.turn(c.server.now())
	if b.useless++; b.useless > maxUseless {
		return errCalm
	}
	return nil
}

// history remembers how the last streams ended, for frames that come too late.
type history struct {
	ring [64]past
	next int
}

type past struct {
	id  uint32
	how ending
}

// ending is how a stream came to be closed.
type ending uint8

const (
	unknown  ending = iota // long ago, or never opened
	byEnd                  // both sides have ended it
	byClient               // the client has reset it
	byUs                   // we have: frames may still be under way
)

func (h *history) add(id uint32, how ending) {
	if h.find(id) != unknown {
		return
	}
	h.ring[h.next] = past{id, how}
	h.next = (h.next + 1) % len(h.ring)
}

func (h *history) find(id uint32) ending {
	for i := range h.ring {
		if h.ring[i].id == id {
			return h.ring[i].how
		}
	}
	return unknown
}
