package admin

import (
	"slices"
	"sync"
	"time"

	"github.com/braid-mptcp/braid/proxy/status"
)

const (
	// sampleEvery is how often the proxy is looked at while somebody looks at
	// the page, and idleEvery otherwise.
	sampleEvery = time.Second
	idleEvery   = 5 * time.Second
	// watchedFor is how long after a request somebody is taken to look.
	watchedFor = 30 * time.Second
	// historyFor is how far the plots go back.
	historyFor = 15 * time.Minute
)

// point is what the plots show of one moment: rates since the point before it.
type point struct {
	Time      int64       `json:"t"` // milliseconds since 1970
	Requests  float64     `json:"requests"`
	Errors    float64     `json:"errors"` // of Requests, those answered with 5xx or not at all
	Multipath int         `json:"mptcp"`
	Plain     int         `json:"tcp"`
	P50       float64     `json:"p50"` // seconds; 0 without requests
	P99       float64     `json:"p99"`
	Paths     []pathPoint `json:"paths"`
}

// pathPoint is the throughput of a path, in bytes per second.
type pathPoint struct {
	Name string  `json:"name"`
	In   float64 `json:"in"`
	Out  float64 `json:"out"`
}

// sampler looks at the proxy from time to time.
type sampler struct {
	src  status.Source
	now  func() time.Time
	stop chan struct{}
	done chan struct{}
	once sync.Once

	sampling sync.Mutex // one look at a time; taken before mu

	mu      sync.Mutex
	last    *status.Snapshot // nobody changes it any more
	base    *status.Snapshot // what the rates of last are since
	stale   bool             // last is from before a change
	history []point
	watched time.Time
}

func newSampler(src status.Source) *sampler {
	return &sampler{src: src, now: time.Now, stop: make(chan struct{}), done: make(chan struct{})}
}

func (s *sampler) start() { go s.run() }

func (s *sampler) close() {
	s.once.Do(func() { close(s.stop) })
	<-s.done
}

func (s *sampler) run() {
	defer close(s.done)
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		s.current(s.interval(), false)
		select {
		case <-tick.C:
		case <-s.stop:
			return
		}
	}
}

// interval is how old a look may get. It is a little less than the ticks that
// make it, so that none is missed.
func (s *sampler) interval() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.watched) < watchedFor {
		return sampleEvery - sampleEvery/10
	}
	return idleEvery - sampleEvery/10
}

// current gives a look at the proxy that is not older than maxAge. watched says
// that somebody sees it.
func (s *sampler) current(maxAge time.Duration, watched bool) *status.Snapshot {
	if last := s.fresh(maxAge, watched); last != nil {
		return last
	}
	s.sampling.Lock()
	defer s.sampling.Unlock()
	// Somebody else may have looked meanwhile.
	if last := s.fresh(maxAge, false); last != nil {
		return last
	}
	snap := s.src.Snapshot()
	if snap.Time.IsZero() {
		snap.Time = s.now()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.measure(&snap)
	s.last, s.stale = &snap, false
	return s.last
}

// forget makes the next look a new one: something was changed.
func (s *sampler) forget() {
	s.mu.Lock()
	s.stale = true
	s.mu.Unlock()
}

func (s *sampler) fresh(maxAge time.Duration, watched bool) *status.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if watched {
		s.watched = now
	}
	if s.last != nil && !s.stale && now.Sub(s.last.Time) < maxAge {
		return s.last
	}
	return nil
}

// since gives the points after a time in milliseconds since 1970.
func (s *sampler) since(ms int64) []point {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, _ := slices.BinarySearchFunc(s.history, ms+1, func(p point, t int64) int {
		switch {
		case p.Time < t:
			return -1
		case p.Time > t:
			return 1
		}
		return 0
	})
	return slices.Clone(s.history[i:])
}

// shortest is the time over which rates are measured at least: over less they
// jump.
const shortest = sampleEvery / 2

// measure fills in the rates of snap, which comes after last, and adds a point to
// the history; mu is held.
func (s *sampler) measure(snap *status.Snapshot) {
	if s.last != nil && (s.base == nil || snap.Time.Sub(s.last.Time) >= shortest) {
		s.base = s.last
		s.record(snap, s.base)
	}
	if s.base != nil {
		fillRates(snap, s.base)
	}
	snap.SumPaths()
}

