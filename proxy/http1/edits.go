package http1

import (
	"errors"
	"strings"
)

// ErrEdit says that a field to add could not stand in a head, or must not be
// touched because the framing depends on it.
var ErrEdit = errors.New("http1: field cannot be edited")

// Edits are changes to the fields of a head on its way through. The zero value
// changes nothing. They are built once and used by any number of goroutines,
// or built for one request.
type Edits struct {
	remove []string // in lower case; all that begin so, with a '*' at the end
	add    []byte   // whole field lines
}

// Reset forgets all changes and keeps the memory.
func (e *Edits) Reset() {
	e.remove, e.add = e.remove[:0], e.add[:0]
}

// Remove takes away all fields of that name, or with a '*' at its end all whose
// names begin so. Only fields of the framing cannot be removed: ErrEdit, and a
// '*' leaves them alone.
func (e *Edits) Remove(name string) error {
	prefix, open := strings.CutSuffix(name, "*")
	if open && !all([]byte(prefix), isToken) || !open && !mayEdit(name) {
		return ErrEdit
	}
	e.remove = append(e.remove, strings.ToLower(name))
	return nil
}

// Add adds a field behind those that are there. ErrEdit says that name is no
// field name, that value has characters no field may have, or that the field
// belongs to the framing.
func (e *Edits) Add(name, value string) error {
	if !mayEdit(name) || !isFieldValue([]byte(value)) {
		return ErrEdit
	}
	e.add = append(e.add, name...)
	e.add = append(e.add, ": "...)
	e.add = append(e.add, value...)
	e.add = append(e.add, "\r\n"...)
	return nil
}

// Set is Remove and Add.
func (e *Edits) Set(name, value string) error {
	if !isFieldValue([]byte(value)) {
		return ErrEdit
	}
	if err := e.Remove(name); err != nil {
		return err
	}
	return e.Add(name, value)
}

// mayEdit refuses what the engine itself answers for. Host is set with
// Exchange.SetHost.
func mayEdit(name string) bool {
	s := []byte(name)
	if len(s) == 0 || !all(s, isToken) {
		return false
	}
	switch n := nameOf(s); n {
	case ContentLength, TransferEncoding, Host, Expect, Trailer:
		return false
	default:
		return !n.isHopByHop()
	}
}

// removes reports whether fields of that name are taken away.
func (e *Edits) removes(name []byte) bool {
	for _, r := range e.remove {
		if n := len(r) - 1; n >= 0 && r[n] == '*' {
			if len(name) >= n && equalFold(name[:n], r[:n]) && mayEdit(string(name)) {
				return true
			}
		} else if equalFold(name, r) {
			return true
		}
	}
	return false
}
