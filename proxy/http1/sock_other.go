//go:build !linux

package http1

import "syscall"

func (s *sock) onReadable(uintptr) bool { panic("BUG: no raw sockets here") }
func (s *sock) onWritable(uintptr) bool { panic("BUG: no raw sockets here") }

// gone cannot tell.
func gone(syscall.RawConn) (closed, reset bool) { return false, false }

// quiet cannot tell.
func quiet(syscall.RawConn) bool { return true }
