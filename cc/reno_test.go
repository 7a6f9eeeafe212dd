package cc

import (
	"testing"
	"time"
)

func TestRenoCongestionAvoidance(t *testing.T) {
	p := newPath(t, "reno", 100*time.Millisecond)
	p.grow(40000)
	p.lose()
	p.want("half", 20000, 20000)
	for i := 1; i <= 5; i++ {
		p.roundTrip()
		p.want("a segment for each round trip", 20000+1000*i, 20000)
	}
	// The same with acknowledgements of single bytes, and of the whole window.
	for range 24999 {
		p.ack(1)
	}
	p.want("a byte short of a window", 25000, 20000)
	p.ack(1)
	p.want("a window of single bytes", 26000, 20000)
	p.ack(26000)
	p.want("a window at once", 27000, 20000)
	p.ack(13500)
	p.lose()
	p.want("half of 27,000", 13500, 13500)
	p.ack(13499)
	p.want("what was counted before the loss does not count", 13500, 13500)
	p.ack(1)
	p.want("a window since the loss", 14500, 13500)
}

func TestRenoUndoKeepsGrowth(t *testing.T) {
	p := newPath(t, "reno", 100*time.Millisecond)
	p.grow(20000)
	p.lose()
	for p.c.Window() < 25000 {
		p.roundTrip()
	}
	p.c.Undo(p.now)
	if got := p.c.Window(); got != 25000 {
		t.Errorf("got %d, want the larger window 25000", got)
	}
}
