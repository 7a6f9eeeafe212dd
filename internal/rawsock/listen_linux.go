package rawsock

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/braid-mptcp/braid/kernel"
)

// Listen gives a listener in place of l, whose connections are of type *Conn: a
// connection that is served and closed before it ever has to wait then costs
// four system calls less than one of package net. l itself is given back if it
// is not a bare socket of the kernel's.
//
// Accepted sockets have the options of the listening one, which are TCP_NODELAY
// and those that were set when it was made; nothing is set on each of them.
func Listen(l net.Listener) net.Listener {
	var tcp *net.TCPListener
	switch l := l.(type) {
	case *net.TCPListener:
		tcp = l
	case *kernel.Listener:
		tcp = l.TCPListener
	default:
		return l
	}
	addr, ok := tcp.Addr().(*net.TCPAddr)
	if !ok {
		return l
	}
	// The descriptor of a net.TCPListener cannot be waited for by others; that
	// of a file can.
	f, err := tcp.File()
	if err != nil {
		return l
	}
	raw, err := f.SyscallConn()
	if err != nil || setNoDelay(raw) != nil {
		f.Close()
		return l
	}
	tcp.Close()
	return &listener{file: f, raw: raw, addr: addr}
}

func setNoDelay(raw syscall.RawConn) error {
	var err error
	cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) })
	if cerr != nil {
		return cerr
	}
	return err
}

// listener accepts past package net.
type listener struct {
	file   *os.File
	raw    syscall.RawConn
	addr   *net.TCPAddr
	closed atomic.Bool
}

// Accept implements net.Listener. The connection is a *Conn.
func (l *listener) Accept() (net.Conn, error) {
	var c *Conn
	var err error
	werr := l.raw.Read(func(fd uintptr) bool {
		c, err = l.accept(int(fd))
		return err != unix.EAGAIN
	})
	switch {
	case l.closed.Load():
		if c != nil {
			c.Close()
		}
		err = net.ErrClosed
	case werr != nil:
		err = werr
	case err == nil:
		return c, nil
	default:
		err = os.NewSyscallError("accept4", err)
	}
	return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: err}
}

// accept takes the first connection of the queue.
func (l *listener) accept(fd int) (*Conn, error) {
	for {
		// Package unix would ask each socket for its protocol.
		s, sa, err := syscall.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			return newConn(s, sa, l.addr), nil
		case unix.EINTR, unix.ECONNABORTED: // gone before it was accepted
		default:
			return nil, err
		}
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr }

// Close implements net.Listener.
func (l *listener) Close() error {
	if l.closed.Swap(true) {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	return l.file.Close()
}

// SyscallConn implements syscall.Conn.
func (l *listener) SyscallConn() (syscall.RawConn, error) { return l.raw, nil }

// DeferAccept has the kernel keep connections from being accepted at l for as
// long as the client says nothing, though for not much more than a second: who
// accepts one then need not wait for what it says (TCP_DEFER_ACCEPT, tcp(7)).
//
// It is for sockets of TCP, and switched off at others. A subflow that joins a
// connection says nothing of its own (RFC 8684 section 3.2), and a Multipath TCP
// socket would keep it waiting for that second.
func DeferAccept(l net.Listener, on bool) {
	s, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	seconds := 0
	if on && IsTCP(s) {
		seconds = 1
	}
	if raw, err := s.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			// An error is of no consequence: connections are accepted sooner.
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds)
		})
	}
}

// setAddr turns an address of the kernel's into one of package net.
func setAddr(a *net.TCPAddr, sa syscall.Sockaddr) {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		a.IP, a.Port = sa.Addr[:], sa.Port
	case *syscall.SockaddrInet6:
		a.IP, a.Port, a.Zone = sa.Addr[:], sa.Port, zone(sa.ZoneId)
	}
}

// zone names the interface of an address that holds on one link only.
func zone(index uint32) string {
	if index == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return strconv.Itoa(int(index))
}
