package braid

import (
	"errors"
	"net"
	"sync"
)

// forwardListener accepts from the stack, which has the port at the uplinks,
// and from the kernel, which has it elsewhere.
type forwardListener struct {
	outer, stack net.Listener
	accepted     chan acceptance
	closed       chan struct{}
	closing      sync.Once
	onClose      func()
}

type acceptance struct {
	c   net.Conn
	err error
}

func newForwardListener(outer, stack net.Listener, onClose func()) *forwardListener {
	l := &forwardListener{outer: outer, stack: stack, onClose: onClose,
		accepted: make(chan acceptance), closed: make(chan struct{})}
	for _, from := range []net.Listener{outer, stack} {
		go l.run(from)
	}
	return l
}

// run passes on what from accepts until the listener is closed. An error of
// one, such as too many open files, is passed on too: whoever accepts decides
// whether to go on.
func (l *forwardListener) run(from net.Listener) {
	for {
		c, err := from.Accept()
		select {
		case l.accepted <- acceptance{c, err}:
		case <-l.closed:
			if err == nil {
				c.Close()
			}
			return
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// Accept implements net.Listener.
func (l *forwardListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
	default:
		select {
		case a := <-l.accepted:
			return a.c, a.err
		case <-l.closed:
		}
	}
	return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
}

// Addr implements net.Listener: the address at the host.
func (l *forwardListener) Addr() net.Addr { return l.outer.Addr() }

// Close implements net.Listener.
func (l *forwardListener) Close() error {
	err := error(&net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed})
	l.closing.Do(func() {
		close(l.closed)
		err = errors.Join(l.outer.Close(), l.stack.Close())
		l.onClose()
	})
	return err
}
