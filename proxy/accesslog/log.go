package accesslog

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/braid-mptcp/braid/config"
	"github.com/braid-mptcp/braid/proxy/status"
)

const (
	// flushEvery is how late a line may be written.
	flushEvery = time.Second
	// flushAt is how many bytes are worth a write.
	flushAt = 64 << 10
	// closeWithin is how long Close waits for an output that takes nothing.
	closeWithin = 3 * time.Second
	// maxBuffer is how many bytes may wait for a disk that does not keep up: a
	// stall of half a second at 60,000 requests/s.
	maxBuffer = 32 << 20
	// keepBuffer bounds the memory that is kept when it catches up.
	keepBuffer = 4 << 20
	// keepScratch bounds the memory that is kept for formatting a line.
	keepScratch = 16 << 10
)

// Options say what happens beside the log.
type Options struct {
	// Failed, if set, is told when lines begin to be lost, once until a write
	// succeeds again. It is called by a goroutine of the Log.
	Failed func(error)
}

// Log is an access log. Its methods may be called from any goroutine; those of
// a nil Log do nothing.
type Log struct {
	format config.AccessFormat
	path   string // "": not a file of ours
	failed func(error)

	mu      sync.Mutex // of what follows
	buf     []byte     // whole lines
	pending int        // lines in buf
	closed  bool

	io      sync.Mutex // of what follows; taken before mu
	out     io.Writer
	file    *os.File // nil: out is not ours to close
	spare   []byte
	torn    []byte // end of a line whose beginning was written
	trouble bool

	wake    chan struct{}
	done    chan struct{} // closed when run has ended
	written atomic.Uint64
	lost    atomic.Uint64
}

// Open opens the log c describes; nil if it is off. A file is created if need
// be, and appended to.
func Open(c *config.AccessLog, o Options) (*Log, error) {
	l := &Log{format: c.Format, failed: o.Failed, wake: make(chan struct{}, 1), done: make(chan struct{})}
	switch {
	case c.Format == config.AccessOff:
		return nil, nil
	case c.Output == "stdout":
		l.out = os.Stdout
	case c.Output == "stderr":
		l.out = os.Stderr
	default:
		l.path = c.Output
		if err := l.openFile(); err != nil {
			return nil, fmt.Errorf("access log: %w", err)
		}
	}
	go l.run()
	return l, nil
}

// openFile takes the file into use; io is held, or nobody else has the log yet.
func (l *Log) openFile() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.out = f, f
	return nil
}

// Multipath says whether lines tell of Record.Conn's paths, so that they need
// not be looked at for nothing.
func (l *Log) Multipath() bool {
	return l != nil && (l.format == config.AccessJSON || l.format == config.AccessMultipath)
}

var scratches = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

// Write adds a line about r. It neither waits for the disk nor keeps anything
// of r.
func (l *Log) Write(r *Record) {
	if l == nil {
		return
	}
	scratch := scratches.Get().(*[]byte)
	line := l.append((*scratch)[:0], r)
	l.add(line)
	if cap(line) <= keepScratch {
		*scratch = line
		scratches.Put(scratch)
	}
}

// append appends the line about r, with its end.
func (l *Log) append(b []byte, r *Record) []byte {
	if l.format == config.AccessJSON {
		return appendJSON(b, r)
	}
	b = appendCommon(b, r)
	if l.format != config.AccessCommon {
		b = appendCombined(b, r)
	}
	if l.format == config.AccessMultipath {
		b = appendMultipath(b, r)
	}
	return append(b, '\n')
}

// add puts a line where the writing goroutine finds it.
func (l *Log) add(line []byte) {
	l.mu.Lock()
	if l.closed || len(l.buf)+len(line) > maxBuffer {
		l.mu.Unlock()
		l.lost.Add(1)
		return
	}
	before := len(l.buf)
	l.buf = append(l.buf, line...)
	l.pending++
	full := before < flushAt && len(l.buf) >= flushAt
	l.mu.Unlock()
	if full {
		l.nudge()
	}
}

func (l *Log) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes what has come, until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.wake:
		}
		l.io.Lock()
		l.flush()
		l.io.Unlock()
		l.mu.Lock()
		closed := l.closed && len(l.buf) == 0
		l.mu.Unlock()
		if closed {
			return
		}
	}
}

// flush writes what has come; io is held.
func (l *Log) flush() {
	l.mu.Lock()
	lines, pending := l.buf, l.pending
	l.buf, l.pending = l.spare[:0], 0
	l.mu.Unlock()
	if l.spare = nil; cap(lines) <= keepBuffer {
		l.spare = lines[:0]
	}
	if !l.finishTorn() {
		l.lost.Add(uint64(pending))
		return
	}
	if len(lines) == 0 {
		return
	}
	n, err := l.out.Write(lines)
	whole := bytes.LastIndexByte(lines[:n], '\n') + 1
	ok := bytes.Count(lines[:whole], []byte{'\n'})
	if whole < n {
		// A line was cut. Its end is written first when there is room again,
		// so that no reader finds half of it glued to another one.
		end := n + bytes.IndexByte(lines[n:], '\n') + 1
		l.torn = append(l.torn[:0], lines[n:end]...)
		ok++
	}
	l.written.Add(uint64(ok))
	l.lost.Add(uint64(pending - ok))
	l.note(err)
}

// finishTorn writes the end of a line that was cut; io is held.
func (l *Log) finishTorn() bool {
	if len(l.torn) == 0 {
		return true
	}
	n, err := l.out.Write(l.torn)
	l.torn = l.torn[:copy(l.torn, l.torn[n:])]
	l.note(err)
	return len(l.torn) == 0
}

// note says once that the log is in trouble; io is held.
func (l *Log) note(err error) {
	if err != nil && !l.trouble && l.failed != nil {
		l.failed(fmt.Errorf("access log: %w; lines are lost until it can be written again", err))
	}
	l.trouble = err != nil
}

// Flush writes what has come so far.
func (l *Log) Flush() {
	if l == nil {
		return
	}
	l.io.Lock()
	defer l.io.Unlock()
	l.flush()
}

// Reopen opens the file again, after it was moved away for rotation. What was
// logged before goes to the old file. When it fails the old one stays in use.
func (l *Log) Reopen() error {
	if l == nil || l.path == "" {
		return nil
	}
	l.io.Lock()
	defer l.io.Unlock()
	l.flush()
	if err := l.openFile(); err != nil {
		return fmt.Errorf("access log: %w", err)
	}
	l.torn = l.torn[:0] // its beginning is in the old file
	return nil
}

// Close writes what has come so far and ends the log. Lines that come later are
// lost.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.nudge()
	select {
	case <-l.done:
	case <-time.After(closeWithin):
		return fmt.Errorf("access log: the last lines could not be written within %v", closeWithin)
	}
	l.io.Lock()
	defer l.io.Unlock()
	if l.file != nil {
		return l.file.Close()
	}
	return nil
}

// Totals says how many lines were written and lost.
func (l *Log) Totals() status.AccessLogTotals {
	if l == nil {
		return status.AccessLogTotals{}
	}
	return status.AccessLogTotals{Lines: l.written.Load(), Lost: l.lost.Load()}
}
