// Package stream holds the two buffers of a byte stream: what was written and
// not yet acknowledged (Send), and what arrived and was not yet read (Recv).
// Both address bytes by their position in the stream, hold memory only where
// there are bytes, and never move a byte once it is in.
//
// Nothing here is safe for concurrent use; the owner of the connection is the
// owner of its buffers.
package stream
