package vnet

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Vec reads or writes a packet together with what goes ahead of it, in one
// system call and without a copy of the packet. One goroutine uses it.
type Vec struct {
	head []byte
	iov  []unix.Iovec
}

// NewVec makes a Vec whose head, as long as it lives, is in head.
func NewVec(head []byte) *Vec { return &Vec{head: head} }

// Read fills the head and data, and returns how many bytes of data it filled.
func (v *Vec) Read(fd uintptr, data []byte) (int, unix.Errno) {
	v.set(data)
	n, errno := v.call(unix.SYS_READV, fd)
	return max(n-len(v.head), 0), errno
}

// Write writes the head, data and what follows it.
func (v *Vec) Write(fd uintptr, data []byte, more [][]byte) unix.Errno {
	v.set(data)
	for _, b := range more {
		v.add(b)
	}
	_, errno := v.call(unix.SYS_WRITEV, fd)
	return errno
}

func (v *Vec) set(data []byte) {
	v.iov = v.iov[:0]
	v.add(v.head)
	v.add(data)
}

func (v *Vec) add(b []byte) {
	v.iov = append(v.iov, unix.Iovec{Base: unsafe.SliceData(b)})
	v.iov[len(v.iov)-1].SetLen(len(b))
}

func (v *Vec) call(trap, fd uintptr) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(v.iov))), uintptr(len(v.iov)))
		if errno == unix.EINTR {
			continue
		}
		clear(v.iov) // the memory is the caller's again
		return int(n), errno
	}
}
