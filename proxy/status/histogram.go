package status

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Bounds are the upper bounds of the buckets of a Histogram: six to a decade,
// from 50 µs to 50 s.
var Bounds = makeBounds()

const buckets = 38 // the last one has no bound

func makeBounds() (b [buckets - 1]time.Duration) {
	steps := [...]time.Duration{10, 15, 20, 30, 50, 70}
	unit, step := time.Microsecond, 4
	for i := range b {
		b[i] = steps[step] * unit
		if step++; step == len(steps) {
			step, unit = 0, 10*unit
		}
	}
	return b
}

// Histogram counts durations. Counts are by bucket, not cumulative; the last
// one is of those beyond Bounds.
type Histogram struct {
	Counts [buckets]uint64
	Sum    time.Duration
}

// Count is the number of durations.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Add joins two histograms.
func (h Histogram) Add(o Histogram) Histogram {
	for i := range h.Counts {
		h.Counts[i] += o.Counts[i]
	}
	h.Sum += o.Sum
	return h
}

// Sub gives what came to h since before.
func (h Histogram) Sub(before Histogram) Histogram {
	for i := range h.Counts {
		h.Counts[i] -= min(h.Counts[i], before.Counts[i])
	}
	h.Sum -= before.Sum
	return h
}

// Quantile estimates the duration that a share q of all does not exceed. It is
// interpolated within its bucket; 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := q * float64(h.Count())
	if rank == 0 {
		return 0
	}
	seen := 0.0
	for i, c := range h.Counts {
		if seen += float64(c); seen < rank || c == 0 {
			continue
		}
		if i == len(Bounds) {
			break
		}
		low := time.Duration(0)
		if i > 0 {
			low = Bounds[i-1]
		}
		part := 1 - (seen-rank)/float64(c)
		return low + time.Duration(part*float64(Bounds[i]-low))
	}
	return Bounds[len(Bounds)-1]
}

// histogram is a Histogram that is being counted.
type histogram struct {
	counts [buckets]atomic.Uint64
	sum    atomic.Int64
}

// firstBucket is where to look for a duration, by the bit length of its
// microseconds: the first bucket whose bound is not below all of that length.
var firstBucket = makeFirstBucket()

func makeFirstBucket() (first [65]uint8) {
	for n := range first {
		least := time.Duration(0)
		if n > 0 {
			least = time.Duration(1) << (min(n, 40) - 1) * time.Microsecond
		}
		i := 0
		for i < len(Bounds) && Bounds[i] < least {
			i++
		}
		first[n] = uint8(i)
	}
	return first
}

func bucketOf(d time.Duration) int {
	d = max(d, 0)
	i := int(firstBucket[bits.Len64(uint64(d/time.Microsecond))])
	for i < len(Bounds) && Bounds[i] < d {
		i++
	}
	return i
}

func (h *histogram) observe(d time.Duration) {
	h.counts[bucketOf(d)].Add(1)
	h.sum.Add(int64(max(d, 0)))
}

func (h *histogram) snapshot() (s Histogram) {
	for i := range s.Counts {
		s.Counts[i] = h.counts[i].Load()
	}
	s.Sum = time.Duration(h.sum.Load())
	return s
}
