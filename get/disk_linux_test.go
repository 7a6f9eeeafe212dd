package get

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of so many bytes on dir.
func smallDisk(dir string, size int) (mount func() error, unmount func()) {
	return func() error { return unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)) },
		func() { unix.Unmount(dir, unix.MNT_DETACH) }
}

// growDisk gives it more room.
func growDisk(dir string, size int) error {
	return unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", size))
}
