package tcp

import (
	"slices"
	"time"

	"github.com/braid-mptcp/braid/seq"
)

// record is what is remembered of bytes in flight: a piece of one chunk, or
// our FIN. A record is cut in two when only part of it is acknowledged
// selectively, lost or sent again.
type record struct {
	lo, hi seq.Pos
	chunk  Chunk
	sentAt time.Time // last transmission
	fin    bool
	push   bool // the last there was to send (RFC 9293 section 3.9.1.2)
	sacked bool
	lost   bool // believed lost and not sent again since
	again  bool // sent more than once
}

func (r *record) len() int { return int(r.hi - r.lo) }

// cutTooFine reports whether a cut at p would leave a crumb that no segment
// was ever as small as. A peer that acknowledges single bytes selectively would
// otherwise have us keep a record for each.
func (r *record) cutTooFine(p seq.Pos) bool {
	return r.lo < p && p < r.hi && (p-r.lo < minSegment || r.hi-p < minSegment)
}

// sentQueue is the retransmission queue, in sequence order, with the sums that
// make up the scoreboard (RFC 6675 section 3).
type sentQueue struct {
	recs []record
	head int // recs[:head] are done with

	flight int     // bytes in all records
	sacked int     // of which acknowledged selectively
	lost   int     // of which believed lost
	lostLo seq.Pos // nothing before it is lost
}

func (q *sentQueue) live() []record { return q.recs[q.head:] }
func (q *sentQueue) empty() bool    { return q.head == len(q.recs) }
func (q *sentQueue) clear()         { *q = sentQueue{} }

// pipe is how many bytes are believed to be on the path (RFC 6675 section 4).
func (q *sentQueue) pipe() int { return q.flight - q.sacked - q.lost }

func (q *sentQueue) push(r record) *record {
	if q.head > 32 && q.head*2 > len(q.recs) {
		n := copy(q.recs, q.recs[q.head:])
		q.recs, q.head = q.recs[:n], 0
	}
	q.recs = append(q.recs, r)
	q.flight += r.len()
	return &q.recs[len(q.recs)-1]
}

// find gives the index in live of the record that holds p, or of the next one.
func (q *sentQueue) find(p seq.Pos) int {
	lo, hi := 0, len(q.recs)-q.head
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); q.recs[q.head+m].hi <= p {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// split cuts record i of live at p, if p lies inside it.
func (q *sentQueue) split(i int, p seq.Pos) {
	r := &q.live()[i]
	if p <= r.lo || r.hi <= p {
		return
	}
	right := *r
	right.lo, r.hi = p, p
	q.recs = slices.Insert(q.recs, q.head+i+1, right)
}

// remove takes the bytes of r out of the sums.
func (q *sentQueue) remove(r *record, n int) {
	q.flight -= n
	if r.sacked {
		q.sacked -= n
	}
	if r.lost {
		q.lost -= n
	}
}

// pop removes what lies below una. each sees every record that is touched,
// with the bytes of it that are now acknowledged; done says that the record is
// gone whole.
func (q *sentQueue) pop(una seq.Pos, each func(r *record, acked int, done bool)) {
	for !q.empty() {
		r := &q.recs[q.head]
		n := int(min(una, r.hi) - r.lo)
		if n <= 0 {
			return
		}
		q.remove(r, n)
		r.lo += seq.Pos(n)
		done := r.lo == r.hi
		if done {
			q.head++
		}
		each(r, n, done)
		if !done {
			return
		}
	}
	q.recs, q.head = q.recs[:0], 0
}

func (q *sentQueue) markSacked(r *record) {
	if r.lost {
		r.lost = false
		q.lost -= r.len()
	}
	r.sacked = true
	q.sacked += r.len()
}

func (q *sentQueue) markLost(r *record) {
	if r.lost || r.sacked {
		return
	}
	if q.lost == 0 || r.lo < q.lostLo {
		q.lostLo = r.lo
	}
	r.lost = true
	q.lost += r.len()
}

// firstLost gives the index in live of the first record believed lost.
func (q *sentQueue) firstLost() (int, bool) {
	if q.lost == 0 {
		return 0, false
	}
	live := q.live()
	i := q.find(q.lostLo)
	for !live[i].lost {
		i++
	}
	q.lostLo = live[i].lo
	return i, true
}

// markSent notes that r goes out again.
func (q *sentQueue) markSent(r *record, now time.Time) {
	if r.lost {
		r.lost = false
		q.lost -= r.len()
	}
	r.again = true
	r.sentAt = now
}

// forgetSacks drops all selective acknowledgements (RFC 2018 section 8: the
// receiver may have thrown the data away).
func (q *sentQueue) forgetSacks() {
	for i := range q.live() {
		q.live()[i].sacked = false
	}
	q.sacked = 0
}
