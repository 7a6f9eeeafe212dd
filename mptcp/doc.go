// Package mptcp is one Multipath TCP connection (RFC 8684) as a state machine:
// a byte stream carried by any number of TCP subflows.
//
// A Conn owns the two buffers of the stream and decides which subflow carries
// which bytes; a Subflow is the tcp.Upper of one tcp.Conn and speaks the
// options. A subflow asks for its next bytes at the moment it can send them,
// so the choice of path is made as late as it can be, and a dead path holds
// nothing.
//
// A connection that cannot be Multipath TCP, or no longer, is the same Conn in
// plain mode with its one subflow (RFC 8684 section 3.7); Info tells why.
//
// Data positions are counted from the connection's start (see package seq):
// position 0 is the initial data sequence number, 1 the first byte. Subflow
// positions count from that subflow's SYN.
//
// A Conn and its Subflows belong to whoever holds the lock of their shard.
//
// # Limitations
//
// The repository's docs/rfc8684.md goes through RFC 8684 item by item: what is
// held to by which test, what is not covered, and where we deviate.
//
// Version 0 (RFC 6824) is not negotiated. A fast close is sent on resets (form
// R of section 3.5) and understood in both forms. SYNs carry no data.
package mptcp
