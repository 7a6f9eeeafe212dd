package balance

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// RetryBudget keeps retries from multiplying the load on servers in trouble:
// each request earns a part of a retry, each retry spends one.
type RetryBudget struct {
	// Ratio is what part of all requests may go again. 0: 0.2; negative:
	// none beyond PerSecond.
	Ratio float64
	// PerSecond are allowed besides, so that a pool with few requests may
	// retry at all. 0: 10; negative: none.
	PerSecond int
}

func (b RetryBudget) normal() (RetryBudget, error) {
	if b.Ratio > 1 {
		return b, fmt.Errorf("%w: retry ratio %v is above 1", ErrConfig, b.Ratio)
	}
	if b.Ratio == 0 {
		b.Ratio = 0.2
	}
	if b.PerSecond == 0 {
		b.PerSecond = 10
	}
	b.Ratio, b.PerSecond = max(b.Ratio, 0), max(b.PerSecond, 0)
	return b, nil
}

// retryUnit is what one retry costs; requests earn fractions.
const retryUnit = 1000

// budgetCap bounds what is saved for later: 100 retries.
const budgetCap = 100 * retryUnit

// budget is a RetryBudget in use.
type budget struct {
	earn    int64
	saved   atomic.Int64
	allowed atomic.Uint64
	refused atomic.Uint64

	mu     sync.Mutex
	rate   float64 // per second
	extra  float64 // what rate has brought, at most a second's worth
	filled time.Time
}

func newBudget(cfg RetryBudget) *budget {
	return &budget{
		earn: int64(cfg.Ratio * retryUnit), rate: float64(cfg.PerSecond),
		extra: float64(cfg.PerSecond), filled: time.Now(),
	}
}

// deposit is called for each request.
func (b *budget) deposit() {
	if b.saved.Load() < budgetCap {
		b.saved.Add(b.earn)
	}
}

// withdraw asks for a retry.
func (b *budget) withdraw() bool {
	ok := b.fromSavings() || b.fromRate(time.Now())
	if ok {
		b.allowed.Add(1)
	} else {
		b.refused.Add(1)
	}
	return ok
}

func (b *budget) fromSavings() bool {
	for {
		n := b.saved.Load()
		if n < retryUnit {
			return false
		}
		if b.saved.CompareAndSwap(n, n-retryUnit) {
			return true
		}
	}
}

func (b *budget) fromRate(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.extra = min(b.extra+now.Sub(b.filled).Seconds()*b.rate, b.rate)
	b.filled = now
	if b.extra < 1 {
		return false
	}
	b.extra--
	return true
}
