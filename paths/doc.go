// Package paths tells how a host is prepared for Multipath TCP, and prepares it
// for the kernel's: what `braid paths` prints and does.
package paths
