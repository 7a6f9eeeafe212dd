package braid

import (
	"context"
	"errors"
	"net"
	"time"
)

// attemptDelay is how long the first choice of an uplink may take to answer
// before the next is tried beside it: longer than a round trip anywhere, short
// enough for somebody who waits.
const attemptDelay = time.Second

// dialEach dials over each of the interfaces, in their order, until one
// answers; "" is the system's choice, and so is an empty list.
func dialEach(ctx context.Context, interfaces []string, dial func(ctx context.Context, iface string) (net.Conn, error)) (net.Conn, error) {
	if len(interfaces) == 0 {
		interfaces = []string{""}
	}
	return firstOf(ctx, attemptDelay, interfaces, dial)
}

// firstOf gives the first connection that dial makes to one of the choices.
// A choice is begun when all before it have failed or delay has passed since
// the last one was begun. Connections that come later are closed; of failures
// the first choice's is returned.
func firstOf[C any](ctx context.Context, delay time.Duration, choices []C, dial func(context.Context, C) (net.Conn, error)) (net.Conn, error) {
	if len(choices) == 1 {
		return dial(ctx, choices[0])
	}
	type result struct {
		choice int
		c      net.Conn
		err    error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result)
	begun, pending := 0, 0
	begin := func() {
		i := begun
		begun++
		pending++
		go func() {
			c, err := dial(ctx, choices[i])
			results <- result{i, c, err}
		}()
	}
	defer func() { // close what comes too late
		late := pending
		go func() {
			for range late {
				if r := <-results; r.err == nil {
					r.c.Close()
				}
			}
		}()
	}()
	errs := make([]error, len(choices))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		if pending == 0 {
			if begun == len(choices) {
				return nil, firstError(errs)
			}
			begin()
			timer.Reset(delay)
		}
		select {
		case r := <-results:
			pending--
			if r.err == nil {
				return r.c, nil
			}
			errs[r.choice] = r.err
		case <-timer.C:
			if begun < len(choices) {
				begin()
				timer.Reset(delay)
			}
		}
	}
}

func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return errors.New("braid: nowhere to dial")
}
