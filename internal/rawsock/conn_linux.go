package rawsock

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection that a listener of Listen accepted. The runtime's poller
// hears of it when it has to be waited for, or is given a deadline, and not
// before: a client that sends its request at once is often answered without.
//
// Its methods may be called by several goroutines. Unlike a net.TCPConn it has
// to be closed, or its descriptor stays open.
type Conn struct {
	fd     int
	remote net.TCPAddr
	bound  *net.TCPAddr                // what the listener is bound to
	local  atomic.Pointer[net.TCPAddr] // nil: nobody has asked yet

	// users counts the calls in progress and, until Close, one more; isClosed is
	// added to it by Close. Who takes it down to isClosed closes the descriptor,
	// which therefore cannot be somebody else's while a call uses it.
	users atomic.Int64

	// reading and writing are held by the calls that read and write.
	reading, writing sync.Mutex

	polling sync.Mutex
	polled  atomic.Pointer[polledFile] // nil: the poller does not know of it
}

const isClosed = 1 << 62

// polledFile is a descriptor that the poller knows of, and that can be waited
// for. From then on it belongs to the file.
type polledFile struct {
	*os.File
	raw syscall.RawConn
}

func newConn(fd int, remote syscall.Sockaddr, bound *net.TCPAddr) *Conn {
	c := &Conn{fd: fd, bound: bound}
	c.users.Store(1)
	setAddr(&c.remote, remote)
	if !bound.IP.IsUnspecified() {
		c.local.Store(bound)
	}
	return c
}

// enter begins a use of the descriptor; false: it is closed.
func (c *Conn) enter() bool {
	for {
		n := c.users.Load()
		if n&isClosed != 0 {
			return false
		}
		if c.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave ends it. The last one out closes the door.
func (c *Conn) leave() (err error) {
	if c.users.Add(-1) != isClosed {
		return nil
	}
	if p := c.polled.Load(); p != nil {
		return p.Close()
	}
	return os.NewSyscallError("close", unix.Close(c.fd))
}

func (c *Conn) isClosed() bool { return c.users.Load()&isClosed != 0 }

// Close implements net.Conn. Calls that wait return with an error that wraps
// net.ErrClosed.
func (c *Conn) Close() error {
	for {
		n := c.users.Load()
		if n&isClosed != 0 {
			return c.opError("close", net.ErrClosed)
		}
		if c.users.CompareAndSwap(n, n|isClosed) {
			break
		}
	}
	if p := c.polled.Load(); p != nil {
		p.SetDeadline(longAgo)
	}
	if err := c.leave(); err != nil {
		return c.opError("close", err)
	}
	return nil
}

// longAgo is a deadline that ends all waits.
var longAgo = time.Unix(1, 0)

// poll tells the poller of the descriptor, if nobody has. It is for those who
// have entered.
func (c *Conn) poll() (*polledFile, error) {
	p := c.polled.Load()
	if p == nil {
		p = c.beginPolling()
	}
	// Close tells those it finds in polled; one it did not find sees that the
	// connection was closed.
	if c.isClosed() {
		return nil, net.ErrClosed
	}
	return p, nil
}

func (c *Conn) beginPolling() *polledFile {
	c.polling.Lock()
	defer c.polling.Unlock()
	if p := c.polled.Load(); p != nil {
		return p
	}
	f := os.NewFile(uintptr(c.fd), "socket")
	raw, _ := f.SyscallConn() // there is an error for no file alone
	p := &polledFile{f, raw}
	c.polled.Store(p)
	return p
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if !c.enter() {
		return 0, c.opError("read", net.ErrClosed)
	}
	defer c.leave()
	n, err := c.read(b)
	if err != nil && err != io.EOF {
		err = c.opError("read", err)
	}
	return n, err
}

func (c *Conn) read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if c.polled.Load() == nil {
		n, err := again(unix.Read, c.fd, b)
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case err != unix.EAGAIN:
			return n, os.NewSyscallError("read", err)
		}
	}
	p, err := c.poll()
	if err != nil {
		return 0, err
	}
	return p.Read(b)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.enter() {
		return 0, c.opError("write", net.ErrClosed)
	}
	defer c.leave()
	n, err := c.write(b)
	if err != nil {
		err = c.opError("write", err)
	}
	return n, err
}

func (c *Conn) write(b []byte) (done int, err error) {
	if c.polled.Load() == nil {
		done, err = c.writeNow(b)
		if err != unix.EAGAIN {
			return done, os.NewSyscallError("write", err)
		}
	}
	p, err := c.poll()
	if err != nil {
		return done, err
	}
	n, err := p.Write(b[done:])
	return done + n, err
}

