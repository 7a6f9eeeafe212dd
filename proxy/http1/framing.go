package http1

import "math"

// Kind says how the end of a body is found (RFC 9112 section 6.3).
type Kind uint8

const (
	NoBody     Kind = iota // the message ends with its head
	ByLength               // Content-Length
	ByChunks               // Transfer-Encoding: chunked
	ByClose                // a response that ends with the connection
	ByProtocol             // no HTTP any more: after 101, or 2xx to CONNECT
)

// Body is the framing of a message.
type Body struct {
	Kind   Kind
	Length int64 // bytes, with ByLength
}

// declared gives the framing that the fields declare, for either direction.
// with is false if they declare none.
func (h *head) declared(minor uint8) (body Body, with bool, err error) {
	if h.first[TransferEncoding] != 0 {
		if err := h.checkCoding(minor); err != nil {
			return Body{}, false, err
		}
		return Body{Kind: ByChunks}, true, nil
	}
	if h.first[ContentLength] == 0 {
		return Body{}, false, nil
	}
	if h.count(ContentLength) != 1 {
		return Body{}, false, ErrLength
	}
	value, _ := h.Known(ContentLength)
	n, ok := parseLength(value)
	if !ok {
		return Body{}, false, ErrLength
	}
	return Body{ByLength, n}, true, nil
}

// checkCoding accepts exactly one Transfer-Encoding: chunked without a length
// beside it (RFC 9112 sections 6.1 and 6.3). RFC 9112 lets a server process a
// message with both and close afterwards; we do not, since the length is there
// for somebody else to believe.
func (h *head) checkCoding(minor uint8) error {
	if minor == 0 {
		return ErrOldCoding
	}
	if h.first[ContentLength] != 0 {
		return ErrBothLengths
	}
	value, _ := h.Known(TransferEncoding)
	if h.count(TransferEncoding) == 1 && equalFold(value, "chunked") {
		return nil
	}
	// Not what we do: find out whether the sender or we are at fault.
	codings, final := 0, false
	for i := range h.fields {
		if h.fields[i].known != TransferEncoding {
			continue
		}
		for rest := h.fields[i].value.of(h.buf); rest != nil; {
			var coding []byte
			coding, rest = nextItem(rest)
			if len(coding) == 0 {
				continue
			}
			if final {
				return ErrNotChunked
			}
			final = equalFold(coding, "chunked")
			codings++
		}
	}
	if !final || codings == 1 {
		return ErrNotChunked
	}
	return ErrCoding
}

// parseLength reads 1*DIGIT. Signs, lists and whatever else number parsers are
// fond of is refused.
func parseLength(s []byte) (n int64, ok bool) {
	if len(s) == 0 {
		return 0, false
	}
	for _, b := range s {
		if b < '0' || b > '9' {
			return 0, false
		}
		if n > (math.MaxInt64-int64(b-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(b-'0')
	}
	return n, true
}

// options is what the Connection fields of a message say.
type options struct {
	close, keepAlive, upgrade, te bool
	others                        bool // fields are named that have to go
}

// parseOptions reads the Connection fields (RFC 9110 section 7.6.1).
func (h *head) parseOptions() (o options) {
	first := h.first[Connection]
	if first == 0 {
		return o
	}
	for i := int(first) - 1; i < len(h.fields); i++ {
		if h.fields[i].known == Connection {
			o.add(h.fields[i].value.of(h.buf))
		}
	}
	if o.others {
		h.dropNominated()
	}
	return o
}

func (o *options) add(list []byte) {
	for list != nil {
		var item []byte
		item, list = nextItem(list)
		switch {
		case len(item) == 0:
		case equalFold(item, "keep-alive"):
			o.keepAlive = true
		case equalFold(item, "close"):
			o.close = true
		case equalFold(item, "upgrade"):
			o.upgrade = true
		case equalFold(item, "te"):
			o.te = true
		default:
			o.others = true
		}
	}
}

// dropNominated marks the fields that a Connection field names.
func (h *head) dropNominated() {
	for i := range h.fields {
		f := &h.fields[i]
		if f.known.isProtected() || f.known == Connection {
			continue
		}
		if h.nominates(f.name.of(h.buf)) {
			f.drop = true
		}
	}
}

func (h *head) nominates(name []byte) bool {
	for i := range h.fields {
		if h.fields[i].known != Connection {
			continue
		}
		for list := h.fields[i].value.of(h.buf); list != nil; {
			var item []byte
			item, list = nextItem(list)
			if sameName(item, name) {
				return true
			}
		}
	}
	return false
}

// sameName compares two field names, neither of which needs to be lower case.
func sameName(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
