// Package tcp is one TCP connection (RFC 9293) as a state machine without
// I/O, clock or goroutines: segments and time go in, segments come out. In
// Multipath TCP such a connection is one subflow.
//
// A Conn numbers, acknowledges, retransmits and paces bytes, but owns none:
// what to send, where received bytes go, and which further options a segment
// carries is the business of its Upper. Stream is the Upper of plain TCP;
// package mptcp has the one of a subflow.
//
// Positions are counted from the SYN (see package seq): SND.UNA is sndUna, and
// so on, with the wire's 32-bit numbers only where segments are read and built.
//
// A Conn and its Upper belong to whoever holds the lock of their shard.
//
// # Limitations
//
// Urgent data is delivered in line and never sent. A zero window is probed
// with an empty segment below it, not with a byte of new data (see persist).
package tcp
