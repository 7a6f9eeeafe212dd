package tcp

import "errors"

// Why a connection ended other than by both sides closing it.
var (
	ErrRefused     = errors.New("tcp: connection refused")
	ErrReset       = errors.New("tcp: connection reset by peer")
	ErrAborted     = errors.New("tcp: connection aborted")
	ErrTimeout     = errors.New("tcp: connection timed out")
	ErrUnreachable = errors.New("tcp: destination unreachable")
	ErrClosed      = errors.New("tcp: connection closed")
	// ErrWouldBlock is returned by Read and Write when there is nothing to
	// read and no room to write; an event tells when to try again.
	ErrWouldBlock = errors.New("tcp: would block")
)
