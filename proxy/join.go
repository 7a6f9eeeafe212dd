package proxy

import (
	"net"
	"sync"
)

// joined is several listeners as one: the sockets of a systemd unit share a
// name.
type joined struct {
	net.Listener // the first, for its address
	all          []net.Listener
	conns        chan net.Conn
	failed       chan error
	closed       chan struct{}
	closing      sync.Once
}

// join makes one listener of several. It may be closed once all are.
func join(all []net.Listener) *joined {
	j := &joined{Listener: all[0], all: all,
		conns: make(chan net.Conn), failed: make(chan error, len(all)), closed: make(chan struct{})}
	for _, l := range all {
		go j.accept(l)
	}
	return j
}

// accept takes one connection at a time, so that those for which there is no
// room stay in the kernel's queue.
func (j *joined) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			j.failed <- err
			return
		}
		select {
		case j.conns <- c:
		case <-j.closed:
			c.Close()
			return
		}
	}
}

// Accept implements net.Listener.
func (j *joined) Accept() (net.Conn, error) {
	select {
	case c := <-j.conns:
		return c, nil
	case err := <-j.failed:
		return nil, err
	case <-j.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (j *joined) Close() error {
	var first error
	j.closing.Do(func() {
		close(j.closed)
		for _, l := range j.all {
			if err := l.Close(); err != nil && first == nil {
				first = err
			}
		}
	})
	return first
}
