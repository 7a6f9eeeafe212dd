package demo

import (
	"sync"
	"time"
)

// What happened, for Event.
type What string

// The events of a demo.
const (
	SubflowUp   What = "subflow up"
	SubflowDown What = "subflow down"
	Cut         What = "cut"
	Restored    What = "restored"
	Fallback    What = "fallback to TCP"
)

// Event is something that happened to a path, or with Path empty to the
// connection.
type Event struct {
	At   time.Duration // since the download began
	Path string
	What What

	path int // its number, -1: none
}

// Snapshot is how the download stands.
type Snapshot struct {
	At    time.Duration // since the download began
	Bytes int64         // that the application has read
	Size  int64
	Rate  float64 // bits per second since the last snapshot
	Paths []PathSnapshot
}

// PathSnapshot is how one path stands.
type PathSnapshot struct {
	Path  Path
	Cut   bool    // the line is down
	Open  bool    // a subflow is established on it
	Bytes uint64  // that came over it
	Rate  float64 // bits per second since the last snapshot
}

// arrivals is when bytes reached the application.
type arrivals struct {
	bytes       int64
	first, last time.Duration
	stall       time.Duration // the longest time between two arrivals
}

func (a *arrivals) add(at time.Duration, n int) {
	if a.bytes == 0 {
		a.first = at
	} else {
		a.stall = max(a.stall, at-a.last)
	}
	a.last = at
	a.bytes += int64(n)
}

// mbps is the mean rate from the beginning to the last arrival.
func (a *arrivals) mbps() float64 { return float64(a.bytes) * 8 / a.last.Seconds() / 1e6 }

const defaultInterval = 100 * time.Millisecond

// startTicker looks at the connections at every interval and tells who asked
// for it.
func (r *run) startTicker() (stop func()) {
	interval := r.cfg.Interval
	if interval <= 0 {
		interval = defaultInterval
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		told := 0
		for {
			select {
			case <-ticker.C:
				told = r.tick(told)
			case <-done:
				r.tick(told)
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// tick passes on events from number told, and how things stand.
func (r *run) tick(told int) int {
	at := time.Since(r.meter.began)
	r.mu.Lock()
	// A change set for a time is due whether or not bytes arrive.
	changes := r.plan.due(at, float64(r.arrival.bytes)/float64(r.cfg.Size))
	r.mu.Unlock()
	r.make(at, changes)
	r.look()
	shot := r.snapshot(at)
	r.mu.Lock()
	events := r.events[told:len(r.events):len(r.events)]
	told = len(r.events)
	r.mu.Unlock()
	if r.cfg.Happened != nil {
		for _, e := range events {
			r.cfg.Happened(e)
		}
	}
	if r.cfg.Progress != nil {
		r.cfg.Progress(shot)
	}
	return told
}

// look asks the connections how their subflows do.
func (r *run) look() {
	r.mu.Lock()
	conns, serving := r.conns, r.serving
	r.mu.Unlock()
	for _, c := range conns {
		r.meter.note(false, c.Info())
	}
	for _, c := range serving {
		r.meter.note(true, c.Info())
	}
}

func (r *run) snapshot(at time.Duration) Snapshot {
	sums := r.meter.totals()
	r.mu.Lock()
	defer r.mu.Unlock()
	shot := Snapshot{At: at, Bytes: r.arrival.bytes, Size: r.cfg.Size}
	last, seconds := r.lastShot, (at - r.lastShot.At).Seconds()
	rate := func(now, before uint64) float64 {
		if seconds <= 0 || now < before {
			return 0
		}
		return float64(now-before) * 8 / seconds
	}
	shot.Rate = rate(uint64(shot.Bytes), uint64(last.Bytes))
	for i, p := range r.cfg.Paths {
		ps := PathSnapshot{Path: p, Cut: r.down[p.Name], Open: sums[i].open, Bytes: sums[i].received}
		before := uint64(0)
		if last.Paths != nil {
			before = last.Paths[i].Bytes
		}
		ps.Rate = rate(ps.Bytes, before)
		shot.Paths = append(shot.Paths, ps)
	}
	r.lastShot = shot
	return shot
}
