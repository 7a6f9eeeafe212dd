// Package balance chooses servers and keeps connections to them.
//
// A Set holds Pools, a Pool holds the backends that serve the same thing. For
// each request a proxy asks the Pool for a connection and gives it back when
// the response has been read:
//
//	conn, err := pool.Get(ctx, balance.Request{Client: client})
//	if err != nil {
//		return err // ErrNoBackend, ErrQueueFull, ErrQueueTimeout, *DialError
//	}
//	// Send the request over conn.NetConn() and read the response.
//	conn.Put() // or conn.Discard(), when it cannot serve another request
//
// Get picks a backend by the Pool's Policy among those that are healthy and
// have room, waits in a queue when none has, and hands out an idle connection
// where the rules of reuse allow one: the knobs of F5's OneConnect (type
// Reuse) and the modes of HAProxy's http-reuse (type ReuseMode).
//
// # Where backends come from
//
// A Source reports lists of backends: Static, File and DNS are here, and a
// service registry would be one more. A source that fails leaves the last list
// in force.
//
// # Health
//
// Check tests backends from time to time; Ejection takes those out of service
// that fail the requests themselves, which the proxy tells by Conn.Report.
//
// # Idle connections
//
// A server closes connections that have been idle for too long, and a request
// that is sent just then is lost. So a Pool closes them a little earlier than
// the server: it learns the server's limit from the Keep-Alive header and from
// the connections that were closed on it. On Linux one epoll instance watches
// the idle connections of a Set, which costs one goroutine in all and nothing
// for a request; connections that are not the kernel's are watched by a
// goroutine each while they are idle. Connections that have been idle for more
// than a millisecond are looked at once more before use.
//
// # Limitations
//
// Connections carry one request at a time: there is no multiplexing of
// requests over HTTP/2 to servers. Round robin and least connections look at
// all backends for each request, which begins to cost with several hundred of
// them; PowerOfTwo and Maglev do not. The Maglev policy knows no slow start.
package balance