// writeNow writes as much as there is room for.
func (c *Conn) writeNow(b []byte) (done int, err error) {
	for done < len(b) && err == nil {
		var n int
		n, err = again(unix.Write, c.fd, b[done:])
		done += n
	}
	return done, err
}

// again makes a system call as often as it is interrupted.
func again(call func(int, []byte) (int, error), fd int, b []byte) (int, error) {
	for {
		n, err := call(fd, b)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// CloseWrite ends the stream towards the peer.
func (c *Conn) CloseWrite() error { return c.shutdown(unix.SHUT_WR) }

// CloseRead ends the stream from the peer.
func (c *Conn) CloseRead() error { return c.shutdown(unix.SHUT_RD) }

func (c *Conn) shutdown(how int) error {
	return c.control("shutdown", func(fd int) error { return unix.Shutdown(fd, how) })
}

// SetLinger is as net.TCPConn's.
func (c *Conn) SetLinger(sec int) error {
	l := unix.Linger{Onoff: 1, Linger: int32(sec)}
	if sec < 0 {
		l = unix.Linger{}
	}
	return c.control("setsockopt", func(fd int) error {
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l)
	})
}

// control makes a system call that does not wait.
func (c *Conn) control(call string, f func(fd int) error) error {
	if !c.enter() {
		return c.opError("set", net.ErrClosed)
	}
	defer c.leave()
	if err := f(c.fd); err != nil {
		return c.opError("set", os.NewSyscallError(call, err))
	}
	return nil
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(t, (*os.File).SetDeadline) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(t, (*os.File).SetReadDeadline)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(t, (*os.File).SetWriteDeadline)
}

func (c *Conn) setDeadline(t time.Time, set func(*os.File, time.Time) error) error {
	if !c.enter() {
		return c.opError("set", net.ErrClosed)
	}
	defer c.leave()
	if t.IsZero() && c.polled.Load() == nil {
		return nil // there is none
	}
	p, err := c.poll()
	if err == nil {
		err = set(p.File, t)
		if c.isClosed() {
			p.SetDeadline(longAgo) // Close has done so, and it was undone
			err = net.ErrClosed
		}
	}
	if err != nil {
		return c.opError("set", err)
	}
	return nil
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return &c.remote }

// LocalAddr implements net.Conn. Where the listener takes connections at any
// address, it costs a system call, once.
func (c *Conn) LocalAddr() net.Addr {
	if a := c.local.Load(); a != nil {
		return a
	}
	if !c.enter() {
		return c.bound
	}
	defer c.leave()
	sa, err := syscall.Getsockname(c.fd)
	if err != nil {
		return c.bound
	}
	a := new(net.TCPAddr)
	setAddr(a, sa)
	c.local.Store(a)
	return a
}

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return (*rawConn)(c), nil }

// rawConn is a Conn as its SyscallConn gives it.
type rawConn Conn

// Control implements syscall.RawConn.
func (r *rawConn) Control(f func(fd uintptr)) error {
	c := (*Conn)(r)
	if !c.enter() {
		return c.opError("raw-control", net.ErrClosed)
	}
	defer c.leave()
	f(uintptr(c.fd))
	return nil
}

// Read implements syscall.RawConn. When f had to wait for the first time, it is
// called again at once: what has come since the poller heard of the descriptor
// is told by the poller, and what came before is not.
func (r *rawConn) Read(f func(fd uintptr) (done bool)) error {
	c := (*Conn)(r)
	c.reading.Lock()
	defer c.reading.Unlock()
	return c.rawWait("raw-read", f, syscall.RawConn.Read)
}

// Write implements syscall.RawConn.
func (r *rawConn) Write(f func(fd uintptr) (done bool)) error {
	c := (*Conn)(r)
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.rawWait("raw-write", f, syscall.RawConn.Write)
}

func (c *Conn) rawWait(op string, f func(uintptr) bool, wait func(syscall.RawConn, func(uintptr) bool) error) error {
	if !c.enter() {
		return c.opError(op, net.ErrClosed)
	}
	defer c.leave()
	if c.polled.Load() == nil && f(uintptr(c.fd)) {
		return nil
	}
	p, err := c.poll()
	if err == nil {
		err = wait(p.raw, f)
	}
	if err != nil {
		return c.opError(op, err)
	}
	return nil
}

// opError is an error as package net's are.
func (c *Conn) opError(op string, err error) error {
	var path *fs.PathError
	switch {
	case c.isClosed():
		err = net.ErrClosed
	case errors.As(err, &path):
		err = path.Err
		if errno, ok := err.(syscall.Errno); ok {
			err = os.NewSyscallError(op, errno)
		}
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
