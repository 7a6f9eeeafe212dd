package get

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrHash: the file is complete and its SHA-256 is not the expected one.
	ErrHash = errors.New("SHA-256 is not the expected one")
	// ErrFile is wrapped by errors of the local file: disk full, no permission.
	ErrFile = errors.New("cannot write")
	// ErrURL is wrapped by errors about a URL that cannot be downloaded.
	ErrURL = errors.New("bad URL")
	// ErrStalled: nothing arrived for Config.Stall, again and again.
	ErrStalled = errors.New("nothing arrives")
	// ErrBusy: another process downloads to the same file.
	ErrBusy = errors.New("another download to this file is under way")
)

// StatusError is an answer of the server's that brings no file.
type StatusError struct {
	Code   int
	Status string // "404 Not Found"
}

func (e *StatusError) Error() string { return "the server says " + e.Status }

// transient tells whether asking again may help.
func (e *StatusError) transient() bool {
	switch e.Code {
	case 408, 425, 429, 502, 503, 504:
		return true
	}
	return false
}

// fileError marks an error of the local file.
func fileError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: disk full: %w", ErrFile, err)
	}
	return fmt.Errorf("%w: %w", ErrFile, err)
}

// permanent tells whether a failed attempt is not worth repeating.
func permanent(err error) bool {
	var status *StatusError
	switch {
	case errors.As(err, &status):
		return !status.transient()
	case errors.Is(err, ErrFile), errors.Is(err, ErrURL):
		return true
	}
	return false
}
