package http1

import (
	"fmt"
	"net/http"
)

// Error is what is wrong with a message, and the status code that says so to
// the client. Errors of parsing are constants of this package, so they cost
// nothing to return.
type Error struct {
	Status int    // what to answer
	Reason string // what is wrong, for logs; the client does not see it
}

func (e *Error) Error() string {
	return fmt.Sprintf("http1: %s (%d %s)", e.Reason, e.Status, http.StatusText(e.Status))
}

// The faults of a head (RFC 9112 sections 2 to 6, RFC 9110 section 15).
var (
	ErrLineEnd       = &Error{400, "line does not end with CR LF"}
	ErrRequestLine   = &Error{400, "malformed request line"}
	ErrMethod        = &Error{400, "method is no token"}
	ErrTarget        = &Error{400, "malformed request target"}
	ErrTargetLength  = &Error{414, "request line too long"}
	ErrVersion       = &Error{505, "protocol version not supported"}
	ErrStatusLine    = &Error{502, "malformed status line"}
	ErrFieldName     = &Error{400, "malformed field name"}
	ErrFieldValue    = &Error{400, "control character in a field value"}
	ErrFold          = &Error{400, "line folding"}
	ErrFields        = &Error{431, "too many fields"}
	ErrHeadLength    = &Error{431, "head too long"}
	ErrHost          = &Error{400, "Host missing, repeated or malformed"}
	ErrLength        = &Error{400, "malformed or repeated Content-Length"}
	ErrBothLengths   = &Error{400, "Content-Length beside Transfer-Encoding"}
	ErrCoding        = &Error{501, "transfer coding not implemented"}
	ErrNotChunked    = &Error{400, "final transfer coding is not chunked"}
	ErrOldCoding     = &Error{400, "Transfer-Encoding in HTTP/1.0"}
	ErrExpect        = &Error{417, "unknown expectation"}
	ErrConnect       = &Error{405, "CONNECT not allowed"}
	ErrBodyTooLarge  = &Error{413, "body too large"}
	ErrPreface       = &Error{505, "HTTP/2 connection preface"}
	ErrChunkSize     = &Error{400, "malformed chunk size"}
	ErrChunkEnd      = &Error{400, "chunk data does not end with CR LF"}
	ErrChunkLine     = &Error{400, "chunk line too long"}
	ErrTrailerLength = &Error{431, "trailer section too long"}
)

// The faults of an exchange.
var (
	ErrHeadTimeout     = &Error{408, "request head did not arrive in time"}
	ErrBodyTimeout     = &Error{408, "request body did not arrive in time"}
	ErrNoServer        = &Error{503, "no server available"}
	ErrConnectFailed   = &Error{502, "server could not be reached"}
	ErrServerClosed    = &Error{502, "server closed the connection without an answer"}
	ErrServerTimeout   = &Error{504, "server did not answer in time"}
	ErrResponse        = &Error{502, "malformed response"}
	ErrSwitch          = &Error{502, "server switched protocols unasked"}
	ErrManyInterim     = &Error{502, "too many interim responses"}
	ErrNoRoute         = &Error{404, "no route"}
	ErrClientGone      = &Error{499, "client closed the connection"}
	ErrResponseTimeout = &Error{499, "client did not take the response in time"}
	ErrTruncated       = &Error{502, "response ended early"}
	ErrDraining        = &Error{503, "shutting down"}
)
