package mptcp

import (
	"errors"

	"github.com/braid-mptcp/braid/tcp"
)

// Why a connection ended other than by both sides closing it. Those of TCP
// keep their identity: errors.Is(err, tcp.ErrReset) holds for both.
var (
	ErrRefused     = tcp.ErrRefused
	ErrReset       = tcp.ErrReset
	ErrAborted     = tcp.ErrAborted
	ErrTimeout     = tcp.ErrTimeout
	ErrUnreachable = tcp.ErrUnreachable
	ErrClosed      = tcp.ErrClosed
	ErrWouldBlock  = tcp.ErrWouldBlock
	// ErrNoPath: all subflows are gone and none came back in time.
	ErrNoPath = errors.New("mptcp: no path left")
	// ErrJoin: a subflow could not be added; it wraps the reason.
	ErrJoin = errors.New("mptcp: join refused")
)
