package passthrough

import (
	"golang.org/x/sys/unix"
)

const (
	// pipeSize is how much a pipe should hold. All pipes of a user without
	// privilege share 64 MiB (pipe-user-pages-soft, pipe(7)); beyond that
	// they are small, and so is what a splice moves.
	pipeSize = 256 << 10
	// maxSplice bounds one splice.
	maxSplice = 1 << 20
	// sparePipes is how many are kept for later use.
	sparePipes = 32
)

// pipe is what spliced bytes go through.
type pipe struct {
	r, w int
	held int // bytes in it
}

var spare = make(chan *pipe, sparePipes)

// takePipe gives an empty pipe; nil: the process has too many files open.
func takePipe() *pipe {
	select {
	case p := <-spare:
		return p
	default:
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil
	}
	// Refused, it has the system's size, which will do.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	return &pipe{r: fds[0], w: fds[1]}
}

// giveBack keeps the pipe for others, unless bytes of this stream are in it.
func (p *pipe) giveBack() {
	if p.held == 0 {
		select {
		case spare <- p:
			return
		default:
		}
	}
	unix.Close(p.r)
	unix.Close(p.w)
}

// fill moves bytes from a socket into the pipe, which is empty.
func (p *pipe) fill(fd int) (int, error) {
	n, err := unix.Splice(fd, nil, p.w, nil, maxSplice, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	return int(n), err
}

// drain moves bytes from the pipe to a socket.
func (p *pipe) drain(fd int) (int, error) {
	n, err := unix.Splice(p.r, nil, fd, nil, p.held, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	return int(n), err
}
