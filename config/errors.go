package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid is what every Errors wraps.
var ErrInvalid = errors.New("config: invalid")

// Position is a place in a file. Lines and columns count from 1, columns in
// characters; 0 means unknown.
type Position struct {
	File         string
	Line, Column int
}

// String is "file:line:column", as far as they are known.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error is one mistake.
type Error struct {
	Position
	Path    string // of the value, such as "pools.web.policy"; may be empty
	Message string
}

// Error implements error.
func (e Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%v: %s", e.Position, e.Message)
	}
	return fmt.Sprintf("%v: %s: %s", e.Position, e.Path, e.Message)
}

// Errors are all mistakes of a file, in its order.
type Errors []Error

// Error gives one mistake a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Is makes errors.Is(err, ErrInvalid) true.
func (e Errors) Is(target error) bool { return target == ErrInvalid }

// sorted orders by position and drops repetitions.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return slices.Compact(e)
}
