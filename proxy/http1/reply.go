package http1

import (
	"net/http"
	"strconv"
)

// reply is an answer of our own.
type reply struct {
	status      int
	contentType string
	body        []byte
}

// errorReply makes the answer for an error: a line of text.
func errorReply(status int) reply {
	text := http.StatusText(status)
	if text == "" {
		text = "Error"
	}
	return reply{status, "text/plain; charset=utf-8", []byte(strconv.Itoa(status) + " " + text + "\n")}
}

// bodyFor is what is sent of the body: the method decides whether it is, the
// status whether there is one (RFC 9110 section 6.4.1).
func (r *reply) bodyFor(method Method) []byte {
	if method == HEAD || r.bodiless() {
		return nil
	}
	return r.body
}

func (r *reply) bodiless() bool { return r.status == 204 || r.status == 304 }

// append appends the whole message.
func (r *reply) append(dst []byte, method Method, change *ResponseChange) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(r.status)...)
	dst = append(dst, "\r\n"...)
	if !r.bodiless() {
		if r.contentType != "" && !removed(change.Edits, "content-type") {
			dst = append(dst, "Content-Type: "...)
			dst = append(dst, r.contentType...)
			dst = append(dst, "\r\n"...)
		}
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(r.body)), 10)
		dst = append(dst, "\r\n"...)
	}
	if r.status == 405 {
		// The only method we refuse by ourselves is CONNECT, and what the
		// server allows for a target is not ours to know (RFC 9110 section
		// 15.5.6 lets the list be empty).
		dst = append(dst, "Allow: \r\n"...)
	}
	dst = appendField(dst, "Date", change.Date)
	dst = appendConnection(dst, change)
	for _, e := range change.Edits {
		dst = append(dst, e.add...)
	}
	dst = append(dst, "\r\n"...)
	return append(dst, r.bodyFor(method)...)
}

// appendConnection tells the client what becomes of the connection. HTTP/1.0
// keeps it only if told so.
func appendConnection(dst []byte, change *ResponseChange) []byte {
	switch {
	case change.Close:
		return append(dst, "Connection: close\r\n"...)
	case change.Old:
		return append(dst, "Connection: keep-alive\r\n"...)
	}
	return dst
}

// removed reports whether edits take away, or replace, a field.
func removed(edits []*Edits, name string) bool {
	for _, e := range edits {
		if e.removes([]byte(name)) {
			return true
		}
	}
	return false
}
