package proxy

import (
	"context"
	"sync"
)

// gate counts what is open, and keeps those above its limit waiting.
type gate struct {
	mu    sync.Mutex
	room  sync.Cond
	open  int
	limit int  // 0: none
	hasty bool // nobody waits for room
	shut  bool
}

func newGate() *gate {
	g := &gate{}
	g.room.L = &g.mu
	return g
}

// enter counts one in, as soon as there is room; false: the gate was shut, or
// there is none and will be none.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.limit > 0 && g.open >= g.limit && !g.hasty {
		g.room.Wait()
	}
	if g.shut || g.limit > 0 && g.open >= g.limit {
		return false
	}
	g.open++
	return true
}

// leave counts one out.
func (g *gate) leave() {
	g.mu.Lock()
	g.open--
	g.mu.Unlock()
	g.room.Broadcast()
}

// setLimit changes the limit. Those that are in stay.
func (g *gate) setLimit(n int) {
	g.mu.Lock()
	g.limit = n
	g.mu.Unlock()
	g.room.Broadcast()
}

// hurry turns away all who wait, or would have to.
func (g *gate) hurry() {
	g.mu.Lock()
	g.hasty = true
	g.mu.Unlock()
	g.room.Broadcast()
}

// shutDown turns away all who wait or come.
func (g *gate) shutDown() {
	g.mu.Lock()
	g.hasty, g.shut = true, true
	g.mu.Unlock()
	g.room.Broadcast()
}

// drained waits until nobody is in, or ctx is done.
func (g *gate) drained(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.room.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.open > 0 && ctx.Err() == nil {
		g.room.Wait()
	}
}

// count gives how many are in.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}
