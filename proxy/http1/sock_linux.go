package http1

import (
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// onReadable is called by RawConn.Read once the poller has been told that this
// socket is going to be waited for, and then each time it has become readable.
//
// The poller is edge-triggered: what arrives is told once. As long as all
// reading happens in here, between one telling and the next, nothing is lost,
// and a read that would only find that there is nothing can be left out after
// one that did not fill its buffer. One thing would be missed: the end of the
// stream if it arrived together with the last bytes. So that is done only where
// nothing is missing (rest), and the sweeper looks after the end.
func (s *sock) onReadable(fd uintptr) bool {
	if !s.begun {
		s.begun = true
		switch s.feeder.begin() {
		case stop:
			return true
		case rest:
			s.feeder.pause()
			return false
		}
	}
	for {
		b := s.feeder.room()
		n, errno := readRaw(fd, b)
		switch {
		case errno == syscall.EAGAIN:
			s.feeder.pause()
			return false
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			s.rerr = os.NewSyscallError("read", errno)
			return true
		case n == 0:
			s.rerr = io.EOF
			return true
		}
		switch s.feeder.feed(n) {
		case stop:
			return true
		case rest:
			if n < len(b) {
				s.feeder.pause()
				return false
			}
		}
	}
}

// onWritable is called by RawConn.Write at once, and again when the socket has
// room after it had none.
func (s *sock) onWritable(fd uintptr) bool {
	for len(s.out) > 0 {
		n, errno := writeRaw(fd, s.out)
		switch {
		case errno == syscall.EAGAIN:
			if s.blocked != nil {
				s.blocked.blocked()
			}
			return false
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			s.werr = os.NewSyscallError("write", errno)
			return true
		}
		s.out = s.out[n:]
	}
	return true
}

// readRaw and writeRaw are system calls of which the scheduler is not told:
// these sockets never block, and telling costs as much as a small read.
func readRaw(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), errno
}

func writeRaw(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), errno
}

// gone asks the kernel, without reading, whether the peer has ended its stream
// (closed) or the whole connection (reset).
func gone(raw syscall.RawConn) (closed, reset bool) {
	raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if n, err := unix.Poll(fds, 0); n > 0 && err == nil {
			closed = fds[0].Revents&unix.POLLRDHUP != 0
			reset = fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
		}
	})
	return closed || reset, reset
}

// quiet reports whether there is nothing to read: no bytes, no end, no error.
func quiet(raw syscall.RawConn) (ok bool) {
	raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		ok = err == unix.EAGAIN
	})
	return ok
}
