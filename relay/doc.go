// Package relay carries byte streams between Multipath TCP and what knows only
// TCP, or pipes: Server stands in front of a TCP service, Connect between a
// network and standard input and output.
//
// Both directions of a stream end one by one: what one side says last is passed
// on before the other side hears of the end, and the way back stays open. A
// stream that breaks is broken on the other side too, rather than ended, so
// that nobody takes half a stream for a whole one.
//
// Where both sides are sockets of the kernel's, bytes do not pass through the
// process (splice(2), by way of io.Copy).
package relay
