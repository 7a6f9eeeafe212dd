package passthrough

import (
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// When streams are spliced and when they are copied. A splice costs more than a
// read and a write of a few KiB, and much less than those of many: measured over
// loopback (Linux 6.18), half of the processor time of a copy where the source is
// a TCP socket, and about the same as a copy where it is a Multipath TCP socket,
// whose data the kernel itself copies into the pipe.
const (
	// spliceAfter is how many full buffers in a row begin it.
	spliceAfter = 4
	// spliceWhile is the least that a splice should give, and spliceMisses
	// how many in a row may give less.
	spliceWhile  = 16 << 10
	spliceMisses = 8
)

// rawFlow is the state of a direction between two sockets of the kernel's. The
// functions that wait for sockets are made once, since they would be allocated
// for each wait.
type rawFlow struct {
	d        *direction
	from, to syscall.RawConn

	buf *[largeBuffer]byte // what was read, while it is on its way
	out []byte             // the part of it not written yet
	p   *pipe              // nil: none in use
	n   int                // that the last call gave
	err error              // of the last call

	readable, writable, spliceable, drainable func(fd uintptr) bool
}

// carryRaw copies between sockets of the kernel's.
func (d *direction) carryRaw() (broken *side, err error) {
	f := &rawFlow{d: d, from: d.from.raw, to: d.to.raw}
	f.readable, f.writable = f.onReadable, f.onWritable
	f.spliceable, f.drainable = f.onSpliceable, f.onDrainable
	defer f.release()
	streak := 0
	for {
		n, broken, err := f.copyOnce()
		if n == 0 || err != nil {
			return broken, err
		}
		if n < largeBuffer {
			streak = 0
			continue
		}
		if streak++; streak < spliceAfter || !f.openPipe() {
			continue
		}
		streak = 0
		if ended, broken, err := f.spliceOn(); ended || err != nil {
			return broken, err
		}
	}
}

// release gives back what the flow holds.
func (f *rawFlow) release() {
	f.freeBuffer()
	f.closePipe()
}

func (f *rawFlow) freeBuffer() {
	if f.buf != nil {
		buffers.Put(f.buf)
		f.buf, f.out = nil, nil
	}
}

// copyOnce passes on what one read gives; n is 0 at the end of the stream.
func (f *rawFlow) copyOnce() (n int, broken *side, err error) {
	if err := f.wait(f.from.Read(f.readable)); err != nil {
		return 0, f.d.from, err
	}
	if n = f.n; n == 0 {
		return 0, nil, nil
	}
	f.d.s.touch()
	err = f.wait(f.to.Write(f.writable))
	f.d.passed(n - len(f.out))
	f.freeBuffer()
	if err != nil {
		return 0, f.d.to, err
	}
	return n, nil, nil
}

// wait gives the error of a wait, or of the call that was waited for.
func (f *rawFlow) wait(err error) error {
	if err == nil {
		err = f.err
	}
	return err
}

// onReadable reads once. The buffer is taken for that alone, and given back
// when there was nothing.
func (f *rawFlow) onReadable(fd uintptr) bool {
	f.buf = buffers.Get().(*[largeBuffer]byte)
	f.n, f.err = retry("read", func() (int, error) { return unix.Read(int(fd), f.buf[:]) })
	if f.err == errAgain {
		f.freeBuffer()
		return false
	}
	if f.n == 0 || f.err != nil {
		f.freeBuffer()
		return true
	}
	f.out = f.buf[:f.n]
	return true
}

// onWritable writes all of f.out.
func (f *rawFlow) onWritable(fd uintptr) bool {
	for len(f.out) > 0 {
		n, err := retry("write", func() (int, error) { return unix.Write(int(fd), f.out) })
		if err == errAgain {
			return false
		}
		if f.err = err; err != nil {
			return true
		}
		f.out = f.out[n:]
		f.d.s.touch()
	}
	f.err = nil
	return true
}

// spliceOn passes bytes through a pipe, until the stream ends or comes in small
// pieces. While it waits for more, the pipe is in nobody's hands.
func (f *rawFlow) spliceOn() (ended bool, broken *side, err error) {
	defer f.closePipe()
	for misses := 0; misses < spliceMisses; {
		if err := f.wait(f.from.Read(f.spliceable)); err != nil {
			return false, f.d.from, err
		}
		if f.p == nil { // none could be had
			return false, nil, nil
		}
		if f.p.held == 0 {
			return true, nil, nil
		}
		f.d.s.touch()
		if f.p.held < spliceWhile {
			misses++
		} else {
			misses = 0
		}
		if err := f.wait(f.to.Write(f.drainable)); err != nil {
			return false, f.d.to, err
		}
	}
	return false, nil, nil
}

// onSpliceable fills the pipe.
func (f *rawFlow) onSpliceable(fd uintptr) bool {
	f.err = nil
	if f.p == nil && !f.openPipe() {
		return true
	}
	f.p.held, f.err = retry("splice", func() (int, error) { return f.p.fill(int(fd)) })
	if f.err == errAgain {
		f.err = nil
		f.closePipe()
		return false
	}
	return true
}

// onDrainable empties the pipe.
func (f *rawFlow) onDrainable(fd uintptr) bool {
	for f.p.held > 0 {
		n, err := retry("splice", func() (int, error) { return f.p.drain(int(fd)) })
		if err == errAgain {
			return false
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF // the pipe does not hold what was put in
		}
		if f.err = err; err != nil {
			return true
		}
		f.p.held -= n
		f.d.passed(n)
	}
	f.err = nil
	return true
}

func (f *rawFlow) openPipe() bool {
	if f.p == nil {
		f.p = takePipe()
	}
	return f.p != nil
}

func (f *rawFlow) closePipe() {
	if f.p != nil {
		f.p.giveBack()
		f.p = nil
	}
}

// errAgain says that the call has to wait.
var errAgain error = unix.EAGAIN

// retry repeats a call that was interrupted. Errors other than errAgain are
// told with the name of the call.
func retry(name string, call func() (int, error)) (int, error) {
	for {
		n, err := call()
		switch {
		case err == unix.EINTR:
		case err == nil || err == errAgain:
			return max(n, 0), err
		default:
			return 0, os.NewSyscallError(name, err)
		}
	}
}
