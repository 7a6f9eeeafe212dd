package balance

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peer notices what the server does while a connection is idle: by watch and by
// a look before use where the connection is the kernel's, else by a goroutine.
type peer struct {
	raw    syscall.RawConn // nil: not the kernel's
	watch  *watch
	id     uint64 // in watch; 0: not yet
	reader reader

	poll    [1]unix.PollFd
	look    func(fd uintptr) // made once, since it would be allocated each time
	pending bool             // what it has found
}

func (p *peer) init(nc net.Conn, w *watch) {
	p.raw, p.watch = kernelConn(nc), w
	p.reader.conn = nc
	if p.raw == nil {
		return
	}
	p.look = func(fd uintptr) {
		// The end of the stream counts as something to read, and so does
		// data that nobody asked for: both make the connection useless.
		p.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		n, err := unix.Poll(p.poll[:], 0)
		p.pending = err == nil && n > 0
	}
}

// kernelConn gives access to the socket below nc, if there is one.
func kernelConn(nc net.Conn) syscall.RawConn {
	if wrapped, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS
		nc = wrapped.NetConn()
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// park begins to watch; false: the connection is known to be dead.
func (p *peer) park(c *Conn) bool {
	switch {
	case p.raw == nil:
		return p.reader.start(c)
	case p.id == 0:
		// Without a watch there is still the look before use.
		p.id = p.watch.add(c, p.raw)
	}
	return true
}

// unpark ends it, and says whether the connection is alive as far as one can
// know; look spends a system call on it.
func (p *peer) unpark(look bool) bool {
	if p.raw == nil {
		return p.reader.stop()
	}
	if !look {
		return true
	}
	// Control and not Read, which a deadline from earlier would refuse.
	err := p.raw.Control(p.look)
	return err == nil && !p.pending
}

// forget is for a connection that is about to be closed.
func (p *peer) forget() {
	if p.id != 0 {
		p.watch.remove(p.id)
	}
}
