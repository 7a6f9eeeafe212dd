//go:build unix

package get

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock keeps two downloads from writing to one file.
func lock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == unix.EWOULDBLOCK {
		return ErrBusy
	}
	return nil // file systems without locks are none of our business
}
