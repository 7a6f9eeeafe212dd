package accesslog

import (
	"net/netip"
	"time"

	"github.com/braid-mptcp/braid/proxy/status"
)

// Record is a request, or in mode tcp a connection, that is over. Its strings
// and slices need to hold only until Log.Write returns.
type Record struct {
	Time     time.Time // the first byte of the request was there
	Listener string
	Route    string // its name or number; "" without
	Pool     string
	Backend  string // its name; "" if none was reached
	Protocol string // "HTTP/1.1", "HTTP/2.0", "tcp"
	Scheme   string // "http", "https"
	// What the client says. All of it may be any bytes.
	Method, Host, Target []byte
	UserAgent, Referer   []byte
	RequestID            []byte
	User                 []byte // of its credentials, if they were looked at

	Status   int   // what the client got; 0: nothing
	BytesIn  int64 // of head and body, as read from the client
	BytesOut int64 // as written to the client
	Body     int64 // of BytesOut, those that are no head
	// Since Time: the head was complete, there was a server connection, the
	// response began, all was done. 0: not reached.
	Head, Connected, Answered, Total time.Duration
	Reused                           bool // the server connection had been used before
	Retried                          bool // a dead one was tried first
	Err                              error

	Conn Connection
}

// Connection is the client's connection of a Record. What it did is of all its
// requests so far.
type Connection struct {
	ID            uint64
	Client, Local netip.AddrPort
	TLSVersion    string // "TLS 1.3"; "" without
	ServerName    string // the client's word
	Requests      int64
	// BytesIn and BytesOut are of the connection so far.
	BytesIn, BytesOut int64
	Multipath         bool
	Fallback          string // see status.FallbackWord
	Paths             []status.Path
}
