// Package passthrough carries connections through the proxy as they are: ssh,
// databases, TLS that the server itself ends and that is routed by the name in
// its hello (SNI, RFC 6066 section 3).
//
// Both directions end one by one: what one side says last is passed on before
// the other side hears of the end, and the way back stays open. A connection
// that breaks on one side is broken on the other side too, rather than ended,
// so that nobody takes half a stream for a whole one.
//
// A connection at rest holds no buffer where its sockets are the kernel's: one
// is taken from a pool when something has arrived. Streams that run at full
// speed between two such sockets are spliced (splice(2) on Linux), so that
// their bytes do not pass through the process.
//
// # Limitations
//
// A client that breaks off while a server is being connected to is noticed only
// on Linux, and only where its socket is the kernel's. Elsewhere the connection
// to the server is made first.
//
// Who is at fault for a connection that broke is a judgement from here: the
// side whose socket said so first.
package passthrough
