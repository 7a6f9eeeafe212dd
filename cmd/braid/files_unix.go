//go:build unix

package main

import "syscall"

// openFileLimit is how many files this process may have open; 0: not known.
func openFileLimit() uint64 {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return uint64(r.Cur)
}
