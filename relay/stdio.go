package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Ends of a session between a network and a pipe, for errors.Is.
var (
	// ErrBroken: the connection was lost.
	ErrBroken = errors.New("connection broke")
	// ErrLocal: our own input or output failed.
	ErrLocal = errors.New("standard input or output failed")
)

// Stdio carries in to c and c to out until both have come to an end, and closes
// c. When the peer ends its direction, closeOut is called, so that a reader of
// out learns of it, while in goes on.
//
// The errors wrap ErrBroken, or ErrLocal, or are ctx's.
func Stdio(ctx context.Context, c Conn, in io.Reader, out io.Writer, closeOut func() error) error {
	var cause atomic.Pointer[error]
	giveUp := func(err error) {
		cause.CompareAndSwap(nil, &err)
		c.SetDeadline(time.Unix(1, 0))
	}
	stop := context.AfterFunc(ctx, func() { giveUp(context.Cause(ctx)) })
	defer stop()
	// The goroutine that reads in may be stuck in it for good: nothing can end
	// a read of a terminal or a pipe. It is left behind when c is over.
	sent := make(chan error, 1)
	go func() {
		err := sending(io.Copy(writerOnly{c}, readerOnly{in}))
		if err == nil {
			if closeErr := c.CloseWrite(); closeErr != nil {
				err = fmt.Errorf("%w: %w", ErrBroken, closeErr)
			}
		} else if errors.Is(err, ErrLocal) {
			giveUp(err)
		}
		sent <- err
	}()
	err := received(io.Copy(writerOnly{out}, readerOnly{c}))
	if closeErr := closeOut(); err == nil && closeErr != nil {
		err = fmt.Errorf("%w: %w", ErrLocal, closeErr)
	}
	if err == nil {
		select {
		case err = <-sent:
		case <-ctx.Done():
		}
	}
	if why := cause.Load(); why != nil {
		err = *why
	}
	if err != nil {
		abort(c)
	}
	if closeErr := c.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("%w: %w", ErrBroken, closeErr)
	}
	return err
}

// writerOnly and readerOnly hide the shortcuts of io.Copy, so that errors tell
// which side failed: those of reading are marked, the others are of writing.
type writerOnly struct{ io.Writer }

type readerOnly struct{ io.Reader }

// readError is an error of reading.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

func (r readerOnly) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && err != io.EOF {
		err = readError{err}
	}
	return n, err
}

// received sorts the errors of copying from the connection.
func received(_ int64, err error) error {
	var r readError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return fmt.Errorf("%w: %w", ErrBroken, r.error)
	}
	return fmt.Errorf("%w: %w", ErrLocal, err)
}

// sending sorts the errors of copying to the connection.
func sending(_ int64, err error) error {
	var r readError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return fmt.Errorf("%w: %w", ErrLocal, r.error)
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}
