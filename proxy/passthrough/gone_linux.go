package passthrough

import (
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/internal/rawsock"
)

// gonePatience is how long connecting to a server may take before somebody
// looks whether the client is still there. Most connections are made sooner.
const gonePatience = 100 * time.Millisecond

// goneWatch calls a function when a client breaks off. Nobody else may read
// from the client meanwhile.
type goneWatch struct {
	conn net.Conn
	raw  syscall.RawConn
	gone func()

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	ended   chan struct{} // closed when the watch that was begun is over; nil: none was
}

// watchGone watches until stop. Clients of which nothing can be told are not
// watched.
func watchGone(c net.Conn, gone func()) *goneWatch {
	w := &goneWatch{conn: bottom(c), gone: gone}
	if w.raw = rawsock.Of(w.conn); w.raw == nil {
		return nil
	}
	w.timer = time.AfterFunc(gonePatience, w.run)
	return w
}

func (w *goneWatch) run() {
	w.mu.Lock()
	if w.stopped {
		w.mu.Unlock()
		return
	}
	ended := make(chan struct{})
	w.ended = ended
	w.mu.Unlock()
	defer close(ended)
	broken := false
	// The poller is edge-triggered: this function is called again when
	// something new has happened, whether or not what was there before has been
	// read.
	err := w.raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(fds, 0)
		broken = err == nil && n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
		return broken
	})
	if err == nil && broken {
		w.gone()
	}
}

// stop ends the watch. Afterwards the client may be read from.
func (w *goneWatch) stop() {
	if w == nil {
		return
	}
	w.timer.Stop()
	w.mu.Lock()
	w.stopped = true
	ended := w.ended
	w.mu.Unlock()
	if ended == nil {
		return
	}
	w.conn.SetReadDeadline(longAgo)
	<-ended
	w.conn.SetReadDeadline(time.Time{})
}
