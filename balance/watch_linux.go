package balance

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// watch tells when servers close connections, by an epoll instance of its own.
// A connection is registered once, when it becomes idle for the first time, and
// for the end of the stream alone: so data that arrives wakes nobody, and
// lending a connection and taking it back cost no system call. The instance is
// itself a file that Go's runtime can wait for, so that watching takes one
// goroutine and blocks no thread.
//
// The zero watch is ready; its methods may be called from any goroutine.
type watch struct {
	mu    sync.Mutex
	state watchState
	file  *os.File
	epoll int // the descriptor of file
	conns map[uint64]*Conn
	last  uint64
}

type watchState uint8

const (
	watchNew watchState = iota
	watchRuns
	watchOver // closed, or it could not be made
)

const watchEvents = unix.EPOLLRDHUP | unix.EPOLLET // EPOLLERR and EPOLLHUP come always

// add registers c; it returns 0 when c cannot be watched.
func (w *watch) add(c *Conn, raw syscall.RawConn) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == watchNew {
		w.open()
	}
	if w.state == watchOver {
		return 0
	}
	w.last++
	id := w.last
	// An event names the connection by a number that is never used again,
	// unlike its descriptor.
	event := unix.EpollEvent{Events: watchEvents, Fd: int32(id), Pad: int32(id >> 32)}
	added := false
	err := raw.Control(func(fd uintptr) {
		added = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, int(fd), &event) == nil
	})
	if err != nil || !added {
		return 0
	}
	w.conns[id] = c
	return id
}

// remove forgets a connection. Closing it takes it out of the epoll instance.
func (w *watch) remove(id uint64) {
	w.mu.Lock()
	delete(w.conns, id)
	w.mu.Unlock()
}

// close ends watching.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = watchOver
	if w.file != nil {
		w.file.Close()
	}
}

// open makes the epoll instance; the lock is held.
func (w *watch) open() {
	w.state = watchOver
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return
	}
	// Go's runtime waits only for descriptors that do not block.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return
	}
	w.state, w.file, w.epoll, w.conns = watchRuns, file, fd, make(map[uint64]*Conn)
	go w.run(raw)
}

// run hands out events until the file is closed.
func (w *watch) run(raw syscall.RawConn) {
	events := make([]unix.EpollEvent, 64)
	for {
		n, failed := 0, error(nil)
		err := raw.Read(func(fd uintptr) bool {
			n, failed = unix.EpollWait(int(fd), events, 0)
			for failed == unix.EINTR {
				n, failed = unix.EpollWait(int(fd), events, 0)
			}
			return n != 0
		})
		if err != nil || failed != nil {
			return
		}
		for _, e := range events[:n] {
			id := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
			w.mu.Lock()
			c := w.conns[id]
			w.mu.Unlock()
			if c != nil {
				c.server.peerClosed(c)
			}
		}
	}
}
