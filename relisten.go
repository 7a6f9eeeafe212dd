package braid

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/braid-mptcp/braid/host"
	"github.com/braid-mptcp/braid/internal/rawsock"
	"github.com/braid-mptcp/braid/kernel"
)

// SetOptions gives connections that l accepts from now on other options,
// whatever it was opened with; those that wait to be accepted have the ones from
// before. l is a listener of a Network or any other socket of the kernel's that
// listens for TCP. What the stack does not offer is left out, as WithOptions
// tells. The error says what cannot be changed any more at a socket that
// listens, and wraps ErrFeature; the rest holds.
func SetOptions(l net.Listener, o Options) error {
	quietly := func(string) {}
	switch l := l.(type) {
	case *host.Listener:
		l.SetConfig(*ofStack(o, quietly))
		return nil
	case *forwardListener:
		return errors.Join(SetOptions(l.outer, o), SetOptions(l.stack, o))
	case *nagleListener:
		l.on.Store(o.TCP.Nagle)
		o.TCP.Nagle = false
		return SetOptions(l.Listener, o)
	case syscall.Conn:
		raw, err := l.SyscallConn()
		if err != nil {
			return err
		}
		multipath := rawsock.IsMPTCP(l)
		s := newSocketOptions(o, multipath, quietly)
		var lacks []error
		if err := raw.Control(func(fd uintptr) { lacks = s.change(int(fd), multipath) }); err != nil {
			return err
		}
		if o.TCP.Nagle && acceptsByNet(l) {
			lacks = append(lacks, errors.New("package net switches Nagle's algorithm off"))
		}
		if lacks != nil {
			return fmt.Errorf("%w by a socket that listens already: %w", ErrFeature, errors.Join(lacks...))
		}
		return nil
	}
	return fmt.Errorf("%w: other options of a %T", ErrFeature, l)
}

// acceptsByNet tells whether connections are accepted by package net, which
// does not leave them the options of their listener.
func acceptsByNet(l any) bool {
	switch l.(type) {
	case *net.TCPListener, *kernel.Listener:
		return true
	}
	return false
}
