package http1

// Chunked reads a chunked body (RFC 9112 section 7.1) piece by piece, in place.
// The zero value is ready for the first chunk. It belongs to one goroutine.
//
// What it leaves of the body is canonical: chunk sizes in lower-case digits
// without leading zeros, no chunk extensions, no field in the trailer section
// that must not be there. With Decode set it leaves the data alone. Either way
// nothing gets longer, so the result fits where the input was.
type Chunked struct {
	Decode bool  // leave the data alone
	Data   int64 // bytes of data so far

	state chunkState
	left  int64 // bytes of the chunk's data still to come
	trail head  // the trailer section
}

type chunkState uint8

const (
	inSize    chunkState = iota // a chunk line comes next
	inData                      // data comes next, then its line end
	inDataEnd                   // the line end behind the data
	inTrailer                   // the trailer section
	chunkDone
)

// Reset prepares for the next body and keeps the memory.
func (c *Chunked) Reset() {
	if c.state == inSize && c.Data == 0 {
		c.Decode = false // nothing was read
		return
	}
	t := c.trail
	t.reset()
	*c = Chunked{trail: t}
}

// Next reads from b what it can: n bytes are dealt with, of which b[:out] is to
// be forwarded. The caller presents the rest again, with more bytes behind it.
// Once done is true the body is complete, and what follows the n bytes is the
// next message. An error is an *Error and final.
func (c *Chunked) Next(b []byte, lim *Limits) (out, n int, done bool, err error) {
	for c.state != chunkDone {
		var w, r int
		switch c.state {
		case inSize:
			w, r, err = c.size(b[out:], b[n:], lim)
		case inData:
			w, r = c.data(b[out:], b[n:])
		case inDataEnd:
			w, r, err = c.dataEnd(b[out:], b[n:])
		case inTrailer:
			w, r, err = c.trailer(b[out:], b[n:], lim)
		}
		if err != nil {
			return out, n, false, err
		}
		if r == 0 {
			return out, n, false, nil
		}
		out += w
		n += r
	}
	return out, n, true, nil
}

// Done reports whether the body is complete.
func (c *Chunked) Done() bool { return c.state == chunkDone }

// size reads chunk-size [ chunk-ext ] CRLF. It writes to dst, which begins at
// or before src in the same buffer.
func (c *Chunked) size(dst, src []byte, lim *Limits) (w, r int, err error) {
	digits := 0
	var size int64
	for digits < len(src) && classes[src[digits]]&isHex != 0 {
		if size >= 1<<59 {
			return 0, 0, ErrChunkSize
		}
		size = size<<4 | int64(hexValue(src[digits]))
		digits++
	}
	if digits > 16 || digits == 0 && len(src) > 0 {
		return 0, 0, ErrChunkSize
	}
	end, err := extensionEnd(src, digits)
	if err != nil {
		return 0, 0, err
	}
	if end == 0 {
		if len(src) > lim.line() {
			return 0, 0, ErrChunkLine
		}
		return 0, 0, nil
	}
	if end > lim.line() {
		return 0, 0, ErrChunkLine
	}
	if size == 0 {
		c.state = inTrailer
		return c.put(dst, "0\r\n"), end, nil
	}
	c.state, c.left = inData, size
	if c.Decode {
		return 0, end, nil
	}
	return len(appendChunkSize(dst[:0], size)), end, nil
}

// extensionEnd finds the end of a chunk line behind the size, checks what is in
// between, and gives where the data begins; 0 if the line is not complete.
//
// Extensions mean nothing to us and are dropped (RFC 9112 section 7.1.1). A CR
// or LF in them that does not end the line has to be caught all the same: to
// others it might. Whitespace before the semicolon is bad whitespace that
// section 7.1.1 has recipients accept; without a semicolon it is nothing.
func extensionEnd(src []byte, at int) (end int, err error) {
	if at >= len(src) {
		return 0, nil
	}
	i := at
	for i < len(src) && isSpace(src[i]) {
		i++
	}
	if i < len(src) && src[i] != ';' && (i > at || src[i] != '\r') {
		return 0, ErrChunkSize
	}
	for ; i < len(src); i++ {
		switch b := src[i]; {
		case b == '\r':
			if i+1 == len(src) {
				return 0, nil
			}
			if src[i+1] != '\n' {
				return 0, ErrChunkSize
			}
			return i + 2, nil
		case b < ' ' && b != '\t' || b == 0x7f:
			return 0, ErrChunkSize
		}
	}
	return 0, nil
}

// data passes on the data of a chunk.
func (c *Chunked) data(dst, src []byte) (w, r int) {
	if len(src) == 0 {
		return 0, 0
	}
	r = int(min(int64(len(src)), c.left))
	if &dst[0] != &src[0] {
		copy(dst, src[:r])
	}
	c.left -= int64(r)
	c.Data += int64(r)
	if c.left == 0 {
		c.state = inDataEnd
	}
	return r, r
}

func (c *Chunked) dataEnd(dst, src []byte) (w, r int, err error) {
	if len(src) > 0 && src[0] != '\r' || len(src) > 1 && src[1] != '\n' {
		return 0, 0, ErrChunkEnd
	}
	if len(src) < 2 {
		return 0, 0, nil
	}
	c.state = inSize
	return c.put(dst, "\r\n"), 2, nil
}

// trailer waits for the whole trailer section and writes what may stand in it
// (RFC 9112 section 7.1.2, RFC 9110 section 6.5).
func (c *Chunked) trailer(dst, src []byte, lim *Limits) (w, r int, err error) {
	c.trail.buf = src
	done, err := c.trail.parseFields(src, lim)
	if err != nil {
		if err == ErrHeadLength {
			err = ErrTrailerLength
		}
		return 0, 0, err
	}
	if !done {
		return 0, 0, nil
	}
	c.state = chunkDone
	if c.Decode {
		return 0, c.trail.length, nil
	}
	for i := range c.trail.fields {
		f := &c.trail.fields[i]
		if !f.known.mayNotTrail() {
			w += copy(dst[w:], src[f.name.from:f.end])
		}
	}
	return w + c.put(dst[w:], "\r\n"), c.trail.length, nil
}

// put writes a part of the framing, which Decode leaves out.
func (c *Chunked) put(dst []byte, s string) int {
	if c.Decode {
		return 0
	}
	return copy(dst, s)
}

func hexValue(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return lower(b) - 'a' + 10
}

// maxChunkHead is how long a chunk line of ours gets: 15 digits and CR LF.
const maxChunkHead = 17

// appendChunkSize appends the line that begins a chunk.
func appendChunkSize(b []byte, size int64) []byte {
	const digits = "0123456789abcdef"
	shift := 0
	for size>>shift > 15 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		b = append(b, digits[size>>shift&15])
	}
	return append(b, '\r', '\n')
}