// record adds a point about what happened between two looks; mu is held.
func (s *sampler) record(now, before *status.Snapshot) {
	span := now.Time.Sub(before.Time).Seconds()
	if span <= 0 {
		return
	}
	s.history = append(s.history, pointOf(now, before, span))
	oldest := now.Time.Add(-historyFor).UnixMilli()
	for len(s.history) > 0 && s.history[0].Time < oldest {
		s.history = s.history[1:]
	}
}

func pointOf(now, before *status.Snapshot, span float64) point {
	p := point{Time: now.Time.UnixMilli()}
	was, is := sumRequests(before), sumRequests(now)
	p.Requests = rate(is.Count(), was.Count(), span)
	p.Errors = rate(is.Codes[5]+is.Codes[0], was.Codes[5]+was.Codes[0], span)
	if latency := is.Duration.Sub(was.Duration); latency.Count() > 0 {
		p.P50, p.P99 = latency.Quantile(0.5).Seconds(), latency.Quantile(0.99).Seconds()
	}
	t := &now.Totals
	p.Multipath = int(t.Multipath - min(t.Multipath, t.MultipathClosed))
	p.Plain = int(t.Connections - min(t.Connections, t.Closed+uint64(p.Multipath)))
	for i := range t.Paths {
		path := &t.Paths[i]
		var old status.PathTotals
		if j := slices.IndexFunc(before.Totals.Paths, func(o status.PathTotals) bool { return o.Name == path.Name }); j >= 0 {
			old = before.Totals.Paths[j]
		}
		p.Paths = append(p.Paths, pathPoint{
			Name: path.Name,
			In:   rate(path.Multipath.BytesIn+path.Plain.BytesIn, old.Multipath.BytesIn+old.Plain.BytesIn, span),
			Out:  rate(path.Multipath.BytesOut+path.Plain.BytesOut, old.Multipath.BytesOut+old.Plain.BytesOut, span),
		})
	}
	return p
}

// sumRequests adds up the requests of all listeners.
func sumRequests(s *status.Snapshot) (sum status.RequestTotals) {
	for i := range s.Totals.Requests {
		r := &s.Totals.Requests[i]
		for j := range r.Codes {
			sum.Codes[j] += r.Codes[j]
		}
		sum.Duration = sum.Duration.Add(r.Duration)
	}
	return sum
}

func rate(now, before uint64, span float64) float64 {
	return float64(now-min(now, before)) / span
}

// fillRates says how fast the connections of now are, by what they did since
// before.
func fillRates(now, before *status.Snapshot) {
	span := now.Time.Sub(before.Time).Seconds()
	if span <= 0 {
		return
	}
	old := make(map[uint64]*status.Connection, len(before.Connections))
	for i := range before.Connections {
		old[before.Connections[i].ID] = &before.Connections[i]
	}
	for i := range now.Connections {
		c := &now.Connections[i]
		was := old[c.ID]
		if was == nil {
			if c.Opened.Before(before.Time) {
				continue // it was not listed
			}
			was = new(status.Connection)
		}
		connectionRates(c, was, span)
	}
}

// connectionRates takes what the paths carried, which is known sooner than what
// the requests amounted to, as far as there are paths.
func connectionRates(c, was *status.Connection, span float64) {
	if len(c.Paths) == 0 {
		c.InRate = rate(uint64(c.BytesIn), uint64(was.BytesIn), span)
		c.OutRate = rate(uint64(c.BytesOut), uint64(was.BytesOut), span)
		return
	}
	// On a busy machine a look at all connections takes a while.
	if between := c.Looked.Sub(was.Looked).Seconds(); !was.Looked.IsZero() && !c.Looked.IsZero() {
		if between <= 0 {
			c.Paths, c.InRate, c.OutRate = was.Paths, was.InRate, was.OutRate // nothing new
			return
		}
		span = between
	}
	c.Paths = slices.Clone(c.Paths) // others have them too
	for i := range c.Paths {
		p := &c.Paths[i]
		var old status.Path
		for j := range was.Paths {
			if o := &was.Paths[j]; o.ID == p.ID && o.Local == p.Local && o.Remote == p.Remote {
				old = *o
			}
		}
		p.InRate, p.OutRate = rate(p.BytesIn, old.BytesIn, span), rate(p.BytesOut, old.BytesOut, span)
		c.InRate += p.InRate
		c.OutRate += p.OutRate
	}
}
