package http1

import "time"

// work is what a request in work needs. Idle connections have none, which is
// why they cost little.
type work struct {
	// in holds what the client sent: bytes from start to end are there, and
	// the request in work begins at start.
	in         []byte
	start, end int
	// out holds what is written next: the request to the server, and once
	// the response begins to come, that to the client.
	out []byte

	req  Request
	resp Response
	x    Exchange

	// The request's body as far as it is in the buffer.
	headDone bool
	waiting  bool // for the body, with a deadline of its own
	body     span // of in, ready to be forwarded
	next     int  // where in goes on behind what is in body
	whole    bool // body is all of it
	chunks   Chunked

	settings *Settings
	pool     Pool
	until    time.Duration // when all has to be over, as the sweeper counts; 0: never
	pump     pump          // of the rest of the body

	answer answer
}

func newWork(buffer int) *work {
	w := &work{in: make([]byte, buffer), out: make([]byte, 0, buffer+buffer/4)}
	w.answer.small = make([]byte, buffer)
	return w
}

// buffered gives what the client sent and nobody has dealt with.
func (w *work) buffered() []byte { return w.in[w.start:w.end] }

// nextRequest forgets the request that was worked on, and takes its bytes out
// of the buffer.
func (w *work) nextRequest() {
	w.start = w.next
	if w.start == w.end {
		w.start, w.end = 0, 0
	}
	w.next = w.start
	w.req.Reset()
	w.x.reset()
	w.chunks.Reset()
	w.headDone, w.waiting, w.whole, w.body = false, false, false, span{}
	w.settings, w.pool, w.until = nil, nil, 0
}

// makeRoom moves what is buffered to the beginning of the buffer. Only while no
// head is being forwarded: nothing points into the buffer but the head in
// parts, by offsets from start.
func (w *work) makeRoom() {
	n := copy(w.in, w.in[w.start:w.end])
	w.body.from -= uint32(w.start)
	w.body.to -= uint32(w.start)
	w.next -= w.start
	w.start, w.end = 0, n
}

// mark notes when a phase ended.
func (w *work) mark(at *time.Duration) {
	if w.settings != nil && w.settings.Log != nil {
		*at = time.Since(w.x.Stats.Start)
	}
}

// responseTimeout is how long the server may take to answer.
func (w *work) responseTimeout() time.Duration {
	if d := w.x.responseTimeout; d != 0 {
		return d
	}
	return w.settings.Timeouts.Response
}
