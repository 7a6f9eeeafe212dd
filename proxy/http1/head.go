package http1

import "bytes"

// Limits bound what a head may cost. Zero means the default.
type Limits struct {
	Line   int // bytes of a request line or chunk line; default 8192
	Head   int // bytes of a whole head or trailer section; default 16384
	Fields int // fields in a head or trailer section; default 128
}

// The defaults of Limits.
const (
	DefaultLine   = 8192
	DefaultHead   = 16384
	DefaultFields = 128
)

func (l *Limits) line() int   { return orDefault(l.Line, DefaultLine) }
func (l *Limits) head() int   { return orDefault(l.Head, DefaultHead) }
func (l *Limits) fields() int { return orDefault(l.Fields, DefaultFields) }

func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

// span is a range of bytes of a head.
type span struct{ from, to uint32 }

func (s span) of(b []byte) []byte { return b[s.from:s.to:s.to] }
func (s span) len() int           { return int(s.to - s.from) }

// field is one field line.
type field struct {
	name  span
	value span   // without the whitespace around it
	end   uint32 // where the next line begins
	known Name
	drop  bool // not to be forwarded
}

// head is what requests and responses share: the fields, parsed line by line as
// bytes arrive. Its spans are offsets, so the buffer may move between calls.
type head struct {
	buf    []byte // as of the last call of Parse
	fields []field
	first  [numNames]uint16 // index of the first field of that name, plus one
	line   int              // where the line to parse next begins
	seen   int              // up to where that line was searched for its end
	length int              // bytes of the head with its empty line; 0: not complete
	start  int              // where the first field line begins; 0: start line not parsed
}

// reset forgets the message but keeps the memory.
func (h *head) reset() {
	*h = head{fields: h.fields[:0]}
}

// nextLine gives the next line of the head without its line end. ok is false
// when it has not arrived in full.
//
// A sole LF or CR ends no line: RFC 9112 section 2.2 allows a recipient to take
// LF for a line end, and where one does and another does not, messages are
// smuggled.
func (h *head) nextLine(b []byte) (line []byte, ok bool, err error) {
	i := bytes.IndexByte(b[h.seen:], '\n')
	if i < 0 {
		h.seen = len(b)
		return nil, false, nil
	}
	end := h.seen + i
	if end == h.line || b[end-1] != '\r' {
		return nil, false, ErrLineEnd
	}
	line = b[h.line : end-1]
	h.line, h.seen = end+1, end+1
	return line, true, nil
}

// parseFields reads field lines until the empty line that ends the head.
func (h *head) parseFields(b []byte, lim *Limits) (done bool, err error) {
	for {
		from := h.line
		line, ok, err := h.nextLine(b)
		if err != nil {
			return false, err
		}
		if h.line > lim.head() || !ok && len(b) >= lim.head() {
			return false, ErrHeadLength
		}
		if !ok {
			return false, nil
		}
		if len(line) == 0 {
			h.length = h.line
			return true, nil
		}
		if len(h.fields) >= lim.fields() {
			return false, ErrFields
		}
		if err := h.parseField(line, from); err != nil {
			return false, err
		}
	}
}

// parseField reads one field line, which begins at from (RFC 9112 section 5).
// Whitespace before the colon and folded lines have both been used to smuggle.
func (h *head) parseField(line []byte, from int) error {
	colon := 0
	for colon < len(line) && classes[line[colon]]&isToken != 0 {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		if isSpace(line[0]) {
			return ErrFold
		}
		return ErrFieldName
	}
	valueFrom, valueTo := colon+1, len(line)
	for valueFrom < valueTo && isSpace(line[valueFrom]) {
		valueFrom++
	}
	for valueTo > valueFrom && isSpace(line[valueTo-1]) {
		valueTo--
	}
	if !isFieldValue(line[valueFrom:valueTo]) {
		return ErrFieldValue
	}
	f := field{
		name:  span{uint32(from), uint32(from + colon)},
		value: span{uint32(from + valueFrom), uint32(from + valueTo)},
		end:   uint32(h.line),
		known: nameOf(line[:colon]),
	}
	h.fields = append(h.fields, f)
	if h.first[f.known] == 0 {
		h.first[f.known] = uint16(len(h.fields))
	}
	return nil
}

// Known gives the value of the first field of that name, which is not Other.
// It is valid as long as the buffer that was parsed stays as it is.
func (h *head) Known(n Name) (value []byte, ok bool) {
	i := h.first[n]
	if i == 0 || n == Other {
		return nil, false
	}
	return h.fields[i-1].value.of(h.buf), true
}

// Get gives the value of the first field of that name, in lower case.
func (h *head) Get(name string) (value []byte, ok bool) {
	for i := range h.fields {
		if equalFold(h.fields[i].name.of(h.buf), name) {
			return h.fields[i].value.of(h.buf), true
		}
	}
	return nil, false
}

// Len gives the number of fields.
func (h *head) Len() int { return len(h.fields) }

// Field gives the i-th field in the order of arrival.
func (h *head) Field(i int) (name, value []byte) {
	f := &h.fields[i]
	return f.name.of(h.buf), f.value.of(h.buf)
}

// HeadLen gives the bytes of the head, the empty line that ends it included; 0
// until the head is complete.
func (h *head) HeadLen() int { return h.length }

// count gives how many fields there are of that name, and stops at two.
func (h *head) count(n Name) int {
	first := h.first[n]
	if first == 0 {
		return 0
	}
	for _, f := range h.fields[first:] {
		if f.known == n {
			return 2
		}
	}
	return 1
}
