package mptcp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/braid-mptcp/braid/seq"
	"github.com/braid-mptcp/braid/tcp"
)

// Scheduler says which subflow carries which bytes. With any of them a subflow
// gets its bytes when its congestion window lets it send them and not before,
// and one that is a backup gets none while another works.
type Scheduler uint8

// Schedulers, by the names they have in Linux. None of them concerns what is
// received.
const (
	// SchedulerUnset leaves it to the stack: SchedulerDefault here, and what
	// net.mptcp.scheduler says in the kernel.
	SchedulerUnset Scheduler = iota
	// SchedulerDefault asks the subflow with the lowest round-trip time first,
	// and the next for what its window does not take. If the peer's window is
	// full because a slower subflow has not delivered the head of the stream, a
	// faster one sends that again, and the slower one's window is halved
	// (Raiciu et al., NSDI 2012, sections 4.2 and 4.3). It is what Linux' first
	// implementation called so; it does not foresee blocking, as BLEST and ECF
	// do.
	SchedulerDefault
	// SchedulerRoundRobin has the subflows take turns: as long as their windows
	// have room, all get the same number of bytes.
	SchedulerRoundRobin
	// SchedulerRedundant sends every byte on every subflow: each byte arrives
	// as soon as by the fastest path, and the loss of a path is not noticed,
	// for the price of all other paths' capacity (Frömmgen et al., "ReMP TCP:
	// Low latency multipath TCP", ICC 2016). A slower subflow leaves out what the
	// peer has meanwhile.
	SchedulerRedundant
)

var schedulerNames = [...]string{
	SchedulerUnset: "", SchedulerDefault: "default", SchedulerRoundRobin: "roundrobin", SchedulerRedundant: "redundant",
}

// String is the scheduler's name, or "" for SchedulerUnset.
func (s Scheduler) String() string {
	if int(s) < len(schedulerNames) {
		return schedulerNames[s]
	}
	return fmt.Sprintf("scheduler %d", uint8(s))
}

// MarshalText implements encoding.TextMarshaler.
func (s Scheduler) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name. Nothing is SchedulerUnset.
func (s *Scheduler) UnmarshalText(text []byte) error {
	i := slices.Index(schedulerNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("scheduler %q is none of %s", text, strings.Join(schedulerNames[SchedulerDefault:], ", "))
	}
	*s = Scheduler(i)
	return nil
}

// sortSubflows puts the subflows into the order in which they are asked.
func (c *Conn) sortSubflows() {
	if len(c.subflows) < 2 {
		return
	}
	byTurn := c.cfg.Scheduler == SchedulerRoundRobin
	slices.SortStableFunc(c.subflows, func(a, b *Subflow) int {
		switch {
		case a.isBackup() != b.isBackup():
			if b.isBackup() {
				return -1
			}
			return 1
		case byTurn:
			return int(a.turn - b.turn)
		}
		return int(a.tc.SRTT() - b.tc.SRTT())
	})
}

// tookTurn is told of n bytes that sf, asked before all with more bytes, got.
// Who was asked earlier had no room: it may catch up with a little of what it
// left to others, so that small hindrances even out, but not with all.
func (c *Conn) tookTurn(sf *Subflow, n int) {
	for _, other := range c.subflows {
		other.turn = max(other.turn, sf.turn-catchUp)
	}
	sf.turn += seq.Pos(n)
	c.sortSubflows()
}

// catchUp is one of the largest segments.
const catchUp = 64 << 10

// copies gives the bytes that other subflows got and sf is still to send, if all
// is sent on all. Those that the peer has meanwhile are not worth it.
func (sf *Subflow) copies() seq.Range {
	c := sf.conn
	if c.cfg.Scheduler != SchedulerRedundant || c.mode != modeMultipath {
		return seq.Range{}
	}
	return seq.Range{Lo: max(sf.copied, c.snd.una), Hi: c.snd.next}
}

// chunkCopy takes bytes that other subflows got before.
func (c *Conn) chunkCopy(sf *Subflow, r tcp.Request) (tcp.Chunk, bool) {
	left := sf.copies()
	n := r.Fit(left.Len())
	if left.Empty() || n == 0 {
		return tcp.Chunk{}, false
	}
	ch := c.repeat(sf, r, left.Lo, n)
	sf.copied = left.Lo + seq.Pos(n)
	ch.Fin = c.snd.fin == finSent && sf.copied == c.snd.finPos // the end is as urgent
	return ch, true
}
