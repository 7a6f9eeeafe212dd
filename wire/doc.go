// Package wire turns bytes into packets and back: IPv4 and IPv6, TCP with all
// its options in use, Multipath TCP in both versions, and the ICMP messages
// that concern a TCP connection.
//
// ParseX takes bytes from the network and panics on none of them; AppendX and
// PutX write what the caller made up and panic, with "BUG:", when it has no
// wire form. Neither keeps state, nor allocates as long as the buffers given
// suffice; the String methods do.
package wire
