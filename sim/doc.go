// Package sim is a packet network in virtual time, driven by one seed.
//
// A Pipe is one direction of a line: it takes packets, delays, queues, loses,
// reorders, doubles and damages them as its LinkConfig says, and gives them
// back when they arrive. A Link is two Pipes with middleboxes at either end. Both
// are values that are told the time and know no clock, so they serve a driver
// in real time as well as the Network, which joins Endpoints by Links and
// jumps its clock from one event to the next. One seed gives one run, packet
// for packet and byte for byte.
//
// Nothing here is safe for use by several goroutines at once, and nothing
// starts one. On the path of a packet nothing allocates once the buffers in
// use have been allocated.
package sim
