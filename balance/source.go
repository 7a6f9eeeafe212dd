package balance

import "context"

// Source reports the backends of a pool. A service registry would be one.
type Source interface {
	// Run calls update with the whole list at once, and again whenever it has
	// changed, or with the error for which there is none; the list before it
	// then stays in force. It returns when ctx is done, or when nothing can
	// change any more. update must not be called by two goroutines at a time.
	Run(ctx context.Context, update func([]Backend, error))
}

// Static is a list that does not change.
type Static []Backend

// Run reports the list.
func (s Static) Run(_ context.Context, update func([]Backend, error)) { update(s, nil) }
