// Package accesslog writes a line for each request: as JSON, in Apache's common
// and combined formats, or in the combined format with a field about Multipath
// TCP at its end.
//
// Whatever bytes a client sends, they cannot end a line or a field: in JSON they
// are escaped as JSON has it (bytes that are no UTF-8 become U+FFFD), in the
// other formats '"', '\' and everything that is not printable ASCII is written
// as `\"`, `\\` and `\xhh`, as Apache and nginx do.
//
// # Limitations
//
// Lines are written at most a second late, and in the order in which requests
// end. When the disk does not keep up, lines are dropped and counted: requests
// never wait for the log.
package accesslog
