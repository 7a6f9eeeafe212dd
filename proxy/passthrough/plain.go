package passthrough

import (
	"io"
	"sync"
)

// Sizes of buffers. Where a read has to wait with its buffer at hand, it waits
// with a small one, so that a connection at rest costs little.
const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
)

var buffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// carryPlain copies by Read and Write.
func (d *direction) carryPlain() (broken *side, err error) {
	small := make([]byte, smallBuffer)
	full := false // the last read filled its buffer, so there will be more
	for {
		n := 0
		var rerr, werr error
		if full {
			b := buffers.Get().(*[largeBuffer]byte)
			n, rerr, werr = d.copyOnce(b[:])
			buffers.Put(b)
			full = n >= smallBuffer
		} else {
			n, rerr, werr = d.copyOnce(small)
			full = n == smallBuffer
		}
		switch {
		case werr != nil:
			return d.to, werr
		case rerr == io.EOF:
			return nil, nil
		case rerr != nil:
			return d.from, rerr
		}
	}
}

// copyOnce passes on what one read gives.
func (d *direction) copyOnce(b []byte) (n int, rerr, werr error) {
	n, rerr = d.from.inner.Read(b)
	if n > 0 {
		d.s.touch()
		n, werr = d.to.inner.Write(b[:n])
		d.passed(n)
	}
	return n, rerr, werr
}
