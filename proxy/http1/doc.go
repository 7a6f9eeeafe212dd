// Package http1 is Braid's HTTP/1.1 data path: strict framing of requests and
// responses (RFC 9112) and an engine that forwards them over server
// connections somebody else pools.
//
// # Framing
//
// [Request.Parse] and [Response.Parse] read a head in place: what they find is
// kept as offsets into the caller's buffer, and nothing is allocated. They are
// strict, since two parsers that disagree about a message are what request
// smuggling lives on (RFC 9112 section 11.2): whatever leaves room for a second
// opinion is an [Error], which carries the status to answer with. [Chunked]
// checks a chunked body and brings it into its canonical form, in place too.
//
// # Engine
//
// An [Engine] serves client connections, one goroutine each. For each request
// it asks the [Frontend]'s route for a [Pool], takes a server connection from
// it, forwards the request with hop-by-hop fields removed, forwards the
// response, and gives the connection back. Over kernel sockets a request costs
// two writes, two reads and one look at the reused connection, and no timer is
// touched.
//
// # Limitations
//
// Bodies are not compressed, cached or inspected. A request is forwarded as
// HTTP/1.1 whatever its version was. Chunk extensions are dropped, transfer
// codings other than chunked refused. Trailers are forwarded, except to
// HTTP/1.0 clients.
package http1
