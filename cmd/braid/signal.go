package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// signalled is why a context ended: a signal. It counts as context.Canceled.
type signalled struct{ signal syscall.Signal }

func (s signalled) Error() string { return s.signal.String() }

// Is makes it context.Canceled.
func (s signalled) Is(target error) bool { return target == context.Canceled }

// exitCode is as shells report a death by the signal.
func (s signalled) exitCode() int { return 128 + int(s.signal) }

// withSignals gives a context that ends with the first signal to end. The
// second one has its usual effect.
//
// A reader of ours that goes away is no signal but an error of writing: what is
// installed on the host has to be taken back.
func withSignals(ctx context.Context) context.Context {
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // as under nohup
			signal.Notify(signals, s)
		}
	}
	go func() {
		s := <-signals
		signal.Stop(signals)
		number, _ := s.(syscall.Signal)
		cancel(signalled{number})
	}()
	return ctx
}

// hungUp tells whether the context ended by SIGHUP, which is how ssh ends its
// ProxyCommand when it has no more use for it.
func hungUp(ctx context.Context) bool {
	var s signalled
	return errors.As(context.Cause(ctx), &s) && s.signal == syscall.SIGHUP
}
