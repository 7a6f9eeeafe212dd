package http1

// appendFields appends all fields but the dropped ones, as they came. Fields
// that stay are next to each other for the most part and are copied together.
func (h *head) appendFields(dst []byte) []byte {
	from := uint32(h.start)
	for i := range h.fields {
		f := &h.fields[i]
		if f.drop {
			dst = append(dst, h.buf[from:f.name.from]...)
			from = f.end
		}
	}
	if n := len(h.fields); n > 0 {
		dst = append(dst, h.buf[from:h.fields[n-1].end]...)
	}
	return dst
}

// dropAll marks all fields of that name.
func (h *head) dropAll(n Name) {
	first := int(h.first[n])
	if first == 0 {
		return
	}
	for i := first - 1; i < len(h.fields); i++ {
		if h.fields[i].known == n {
			h.fields[i].drop = true
		}
	}
}

// dropEdited marks what edits remove.
func (h *head) dropEdited(edits *Edits) {
	if len(edits.remove) == 0 {
		return
	}
	for i := range h.fields {
		f := &h.fields[i]
		if edits.removes(f.name.of(h.buf)) {
			f.drop = true
		}
	}
}

// dropIfOdd marks the first field of that name if it is not written the way
// everybody writes it, and reports whether it is to be written anew. Odd
// whitespace around the value, or an odd case of a coding, is where other
// parsers have disagreed.
func (h *head) dropIfOdd(n Name) bool {
	i := h.first[n]
	if i == 0 {
		return false
	}
	f := &h.fields[i-1]
	odd := f.value.from != f.name.to+2 || h.buf[f.name.to+1] != ' ' || f.end != f.value.to+2
	if n == TransferEncoding {
		odd = odd || string(f.value.of(h.buf)) != "chunked"
	}
	if odd {
		f.drop = true
	}
	return odd
}

// appendField appends one field line.
func appendField(dst []byte, name string, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// RequestChange is what changes in a request on its way through, beyond what
// the protocol asks for.
type RequestChange struct {
	Path  []byte // instead of path and query; nil: as it came
	Host  []byte // instead of the authority; nil: as it came
	Edits []*Edits
	Trace *Trace // tells the server about the client; nil: nothing
}

// AppendForward appends the head of the request as a proxy sends it on (RFC
// 9110 section 7.6, RFC 9112 section 3.2): in our version, the target in origin
// form, without the fields that concern the client's connection, and with the
// changes. It marks fields in r, so it is called once per message; sending
// again sends the same bytes.
func (r *Request) AppendForward(dst []byte, change *RequestChange) []byte {
	dst = append(dst, r.MethodName()...)
	dst = append(dst, ' ')
	dst = append(dst, r.forwardTarget(change)...)
	dst = append(dst, " HTTP/1.1\r\n"...)

	host := r.Authority()
	if change.Host != nil {
		host = change.Host
	}
	r.dropHopByHop()
	newHost := r.dropIfOdd(Host) || r.Form == Absolute || r.Form == Authority || change.Host != nil || r.first[Host] == 0
	if newHost {
		r.dropAll(Host)
		dst = appendField(dst, "Host", host)
	}
	newLength := r.dropIfOdd(ContentLength)
	newCoding := r.dropIfOdd(TransferEncoding)
	for _, e := range change.Edits {
		r.dropEdited(e)
	}
	if change.Trace != nil {
		change.Trace.drop(&r.head)
	}
	dst = r.appendFields(dst)
	if newLength {
		value, _ := r.Known(ContentLength)
		dst = appendField(dst, "Content-Length", value)
	}
	if newCoding {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	if r.trailers {
		dst = append(dst, "TE: trailers\r\nConnection: TE\r\n"...)
	}
	if r.Upgrade {
		dst = append(dst, "Connection: upgrade\r\n"...)
	}
	if change.Trace != nil {
		dst = change.Trace.append(dst, r)
	}
	for _, e := range change.Edits {
		dst = append(dst, e.add...)
	}
	return append(dst, "\r\n"...)
}

// forwardTarget gives the target for a server: origin-form, asterisk-form of an
// OPTIONS without path (RFC 9112 section 3.2.4), authority-form of CONNECT. A
// query without a path belongs to the path "/".
func (r *Request) forwardTarget(change *RequestChange) []byte {
	switch {
	case change.Path != nil:
		return change.Path
	case r.Form == Authority:
		return r.Authority()
	case r.Form == Absolute && r.path.len() == 0:
		if r.Method == OPTIONS {
			return asterisk
		}
		return rootPath
	}
	return r.path.of(r.buf)
}

var asterisk = []byte("*")

func (r *Request) dropHopByHop() {
	for i := range r.fields {
		f := &r.fields[i]
		if f.known.isHopByHop() && !(f.known == Upgrade && r.Upgrade) {
			f.drop = true
		}
	}
}

// ResponseChange is what changes in a response on its way through, beyond what
// the protocol asks for.
type ResponseChange struct {
	Close  bool   // tell the client that the connection ends
	Old    bool   // the client speaks HTTP/1.0: no transfer coding
	Date   []byte // when the response has none (RFC 9110 section 6.6.1); nil: add none
	Via    string // the name for a Via field; empty: none
	Edits  []*Edits
	Encode bool // the body will be sent in chunks, as the response gives no length
	Decode bool // the body's chunks will be undone
}

// AppendForward appends the head of the response as a proxy sends it on. It is
// called once per message, as with requests.
func (r *Response) AppendForward(dst []byte, change *ResponseChange) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, r.buf[9:12]...)
	dst = append(dst, ' ')
	dst = append(dst, r.Reason()...)
	dst = append(dst, "\r\n"...)

	// A server that refuses to go on without an upgrade says to which protocol
	// (RFC 9110 section 15.5.22).
	upgrade := r.Status == 101 || r.Status == 426 && r.first[Upgrade] != 0
	for i := range r.fields {
		f := &r.fields[i]
		if f.known.isHopByHop() && !(f.known == Upgrade && upgrade) {
			f.drop = true
		}
	}
	if r.Status < 200 || r.Status == 204 || r.Body.Kind == ByProtocol {
		r.dropAll(ContentLength) // RFC 9110 section 8.6, RFC 9112 section 6.1
		r.dropAll(TransferEncoding)
	}
	if change.Decode || change.Old {
		r.dropAll(TransferEncoding)
		r.dropAll(Trailer)
	}
	for _, e := range change.Edits {
		r.dropEdited(e)
	}
	dst = r.appendFields(dst)
	if change.Encode {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	if upgrade {
		dst = append(dst, "Connection: upgrade\r\n"...)
	}
	if r.Status >= 200 && r.Body.Kind != ByProtocol {
		dst = appendConnection(dst, change)
	}
	if change.Date != nil && r.Status >= 200 && r.first[Date] == 0 {
		dst = appendField(dst, "Date", change.Date)
	}
	if change.Via != "" {
		dst = appendVia(dst, r.Minor, change.Via)
	}
	for _, e := range change.Edits {
		dst = append(dst, e.add...)
	}
	return append(dst, "\r\n"...)
}
