package status

import (
	"maps"
	"sync/atomic"
	"time"
)

type seriesKey struct{ listener, pool string }

// Series counts the requests of one listener that go to one pool. Its methods
// may be called from any goroutine and allocate nothing.
type Series struct {
	listener, pool  string
	codes           [6]atomic.Uint64
	reused, retried atomic.Uint64
	in, out         atomic.Uint64
	duration        histogram
	wait            histogram
	connect         histogram
}

// Series gives the Series of a listener and a pool; pool is "" for requests
// that reach none. It is cheap, and the result may be kept.
func (l *Ledger) Series(listener, pool string) *Series {
	key := seriesKey{listener, pool}
	if s := (*l.series.Load())[key]; s != nil {
		return s
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := *l.series.Load()
	if s := old[key]; s != nil {
		return s
	}
	s := &Series{listener: listener, pool: pool}
	all := maps.Clone(old)
	all[key] = s
	l.series.Store(&all)
	return s
}

// Request is how a request went.
type Request struct {
	Code     int           // of the answer; 0: none
	Duration time.Duration // first byte of the request to last of the response
	Wait     time.Duration // request sent to response begun; 0: there was no server
	Connect  time.Duration // to open the server connection; 0: none was opened
	// BytesIn and BytesOut are of heads and bodies, as read from and written
	// to the client.
	BytesIn, BytesOut int64
	Reused, Retried   bool // see RequestTotals
}

// Add counts a request.
func (s *Series) Add(r *Request) {
	class := r.Code / 100
	if class < 0 || class > 5 {
		class = 0
	}
	s.codes[class].Add(1)
	s.in.Add(uint64(max(r.BytesIn, 0)))
	s.out.Add(uint64(max(r.BytesOut, 0)))
	if r.Reused {
		s.reused.Add(1)
	}
	if r.Retried {
		s.retried.Add(1)
	}
	s.duration.observe(r.Duration)
	if r.Wait > 0 {
		s.wait.observe(r.Wait)
	}
	if r.Connect > 0 {
		s.connect.observe(r.Connect)
	}
}

// Connected counts a server connection that was opened for something else than
// a request.
func (s *Series) Connected(d time.Duration) { s.connect.observe(d) }

func (s *Series) totals() RequestTotals {
	t := RequestTotals{
		Listener: s.listener, Pool: s.pool,
		Reused: s.reused.Load(), Retried: s.retried.Load(), BytesIn: s.in.Load(), BytesOut: s.out.Load(),
		Duration: s.duration.snapshot(), Wait: s.wait.snapshot(), Connect: s.connect.snapshot(),
	}
	for i := range t.Codes {
		t.Codes[i] = s.codes[i].Load()
	}
	return t
}
