// Package wire turns bytes into packets and back: IPv4 and IPv6, TCP with all
// its options in use, Multipath TCP in both versions, and the ICMP messages
// that concern a TCP connection. Nothing here allocates, keeps state or
// panics on any input.
package wire
