// Package stack brings connections and packets together: it finds the
// connection a segment belongs to, by 4-tuple or by the token of a join,
// creates connections for listeners, answers what belongs to nobody, and keeps
// the timers of all.
//
// Like everything in the core it does no I/O and knows no clock. After any
// call into a Stack, one of its Listeners or a Conn, the caller takes packets
// out with Output until there are none, then events with NextEvent, and looks
// at NextTimeout again.
//
// A Stack and all that belongs to it is owned by whoever holds the lock of its
// shard.
package stack
