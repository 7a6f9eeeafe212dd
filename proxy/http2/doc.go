// Package http2 serves HTTP/2 connections (RFC 9113). Each stream becomes a
// message of HTTP/1.1 on a connection in memory, which package http1 forwards
// as it does all others: routing, pools, retries, limits and logs exist once.
//
// Frames and header compression are those of golang.org/x/net/http2; the
// connection around them is ours. Their Server has been deprecated as a whole,
// and it hands each frame over between several goroutines, which costs more
// than all the rest of a small request. Here one goroutine reads, each request
// has one, and whoever has something to send writes what others have left too.
//
// # Malformed requests
//
// Whatever could mean two things once it is HTTP/1.1 is refused with a stream
// error before that: control characters, whitespace, fields of the connection,
// lengths that do not fit (RFC 9113 sections 8.1.1, 8.2 and 10.3). The rest is
// judged by http1, as for any other client.
//
// # Hostile clients
//
// What a connection may cost is bounded in memory by its windows, and in work by
// counts of what legitimate clients do rarely: streams reset, frames without
// use, parts of a header block. Beyond these the connection ends with
// ENHANCE_YOUR_CALM.
//
// # Limitations
//
// Nothing is pushed. Priorities (RFC 9218) are read and not heeded: streams
// share the connection as they come. Trailers of requests with a Content-Length
// are dropped, since HTTP/1.1 has no place for them.
package http2
