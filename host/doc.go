// Package host runs a Multipath TCP stack over devices and offers it as
// net.Conn and net.Listener.
//
// A Host has one address or more on each of its devices. Connections are made
// with DialContext and accepted from what Listen returns; they behave as those
// of package net do, so that net/http and everything else that works on
// connections runs on a Host unchanged. Every path between the addresses of
// both hosts carries its share.
//
// # How it runs
//
// The stack is a state machine without a clock, goroutines or locks. A shard
// is one stack, its lock, its timer and its devices. Whoever holds the lock
// drives the stack: a goroutine that calls Write has its data cut into
// segments and written to the devices by itself, without a hand-off, unless
// that is much. Besides the callers there is one goroutine for each device,
// which reads it, one that sends what is much, and none for a connection.
//
// # Limitations
//
// A Host has one shard, so that one processor at a time does protocol work. It
// cannot connect to itself: what it sends goes out of a device.
package host
