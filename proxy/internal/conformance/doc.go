// Package conformance is a list of HTTP/1.1 messages, well-formed and not, and
// of what a strict proxy makes of them (RFC 9112, RFC 9110). It runs against
// anything that forwards to a server it is told of.
package conformance
