package vnet

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Vec reads or writes a packet together with what goes ahead of it, in one
// system call and without a copy of the packet. One goroutine uses it.
type Vec struct {
	head []byte
	iov  [2]unix.Iovec
}

// NewVec makes a Vec whose head, as long as it lives, is in head.
func NewVec(head []byte) *Vec { return &Vec{head: head} }

// Read fills the head and data, and returns how many bytes of data it filled.
func (v *Vec) Read(fd uintptr, data []byte) (int, unix.Errno) {
	n, errno := v.call(unix.SYS_READV, fd, data)
	return max(n-len(v.head), 0), errno
}

// Write writes the head and data.
func (v *Vec) Write(fd uintptr, data []byte) unix.Errno {
	_, errno := v.call(unix.SYS_WRITEV, fd, data)
	return errno
}

func (v *Vec) call(trap, fd uintptr, data []byte) (int, unix.Errno) {
	v.iov[0].Base = unsafe.SliceData(v.head)
	v.iov[0].SetLen(len(v.head))
	v.iov[1].Base = unsafe.SliceData(data)
	v.iov[1].SetLen(len(data))
	for {
		n, _, errno := unix.RawSyscall(trap, fd, uintptr(unsafe.Pointer(&v.iov)), uintptr(len(v.iov)))
		if errno == unix.EINTR {
			continue
		}
		v.iov[1].Base = nil // the buffer is the caller's again
		return int(n), errno
	}
}
