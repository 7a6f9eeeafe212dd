package http2

import (
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/braid-mptcp/braid/proxy/http1"
)

// block is the header block being read. It belongs to the goroutine that reads.
//
// All of a block is decoded, whatever becomes of it, since the table of
// compression has to follow the client's (RFC 9113 section 4.3).
type block struct {
	c      *conn
	id     uint32
	use    use
	end    bool // END_STREAM
	parts  int  // frames
	size   int  // bytes of the block so far
	length int  // bytes of the fields, as SETTINGS_MAX_HEADER_LIST_SIZE counts them
	fault  string
	large  bool // some fields were left out

	pseudo  pseudo
	regular bool   // a regular field has come
	lines   []byte // regular fields as lines of HTTP/1.1
	cookie  []byte
	host    string
	te      bool // trailers are welcome
	body    int64
}

// use is what a header block is for.
type use uint8

const (
	forRequest  use = iota
	forTrailers     // of a request
	forNothing      // of a stream that is no more
)

// pseudo are the pseudo-header fields of a request (RFC 9113 section 8.3.1).
type pseudo struct {
	method, scheme, path, authority, protocol string
	seen                                      uint8
}

// bit and place give where a pseudo-header field belongs.
func (p *pseudo) place(name string) (to *string, bit uint8) {
	switch name {
	case ":method":
		return &p.method, 1
	case ":scheme":
		return &p.scheme, 2
	case ":path":
		return &p.path, 4
	case ":authority":
		return &p.authority, 8
	case ":protocol":
		return &p.protocol, 16
	}
	return nil, 0
}

func (p *pseudo) has(bit uint8) bool { return p.seen&bit != 0 }

const (
	maxParts = 128       // frames of a header block
	maxBlock = 128 << 10 // bytes of one, compressed
	noLength = -1
)

func (b *block) init(c *conn) {
	b.c = c
	c.decoder.SetEmitFunc(b.field)
}

func (b *block) begin(id uint32, use use, end bool) {
	*b = block{c: b.c, id: id, use: use, end: end, lines: b.lines[:0], cookie: b.cookie[:0], body: noLength}
}

// add decodes a part.
func (b *block) add(part []byte) error {
	b.parts++
	b.size += len(part)
	if b.parts > maxParts || b.size > maxBlock {
		return errCalm
	}
	if _, err := b.c.decoder.Write(part); err != nil {
		return http2.ConnectionError(http2.ErrCodeCompression)
	}
	return nil
}

// headLimit is how long the head of a request may be.
func (c *conn) headLimit() int {
	if n := c.frontend.Settings().Limits.Head; n > 0 {
		return n
	}
	return http1.DefaultHead
}

// field is called for each field of the block.
func (b *block) field(f hpack.HeaderField) {
	if b.fault != "" || b.use == forNothing {
		return
	}
	b.length += int(f.Size())
	switch {
	case strings.HasPrefix(f.Name, ":"):
		b.pseudoField(f)
		return
	case !isName(f.Name):
		b.fault = "field name"
		return
	case !isValue(f.Value):
		b.fault = "field value"
		return
	}
	b.regular = true
	if b.length > b.c.headLimit() {
		b.large = true // http1 refuses what is there already, or what Read makes of it
		return
	}
	if b.use == forTrailers {
		b.lines = appendLine(b.lines, f.Name, f.Value)
		return
	}
	b.regularField(f)
}

func (b *block) pseudoField(f hpack.HeaderField) {
	to, bit := b.pseudo.place(f.Name)
	switch {
	case b.use == forTrailers || b.regular:
		b.fault = "pseudo-header field out of place"
	case to == nil:
		b.fault = "unknown pseudo-header field"
	case b.pseudo.has(bit):
		b.fault = "repeated pseudo-header field"
	case !isVisible(f.Value):
		b.fault = "value of a pseudo-header field"
	default:
		*to = f.Value
		b.pseudo.seen |= bit
	}
}

// regularField takes in a field of a request (RFC 9113 section 8.2).
func (b *block) regularField(f hpack.HeaderField) {
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		b.fault = "field of the connection"
	case "te":
		if f.Value != "trailers" {
			b.fault = "TE other than trailers"
		}
		b.te = true
	case "http2-settings": // would be about a connection of HTTP/1.1
	case "sec-websocket-key": // belongs to an upgrade of HTTP/1.1
		if b.pseudo.protocol == "" {
			b.lines = appendLine(b.lines, f.Name, f.Value)
		}
	case "host":
		if b.host != "" {
			b.fault = "repeated Host"
		}
		b.host = f.Value
	case "cookie":
		// Crumbs become one field again (RFC 9113 section 8.2.3).
		if len(b.cookie) > 0 {
			b.cookie = append(b.cookie, "; "...)
		}
		b.cookie = append(b.cookie, f.Value...)
	case "content-length":
		n, ok := parseLength(f.Value)
		if !ok || b.body != noLength {
			b.fault = "Content-Length"
		}
		b.body = n
		b.lines = appendLine(b.lines, f.Name, f.Value)
	default:
		b.lines = appendLine(b.lines, f.Name, f.Value)
	}
}

func appendLine(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// parseLength reads a Content-Length (RFC 9110 section 8.6).
func parseLength(s string) (n int64, ok bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for _, d := range []byte(s) {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	return n, true
}

// isName reports whether s is a token without upper-case letters (RFC 9113
// section 8.2.1).
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		if !nameChars[s[i]] {
			return false
		}
	}
	return s != ""
}

// isToken reports whether s is a token, as methods are.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !nameChars[s[i]] && (s[i] < 'A' || s[i] > 'Z') {
			return false
		}
	}
	return s != ""
}

// nameChars are the characters of tokens in lower case (RFC 9110 section 5.6.2).
var nameChars = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz" {
		t[c] = true
	}
	return t
}()

// isValue reports whether s may be a field's value (RFC 9113 section 8.2.1): no
// line ends, no NUL, no whitespace around it. What else HTTP/1.1 forbids http1
// finds.
func isValue(s string) bool {
	if s == "" {
		return true
	}
	if isSpace(s[0]) || isSpace(s[len(s)-1]) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == '\r' || c == '\n' || c == 0 {
			return false
		}
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// isVisible reports whether s can stand in a request line without ending a part
// of it.
func isVisible(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// judge gives what is wrong with the request as a whole (RFC 9113 sections 8.3.1
// and 8.5, RFC 8441 section 4), or nothing.
func (b *block) judge() string {
	p := &b.pseudo
	connect := p.method == "CONNECT"
	switch {
	case b.fault != "":
		return b.fault
	case !isToken(p.method):
		return "method"
	case p.has(16) && !connect:
		return "protocol without CONNECT"
	case connect && !p.has(16):
		if p.has(2) || p.has(4) || p.authority == "" {
			return "pseudo-header fields of CONNECT"
		}
	case p.protocol == "" && p.has(16), p.protocol != "" && !isToken(p.protocol):
		return "protocol"
	case p.scheme == "":
		return "scheme"
	case p.path == "" || p.path[0] != '/' && !(p.path == "*" && p.method == "OPTIONS"):
		return "path"
	}
	switch {
	case p.has(8) && p.authority == "":
		return "empty authority"
	case p.has(8) && b.host != "" && !strings.EqualFold(p.authority, b.host):
		return "Host differs from the authority"
	case connect && b.body != noLength:
		return "CONNECT with a length"
	case b.end && b.body > 0:
		return "length without a body"
	}
	return ""
}
