package host

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/braid-mptcp/braid/mptcp"
	"github.com/braid-mptcp/braid/stack"
)

// A deadline that has passed gives the error of package net: its Timeout is
// true, and errors.Is finds os.ErrDeadlineExceeded.
var errTimeout = os.ErrDeadlineExceeded

// dialTimeout is what a dial ends with whose context's deadline has passed. As
// package net's, it is found as context.DeadlineExceeded too.
type dialTimeout struct{ error }

func (e dialTimeout) Unwrap() error { return e.error }

// Timeout makes it a net.Error that says so.
func (dialTimeout) Timeout() bool { return true }

// Temporary is asked for by net.Error.
func (dialTimeout) Temporary() bool { return true }

// Is makes it the context's error.
func (dialTimeout) Is(target error) bool { return target == context.DeadlineExceeded }

// causes pairs the core's reasons for ending a connection with the numbers the
// operating system's TCP uses, for programs that look for those.
var causes = []causeError{
	{mptcp.ErrRefused, syscall.ECONNREFUSED},
	{mptcp.ErrReset, syscall.ECONNRESET},
	{mptcp.ErrAborted, syscall.ECONNABORTED},
	{mptcp.ErrTimeout, syscall.ETIMEDOUT},
	{mptcp.ErrUnreachable, syscall.EHOSTUNREACH},
	{mptcp.ErrClosed, syscall.EPIPE},
	{mptcp.ErrNoPath, syscall.ENETUNREACH},
	{stack.ErrAddressInUse, syscall.EADDRINUSE},
	{stack.ErrNoAddress, syscall.EADDRNOTAVAIL},
}

// causeError is a reason of the core's that is found by errors.Is under both
// its own name and the operating system's.
type causeError struct {
	core  error
	errno syscall.Errno
}

func (e *causeError) Error() string   { return e.core.Error() }
func (e *causeError) Unwrap() []error { return []error{e.core, e.errno} }

// Timeout makes a connection that timed out a net.Error that says so.
func (e *causeError) Timeout() bool { return e.errno == syscall.ETIMEDOUT }

// Temporary is asked for by net.Error and never true.
func (e *causeError) Temporary() bool { return false }

// cause turns an error of the core into what a user of the connection gets.
func cause(err error) error {
	if err == nil {
		return nil
	}
	for i := range causes {
		if errors.Is(err, causes[i].core) {
			return &causeError{err, causes[i].errno}
		}
	}
	return err
}

// network is what errors call the network, for programs that compare it.
const network = "tcp"

func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: network, Source: c.local, Addr: c.remote, Err: err}
}
