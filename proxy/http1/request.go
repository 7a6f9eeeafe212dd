package http1

import (
	"bytes"
	"strings"
)

// Form is the form of a request target (RFC 9112 section 3.2).
type Form uint8

const (
	Origin    Form = iota // /path?query
	Absolute              // http://host/path?query
	Authority             // host:port, of CONNECT
	Asterisk              // *, of OPTIONS
)

// Method is a method the engine treats in a special way, or knows to be
// idempotent.
type Method uint8

const (
	OtherMethod Method = iota
	GET
	HEAD
	POST
	PUT
	DELETE
	OPTIONS
	TRACE
	CONNECT
)

// Idempotent reports whether a request may be sent again without the client
// noticing (RFC 9110 section 9.2.2).
func (m Method) Idempotent() bool {
	switch m {
	case GET, HEAD, PUT, DELETE, OPTIONS, TRACE:
		return true
	}
	return false
}

func methodOf(s []byte) Method {
	switch string(s) {
	case "GET":
		return GET
	case "HEAD":
		return HEAD
	case "POST":
		return POST
	case "PUT":
		return PUT
	case "DELETE":
		return DELETE
	case "OPTIONS":
		return OPTIONS
	case "TRACE":
		return TRACE
	case "CONNECT":
		return CONNECT
	}
	return OtherMethod
}

// Request is the head of a request, parsed in place. The zero value is ready
// for Parse. It belongs to one goroutine.
type Request struct {
	head
	Method    Method
	Form      Form
	Minor     uint8 // of HTTP/1.Minor
	Body      Body
	Continue  bool // the client waits for 100 (RFC 9110 section 10.1.1)
	KeepAlive bool // the client wants to keep the connection (RFC 9112 section 9.3)
	Upgrade   bool // the client wants another protocol, which may be forwarded

	trailers  bool // the client takes trailers
	method    span
	target    span // as it came
	authority span // of the target, or of the Host field
	path      span // with the query; empty in an absolute target without a path
}

// Reset prepares for the next request and keeps the memory.
func (r *Request) Reset() {
	h := r.head
	h.reset()
	*r = Request{head: h}
}

// Parse reads the head at the beginning of b. It is called again with more
// bytes, the old ones first, until done is true: the head has HeadLen bytes
// then, and the body follows. b may move from call to call, but its bytes must
// not change as long as the request is used. An error is an *Error and final.
func (r *Request) Parse(b []byte, lim *Limits) (done bool, err error) {
	r.buf = b
	if r.start == 0 {
		if ok, err := r.parseStart(b, lim); !ok || err != nil {
			return false, err
		}
	}
	if done, err := r.parseFields(b, lim); !done {
		return false, err
	}
	if err := r.conclude(); err != nil {
		return false, err
	}
	return true, nil
}

// parseStart reads the request line.
func (r *Request) parseStart(b []byte, lim *Limits) (ok bool, err error) {
	// An empty line before a request is ignored (RFC 9112 section 2.2): old
	// clients send one behind a body. One, not many.
	if r.line == 0 && len(b) > 0 && b[0] == '\r' {
		if len(b) == 1 {
			return false, nil
		}
		if b[1] != '\n' {
			return false, ErrLineEnd
		}
		r.line, r.seen = 2, 2
	}
	// What cannot become a request is refused at once: it may be a protocol
	// whose lines never end.
	if len(b) > r.line && classes[b[r.line]]&isToken == 0 {
		return false, ErrRequestLine
	}
	from := r.line
	line, ok, err := r.nextLine(b)
	if err != nil {
		return false, err
	}
	if r.line-from > lim.line()+2 || !ok && len(b)-from > lim.line() {
		return false, ErrTargetLength
	}
	if !ok {
		return false, nil
	}
	r.start = r.line
	return true, r.parseRequestLine(line, from)
}

// parseRequestLine reads method SP request-target SP HTTP-version (RFC 9112
// section 3), with single spaces.
func (r *Request) parseRequestLine(line []byte, from int) error {
	sp := bytes.IndexByte(line, ' ')
	if sp <= 0 {
		return ErrRequestLine
	}
	if !all(line[:sp], isToken) {
		return ErrMethod
	}
	r.method = span{uint32(from), uint32(from + sp)}
	r.Method = methodOf(line[:sp])
	to := sp + 1
	for to < len(line) && classes[line[to]]&isTarget != 0 {
		to++
	}
	if to == len(line) || line[to] != ' ' {
		return ErrRequestLine
	}
	r.target = span{uint32(from + sp + 1), uint32(from + to)}
	minor, err := parseVersion(line[to+1:])
	if err != nil {
		if string(line) == "PRI * HTTP/2.0" {
			return ErrPreface
		}
		return err
	}
	r.Minor = minor
	return r.parseTarget(line[sp+1:to], from+sp+1)
}

// parseVersion reads HTTP-version. A higher minor version than ours is
// understood as ours (RFC 9110 section 2.5).
func parseVersion(s []byte) (minor uint8, err error) {
	if len(s) != len("HTTP/1.1") || string(s[:5]) != "HTTP/" || s[6] != '.' ||
		classes[s[5]]&isDigit == 0 || classes[s[7]]&isDigit == 0 {
		return 0, ErrRequestLine
	}
	if s[5] != '1' {
		return 0, ErrVersion
	}
	return min(s[7]-'0', 1), nil
}

// parseTarget finds the form of the target, which begins at from, and its parts
// (RFC 9112 section 3.2).
func (r *Request) parseTarget(target []byte, from int) error {
	switch {
	case len(target) == 0:
		return ErrRequestLine
	case r.Method == CONNECT:
		r.Form = Authority
		r.authority = r.target
		if !isAuthority(target, true) {
			return ErrTarget
		}
	case target[0] == '/':
		r.Form = Origin
		r.path = r.target
	case string(target) == "*":
		r.Form = Asterisk
		r.path = r.target
		if r.Method != OPTIONS {
			return ErrTarget
		}
	default:
		return r.parseAbsolute(target, from)
	}
	return nil
}

