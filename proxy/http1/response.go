package http1

// Response is the head of a response, parsed in place. The zero value is ready
// for Parse. It belongs to one goroutine.
type Response struct {
	head
	Status    int
	Minor     uint8 // of HTTP/1.Minor
	Body      Body
	KeepAlive bool // the server keeps the connection

	reason  span
	upgrade bool // Connection: upgrade
}

// Reset prepares for the next response and keeps the memory.
func (r *Response) Reset() {
	h := r.head
	h.reset()
	*r = Response{head: h}
}

// Parse reads the head at the beginning of b as Request.Parse does. The method
// of the request decides whether there is a body. Whatever an *Error says, the
// status for the client is 502.
func (r *Response) Parse(b []byte, lim *Limits, method Method) (done bool, err error) {
	r.buf = b
	if r.start == 0 {
		line, ok, err := r.nextLine(b)
		if err != nil {
			return false, err
		}
		if !ok {
			if len(b) > lim.line() {
				return false, ErrHeadLength
			}
			return false, nil
		}
		r.start = r.line
		if err := r.parseStatusLine(line); err != nil {
			return false, err
		}
	}
	if done, err := r.parseFields(b, lim); !done {
		return false, err
	}
	if err := r.conclude(method); err != nil {
		return false, err
	}
	return true, nil
}

// parseStatusLine reads HTTP-version SP status-code SP [ reason-phrase ] (RFC
// 9112 section 4). Many servers leave out the second space with the reason.
func (r *Response) parseStatusLine(line []byte) error {
	if len(line) < len("HTTP/1.1 200") || line[8] != ' ' {
		return ErrStatusLine
	}
	minor, err := parseVersion(line[:8])
	if err != nil {
		return ErrStatusLine
	}
	r.Minor = minor
	if !all(line[9:12], isDigit) || line[9] == '0' {
		return ErrStatusLine
	}
	r.Status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	if len(line) == 12 {
		return nil
	}
	if line[12] != ' ' || !isFieldValue(line[13:]) {
		return ErrStatusLine
	}
	r.reason = span{13, uint32(len(line))}
	return nil
}

// Interim reports whether another response follows (RFC 9110 section 15.2).
func (r *Response) Interim() bool { return r.Status < 200 && r.Status != 101 }

// conclude judges the complete head (RFC 9112 section 6.3).
func (r *Response) conclude(method Method) error {
	o := r.parseOptions()
	r.KeepAlive = !o.close && (r.Minor > 0 || o.keepAlive)
	r.upgrade = o.upgrade
	body, with, err := r.declared(r.Minor)
	if err != nil {
		return err
	}
	switch {
	case r.Status == 101 || method == CONNECT && r.Status >= 200 && r.Status < 300:
		r.Body = Body{Kind: ByProtocol}
	case method == HEAD || r.Status < 200 || r.Status == 204 || r.Status == 304:
		r.Body = Body{Kind: NoBody}
	case with:
		r.Body = body
	default:
		r.Body = Body{Kind: ByClose}
		r.KeepAlive = false
	}
	return nil
}

// Reason gives the reason phrase, which may be empty.
func (r *Response) Reason() []byte { return r.reason.of(r.buf) }
