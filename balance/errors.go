package balance

import (
	"errors"
	"fmt"
)

// Errors of Pool.Get and Set.Apply. Those of Get say nothing about a request
// that was sent: none was.
var (
	// ErrNoBackend: no backend is in service. A proxy answers 503.
	ErrNoBackend = errors.New("balance: no backend in service")
	// ErrQueueFull: all backends are at their limit, and so is the queue. A
	// proxy answers 503.
	ErrQueueFull = errors.New("balance: all backends and the queue are full")
	// ErrQueueTimeout: no backend had room in time. A proxy answers 503.
	ErrQueueTimeout = errors.New("balance: no backend had room in time")
	// ErrClosed: the Set or the Pool was closed.
	ErrClosed = errors.New("balance: pool closed")
	// ErrConfig is wrapped by the errors of Set.Apply about a Config that
	// cannot be.
	ErrConfig = errors.New("balance: bad configuration")
)

// errNoRoom is what open reports when the last free connection went to
// somebody else meanwhile.
var errNoRoom = errors.New("balance: no room for another connection")

// DialError says which backend could not be reached. A proxy answers 502, or
// 504 when Err is a timeout.
type DialError struct {
	Backend string // its name
	Err     error
}

// Error implements error.
func (e *DialError) Error() string {
	return fmt.Sprintf("balance: connect to %s: %v", e.Backend, e.Err)
}

// Unwrap gives the reason.
func (e *DialError) Unwrap() error { return e.Err }
