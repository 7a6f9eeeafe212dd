package lab

import (
	"sync"

	"github.com/braid-mptcp/braid/sim"
)

// Emulator makes lines. Two Emulators of one seed treat the same packets at
// the same times alike, as far as real time ever repeats itself.
type Emulator struct {
	seed uint64

	mu    sync.Mutex
	lines []*Line
}

// NewEmulator makes an Emulator without lines.
func NewEmulator(seed uint64) *Emulator { return &Emulator{seed: seed} }

// AddLine makes a line between two devices, which is up. Each direction has
// its own configuration: there for what goes from A to B, back for the other.
func (e *Emulator) AddLine(name string, there, back sim.LinkConfig) *Line {
	e.mu.Lock()
	defer e.mu.Unlock()
	stream := uint64(2 * len(e.lines))
	l := newLine(name,
		sim.NewPipe(there, e.seed, stream),
		sim.NewPipe(back, e.seed, stream+1))
	e.lines = append(e.lines, l)
	return l
}

// Close closes both ends of every line.
func (e *Emulator) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lines {
		l.a.Close()
		l.b.Close()
	}
	return nil
}