// parseAbsolute reads absolute-form with the schemes of HTTP. User information
// is refused (RFC 9110 section 4.2.4).
func (r *Request) parseAbsolute(target []byte, from int) error {
	r.Form = Absolute
	scheme := 0
	switch {
	case len(target) > 7 && equalFold(target[:7], "http://"):
		scheme = 7
	case len(target) > 8 && equalFold(target[:8], "https://"):
		scheme = 8
	default:
		return ErrTarget
	}
	end := scheme
	for end < len(target) && target[end] != '/' && target[end] != '?' {
		end++
	}
	if !isAuthority(target[scheme:end], false) {
		return ErrTarget
	}
	r.authority = span{uint32(from + scheme), uint32(from + end)}
	r.path = span{uint32(from + end), uint32(from + len(target))}
	return nil
}

// isAuthority reports whether s is uri-host [ ":" port ], and with port set,
// has a port that is not empty.
func isAuthority(s []byte, port bool) bool {
	end := 0
	if len(s) > 0 && s[0] == '[' {
		end = bytes.IndexByte(s, ']') + 1
		if end < 4 || !allOf(s[1:end-1], isHex, ":.") {
			return false
		}
	} else {
		for end < len(s) && classes[s[end]]&isHost != 0 {
			end++
		}
	}
	if end == 0 {
		return false
	}
	if end == len(s) {
		return !port
	}
	digits := s[end+1:]
	return s[end] == ':' && len(digits) <= 5 && all(digits, isDigit) && (len(digits) > 0 || !port)
}

// allOf reports whether every byte of s is of class c or in more.
func allOf(s []byte, c class, more string) bool {
	for _, b := range s {
		if classes[b]&c == 0 && strings.IndexByte(more, b) < 0 {
			return false
		}
	}
	return true
}

// conclude judges the complete head.
func (r *Request) conclude() error {
	if err := r.checkHost(); err != nil {
		return err
	}
	body, _, err := r.declared(r.Minor)
	if err != nil {
		return err
	}
	r.Body = body
	if r.Method == CONNECT && body.Kind != NoBody {
		return ErrLength // a tunnel has no body (RFC 9110 section 9.3.6)
	}
	if r.first[Expect] != 0 {
		if err := r.checkExpect(); err != nil {
			return err
		}
	}
	o := r.parseOptions()
	r.KeepAlive = !o.close && (r.Minor > 0 || o.keepAlive)
	r.trailers = o.te && r.takesTrailers()
	r.Upgrade = o.upgrade && r.mayUpgrade()
	return nil
}

// checkHost wants exactly one Host field in HTTP/1.1, at most one in HTTP/1.0,
// and a well-formed one (RFC 9112 section 3.2). An empty one is legal. With an
// absolute target the target counts.
func (r *Request) checkHost() error {
	n := r.count(Host)
	if n > 1 || n == 0 && r.Minor > 0 {
		return ErrHost
	}
	if n == 0 {
		return nil
	}
	value, _ := r.Known(Host)
	if len(value) > 0 && !isAuthority(value, false) {
		return ErrHost
	}
	if r.Form == Origin || r.Form == Asterisk {
		r.authority = r.fields[r.first[Host]-1].value
	}
	return nil
}

// checkExpect knows 100-continue. Without a body there is nothing to wait with,
// and HTTP/1.0 does not know it (RFC 9110 section 10.1.1).
func (r *Request) checkExpect() error {
	value, _ := r.Known(Expect)
	if r.Minor == 0 {
		return nil
	}
	if r.count(Expect) != 1 || !equalFold(value, "100-continue") {
		return ErrExpect
	}
	r.Continue = r.Body.Kind == ByChunks || r.Body.Length > 0
	return nil
}

func (r *Request) takesTrailers() bool {
	for i := range r.fields {
		if r.fields[i].known != TE {
			continue
		}
		for list := r.fields[i].value.of(r.buf); list != nil; {
			var item []byte
			if item, list = nextItem(list); equalFold(item, "trailers") {
				return true
			}
		}
	}
	return false
}

// mayUpgrade reports whether an Upgrade is one to forward: not from HTTP/1.0
// (RFC 9110 section 7.8), and not to HTTP/2, through which requests would pass
// that nobody has looked at. A body would have to be read before anything
// switches, so there is none.
func (r *Request) mayUpgrade() bool {
	if r.Minor == 0 || r.first[Upgrade] == 0 || r.Body.Kind != NoBody && r.Body != (Body{ByLength, 0}) {
		return false
	}
	for i := range r.fields {
		if r.fields[i].known != Upgrade {
			continue
		}
		for list := r.fields[i].value.of(r.buf); list != nil; {
			var item []byte
			if item, list = nextItem(list); equalFold(item, "h2c") || equalFold(item, "h2") {
				return false
			}
		}
	}
	return true
}

// MethodName gives the method as it came.
func (r *Request) MethodName() []byte { return r.method.of(r.buf) }

// Target gives the request target as it came.
func (r *Request) Target() []byte { return r.target.of(r.buf) }

// Authority gives the host and, if there is one, the port the request is for.
func (r *Request) Authority() []byte { return r.authority.of(r.buf) }

// Path gives the path with the query: "/" if an absolute target has none, "*"
// for OPTIONS *, nothing for CONNECT.
func (r *Request) Path() []byte {
	switch {
	case r.Form == Absolute && r.path.len() == 0:
		return rootPath
	default:
		return r.path.of(r.buf)
	}
}

var rootPath = []byte("/")
