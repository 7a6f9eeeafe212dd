package simtest

import (
	"bytes"
	"time"

	"github.com/braid-mptcp/braid/mptcp"
)

// App is an application on one connection: it writes Send, then closes that
// direction if Shut is set, and keeps what it reads.
type App struct {
	Conn     *mptcp.Conn
	Send     []byte
	Shut     bool // CloseWrite behind the last byte
	Close    bool // Close once the peer's end was read and all is sent
	Hold     bool // do not read
	Habits   Habits
	Received bytes.Buffer
	Err      error // io.EOF or why reading ended
	Aborted  bool
	// Longest is the longest time between two reads that gave bytes.
	Longest  time.Duration
	lastRead time.Time
	closed   bool      // our direction, or both
	due      time.Time // when to run again whatever happens
	nextRead time.Time // a slow reader's
	nextSend time.Time // a slow writer's
}

// Habits are what makes applications different. The zero Habits are those of
// one that does everything as soon as it can.
type Habits struct {
	// Read is how many bytes are read at a time, ReadEvery how far apart, and
	// ReadFrom when the first is; Write and WriteEvery likewise.
	Read, Write           int
	ReadEvery, WriteEvery time.Duration
	ReadFrom              time.Time
	// Answer holds back the CloseWrite until the peer's end was read.
	Answer bool
	// Hasty closes both directions as soon as all is written.
	Hasty bool
	// AbortAt aborts at a time, AbortAfter when that many bytes were read.
	AbortAt    time.Time
	AbortAfter int
}

// Step lets an application run, after a test changed what it should do.
func (a *App) Step(now time.Time) { a.step(now) }

// Done reports whether the application has no more to do.
func (a *App) Done() bool { return a.Err != nil && !a.Close }

func (a *App) step(now time.Time) {
	a.due = time.Time{}
	a.write(now)
	a.read(now)
	a.end(now)
}

// wakeAt makes sure the application runs again no later than at.
func (a *App) wakeAt(at time.Time) {
	if a.due.IsZero() || at.Before(a.due) {
		a.due = at
	}
}

func (a *App) write(now time.Time) {
	for len(a.Send) > 0 {
		b := a.Send
		if h := &a.Habits; h.Write > 0 {
			if now.Before(a.nextSend) {
				a.wakeAt(a.nextSend)
				return
			}
			b = b[:min(h.Write, len(b))]
			a.nextSend = now.Add(h.WriteEvery)
		}
		n, err := a.Conn.Write(now, b)
		a.Send = a.Send[n:]
		if err == mptcp.ErrWouldBlock {
			return
		}
		if err != nil {
			a.Send = nil // there is nobody to take it
		}
	}
}

func (a *App) read(now time.Time) {
	if a.Hold || a.Err != nil {
		return
	}
	var buf [32 << 10]byte
	b := buf[:]
	h := &a.Habits
	for {
		if h.Read > 0 {
			b = buf[:min(h.Read, len(buf))]
		}
		if at := a.nextRead; now.Before(at) || now.Before(h.ReadFrom) {
			if at.Before(h.ReadFrom) {
				at = h.ReadFrom
			}
			a.wakeAt(at)
			return
		}
		n, err := a.Conn.Read(now, b)
		if n > 0 {
			a.took(now, b[:n])
		}
		if err == mptcp.ErrWouldBlock {
			return
		}
		if a.Err = err; err != nil {
			return
		}
	}
}

func (a *App) took(now time.Time, b []byte) {
	if !a.lastRead.IsZero() {
		a.Longest = max(a.Longest, now.Sub(a.lastRead))
	}
	a.lastRead = now
	a.Received.Write(b)
	a.nextRead = now.Add(a.Habits.ReadEvery)
}

// end closes what is to be closed by now.
func (a *App) end(now time.Time) {
	h := &a.Habits
	if at := h.AbortAt; !at.IsZero() && a.Err == nil {
		if now.Before(at) {
			a.wakeAt(at)
		} else {
			a.Abort(now)
		}
	}
	if h.AbortAfter > 0 && a.Received.Len() >= h.AbortAfter && a.Err == nil {
		a.Abort(now)
	}
	if len(a.Send) > 0 {
		return
	}
	if h.Hasty && !a.closed {
		a.closed, a.Close = true, false
		a.Conn.Close(now)
		if a.Err == nil {
			a.Err = mptcp.ErrClosed
		}
	}
	if a.Shut && !a.closed && (!h.Answer || a.Err != nil) {
		a.closed = true
		a.Conn.CloseWrite(now)
	}
	if a.Close && a.Err != nil {
		a.Close = false
		a.Conn.Close(now)
	}
}

// Abort ends the connection at once.
func (a *App) Abort(now time.Time) {
	a.Conn.Abort(now)
	a.Aborted = true
	a.Err, a.Close, a.Send = mptcp.ErrAborted, false, nil
}
